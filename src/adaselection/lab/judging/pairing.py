"""Cells: the runs of one arm at one setting beside those of a rival, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from adaselection.lab import stats
from adaselection.lab.judging.settings import limits
from adaselection.lab.stats import PairedDifference
from adaselection.lab.summary import OPPONENT, Row, Study, pair_key

__all__ = ["Compared", "Outcome", "compare", "hardest", "rival_of"]

Outcome = Literal["equal", "won", "tied", "undecided", "lost", "diverged", "unknown"]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Compared:
    """One row against its rival.

    Attributes:
        study: Where both stand.
        row: The row that is judged.
        rival: The row that it is compared with; None where there is none.
        differences: By seed, positive is better: points for a percentage, else percent of the rival's mean.
    """

    study: Study
    row: Row
    rival: Row | None
    differences: Mapping[int, float]

    @cached_property
    def difference(self) -> PairedDifference:
        """The mean difference with Student's interval."""
        return stats.mean_interval(self._values)

    @cached_property
    def bootstrap(self) -> tuple[float, float] | None:
        """The percentile bootstrap interval of the mean difference."""
        return stats.bootstrap_interval(self._values)

    @cached_property
    def p(self) -> float | None:
        """Two-sided p of no difference."""
        return stats.p_value(self._values)

    @property
    def outcome(self) -> Outcome:
        """Equal, won or lost by the interval; else tied if it keeps the pooled limit at both ends, or undecided."""
        if self.row.diverged:
            return "diverged"
        found = self.difference
        if found.ci_low is None or found.ci_high is None:
            return "unknown"
        if not any(self.differences.values()):
            return "equal"
        if found.ci_low > 0 or found.ci_high < 0:
            return "won" if found.ci_low > 0 else "lost"
        return "tied" if max(-found.ci_low, found.ci_high) <= -limits(self.study).pooled else "undecided"

    @property
    def holds(self) -> bool | None:
        """Whether the mean is no worse than the limit of a cell; None without a pair."""
        if self.row.diverged:
            return False
        return None if self.difference.mean is None else self.difference.mean >= limits(self.study).mean - _ROUNDING

    @property
    def _values(self) -> list[float]:
        return [self.differences[seed] for seed in sorted(self.differences)]


def compare(study: Study, row: Row, rival: Row | None) -> Compared:
    """Pair the runs of a row with those of its rival of the same seed and data that ran on the same kind of device.

    Two devices round differently, and runs of one seed then differ by more than many an arm differs from uniform.
    """
    if rival is None:
        return Compared(study, row, None, {})
    there = set(map(pair_key, rival.records))
    theirs = rival.values
    ours = {run.config.seed: run.result.value for run in row.records if pair_key(run) in there}
    pairs = {seed: (value, theirs[seed]) for seed, value in ours.items() if value is not None and seed in theirs}
    sign = 1.0 if study.higher_is_better else -1.0
    base = stats.mean([b for _, b in pairs.values()]) if study.unit != "%" else 100.0
    scale = 100.0 / abs(base) if base else 1.0
    return Compared(study, row, rival, {seed: sign * scale * (a - b) for seed, (a, b) in pairs.items()})


def rival_of(study: Study, row: Row, arm: str = OPPONENT) -> Row | None:
    """Return the row of an arm that a row is to be compared with.

    It has the same budget, the same rate where it has one, the same version of the library, and runs that can be paired
    with those of the row, if any has. Uniform at budget 1 is full training. The best mean of several counts: the harder
    opponent. A row with runs that diverged is taken only where there is no other. An arm is no rival of itself.
    """
    found = [
        other
        for other in study.rows
        if other.arm == arm or (arm == OPPONENT and other.arm == "full" and row.budget == 1)
        if other.budget == row.budget and other.rate in (None, row.rate) and _version(other) == _version(row)
    ]
    paired = [other for other in found if set(map(pair_key, other.records)) & set(map(pair_key, row.records))]
    return None if row.arm == arm else hardest(paired or found, study)


def hardest(rows: Sequence[Row], study: Study) -> Row | None:
    """Return the row with the best mean; one with runs that diverged only where there is no other."""
    sign = 1 if study.higher_is_better else -1
    whole = [row for row in rows if row.mean is not None] or list(rows)
    return max(whole, key=lambda row: sign * (row.mean or 0.0), default=None)


def _version(row: Row) -> str:
    return row.records[0].environment.adaselection
