"""Comparisons that several statements and tables share: with candidates, over beta, in time, and with uniform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adaselection.lab import stats
from adaselection.lab.paper import plan
from adaselection.lab.paper.judging import Part, Sample
from adaselection.lab.paper.results import TaskResults, TooFewRunsError
from adaselection.lab.ranking import seed_draws
from adaselection.lab.stats import PairedDifference

__all__ = ["Against", "against", "candidates", "savers", "spread_over_betas", "time_saved", "times", "work_saved"]

Floats = npt.NDArray[np.float64]


def candidates(row: str) -> tuple[str, ...]:
    """The rows of the methods that an AdaSelection row mixes.

    >>> candidates("mix_big_small_uniform")
    ('big_loss', 'small_loss', 'uniform')
    """
    arms = {other.arm: name for name, other in plan.ROWS.items() if other.part == "paper" and not other.options.given()}
    return tuple(
        arms["uniform_rate" if method == "uniform" else method] for method in plan.ROWS[row].options.methods or ()
    )


def times(mine: Floats, other: Floats) -> str:
    """Say how often a loss is another's, uniform's."""
    return f"{mine[0]:.4g}, {mine[0] / other[0]:.3g} times uniform's {other[0]:.4g}"


def spread_over_betas(task: TaskResults) -> Iterator[Part]:
    """Compare the spread of the means over beta with the spread over the seeds at one beta.

    Both are standard deviations, that over the seeds pooled over the betas. In a draw the latter is scaled by
    ``sqrt(n / (n - 1))``, as seeds that come twice make it too small.
    """
    rows = [row.name for row in plan.ROWS.values() if row.part == "beta"]
    sample = Sample(task, rows, (plan.SINGLE_RATE,))
    n = len(sample.seeds)
    drawn = sample.values[:, 0, :][sample.draws]
    betas = drawn.mean(axis=1).std(axis=1, ddof=1)
    seeds = np.sqrt(drawn.var(axis=1, ddof=1).mean(axis=1)) if n > 1 else np.full_like(betas, np.nan)
    seeds[1:] *= np.sqrt(n / max(n - 1, 1))
    over_seeds = f"{seeds[0]:.3g}" if n > 1 else "unknown"
    words = f"standard deviation {betas[0]:.3g} over beta, {over_seeds} over the seeds"
    yield Part(task.title, words, betas <= seeds, n)


def savers() -> tuple[str, ...]:
    """The rows of the paper that could save time: all but training on everything."""
    return tuple(row.name for row in plan.ROWS.values() if row.part == "paper" and row.rates)


def time_saved(task: TaskResults, saving: float) -> tuple[list[Part], list[str]]:
    """See whether all rows but one at most save this share of the full run's seconds at every rate.

    Returns:
        One part, or none where seconds are missing: from runs that did not have the machine to themselves they say
        nothing. And what is missing.
    """
    full = task.seconds("full", None)
    timed = {row: [task.seconds(row, rate) for rate in plan.RATES] for row in savers()}
    known = {row: [cell for cell in cells if cell] for row, cells in timed.items()}
    whole = {row: cells for row, cells in known.items() if len(cells) == len(plan.RATES)}
    if full is None or len(whole) < len(timed):
        without = [plan.ROWS[row].label for row in timed if row not in whole] + (
            ["No sampling"] if full is None else []
        )
        return [], [f"{task.title}: no seconds of runs that had the machine to themselves: {'; '.join(without)}"]
    n = min(len(full), *(len(cell) for cells in whole.values() for cell in cells))
    draws = seed_draws(n)
    base = np.asarray(full[:n])[draws].mean(axis=1)
    saved = [
        [np.asarray(cell[:n])[draws].mean(axis=1) <= (1 - saving) * base for cell in cells] for cells in whole.values()
    ]
    count = np.asarray(saved).all(axis=1).sum(axis=0)
    words = f"{count[0]} of {len(whole)} rows save {saving:.0%} of the seconds at every rate".replace("%", " %")
    return [Part(task.title, words, np.asarray(count >= len(whole) - 1), n)], []


def work_saved(task: TaskResults, saving: float) -> str:
    """Say the same of counted work, which is exact and the same on every machine; nothing without runs."""
    shares = {row: [task.work(row, rate) for rate in plan.RATES] for row in savers()}
    whole = [[share for share in cells if share is not None] for cells in shares.values()]
    whole = [cells for cells in whole if len(cells) == len(plan.RATES)]
    if not whole:
        return ""
    count = sum(max(cells) <= 1 - saving for cells in whole)
    return f"By counted work {count} of {len(whole)} rows save {round(100 * saving)} % at every rate."


@dataclass(frozen=True)
class Against:
    """A row beside uniform, averaged over the rates and paired by seed.

    Attributes:
        row: The row.
        same_rate: Difference from uniform at the same rate; positive is better.
        same_cost: Difference from uniform at the same cost, likewise.
        p_rate: Holm's p of the former over the rows of the task; None with fewer than two pairs.
        p_cost: Holm's p of the latter.
    """

    row: str
    same_rate: PairedDifference
    same_cost: PairedDifference
    p_rate: float | None
    p_cost: float | None


def against(task: TaskResults) -> list[Against]:
    """Compare every row with uniform at the same rate and at the same cost; p values are corrected over the rows."""
    rows = [row.name for row in plan.ROWS.values() if row.part != "beta" and row.name not in ("uniform", "same_cost")]
    rate = [_differences(task, row, "uniform") for row in rows]
    cost = [_differences(task, row, "same_cost") for row in rows]
    by_rate, by_cost = _corrected(rate), _corrected(cost)
    return [
        Against(row, stats.mean_interval(a), stats.mean_interval(b), p, q)
        for row, a, b, p, q in zip(rows, rate, cost, by_rate, by_cost, strict=True)
        if a or b
    ]


def _differences(task: TaskResults, row: str, rival: str) -> list[float]:
    """One a seed: the mean over the rates of the difference, positive where the row is better than its rival."""
    try:
        _, values = task.table((row, rival))
    except TooFewRunsError:
        return []
    sign = 1.0 if task.higher_is_better else -1.0
    with np.errstate(invalid="ignore"):
        means = sign * (values[..., 0] - values[..., 1]).mean(axis=1)
    return [float(value) for value in means] if np.isfinite(means).all() else []


def _corrected(cells: Sequence[Sequence[float]]) -> list[float | None]:
    """Holm's p values of the cells that have one; None for the others."""
    raw = [stats.p_value(cell) for cell in cells]
    known = [place for place, value in enumerate(raw) if value is not None]
    adjusted = dict(zip(known, stats.holm([raw[place] or 0.0 for place in known]), strict=True))
    return [adjusted.get(place) for place in range(len(raw))]
