"""Claim: on data for which hardly a setting was made, the default does not lose to plain training at the same work.

Small data sets that come with scikit-learn, and made ones with a trap each: skewed targets, heavy tails, many zeros, a
group that follows a rule of its own. Each as it is, and with wrong labels or outliers. `AdaSelection(rate=0.3)` on a
`RecordedLoader`, the fixed rule `uncertain` there and the plain loader make as many steps, from the same weights; the
learning rate is the plain loader's best on a validation split at the same budget, and the schedule is fitted to the
steps.

    python benchmarks/other_data.py --jobs 2
    python benchmarks/other_data.py --jobs 2 --again benchmarks/records/other_data.json     # after the default changed
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _record import run
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn import datasets, preprocessing
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, Policy, RecordedLoader, SingleMethod
from adaselection.lab import stats
from adaselection.lab.tasks.arrays import ArrayDataset

CLAIM = "on data for which hardly a setting was made, the default does not lose to plain training at the same work"
BAR = -0.1  # points; for an error -1 % of that of plain training
BUDGETS = (0.2, 0.5, 1.0)
RATE, EPOCHS, BATCH, TRIALS, WARM = 0.3, 30, 32, 5, 0.2
LABELS, TARGETS = (0.0, 0.2, 0.4), (0.0, 0.05)  # shares that are wrong
RATES = {True: (0.003, 0.01, 0.03, 0.1, 0.3), False: (0.001, 0.003, 0.01, 0.03, 0.1)}  # for classes, for numbers
Arrays = tuple[NDArray[Any], NDArray[Any]]
Cells = dict[tuple[str, float, float], dict[str, Any]]


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


def _clusters(size: int) -> Arrays:
    return datasets.make_classification(size, n_informative=8, n_classes=5, class_sep=0.8, flip_y=0, random_state=1)  # type: ignore[no-any-return]


SETS: dict[str, tuple[str, bool, Callable[[int], Arrays]]] = {
    "wine": ("3 kinds of wine, 178 rows", True, lambda _: datasets.load_wine(return_X_y=True)),
    "breast cancer": ("2 classes, 569 rows", True, lambda _: datasets.load_breast_cancer(return_X_y=True)),
    "moons": ("2 classes that overlap", True, lambda size: datasets.make_moons(size, noise=0.3, random_state=1)),
    "clusters": ("5 classes of several clusters", True, _clusters),
    "late group": ("2 classes; a tenth has its own rule", True, late_group),
    "diabetes": ("a number, 442 rows", False, lambda _: datasets.load_diabetes(return_X_y=True)),
    "skewed": ("log-normal targets", False, skewed),
    "heavy": ("noise of Student's t, 3 degrees", False, heavy),
    "zeros": ("nine targets in ten are 0", False, zeros),
}
"""What it is, whether it has classes, and how it is made, by name."""


class Data:
    """One set: training, validation and test rows, standardised by those that are not for testing."""

    def __init__(self, name: str, size: int) -> None:
        _, self.classes, make = SETS[name]
        x, y = make(size)
        order = np.random.default_rng(7).permutation(len(x))
        x, y, self.test = x[order], y[order], len(x) * 7 // 10
        x = preprocessing.StandardScaler().fit(x[: self.test]).transform(x)
        if not self.classes:
            y = (y - y[: self.test].mean()) / y[: self.test].std()
        self.inputs = torch.from_numpy(x).float()
        self.targets = torch.from_numpy(y).long() if self.classes else torch.from_numpy(y).float()
        self.outputs = int(y.max()) + 1 if self.classes else 1

    def parts(self, validation: bool) -> tuple[slice, slice]:
        """Rows to train on, and rows to judge by."""
        end = self.test * 4 // 5 if validation else self.test
        return slice(0, end), slice(end, self.test) if validation else slice(end, None)

    def spoilt(self, targets: Tensor, share: float, seed: int) -> Tensor:
        """The targets with a share of them wrong: of another class, or moved far away."""
        chance = torch.Generator().manual_seed(1000 + seed)
        wrong = torch.rand(len(targets), generator=chance) < share
        if self.classes:
            other = (targets + torch.randint(1, self.outputs, targets.shape, generator=chance)) % self.outputs
        else:
            other = targets + 8 * torch.randn(len(targets), generator=chance)
        return torch.where(wrong, other, targets)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """One loss for each row."""
        if self.classes:
            return nn.functional.cross_entropy(outputs, targets, reduction="none")
        return (outputs.squeeze(1) - targets).square()


def train(
    data: Data, share: float, budget: float, seed: int, rate: float, policy: Policy | None, validation: bool = False
) -> tuple[float, bool]:
    """Train once, on the plain loader if no policy is given; returns the score, and whether anything was left out."""
    rows, judged = data.parts(validation)
    train_set = ArrayDataset(data.inputs[rows], data.spoilt(data.targets[rows], share, seed))
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(data.inputs.shape[1], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, data.outputs)
    )
    order = torch.Generator().manual_seed(seed)
    plain = DataLoader(train_set, BATCH, shuffle=True, generator=order, collate_fn=ArrayDataset.collate)
    loader = RecordedLoader(plain, policy) if policy else plain
    steps, done = max(1, int(budget * EPOCHS * len(plain))), 0
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, max(2, steps + 1), pct_start=WARM, cycle_momentum=False
    )
    while done < steps:
        for inputs, targets in loader:
            losses = data.loss(model(inputs), targets)
            loss = loader.record(losses) if isinstance(loader, RecordedLoader) else losses.mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == steps:
                break
    with torch.no_grad():
        outputs, truth = model(data.inputs[judged]), data.targets[judged]
        found = 100 * (outputs.argmax(1) == truth).float().mean() if data.classes else data.loss(outputs, truth).mean()
    return found.item(), isinstance(loader, RecordedLoader) and bool(loader.report().left_out)


def best_rate(data: Data, share: float, budget: float) -> float:
    """The learning rate that is best for the plain loader on the validation rows, at this budget."""
    tried = {}
    for rate in RATES[data.classes]:
        found = [train(data, share, budget, 50 + seed, rate, None, validation=True)[0] for seed in range(TRIALS)]
        tried[rate] = float(np.mean(found)) if np.isfinite(found).all() else float("nan")
    known = {rate: value for rate, value in tried.items() if value == value}
    return (max if data.classes else min)(known, key=lambda rate: known[rate])


def one_setting(name: str, share: float, arguments: argparse.Namespace, known: Cells) -> list[dict[str, Any]]:
    """Every budget of a set with a share of wrong labels or outliers."""
    torch.set_num_threads(1)
    data = Data(name, arguments.rows)
    return [
        one_cell(data, name, share, budget, arguments.repeats, known.get((name, share, budget))) for budget in BUDGETS
    ]


def one_cell(
    data: Data, name: str, share: float, budget: float, repeats: int, known: dict[str, Any] | None
) -> dict[str, Any]:
    """One budget; of a known cell the learning rate and the fixed rule stay as they are.

    Raises:
        SystemExit: the plain loader does not give again what it gave.
    """
    rate = known["learning_rate"] if known else best_rate(data, share, budget)

    def scores(make: Callable[[], Policy | None]) -> list[tuple[float, bool]]:
        return [train(data, share, budget, seed, rate, make()) for seed in range(repeats)]

    plain, ours = scores(lambda: None), scores(lambda: AdaSelection(rate=RATE))
    mean = float(np.mean([score for score, _ in plain]))
    unit = 1.0 if data.classes else -100 / mean

    def gain(arm: list[tuple[float, bool]]) -> dict[str, Any]:
        found = stats.mean_interval([unit * (one - other) for (one, _), (other, _) in zip(arm, plain, strict=True)])
        return {"difference": found.mean, "ci": [found.ci_low, found.ci_high]}

    if known and mean != known["plain"]:
        raise SystemExit(
            f"{name}, {share:.0%}, {budget:.0%}: the plain loader gives {mean}, and gave {known['plain']}."
        )
    beside = known["uncertain"] if known else gain(scores(lambda: SingleMethod("uncertain", rate=RATE)))
    head = {"set": name, "wrong": share, "budget": budget, "learning_rate": rate, "plain": mean, "seeds": repeats}
    return {**head, **gain(ours), "opened": sum(left for _, left in ours), "uncertain": beside}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every set, as it is and spoilt."""
    settings = [(name, share) for name, (_, classes, _) in SETS.items() for share in (LABELS if classes else TARGETS)]
    before = (
        json.loads(Path(arguments.again).read_text(encoding="utf-8"))["results"]["cells"] if arguments.again else []
    )
    known = {(cell["set"], cell["wrong"], cell["budget"]): cell for cell in before}
    work = (delayed(one_setting)(name, share, arguments, known) for name, share in settings[: arguments.settings])
    cells = [cell for found in Parallel(arguments.jobs, backend="multiprocessing")(work) for cell in found]
    bar = {name: BAR if classes else 10 * BAR for name, (_, classes, _) in SETS.items()}
    worse = [cell for cell in cells if not cell["difference"] >= bar[cell["set"]]]  # so are runs that diverged
    sets = {name: {"what": what, "classes": classes} for name, (what, classes, _) in SETS.items()}
    return {"bar": BAR, "met": not worse, "worse": len(worse), "sets": sets, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print the cells in which anything was left out."""
    for cell in results["cells"]:
        if cell["opened"]:
            ends = ", ".join(f"{end:+.2f}" for end in cell["ci"] if end is not None)
            head = f"{cell['set']:<14}{cell['wrong']:>5.0%}{cell['budget']:>6.0%}{cell['plain']:>9.3f}"
            print(f"{head}{cell['difference']:>+8.2f} [{ends}]{cell['opened']:>4} of {cell['seeds']}")
    print(f"{results['worse']} of {len(results['cells'])} cells are worse than the bar")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=10, help="seeds (default: 10)")
    parser.add_argument("--rows", type=int, default=4000, help="of the sets that are made (default: 4,000)")
    parser.add_argument("--settings", type=int, help="only so many of the first settings")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--again", help="a record whose learning rates, and whose runs of the fixed rule, are kept")
    return run("other_data", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
