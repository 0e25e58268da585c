"""Claim: with other models, losses and an adaptive optimizer the default does not lose to plain training either.

Small trainings that are none of the tasks: convolutions, recurrent networks, an autoencoder; losses that are neither
cross-entropy nor squared error; several labels a row, and none. AdamW. Where there are labels, also with 30 % wrong.
`AdaSelection(rate=0.3)` on a `RecordedLoader` and the plain loader make as many steps from the same weights; the
learning rate is the plain loader's best on a validation split at the same budget.

    python benchmarks/other_models.py --jobs 2
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _fit import best_of, fit, gained, wrong_labels
from _kinds import KINDS, Kind
from _record import arguments_of_cells, before, difference, run, won_and_lost
from joblib import Parallel, delayed
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection

CLAIM = "with other models, losses and an adaptive optimizer the default does not lose to plain training either"
BUDGETS, RATE, BATCH, TRIALS, WRONG = (0.4, 1.0), 0.3, 32, 2, 0.3


def train(
    kind: Kind, share: float, budget: float, seed: int, rate: float, ours: bool, validation: bool = False
) -> tuple[float, bool]:
    """Train once; returns the score, and whether anything was left out."""
    order = torch.randperm(len(kind.inputs), generator=torch.Generator().manual_seed(7))
    test = len(order) * 7 // 10
    end = test * 4 // 5 if validation else test
    rows, judged = order[:end], order[end:test] if validation else order[test:]
    targets = kind.targets[rows]
    train_set = TensorDataset(kind.inputs[rows], wrong_labels(targets, share, kind.classes, seed) if share else targets)
    torch.manual_seed(seed)
    model = kind.build()
    plain = DataLoader(train_set, BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed))
    steps = max(1, int(budget * kind.epochs * len(plain)))
    loader = fit(
        torch.optim.AdamW(model.parameters(), rate), rate, plain, AdaSelection(rate=RATE) if ours else None,
        lambda inputs, targets: kind.loss(model(inputs), inputs, targets), steps,
    )  # fmt: skip
    model.eval()
    with torch.no_grad():
        score = kind.score(model(kind.inputs[judged]), kind.inputs[judged], kind.targets[judged])
    return score, loader is not None and bool(loader.report().left_out)


def best_rate(kind: Kind, share: float, budget: float) -> float:
    """The learning rate that is best for the plain loader on the validation rows, at this budget."""
    tried = {
        rate: [train(kind, share, budget, 50 + seed, rate, False, validation=True)[0] for seed in range(TRIALS)]
        for rate in kind.rates
    }
    return best_of(tried, larger=True)


def one_cell(
    name: str, share: float, budget: float, known: float | None, repeats: int, epochs: int | None
) -> dict[str, Any]:
    """One kind, share of wrong labels and budget; with a known learning rate or the best one."""
    torch.set_num_threads(1)
    _, unit, make = KINDS[name]
    kind = make()
    kind = replace(kind, epochs=epochs or kind.epochs)
    rate = known or best_rate(kind, share, budget)
    plain = [train(kind, share, budget, seed, rate, False)[0] for seed in range(repeats)]
    ours = [train(kind, share, budget, seed, rate, True) for seed in range(repeats)]
    mean = float(np.mean(plain))
    found = gained([score for score, _ in ours], plain, 1.0 if unit == "points" else 100 / abs(mean))
    head = {"kind": name, "wrong": share, "budget": budget, "learning_rate": rate, "plain": abs(mean)}
    return {**head, "seeds": repeats, **found, "opened": sum(left for _, left in ours)}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every kind, as it is and with wrong labels where it has labels."""
    shares = {name: (0.0, WRONG) if make().classes else (0.0,) for name, (_, _, make) in KINDS.items()}
    settings = [(name, share, budget) for name in KINDS for share in shares[name] for budget in BUDGETS]
    known = {(cell["kind"], cell["wrong"], cell["budget"]): cell["learning_rate"] for cell in before(arguments.again)}
    more = arguments.repeats, arguments.epochs
    work = (delayed(one_cell)(*setting, known.get(setting), *more) for setting in settings[: arguments.settings])
    cells = Parallel(arguments.jobs, backend="multiprocessing")(work)
    won, lost = won_and_lost(cells)
    kinds = {name: {"what": what, "unit": unit} for name, (what, unit, _) in KINDS.items()}
    return {"met": not lost, "won": won, "lost": lost, "kinds": kinds, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print the cells in which anything was left out."""
    for cell in results["cells"]:
        if cell["opened"]:
            head = f"{cell['kind']:<18}{cell['wrong']:>5.0%}{cell['budget']:>6.0%}{cell['plain']:>9.3f}"
            print(head + difference(cell))
    print(f"of {len(results['cells'])} cells {results['won']} are won by their interval and {results['lost']} lost")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = arguments_of_cells(CLAIM, repeats=5)
    parser.add_argument("--epochs", type=int, help="passes of the full run, in the place of each kind's own")
    return run("other_models", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
