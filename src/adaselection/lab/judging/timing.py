"""How long runs took that had their machine to themselves, and what of it choosing and recording took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from adaselection.lab.judging.never_lose import cells
from adaselection.lab.judging.pairing import Compared
from adaselection.lab.judging.settings import PRESET
from adaselection.lab.record import Record
from adaselection.lab.summary import Study

__all__ = ["ENOUGH", "Key", "Timing", "alone", "key_of", "per_step", "per_window", "recording", "timings"]

ENOUGH = 5
"""Timed seeds from which the median of a cell is told."""
Key = tuple[str, str, float, float, float | None]
"""Task, kind of data, share of wrong labels, budget and rate."""


@dataclass(frozen=True)
class Timing:
    """How long the runs of a cell took that had the machine to themselves.

    Attributes:
        ratios: Seconds of the default over uniform's, seed by seed.
        choosing: One plus the default's seconds of choosing and recording over its other ones, median over the seeds.
    """

    ratios: tuple[float, ...]
    choosing: float

    def ratio(self, pooled: float) -> float:
        """The ratio to go by: the median of enough seeds, else that of the task or of the own clock, the larger."""
        return median(self.ratios) if len(self.ratios) >= ENOUGH else max(pooled, self.choosing)


Pairs = dict[Key, list[tuple[Record, Record]]]
"""Runs of the default and of uniform, seed by seed."""


def alone(timed: Sequence[Study]) -> Pairs:
    """Every pair of runs that both had the machine to themselves."""
    found: Pairs = {}
    for cell in cells([study for study in timed if study.preset == PRESET]):
        if cell.rival is None:
            continue
        theirs = {run.config.seed: run for run in cell.rival.records if run.environment.exclusive}
        ours = [run for run in cell.row.records if run.environment.exclusive and run.config.seed in theirs]
        if ours:
            found[key_of(cell)] = [(run, theirs[run.config.seed]) for run in ours]
    return found


def recording(pairs: Pairs) -> float:
    """Seconds by which a recorded step is longer than a plain one: the largest of the medians that tasks have.

    The clock of a run charges them to training. Only tasks with enough seeds in a cell can tell.
    """
    tasks: dict[str, list[float]] = {}
    for (task, *_), runs in pairs.items():
        if len(runs) >= ENOUGH:
            tasks.setdefault(task, []).extend(_a_step(ours) - _a_step(theirs) for ours, theirs in runs)
    return max(0.0, *map(median, tasks.values())) if tasks else 0.0


def per_step(pairs: Pairs, task: str) -> float:
    """Seconds of a plain step of a task, median over its runs."""
    return median(_a_step(theirs) for key, runs in pairs.items() if key[0] == task for _, theirs in runs)


def per_window(pairs: Pairs, task: str) -> float | None:
    """Seconds of choosing over windows judged, median over the runs that judged any; None where none did."""
    runs = [ours for key, found in pairs.items() if key[0] == task for ours, _ in found]
    shares = [run.seconds.select / windows for run in runs if (windows := (run.policy_trace or {}).get("windows"))]
    return median(shares) if shares else None


def timings(pairs: Pairs) -> dict[Key, Timing]:
    """Ratios of seconds for every cell that was timed."""
    extra, found = recording(pairs), {}
    for key, runs in pairs.items():
        shares = []
        for run, _ in runs:
            spent = run.seconds.select + extra * run.counts.steps
            shares.append(run.seconds.total / max(run.seconds.total - spent, 1e-9))
        ratios = tuple(ours.seconds.total / theirs.seconds.total for ours, theirs in runs)
        found[key] = Timing(ratios, median(shares))
    return found


def _a_step(run: Record) -> float:
    """Seconds of loading and training of one step."""
    return (run.seconds.load + run.seconds.train) / run.counts.steps


def key_of(cell: Compared) -> Key:
    """What tells a cell from others."""
    study = cell.study
    return study.task, study.regime, study.label_noise, cell.row.budget, cell.row.rate
