"""The records of one grid, sorted into the plan's cells: what every table, statement and figure is read from."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from adaselection.lab import stats
from adaselection.lab.paper import plan
from adaselection.lab.paper.plan import Cell, PaperTask, PresetName
from adaselection.lab.record import Record

__all__ = ["TaskResults", "TooFewRunsError", "read"]

Floats = npt.NDArray[np.float64]


class TooFewRunsError(ValueError):
    """There is no seed for which every wanted cell has a run. The message names the cells without runs."""


@dataclass(frozen=True)
class TaskResults:
    """The runs of one of the paper's tasks.

    Attributes:
        task: The task.
        preset: The grid that the runs are of.
        runs: Runs by cell, sorted by seed, one a seed. Cells without runs are not in it.
        replaced: How many runs were left out, as a later run of the same cell and seed is here.
    """

    task: PaperTask
    preset: PresetName
    runs: Mapping[Cell, tuple[Record, ...]]
    replaced: int = 0

    @property
    def title(self) -> str:
        """The task as the paper writes it, with the data that stand in for it."""
        lab = self.task.labs[self.preset].task
        return self.task.title if lab == self.task.name else f"{self.task.title} ({lab.upper()} stands in)"

    @property
    def records(self) -> tuple[Record, ...]:
        """Every run, once."""
        return tuple({run.run_id: run for runs in self.runs.values() for run in runs}.values())

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger metric is better; True without a run."""
        return self.records[0].result.higher_is_better if self.runs else True

    def rates(self, row: str) -> tuple[float | None, ...]:
        """The plan's rates of a row; None stands for the one run of a row without rates."""
        return plan.ROWS[row].rates or (None,)

    def at(self, row: str, rate: float | None) -> tuple[Record, ...]:
        """The runs of a row at a rate, by seed; those of a row without rates at any."""
        return self.runs.get(Cell(row, rate if plan.ROWS[row].rates else None), ())

    def value_by_seed(self, row: str, rate: float | None) -> dict[int, float]:
        """The metric by seed; a run that diverged has the worst value, an infinity."""
        worst = -math.inf if self.higher_is_better else math.inf
        found = ((run.config.seed, run.result.value) for run in self.at(row, rate))
        return {seed: worst if value is None else value for seed, value in found}

    def complete_seeds(self, rows: Sequence[str], rates: Sequence[float | None] = plan.RATES) -> tuple[int, ...]:
        """The seeds for which every row has a run at every rate."""
        seeds = [set(self.value_by_seed(row, rate)) for row in rows for rate in rates]
        return tuple(sorted(set.intersection(*seeds))) if seeds else ()

    def missing(self, rows: Sequence[str], rates: Sequence[float | None] = plan.RATES) -> list[str]:
        """Name the rows that have no run at some of the rates, in words."""
        return [plan.ROWS[row].label for row in rows if not all(self.at(row, rate) for rate in rates)]

    def table(self, rows: Sequence[str], rates: Sequence[float | None] = plan.RATES) -> tuple[tuple[int, ...], Floats]:
        """Return the seeds that have every cell, and their metrics.

        Args:
            rows: Names of rows.
            rates: Sampling rates. A row without rates has the same value at each.

        Returns:
            The seeds, and the metrics, shape ``[seeds, rates, rows]``.

        Raises:
            TooFewRunsError: If no seed has every cell.
        """
        seeds = self.complete_seeds(rows, rates)
        if not self.runs:
            raise TooFewRunsError(f"{self.title}: no runs")
        if not seeds:
            without = self.missing(rows, rates) or ["every row has runs, but no seed has all of them"]
            raise TooFewRunsError(f"{self.title}: no runs of {'; '.join(without)}")
        by_cell = [[self.value_by_seed(row, rate) for row in rows] for rate in rates]
        return seeds, np.asarray(
            [[[cell[seed] for cell in line] for line in by_cell] for seed in seeds], dtype=np.float64
        )

    def ranked_rows(self) -> tuple[str, ...]:
        """The rows of the paper's kind that stand in the ranking: those that some seed has complete.

        A grid that is being filled may have seeds with fewer rows than others: the fullest seeds decide.
        """
        rows = [row.name for row in plan.ROWS.values() if row.part == "paper"]
        seeds = {run.config.seed for run in self.records}
        fullest = [tuple(row for row in rows if seed in self.complete_seeds([row])) for seed in sorted(seeds)]
        return max(fullest, key=len, default=())

    def best_configuration(self) -> str | None:
        """The configuration of Table 3's caption that the paper would print: the best average over the rates.

        It is chosen on the test set, as in the paper. None where no configuration has runs at every rate.
        """
        means: dict[str, float] = {}
        for row in plan.CONFIGURATIONS:
            if self.complete_seeds([row]):
                means[row] = float(self.table([row])[1].mean())
        sign = 1.0 if self.higher_is_better else -1.0
        return max(means, key=lambda row: sign * means[row]) if means else None

    @cached_property
    def timed_seeds(self) -> frozenset[int]:
        """The seeds whose seconds count: all their runs had the machine to themselves, and it was the same machine.

        Of several machines the one with the most such seeds counts.
        """
        machines: dict[int, set[tuple[object, ...] | None]] = defaultdict(set)
        for run in self.records:
            e = run.environment
            machines[run.config.seed].add((e.cpu, e.cores, e.threads, e.device) if e.exclusive else None)
        alone = {seed: found.pop() for seed, found in machines.items() if len(found) == 1 and None not in found}
        best, _ = Counter(alone.values()).most_common(1)[0] if alone else (None, 0)
        return frozenset(seed for seed, machine in alone.items() if machine == best)

    def seconds(self, row: str, rate: float | None) -> list[float] | None:
        """Seconds of training of each run of the timed seeds, scoring included; None where there is none."""
        return [run.seconds.total for run in self.at(row, rate) if run.config.seed in self.timed_seeds] or None

    def work(self, row: str, rate: float | None) -> float | None:
        """Mean counted work as a share of the full run's: forward 1, backward 2, scoring charged."""
        return stats.mean([run.units.used / run.units.full for run in self.at(row, rate)])


def read(records: Iterable[Record], preset: PresetName = "cpu") -> dict[str, TaskResults]:
    """Sort records into the cells of a grid.

    Args:
        records: Any records; those of other kinds are left out.
        preset: Which grid.

    Returns:
        The results of every task of the plan, in its order, empty ones among them.
    """
    found: dict[str, dict[Cell, dict[int, Record]]] = {name: defaultdict(dict) for name in plan.TASKS}
    replaced = dict.fromkeys(plan.TASKS, 0)
    for record in sorted(records, key=lambda record: (record.finished, record.run_id)):
        for name, task in plan.TASKS.items():
            config = record.config
            if not plan.task_of(config) or (config.task, config.preset) != task.labs[preset]:
                continue
            for cell in plan.cells_of(config):
                replaced[name] += config.seed in found[name][cell]
                found[name][cell][config.seed] = record
    return {
        name: TaskResults(
            task, preset, {cell: tuple(runs[seed] for seed in sorted(runs)) for cell, runs in found[name].items()},
            replaced[name],
        )
        for name, task in plan.TASKS.items()
    }  # fmt: skip
