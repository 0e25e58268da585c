"""The small data sets of ``other_data.py``: those of scikit-learn, and made ones with a trap each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

Arrays = tuple[NDArray[Any], NDArray[Any]]


def _normal(size: int, width: int, seed: int) -> tuple[np.random.Generator, NDArray[Any]]:
    chance = np.random.default_rng(seed)
    return chance, chance.normal(size=(size, width))


def late_group(size: int) -> Arrays:
    """One row in ten follows a rule of its own, which is learnt late."""
    chance, x = _normal(size, 12, 1)
    group = chance.random(size) < 0.1
    x[:, 11] = 3.0 * group
    return x, np.where(group, x[:, 1] * x[:, 2] > 0, x[:, 0] > 0).astype(int)


def _signal(x: NDArray[Any]) -> NDArray[Any]:
    return x[:, 0] + np.sin(2 * x[:, 1]) + x[:, 2] * x[:, 3]


def skewed(size: int) -> Arrays:
    """Positive targets with a long tail, as claims have, none of them wrong."""
    chance, x = _normal(size, 10, 2)
    return x, np.exp(0.5 * _signal(x) + chance.normal(size=size))


def heavy(size: int) -> Arrays:
    """Noise with heavy tails: Student's, with three degrees of freedom."""
    chance, x = _normal(size, 10, 3)
    return x, _signal(x) + 0.5 * chance.standard_t(3, size=size)


def zeros(size: int) -> Arrays:
    """Nine targets in ten are 0, and the others are large."""
    chance, x = _normal(size, 10, 4)
    there = chance.random(size) < 1 / (1 + np.exp(3.2 - 2 * x[:, 0]))
    return x, there * np.exp(1 + 0.5 * x[:, 1])


def spikes(size: int) -> Arrays:
    """One row in ten is far higher, by chance alone."""
    chance, x = _normal(size, 10, 8)
    return x, _signal(x) + 0.3 * chance.normal(size=size) + 8 * (chance.random(size) < 0.1)


def _clusters(size: int) -> Arrays:
    return datasets.make_classification(size, n_informative=8, n_classes=5, class_sep=0.8, flip_y=0, random_state=1)  # type: ignore[no-any-return]


def _around(size: int, shares: Sequence[float], apart: float, seed: int) -> Arrays:
    """Classes of such shares, their centres so many standard deviations apart in each of 20 dimensions, about."""
    chance, x = _normal(size, 20, seed)
    y = chance.choice(len(shares), size, p=shares)
    return x + apart * chance.normal(size=(len(shares), 20))[y], y


def rare(size: int) -> Arrays:
    """Six rows in ten are of one class, and nine rare ones overlap with it."""
    return _around(size, [0.6, *[0.4 / 9] * 9], 0.3, 5)


def long_tail(size: int) -> Arrays:
    """Each class has 1.7 times as many rows as the next, 100 times as many as the last."""
    shares = 100.0 ** (-np.arange(10) / 9)
    return _around(size, list(shares / shares.sum()), 0.5, 6)


def one_in_five(size: int) -> Arrays:
    """A fifth is positive, by chances that the rows hardly tell."""
    chance, x = _normal(size, 20, 7)
    return x, (chance.random(size) < 1 / (1 + np.exp(1.6 - 0.3 * x[:, :6].sum(1)))).astype(int)


SETS: dict[str, tuple[str, bool, Callable[[int], Arrays]]] = {
    "wine": ("3 kinds of wine, 178 rows", True, lambda _: datasets.load_wine(return_X_y=True)),
    "breast cancer": ("2 classes, 569 rows", True, lambda _: datasets.load_breast_cancer(return_X_y=True)),
    "moons": ("2 classes that overlap", True, lambda size: datasets.make_moons(size, noise=0.3, random_state=1)),
    "clusters": ("5 classes of several clusters", True, _clusters),
    "late group": ("2 classes; a tenth has its own rule", True, late_group),
    "rare classes": ("60 % of one class, nine rare ones that overlap with it", True, rare),
    "long tail": ("10 classes that overlap, 100 rows of the first to 1 of the last", True, long_tail),
    "one in five": ("2 classes, a fifth and the rest, hardly told apart", True, one_in_five),
    "diabetes": ("a number, 442 rows", False, lambda _: datasets.load_diabetes(return_X_y=True)),
    "skewed": ("log-normal targets", False, skewed),
    "heavy": ("noise of Student's t, 3 degrees", False, heavy),
    "spikes": ("one target in ten is far higher, by chance", False, spikes),
    "zeros": ("nine targets in ten are 0", False, zeros),
}
"""What it is, whether it has classes, and how it is made, by name."""
