"""What a run of the paper's protocol costs: every arm sees the same epochs of incoming batches.

The lab gives every run a budget. Here it goes the other way: the budget is the one that pays for the preset's epochs,
each incoming batch scored where the row scores, and for a step on every full batch that the kept rows make.
"""

from __future__ import annotations

import math

from adaselection.functional import kept_per_batch
from adaselection.lab.paper.plan import Cost
from adaselection.lab.spec import FULL_STEP
from adaselection.lab.tasks import Preset

__all__ = ["budget_of", "steps_of"]

_DIGITS = range(1, 16)


def steps_of(preset: Preset, rows: int, rate: float) -> int:
    """How many full batches the rows make that are kept in all epochs, the surplus of each carried into the next.

    Args:
        preset: With batch size and epochs.
        rows: Of the training set.
        rate: Share of the rows of each incoming batch to keep.
    """
    whole, left = divmod(rows, preset.batch_size)
    kept = whole * kept_per_batch(preset.batch_size, rate) + (kept_per_batch(left, rate) if left else 0)
    return max(1, preset.epochs * kept // preset.batch_size)


def budget_of(cost: Cost, preset: Preset, rows: int, rate: float | None) -> float:
    """Return the share of the full run's units that a run may use, about ``1/3 + rate`` where rows are scored.

    It is the shortest decimal that pays for all epochs and not for one step more.

    Args:
        cost: What the row pays for.
        preset: With batch size and epochs.
        rows: Of the training set.
        rate: Share of the rows to keep; None for the run on all of them.
    """
    if cost == "full" or rate is None:
        return 1.0
    seen = rows * preset.epochs
    full = FULL_STEP * seen
    step = FULL_STEP * preset.batch_size
    least = (seen if cost == "scored" else 0) + step * steps_of(preset, rows, rate)
    for digits in _DIGITS:
        scale = float(10**digits)
        budget = math.ceil(round(least / full * scale, 6)) / scale
        if least <= budget * full + 1e-6 < least + step:
            return budget
    raise AssertionError("a step is worth more than the last of 15 digits")
