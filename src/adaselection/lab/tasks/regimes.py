"""The regimes: what the training data may be like. They change what trains; the rows that judge stay as they are.

Which rows a regime takes is drawn once and for all, so that every seed of a study trains on the same ones. Which
labels are wrong, and which targets are moved, is drawn by the run's seed, as it is for label noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["CLASSIFICATION", "REGIMES", "Regime", "RegimeRows", "regime_rows", "setting_in_words"]

COPIES = 5
IMBALANCE = 100.0
SWITCH_AT = 0.5
"""Share of a run after which the labels of ``noise_switch`` turn wrong."""
_SEED = 20240103
_DUPLICATED, _LONG_TAIL = 1, 2  # streams of that seed


@dataclass(frozen=True)
class Regime:
    """One regime.

    Attributes:
        name: As on the command line.
        words: What the data are, for titles; empty for plain data.
        summary: One line.
    """

    name: str
    words: str
    summary: str


REGIMES = MappingProxyType(
    {
        regime.name: regime
        for regime in (
            Regime("plain", "", "the task's training rows as they are"),
            Regime("duplicated", "5x duplicated data", "a fifth of the training rows, each five times"),
            Regime("long_tail", "100:1 long tail", "training classes thinned out exponentially, the last to 1 %"),
            Regime("outliers", "outliers", "one training target in twenty is moved far away"),
            Regime("clean", "no outliers", "without the outliers that the task's plain data have"),
            Regime("noise_switch", "noise switched on mid-run", "the label noise begins halfway through the run"),
        )
    }
)
"""Every regime, by name. A task lists those that it has."""

CLASSIFICATION = ("plain", "duplicated", "long_tail", "noise_switch")
"""What `classification_splits` can do."""


class RegimeRows(NamedTuple):
    """The rows that train.

    Attributes:
        distinct: int64 ``[m]``, which of the rows given are used at all, in rising order.
        places: int64 ``[n]``, for each row that trains its place in ``distinct``.
    """

    distinct: Tensor
    places: Tensor


def regime_rows(regime: str, rows: int, labels: Tensor | None = None, classes: int = 0) -> RegimeRows:
    """Say which rows train: all of them once, but for ``duplicated`` and ``long_tail``.

    ``duplicated`` gives as many rows as there were, so where five does not divide them, some are one copy short.

    ``long_tail`` keeps ``m * 100 ** (-c / (classes - 1))`` rows of class c, at least one, where m is the size of the
    smallest class: the first and the last class are 100 to 1 where m is 100 or more. Source: Cui et al.,
    "Class-balanced loss based on effective number of samples", 2019.

    Args:
        regime: Name of the regime.
        rows: Rows that there are.
        labels: int64 ``[rows]``, for ``long_tail``.
        classes: How many classes there are, for ``long_tail``.
    """
    if regime == "duplicated":
        distinct = _some(rows, -(-rows // COPIES))
        return RegimeRows(distinct, torch.arange(rows) % max(1, len(distinct)))
    distinct = _thinned(labels, classes) if regime == "long_tail" and labels is not None else torch.arange(rows)
    return RegimeRows(distinct, torch.arange(len(distinct)))


def setting_in_words(regime: str, label_noise: float) -> str:
    """Return regime and label noise as a title has them; empty for plain data with right labels.

    A regime of a newer version goes by its name.
    """
    words = REGIMES[regime].words if regime in REGIMES else regime
    noise = f"{100 * label_noise:g} % label noise" if label_noise else ""
    if regime == "noise_switch":
        return f"{noise or 'label noise'} from halfway on"
    return ", ".join(part for part in (words, noise) if part)


def _some(rows: int, wanted: int) -> Tensor:
    order = np.random.default_rng([_SEED, _DUPLICATED]).permutation(rows)
    return torch.from_numpy(np.sort(order[:wanted]))


def _thinned(labels: Tensor, classes: int) -> Tensor:
    order = torch.from_numpy(np.random.default_rng([_SEED, _LONG_TAIL]).permutation(len(labels)))
    counts = torch.bincount(labels, minlength=classes)
    most = int(counts[counts > 0].min()) if len(labels) else 0
    kept = [
        order[labels[order] == label][: max(1, round(most * IMBALANCE ** (-label / max(1, classes - 1))))]
        for label in range(classes)
    ]
    return torch.cat(kept).sort().values
