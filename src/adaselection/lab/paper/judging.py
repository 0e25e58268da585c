"""How a statement of the paper is judged: by the means, and by how often it holds when the seeds are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from adaselection.lab.paper import plan
from adaselection.lab.paper.results import TaskResults
from adaselection.lab.ranking import average_ranks, probability, resampled_means, seed_draws

__all__ = ["SURE", "Judgement", "Part", "Sample", "Verdict", "every", "judge", "some"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Verdict = Literal["holds", "does not hold", "cannot be judged yet"]
SURE = 0.9
"""A statement holds (does not hold) where it does so in the means and in at least this share of the draws."""


class Sample:
    """The metrics of some rows of one task, with the seeds drawn again many times.

    Every draw takes the same seeds for every row and rate, so that what is paired in the runs stays paired.

    Args:
        results: Of the task.
        rows: The rows that will be asked for.
        rates: The rates.

    Raises:
        TooFewRunsError: If no seed has all of it.
    """

    def __init__(self, results: TaskResults, rows: Sequence[str], rates: Sequence[float | None] = plan.RATES) -> None:
        self.seeds, self.values = results.table(rows, rates)
        self.rows, self.rates, self.higher_is_better = tuple(rows), tuple(rates), results.higher_is_better
        order = list(plan.TASKS).index(results.task.name)
        self.draws = seed_draws(len(self.seeds), seed=order)  # tasks are drawn apart from each other

    @property
    def sign(self) -> float:
        """1 where a larger metric is better, else -1."""
        return 1.0 if self.higher_is_better else -1.0

    def mean(self, row: str, rate: float | None = None) -> Floats:
        """The mean metric of each draw, the measured one first, shape ``[d]``; over all rates where none is given."""
        values = self.values[:, :, self.rows.index(row)]
        picked = values.mean(axis=1) if rate is None else values[:, self.rates.index(rate)]
        return resampled_means([float(value) for value in picked], self.draws)

    def best(self, rows: Sequence[str]) -> Floats:
        """The mean over the rates of whichever row is best in each draw, as the paper prints it, shape ``[d]``."""
        means = np.stack([self.sign * self.mean(row) for row in rows])
        return np.asarray(self.sign * means.max(axis=0), dtype=np.float64)

    def better(self, first: Floats, second: Floats) -> Bools:
        """Where the first is better than the second, draw by draw."""
        return np.asarray(self.sign * first > self.sign * second)

    def ranks(self, row: str) -> Floats:
        """The average rank over the rates among the sample's rows, one copy of the table a seed, shape ``[d]``."""
        ranks = average_ranks(self.values, higher_is_better=self.higher_is_better).mean(axis=1)
        return resampled_means([float(rank) for rank in ranks[:, self.rows.index(row)]], self.draws)


@dataclass(frozen=True)
class Part:
    """A statement on one task, row or rate.

    Attributes:
        label: Of what.
        measured: What was measured, in words.
        holds: Draw by draw, the measured one first, shape ``[d]``.
        n: Number of seeds.
    """

    label: str
    measured: str
    holds: Bools
    n: int

    @property
    def probability(self) -> float | None:
        """In what share of the draws it holds; None with one seed, which says nothing about spread."""
        return probability(self.holds) if self.n > 1 else None


@dataclass(frozen=True)
class Judgement:
    """What became of a statement.

    Attributes:
        verdict: In one phrase.
        reason: Why it is that; empty where the parts say all.
        probability: Share of the draws in which the statement as a whole holds; None where that cannot be said.
        parts: What it is made of.
        missing: What has no runs, in words.
    """

    verdict: Verdict
    reason: str
    probability: float | None
    parts: tuple[Part, ...]
    missing: tuple[str, ...]


def every(parts: Sequence[Part]) -> Bools:
    """Where all parts hold."""
    return np.asarray(np.logical_and.reduce([part.holds for part in parts]))


def some(parts: Sequence[Part]) -> Bools:
    """Where at least one part holds."""
    return np.asarray(np.logical_or.reduce([part.holds for part in parts]))


def judge(
    parts: Sequence[Part],
    missing: Sequence[str] = (),
    combine: Callable[[Sequence[Part]], Bools] = every,
    settled_by: Literal["failure", "success", "neither"] = "failure",
) -> Judgement:
    """Put the parts together.

    Args:
        parts: Those that have runs.
        missing: Those that have none.
        combine: How the parts make the whole.
        settled_by: What the parts at hand settle even while others are missing: a statement on all tasks fails with one
            of them, a statement on some task holds with one of them.
    """
    if not parts:
        return Judgement("cannot be judged yet", "There are no runs.", None, (), tuple(missing))
    holds, fewest = combine(parts), min(part.n for part in parts)
    if fewest < 2:
        reason = "One seed says nothing about spread: at least two are needed."
        return Judgement("cannot be judged yet", reason, None, tuple(parts), tuple(missing))
    share, seen = probability(holds), bool(holds[0])
    verdict: Verdict = "cannot be judged yet"
    reason = "The seeds do not agree."
    if seen and share >= SURE:
        verdict, reason = "holds", ""
    elif not seen and share <= 1 - SURE:
        verdict, reason = "does not hold", ""
    open_still = {"failure": verdict != "does not hold", "success": verdict != "holds", "neither": True}[settled_by]
    if missing and open_still:
        verdict, reason = "cannot be judged yet", "Runs are missing."
    return Judgement(verdict, reason, share, tuple(parts), tuple(missing))
