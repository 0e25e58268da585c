"""The runs behind the plan, in the order in which they are done, and how long they take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from adaselection.errors import ArgumentError
from adaselection.lab.arms import get_arm
from adaselection.lab.grid import Due
from adaselection.lab.paper.budgets import budget_of
from adaselection.lab.paper.plan import ROWS, TASKS, PresetName, cells, get_row, get_task
from adaselection.lab.profile import measure
from adaselection.lab.record import Record
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import LoadOptions
from adaselection.lab.wrapping import fills_a_batch

__all__ = ["Estimate", "Slice", "estimates", "paper_specs"]

_BATCHES = 3  # of each part, to time a task of which there are no records


def paper_specs(
    preset: PresetName,
    tasks: Sequence[str] = tuple(TASKS),
    seeds: int | None = None,
    *,
    rows: Sequence[str] = tuple(ROWS),
    data_dir: Path | None = None,
) -> list[RunSpec]:
    """Every run of the paper's grid, seed by seed, so that a part of it already has every row of every task.

    Args:
        preset: Of the grid.
        tasks: Of the paper.
        seeds: How many, from 0 on; None: as many as a complete grid has, which differs by task.
        rows: Names of rows of the plan.
        data_dir: Looked in first for data files.

    Raises:
        ValueError: An unknown task or row, or none, or no seeds.
        DataError: A task's data is missing or damaged.
    """
    if seeds is not None and seeds < 1:
        raise ArgumentError(f"--seeds {seeds} must be at least 1.")
    if not tasks:
        raise ArgumentError(f"--tasks names no task. There are: {', '.join(TASKS)}.")
    if not rows:
        raise ArgumentError(f"--rows names no row. There are: {', '.join(ROWS)}.")
    by_task = {}
    for name in tasks:
        task = get_task(name)
        by_task[name] = _seed_0(preset, name, rows, data_dir), task.seeds[preset] if seeds is None else seeds
    most = max(count for _, count in by_task.values())
    return [
        replace(spec, seed=seed)
        for seed in range(most)
        for specs, count in by_task.values()
        if seed < count
        for spec in specs
    ]


def _seed_0(preset: PresetName, task: str, rows: Sequence[str], data_dir: Path | None) -> list[RunSpec]:
    """The runs of a task with seed 0, each once; none where a pass over recorded losses would have no batch."""
    lab = get_task(task).labs[preset]
    base = RunSpec(lab.task, preset=lab.preset, method="full", data_dir=data_dir)
    size = len(base.get_task().load(base.get_preset(), LoadOptions(data_dir=data_dir)).train)
    found: dict[RunSpec, None] = {}
    for cell in cells(rows):
        row = get_row(cell.row)
        if get_arm(row.arm).recorded and not fills_a_batch(cell.rate or 1, size, base.get_preset().batch_size):
            continue
        budget = budget_of(row.cost, base.get_preset(), size, cell.rate)
        rate = base.rate if cell.rate is None or row.arm == "uniform_budget" else cell.rate
        found[replace(base, method=row.arm, options=row.options, rate=rate, budget=budget)] = None
    return list(found)


@dataclass(frozen=True)
class Slice:
    """One of several equal parts of a grid: every so-manieth run, so that parts cost about the same.

    Attributes:
        part: Which, from 1 on.
        parts: How many there are.

    Raises:
        ValueError: There is no such part.
    """

    part: int
    parts: int

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.parts:
            raise ArgumentError(f"--slice {self.part}/{self.parts}: the first number goes from 1 to {self.parts}.")

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read ``3/20``.

        Raises:
            ValueError: It is no such text.
        """
        part, _, parts = text.partition("/")
        if not (part.isdecimal() and parts.isdecimal()):
            raise ArgumentError(f"--slice {text!r} is no part of a grid: write it as in 3/20, the third of twenty.")
        return cls(int(part), int(parts))

    def of(self, due: Sequence[Due]) -> list[Due]:
        """The runs of this part."""
        return list(due[self.part - 1 :: self.parts])


@dataclass(frozen=True)
class Estimate:
    """How long runs take here, one at a time.

    Attributes:
        seconds: Of each run, by name.
        measured: Tasks of which there were no records, so that a few batches were timed.
    """

    seconds: dict[str, float]
    measured: tuple[str, ...]

    def total(self, due: Iterable[Due], jobs: int = 1) -> float:
        """Seconds of these runs, side by side if there are jobs."""
        return sum(self.seconds[run.run_id] for run in due) / jobs


def estimates(due: Sequence[Due], records: Iterable[Record]) -> Estimate:
    """Say how long runs take: as records of the same arm and rate did, else by units as others of the task did.

    Of a task without records, a few batches are timed. Seconds of runs that shared the machine count too: it is an
    estimate, of how long runs take beside what the machine does anyway.

    Args:
        due: The runs that are left.
        records: Those that are there.
    """
    by_arm, by_task = defaultdict(list), defaultdict(list)
    for record in records:
        config, took = record.config, record.seconds.total + record.seconds.evaluate
        by_arm[config.task, config.preset, config.arm, config.rate].append(took)
        by_task[config.task, config.preset].append(took * record.units.full / record.units.used)
    full = {key: fmean(values) for key, values in by_task.items()}
    seconds, measured = {}, []
    for run in due:
        spec = run.spec
        key, rate = (spec.task, spec.preset), spec.rate if spec.arm().build else None
        if known := by_arm.get((*key, spec.arm().name, rate)):
            seconds[run.run_id] = fmean(known)
            continue
        if key not in full:
            full[key] = _full_run(spec)
            measured.append("/".join(key))
        seconds[run.run_id] = spec.effective_budget * full[key]
    return Estimate(seconds, tuple(measured))


def _full_run(spec: RunSpec) -> float:
    """Seconds of a task's run on all samples, from the time of a few batches."""
    found = measure(spec, _BATCHES)
    return found.steps * (found.load + found.step) / 1000
