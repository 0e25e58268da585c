"""Claim: on pictures the default does not lose to plain training with other networks, losses and optimizers either.

Rows of CIFAR-10, CIFAR-100 and MNIST that no task uses, small networks, and settings as people have them: AdamW or
SGD with momentum, flips and shifts, label smoothing, a focal loss, a transformer, a network that was trained on other
pictures first; the labels as they are, and 10 and 30 % of them wrong. As in ``other_models.py`` both arms make as many
steps from the same weights, at the learning rate that was plain training's best on a validation split. The list was
made before any of it ran. Needs the data: `$ADASELECTION_DATA`.

    python benchmarks/other_pictures.py --kinds "small network" momentum

trains these kinds, and leaves the cells of others in the record as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _cells import one_cell
from _pictures import PICTURES
from _record import arguments_of_cells, before, run, won_and_lost
from joblib import Parallel, delayed
from other_models import show

CLAIM = "on pictures the default does not lose to plain training with other networks, losses and optimizers either"
NAME, BUDGETS, SHARES, TRIALS = "other_pictures", (0.5, 1.0), (0.0, 0.1, 0.3), 1


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The kinds that are asked for, with right labels and wrong ones; other cells of the record stay."""
    settings = [(name, share, budget) for name in arguments.kinds for share in SHARES for budget in BUDGETS]
    settings = settings[: arguments.settings]
    known = {(cell["kind"], cell["wrong"], cell["budget"]): cell["learning_rate"] for cell in before(arguments.again)}
    more = arguments.repeats, arguments.epochs, TRIALS
    work = (delayed(one_cell)(*setting, known.get(setting), *more) for setting in settings)
    found = {_key(cell): cell for cell in Parallel(arguments.jobs, backend="multiprocessing")(work)}
    path = arguments.out / f"{NAME}.json"
    old = {_key(cell): cell for cell in before(str(path) if path.exists() else None)}
    order = [(name, share, budget) for name in PICTURES for share in SHARES for budget in BUDGETS]
    cells = [(old | found)[key] for key in order if key in old | found]
    won, lost = won_and_lost(cells)
    kinds = {name: {"what": what, "unit": unit} for name, (what, unit, _) in PICTURES.items()}
    return {"met": not lost, "won": won, "lost": lost, "kinds": kinds, "cells": cells}


def _key(cell: dict[str, Any]) -> tuple[str, float, float]:
    return cell["kind"], cell["wrong"], cell["budget"]


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = arguments_of_cells(CLAIM, repeats=3)
    parser.add_argument("--epochs", type=int, help="passes of the full run, in the place of each kind's own")
    parser.add_argument("--kinds", nargs="+", choices=list(PICTURES), default=list(PICTURES), metavar="KIND")
    return run(NAME, CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
