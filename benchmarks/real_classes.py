"""Claim: on real data with a class as target, the default does not lose accuracy to plain training at the same work.

Data sets of R's packages, of which at most 3,000 rows are taken, whose target people do predict: most of these classes
overlap. As they are and with 20 and 40 % of the labels wrong. They were listed before any of them was trained on.
Judged by accuracy, by balanced accuracy, the mean over the classes of their own, and by log loss, which falls where
wrong labels are left out, and rises where right ones of classes that overlap are: the model gets too sure. A third arm
ends on all data (``anneal``), which takes back part of both. With the labels as they are a fourth has no member but
``hard``, which leaves nothing out for looking wrong. Else as ``real_numbers.py``.

    python benchmarks/real_classes.py --jobs 2
    python benchmarks/real_classes.py --jobs 2 --again benchmarks/records/real_classes.json  # once the default changed
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _fit import gained
from _real import Source, columns, inputs, table
from _record import arguments_of_cells, before, difference, run, won_and_lost
from joblib import Parallel, delayed
from numpy.typing import NDArray
from other_data import LABELS, RATE, Data, Outcome, best_rate, train

from adaselection import AdaSelection
from adaselection.members import MEMBERS

CLAIM = "on real data with a class as target the default does not lose accuracy to plain training at the same work"
ROWS, LEAST = 3000, 20  # of a set, at most; of a class, at least
TELLS = 0.985  # share of the rows whose class a column tells, from which it is left out
FEW = 50  # different values, up to which a column is asked what it tells
ANNEAL = 0.2

SETS = {
    "spam": Source("DAAG", "spam7", "yesno"),
    "images of cells": Source("modeldata", "cells", "class"),
    "customers who leave": Source("modeldata", "wa_churn", "churn"),
    "credit": Source("modeldata", "credit_data", "Status"),
    "mortgages denied": Source("AER", "HMDA", "deny"),
    "survivors of the Titanic": Source("vcdExtra", "Titanicp", "survived"),
    "heart attacks": Source("DAAG", "monica", "outcome"),
    "crashes": Source("DAAG", "nassCDS", "dvcat"),
    "private colleges": Source("ISLR", "College", "Private"),
    "sex by the body": Source("openintro", "bdims", "sex"),
    "sex by the parents": Source("mosaicData", "Galton", "sex"),
    "fast food": Source("openintro", "fastfood", "restaurant"),
    "cars and trucks": Source("openintro", "epa2012", "car_truck"),
    "continents": Source("causaldata", "gapminder", "continent"),
    "yogurt": Source("Ecdat", "Yogurt", "choice"),
    "votes in Chile": Source("carData", "Chile", "vote"),
    "schools": Source("mlmRev", "Hsb82", "sector"),
    "mothers who smoke": Source("openintro", "babies", "smoke"),
    "wives at work": Source("Ecdat", "Participation", "lfp"),
    "union members": Source("Ecdat", "Wages", "union"),
    "heating of houses": Source("mosaicData", "SaratogaHouses", "fuel"),
    "sectors of firms": Source("plm", "EmplUK", "sector"),
    "placement in mathematics": Source("Stat2Data", "MathPlacement", "CourseSuccess"),
    "diseases": Source("dslabs", "us_contagious_diseases", "disease"),
}


def tells(column: pd.Series, classes: pd.Series) -> bool:
    """Whether one column gives the class away."""
    if column.nunique() > FEW:
        return False
    return float(pd.crosstab(column, classes).max(axis=1).sum()) >= TELLS * len(column)


def read(source: Source) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs, with a column for each level of a category, and classes from 0."""
    rows = table(source)
    rows = rows[rows.groupby(source.target, observed=True)[source.target].transform("size") >= LEAST]
    rows = rows.sample(min(len(rows), ROWS), random_state=0)
    classes = rows.pop(source.target).astype(str)
    kept = [column for column in columns(rows) if not tells(column, classes)]
    return inputs(kept), classes.astype("category").cat.codes.to_numpy()


class Real(Data):
    """One set, standardised by the rows that are not for testing."""

    def __init__(self, name: str, rows: int | None) -> None:
        self.prepare(*(part[:rows] for part in read(SETS[name])), classes=True)


def compared(arm: Sequence[Outcome], plain: Sequence[Outcome]) -> dict[str, Any]:
    """What an arm gains over plain training: in points, and in % of the log loss."""
    found = {}
    for of in ("score", "balanced", "log_loss"):
        ours, theirs = ([getattr(one, of) for one in outcomes] for outcomes in (arm, plain))
        found[of] = gained(ours, theirs, -100 / float(np.mean(theirs)) if of == "log_loss" else 1.0)
    return {**found.pop("score"), **found, "opened": sum(one.left for one in arm), "seeds": len(arm)}


def one_cell(
    name: str, share: float, arguments: argparse.Namespace, known: dict[tuple[str, float], dict[str, Any]]
) -> dict[str, Any]:
    """One set with a share of wrong labels."""
    cell = known.get((name, share))
    if cell and arguments.stricter and not cell["opened"] and (share or not cell.get("hard", {"opened": 1})["opened"]):
        return cell
    torch.set_num_threads(1)
    data = Real(name, arguments.rows)
    rate = cell["learning_rate"] if cell else best_rate(data, share, 1.0)

    def outcomes(members: tuple[str, ...] = (), anneal: float = 0.0) -> list[Outcome]:
        """Plain training where no members are given."""
        return [
            train(data, share, 1.0, seed, rate, policy, anneal=anneal)
            for seed in range(arguments.repeats)
            for policy in [AdaSelection(rate=RATE, members=members) if members else None]
        ]

    plain = outcomes()
    counts = data.targets.bincount()
    head = {
        "set": name, "wrong": share, "learning_rate": rate, "rows": len(data.inputs), "classes": len(counts),
        "largest": float(counts.max()) / len(data.inputs), "plain": float(np.mean([one.score for one in plain])),
        "plain_log_loss": float(np.mean([one.log_loss for one in plain])),
    }  # fmt: skip
    arms = {"annealed": outcomes(MEMBERS, ANNEAL)} | ({} if share else {"hard": outcomes(("hard",))})
    found = {name: compared(arm, plain) for name, arm in arms.items()}
    return {**head, **compared(outcomes(MEMBERS), plain), **found}


def counted(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many cells are won and lost by each measure."""
    return {
        of: dict(zip(("won", "lost"), won_and_lost([cell.get(of, cell) for cell in cells]), strict=True))
        for of in ("accuracy", "balanced", "log_loss")
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every set, as it is and with wrong labels."""
    settings = [(name, share) for name in SETS for share in LABELS][: arguments.settings]
    known = {(cell["set"], cell["wrong"]): cell for cell in before(arguments.again)}
    work = (delayed(one_cell)(name, share, arguments, known) for name, share in settings)
    cells = Parallel(arguments.jobs, backend="multiprocessing")(work)
    counts = counted(cells)
    met = not counts["accuracy"]["lost"] and not counts["balanced"]["lost"]
    sets = {name: f"{source.target} of {source.package}::{source.item}" for name, source in SETS.items()}
    return {"met": met, **counts, "anneal": ANNEAL, "sets": sets, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print the cells in which anything was left out."""
    for cell in results["cells"]:
        if cell["opened"]:
            loss, annealed = cell["log_loss"]["difference"], cell["annealed"]
            head = f"{cell['set']:<26}{cell['wrong']:>5.0%}{cell['plain']:>7.2f}"
            more = f"{annealed['difference']:+.2f} and {annealed['log_loss']['difference']:+.1f} % annealed"
            print(f"{head}{difference(cell)}  log loss {loss:+.1f} %  {more}")
    for of in ("accuracy", "balanced", "log_loss"):
        print(f"{of}: {results[of]['won']} of {len(results['cells'])} won by the interval, {results[of]['lost']} lost")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = arguments_of_cells(CLAIM)
    parser.add_argument("--rows", type=int, help="only so many of the first rows of each set")
    return run("real_classes", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
