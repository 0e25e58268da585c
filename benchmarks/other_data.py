"""Claim: on data for which hardly a setting was made, the default does not lose to plain training at the same work.

Small data sets that come with scikit-learn, and made ones with a trap each: skewed targets, heavy tails, many zeros, a
group that follows a rule of its own, rare classes that overlap with a common one. Each as it is, and with wrong labels
or outliers. Classes are judged by accuracy and by balanced accuracy, the mean over the classes of their own.
`AdaSelection(rate=0.3)` on a `RecordedLoader`, the fixed rule `uncertain` there and the plain loader make as many
steps, from the same weights; the learning rate is the plain loader's best on a validation split at the same budget,
and the schedule is fitted to the steps.

    python benchmarks/other_data.py --jobs 2
    python benchmarks/other_data.py --jobs 2 --again benchmarks/records/other_data.json     # after the default changed
    python benchmarks/other_data.py --jobs 2 --stricter --again ...    # after it asks for more than before
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _fit import best_of, fit, gained, perceptron, wrong_labels
from _record import arguments_of_cells, before, difference, run
from _sets import SETS
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn import metrics, preprocessing
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, Policy, SingleMethod
from adaselection.lab.tasks.arrays import ArrayDataset

CLAIM = "on data for which hardly a setting was made, the default does not lose to plain training at the same work"
BAR = -0.1  # points; for an error -1 % of that of plain training
BUDGETS = (0.2, 0.5, 1.0)
RATE, EPOCHS, BATCH, TRIALS = 0.3, 30, 32, 5
LABELS, TARGETS = (0.0, 0.2, 0.4), (0.0, 0.05)  # shares that are wrong
RATES = {True: (0.003, 0.01, 0.03, 0.1, 0.3), False: (0.001, 0.003, 0.01, 0.03, 0.1)}  # for classes, for numbers
Cells = dict[tuple[str, float, float], dict[str, Any]]


class Outcome(NamedTuple):
    """What a training came to: score, for classes balanced accuracy and log loss, and whether anything was left out."""

    score: float
    balanced: float
    log_loss: float
    left: bool


class Data:
    """One set: training, validation and test rows, standardised by those that are not for testing."""

    def __init__(self, name: str, size: int) -> None:
        _, classes, make = SETS[name]
        self.prepare(*make(size), classes=classes)

    def prepare(self, x: NDArray[Any], y: NDArray[Any], *, classes: bool) -> None:
        """Mix the rows, and standardise them."""
        self.classes = classes
        order = np.random.default_rng(7).permutation(len(x))
        x, y, self.test = x[order], y[order], len(x) * 7 // 10
        x = preprocessing.StandardScaler().fit(x[: self.test]).transform(x)
        if not classes:
            y = (y - y[: self.test].mean()) / y[: self.test].std()
        self.inputs = torch.from_numpy(x).float()
        self.targets = torch.from_numpy(y).long() if classes else torch.from_numpy(y).float()
        self.outputs = int(y.max()) + 1 if classes else 1

    def parts(self, validation: bool) -> tuple[slice, slice]:
        """Rows to train on, and rows to judge by."""
        end = self.test * 4 // 5 if validation else self.test
        return slice(0, end), slice(end, self.test) if validation else slice(end, None)

    def spoilt(self, targets: Tensor, share: float, seed: int) -> Tensor:
        """The targets with a share of them wrong: of another class, or moved far away."""
        if self.classes:
            return wrong_labels(targets, share, self.outputs, seed)
        chance = torch.Generator().manual_seed(1000 + seed)
        wrong = torch.rand(len(targets), generator=chance) < share
        return torch.where(wrong, targets + 8 * torch.randn(len(targets), generator=chance), targets)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """One loss for each row."""
        if self.classes:
            return nn.functional.cross_entropy(outputs, targets, reduction="none")
        return (outputs.squeeze(1) - targets).square()

    def scores(self, outputs: Tensor, targets: Tensor) -> tuple[float, float, float]:
        """Accuracy, balanced accuracy and log loss, or for numbers the mean loss and twice NaN."""
        loss = self.loss(outputs, targets).mean().item()
        if not self.classes:
            return loss, math.nan, math.nan
        right, chosen = targets.numpy(), outputs.argmax(1).numpy()
        return 100 * metrics.accuracy_score(right, chosen), 100 * metrics.balanced_accuracy_score(right, chosen), loss


def train(
    data: Data,
    share: float,
    budget: float,
    seed: int,
    rate: float,
    policy: Policy | None,
    *,
    validation: bool = False,
    anneal: float = 0.0,
) -> Outcome:
    """Train once, on the plain loader if no policy is given; with ``anneal`` the last share is on all data."""
    rows, judged = data.parts(validation)
    train_set = ArrayDataset(data.inputs[rows], data.spoilt(data.targets[rows], share, seed))
    torch.manual_seed(seed)
    model = perceptron(data.inputs.shape[1], data.outputs)
    order = torch.Generator().manual_seed(seed)
    plain = DataLoader(train_set, BATCH, shuffle=True, generator=order, collate_fn=ArrayDataset.collate)
    steps = max(1, int(budget * EPOCHS * len(plain)))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    def losses(inputs: Tensor, targets: Tensor) -> Tensor:
        return data.loss(model(inputs), targets)

    loader = fit(optimizer, rate, plain, policy, losses, steps, anneal)
    with torch.no_grad():
        found = data.scores(model(data.inputs[judged]), data.targets[judged])
    return Outcome(*found, loader is not None and bool(loader.report().left_out))


def best_rate(data: Data, share: float, budget: float) -> float:
    """The learning rate that is best for the plain loader on the validation rows, at this budget."""
    tried = {
        rate: [train(data, share, budget, 50 + seed, rate, None, validation=True).score for seed in range(TRIALS)]
        for rate in RATES[data.classes]
    }
    return best_of(tried, larger=data.classes)


def one_setting(name: str, share: float, arguments: argparse.Namespace, known: Cells) -> list[dict[str, Any]]:
    """Every budget of a set with a share of wrong labels or outliers."""
    torch.set_num_threads(1)
    data = Data(name, arguments.rows)
    cells = [(budget, known.get((name, share, budget))) for budget in BUDGETS]
    return [
        cell
        if cell and arguments.stricter and not cell["opened"]
        else one_cell(data, name, share, budget, arguments.repeats, cell)
        for budget, cell in cells
    ]


def one_cell(
    data: Data, name: str, share: float, budget: float, repeats: int, known: dict[str, Any] | None
) -> dict[str, Any]:
    """One budget; of a known cell the learning rate and the fixed rule stay as they are.

    Raises:
        SystemExit: the plain loader does not give again what it gave.
    """
    rate = known["learning_rate"] if known else best_rate(data, share, budget)

    def outcomes(make: Callable[[], Policy | None]) -> list[Outcome]:
        return [train(data, share, budget, seed, rate, make()) for seed in range(repeats)]

    plain, ours = outcomes(lambda: None), outcomes(lambda: AdaSelection(rate=RATE))
    mean = float(np.mean([one.score for one in plain]))
    unit = 1.0 if data.classes else -100 / mean

    def gain(arm: list[Outcome], of: str = "score") -> dict[str, Any]:
        return gained([getattr(one, of) for one in arm], [getattr(other, of) for other in plain], unit)

    if known and mean != known["plain"]:
        raise SystemExit(
            f"{name}, {share:.0%}, {budget:.0%}: the plain loader gives {mean}, and gave {known['plain']}."
        )
    beside = known["uncertain"] if known else gain(outcomes(lambda: SingleMethod("uncertain", rate=RATE)))
    head = {"set": name, "wrong": share, "budget": budget, "learning_rate": rate, "plain": mean, "seeds": repeats}
    balanced = {"plain": float(np.mean([one.balanced for one in plain])), **gain(ours, "balanced")}
    more = {"balanced": balanced} if data.classes else {}
    return {**head, **gain(ours), **more, "opened": sum(one.left for one in ours), "uncertain": beside}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every set, as it is and spoilt."""
    settings = [(name, share) for name, (_, classes, _) in SETS.items() for share in (LABELS if classes else TARGETS)]
    known = {(cell["set"], cell["wrong"], cell["budget"]): cell for cell in before(arguments.again)}
    work = (delayed(one_setting)(name, share, arguments, known) for name, share in settings[: arguments.settings])
    cells = [cell for found in Parallel(arguments.jobs, backend="multiprocessing")(work) for cell in found]
    bar = {name: BAR if classes else 10 * BAR for name, (_, classes, _) in SETS.items()}
    worse = [cell for cell in cells if not cell["difference"] >= bar[cell["set"]]]  # so are runs that diverged
    lost = [cell for cell in cells if "balanced" in cell and (cell["balanced"]["ci"][1] or 0.0) < 0]
    sets = {name: {"what": what, "classes": classes} for name, (what, classes, _) in SETS.items()}
    counts = {"worse": len(worse), "lost_balanced": len(lost)}
    return {"bar": BAR, "met": not worse and not lost, **counts, "sets": sets, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print the cells in which anything was left out."""
    for cell in results["cells"]:
        if cell["opened"]:
            head = f"{cell['set']:<14}{cell['wrong']:>5.0%}{cell['budget']:>6.0%}{cell['plain']:>9.3f}"
            print(head + difference(cell))
    print(f"{results['worse']} of {len(results['cells'])} cells are worse than the bar")
    print(f"{results['lost_balanced']} lose balanced accuracy by their interval")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = arguments_of_cells(CLAIM, kept="learning rates, and runs of the fixed rule,")
    parser.add_argument("--rows", type=int, default=4000, help="of the sets that are made (default: 4,000)")
    return run("other_data", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
