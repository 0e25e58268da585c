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
from pathlib import Path
from typing import Any

from _cells import one_cell
from _kinds import KINDS
from _record import arguments_of_cells, before, difference, run, won_and_lost
from joblib import Parallel, delayed

CLAIM = "with other models, losses and an adaptive optimizer the default does not lose to plain training either"
BUDGETS, WRONG = (0.4, 1.0), 0.3


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
