"""Claim: on real data with a number as target, the default does not lose to plain training, and gains on wrong ones.

Data sets of R's packages, 350 to 1,000 rows each, whose target people do predict, as they are and with 20 and 40 % of
the targets swapped among their rows: a wrong target is as likely as a right one. They were listed before any of them
was trained on. Else as ``other_data.py``: as many steps from the same weights, the learning rate the plain loader's
best on a validation split, the schedule fitted to the steps, clean test rows.

    python benchmarks/real_numbers.py --jobs 2
    python benchmarks/real_numbers.py --jobs 2 --again benchmarks/records/real_numbers.json  # once the default changed
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _fit import gained
from _real import Source, columns, inputs, table
from _record import arguments_of_cells, before, difference, run, won_and_lost
from joblib import Parallel, delayed
from numpy.typing import NDArray
from other_data import RATE, Data, best_rate, train
from torch import Tensor

from adaselection import AdaSelection

CLAIM = "on real data with a number as target the default does not lose to plain training at the same work"
BAR = -1.0  # % of the squared error of plain training
SHARES = (0.0, 0.2, 0.4)
SAME = 0.97  # rank correlation with the target, from which a column is left out

SETS = {
    "houses in Boston": Source("MASS", "Boston", "medv"),
    "houses in Sacramento": Source("modeldata", "Sacramento", "price"),
    "houses in Grinnell": Source("Stat2Data", "GrinnellHouses", "SalePrice"),
    "fuel of cars": Source("ISLR", "Auto", "mpg"),
    "used cars": Source("modeldata", "car_prices", "Price"),
    "sales of car seats": Source("ISLR", "Carseats", "Sales"),
    "tuition": Source("ISLR", "College", "Outstate"),
    "debt on credit cards": Source("ISLR", "Credit", "Balance"),
    "heat of biomass": Source("modeldata", "biomass", "HHV"),
    "weight of people": Source("openintro", "bdims", "wgt"),
    "weight of hawks": Source("Stat2Data", "Hawks", "Weight"),
    "weight of pigs": Source("geepack", "dietox", "Weight"),
    "weight of soybeans": Source("nlme", "Soybean", "weight"),
    "calories of fast food": Source("openintro", "fastfood", "calories"),
    "small diamonds": Source("Stat2Data", "Diamonds", "TotalPrice"),
    "acid of olive oils": Source("dslabs", "olive", "oleic"),
    "reading scores": Source("AER", "CASchools", "read"),
    "grades": Source("wooldridge", "gpa3", "cumgpa"),
    "wages of 1985": Source("AER", "CPS1985", "wage"),
    "wages of 1980": Source("wooldridge", "wage2", "wage"),
    "pay in baseball": Source("wooldridge", "mlb1", "salary"),
    "product of states": Source("plm", "Produc", "gsp"),
}


def read(source: Source) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs, with a column for each level of a category, and targets; without what gives the target away."""
    rows = table(source)
    target = rows.pop(source.target).astype(float)
    ranks = target.rank()
    kept = [
        column
        for column in columns(rows)
        if column.dtype != float or not abs(column.rank().corr(ranks)) > SAME  # nan where all are equal
    ]
    return inputs(kept), target.to_numpy()


class Real(Data):
    """One set, standardised by the rows that are not for testing."""

    def __init__(self, name: str, rows: int | None) -> None:
        self.prepare(*(part[:rows] for part in read(SETS[name])), classes=False)

    def spoilt(self, targets: Tensor, share: float, seed: int) -> Tensor:
        """The targets with a share of them swapped among their rows."""
        chance = torch.Generator().manual_seed(1000 + seed)
        wrong = (torch.rand(len(targets), generator=chance) < share).nonzero().squeeze(1)
        return targets.index_put((wrong,), targets[wrong[torch.randperm(len(wrong), generator=chance)]])


def one_cell(
    name: str, share: float, arguments: argparse.Namespace, known: dict[tuple[str, float], float]
) -> dict[str, Any]:
    """One set with a share of wrong targets."""
    torch.set_num_threads(1)
    data = Real(name, arguments.rows)
    rate = known.get((name, share)) or best_rate(data, share, 1.0)
    seeds = range(arguments.repeats)
    plain = [train(data, share, 1.0, seed, rate, None) for seed in seeds]
    ours = [train(data, share, 1.0, seed, rate, AdaSelection(rate=RATE)) for seed in seeds]
    mean = float(np.mean([one.score for one in plain]))
    found = gained([one.score for one in ours], [one.score for one in plain], -100 / mean)
    head = {"set": name, "wrong": share, "learning_rate": rate, "rows": len(data.inputs), "plain": mean}
    return {**head, **found, "opened": sum(one.left for one in ours), "seeds": arguments.repeats}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every set, as it is and with wrong targets."""
    settings = [(name, share) for name in SETS for share in SHARES][: arguments.settings]
    known = {(cell["set"], cell["wrong"]): cell["learning_rate"] for cell in before(arguments.again)}
    work = (delayed(one_cell)(name, share, arguments, known) for name, share in settings)
    cells = Parallel(arguments.jobs, backend="multiprocessing")(work)
    worse = [cell for cell in cells if not cell["difference"] >= BAR]
    won, lost = won_and_lost(cells)
    sets = {name: f"{source.target} of {source.package}::{source.item}" for name, source in SETS.items()}
    return {"bar": BAR, "met": not worse, "worse": len(worse), "won": won, "lost": lost, "sets": sets, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print the cells in which anything was left out."""
    for cell in results["cells"]:
        if cell["opened"]:
            head = f"{cell['set']:<24}{cell['wrong']:>5.0%}{cell['plain']:>9.3f}"
            print(head + difference(cell))
    print(f"{results['won']} of {len(results['cells'])} cells are won by the interval, {results['lost']} lost")
    print(f"{results['worse']} are worse than the bar")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = arguments_of_cells(CLAIM)
    parser.add_argument("--rows", type=int, help="only so many of the first rows of each set")
    return run("real_numbers", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
