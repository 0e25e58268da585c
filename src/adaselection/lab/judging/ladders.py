"""Ladders from the rows of a study, in seconds where they count and in units where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaselection.lab.cells import cell_key
from adaselection.lab.judging.pairing import hardest
from adaselection.lab.judging.reaching import Ladder
from adaselection.lab.record import Record
from adaselection.lab.summary import OPPONENT, Row, Study

__all__ = ["Climb", "climbs", "full_row", "opponent", "timed"]


@dataclass(frozen=True)
class Climb:
    """The rows of one arm at one rate, one a budget, from the smallest on."""

    arm: str
    rate: float | None
    detail: str
    rows: tuple[Row, ...]

    @property
    def whole(self) -> bool:
        """Whether no run of it diverged."""
        return not any(row.diverged for row in self.rows)

    def ladder(self, study: Study, *, seconds: bool) -> Ladder:
        """Return its scores, signed so that higher is better, and costs."""
        sign = 1.0 if study.higher_is_better else -1.0
        scores = tuple({seed: sign * value for seed, value in row.values.items()} for row in self.rows)
        costs = tuple({run.config.seed: cost(run, seconds=seconds) for run in row.records} for row in self.rows)
        return Ladder(scores, costs)


def cost(run: Record, *, seconds: bool) -> float:
    """Return the seconds of a run, or its units as a share of the full run's."""
    return run.seconds.total if seconds else run.units.used / run.units.full


def climbs(study: Study) -> list[Climb]:
    """Return the ladder of every arm but full training and uniform.

    Rows of one arm and rate form one ladder, whatever learning rate each budget was tuned to. Only where a budget has
    several rows, they are told apart by learning rate, policy and version.
    """
    groups: dict[tuple[str, float | None], list[Row]] = {}
    for row in study.rows:
        if row.arm not in ("full", OPPONENT):
            groups.setdefault((row.arm, row.rate), []).append(row)
    found = []
    for (arm, rate), rows in groups.items():
        if len({row.budget for row in rows}) == len(rows):
            found.append(Climb(arm, rate, "", _rising(rows)))
            continue
        parts: dict[tuple[object, ...], list[Row]] = {}
        for row in rows:
            key = cell_key(row.records[0], by_data=False)
            parts.setdefault((key.learning_rate, key.policy, key.version), []).append(row)
        found += [Climb(arm, rate, part[0].detail, _rising(part)) for part in parts.values()]
    return found


def full_row(study: Study) -> Row | None:
    """Return full training, which is uniform at budget 1; the best mean of several, as of several learning rates."""
    return hardest([row for row in study.rows if row.arm == "full" or (row.arm, row.budget) == (OPPONENT, 1)], study)


def opponent(study: Study) -> Climb | None:
    """Return uniform's ladder: the best row of each budget, and full training, which is uniform at budget 1."""
    rows = [row for row in study.rows if row.arm == OPPONENT]
    if not rows:
        return None
    shorter = {row.budget for row in rows} - {1}
    best = [hardest([row for row in rows if row.budget == budget], study) for budget in shorter]
    return Climb(OPPONENT, None, "", _rising([row for row in (*best, full_row(study)) if row is not None]))


def timed(rows: Sequence[Row]) -> bool:
    """Say whether the seconds of these rows may be compared: each run alone on its machine, all machines alike."""
    machines = {(e.cpu, e.cores, e.threads, e.device) for row in rows for e in (run.environment for run in row.records)}
    return len(machines) == 1 and all(row.seconds is not None for row in rows)


def _rising(rows: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: row.budget))
