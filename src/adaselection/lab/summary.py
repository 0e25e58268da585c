"""From records to the rows of a table: cells of runs that differ by seed, each beside uniform at the same budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adaselection.lab.cells import CellKey, cell_key, distinctions, seeds_with_several_data
from adaselection.lab.record import Record
from adaselection.lab.stats import PairedDifference, mean, paired_difference, standard_deviation
from adaselection.lab.tasks.regimes import setting_in_words

__all__ = ["OPPONENT", "Row", "Study", "pair_key", "summarise"]

OPPONENT = "uniform_budget"
_ORDER = ("full", OPPONENT, "uniform_rate", "placebo", "recorded", "adaselection", "adaselection_paper")


@dataclass(frozen=True)
class Row:
    """One cell: the runs of one arm at one setting, which differ by seed alone.

    Attributes:
        arm: Name of the arm.
        detail: What tells this row from others of its arm at the same rate and budget; empty where nothing does.
        rate: Sampling rate, None for arms that do not select.
        budget: Allowed cost as a share of the full run.
        learning_rate: Learning rate of the runs.
        records: The runs, by seed.
        mean: Mean of the metric, None where a run diverged.
        sd: Sample standard deviation over the seeds, None with fewer than two.
        difference: Against `uniform_budget` at the same budget, seed by seed. The sign is turned so that positive is
            better, whichever way the metric points. None for that arm itself and where it was not run.
        opponent: Label of the row compared with.
        units_share: Units used as a share of the full run.
        seconds: Mean seconds of training, scoring included, evaluation not. None unless every run had its machine
            to itself and all ran on one kind of machine.
        equivalent_uniform_rate: Rate at which uniform selection would have cost the same units.
        timed_equivalent_uniform_rate: The same in seconds, None where `seconds` is.
        worst_class: Mean of the metric on each run's worst class, None unless every run has it.
    """

    arm: str
    detail: str
    rate: float | None
    budget: float
    learning_rate: float
    records: tuple[Record, ...]
    mean: float | None
    sd: float | None
    difference: PairedDifference | None
    opponent: str
    units_share: float
    scored: float
    trained: float
    steps: float
    passes: float
    seconds: float | None
    equivalent_uniform_rate: float | None
    timed_equivalent_uniform_rate: float | None
    worst_class: float | None
    collapsed: int
    diverged: int

    @property
    def label(self) -> str:
        """The arm with what tells it apart, without its rate."""
        return f"{self.arm} ({self.detail})" if self.detail else self.arm

    @property
    def seeds(self) -> int:
        """Number of runs."""
        return len(self.records)

    @property
    def values(self) -> dict[int, float]:
        """The metric by seed, runs that diverged left out."""
        return {r.config.seed: r.result.value for r in self.records if r.result.value is not None}


@dataclass(frozen=True)
class Study:
    """All rows of one task at one preset, regime and share of label noise: what may stand in one table."""

    task: str
    preset: str
    regime: str
    label_noise: float
    metric: str
    unit: str
    higher_is_better: bool
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Task, preset, regime and label noise in words."""
        setting = setting_in_words(self.regime, self.label_noise)
        return f"{self.task} ({self.preset} preset{', ' if setting else ''}{setting})"

    @property
    def records(self) -> tuple[Record, ...]:
        """Every run behind the rows."""
        return tuple(record for row in self.rows for record in row.records)

    @property
    def budgets(self) -> tuple[float, ...]:
        """The budgets at which something other than full training ran, or all where nothing else did."""
        some = {row.budget for row in self.rows if row.arm != "full"}
        return tuple(sorted(some or {row.budget for row in self.rows}))


def summarise(records: Iterable[Record]) -> list[Study]:
    """Group records into studies, cells and rows. Runs on a validation split (tuning) are left out.

    Runs that differ in learning rate, policy, library version or (for one seed) data never share a cell.

    Args:
        records: Any number of records of any tasks.

    Returns:
        Studies by task, preset, regime (plain data first) and label noise; rows by budget, arm and rate.
    """
    studies: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        c = record.config
        if c.split == "test":
            key = c.task, c.preset, c.regime != "plain", c.regime, c.label_noise, record.result.metric
            studies[key].append(record)
    return [_study(group) for _, group in sorted(studies.items(), key=lambda item: item[0])]


def _study(records: Sequence[Record]) -> Study:
    first = records[0]
    mixed_data = seeds_with_several_data(records)
    cells: dict[CellKey, list[Record]] = defaultdict(list)
    for record in records:
        cells[cell_key(record, by_data=mixed_data)].append(record)
    details = distinctions(list(cells))
    rows = [_row(cell, details[key]) for key, cell in cells.items()]
    rows = sorted((_compared(row, rows) for row in rows), key=_row_order)
    c, result = first.config, first.result
    return Study(
        c.task, c.preset, c.regime, c.label_noise, result.metric, result.unit, result.higher_is_better, tuple(rows),
        tuple(_notes(rows, mixed_data)),
    )  # fmt: skip


def _row_order(row: Row) -> tuple[Any, ...]:
    known = _ORDER.index(row.arm) if row.arm in _ORDER else len(_ORDER)
    return row.budget, known, row.arm, row.rate or 0.0, row.detail


def _row(records: Sequence[Record], detail: str) -> Row:
    runs = tuple(sorted(records, key=lambda record: record.config.seed))
    config = runs[0].config
    values = [run.result.value for run in runs if run.result.value is not None]
    whole = len(values) == len(runs)
    machines = {(e.cpu, e.cores, e.threads, e.device) for e in (run.environment for run in runs)}
    timed = len(machines) == 1 and all(run.environment.exclusive for run in runs)
    by_time = _present([run.measured.equivalent_uniform_rate for run in runs]) if timed else None
    return Row(
        arm=config.arm, detail=detail, rate=config.rate, budget=config.budget, learning_rate=config.learning_rate,
        records=runs,
        mean=mean(values) if whole else None,
        sd=standard_deviation(values) if whole else None,
        difference=None, opponent="",
        units_share=_average([run.units.used / run.units.full if run.units.full else 0.0 for run in runs]),
        scored=_average([run.counts.scored for run in runs]),
        trained=_average([run.counts.trained for run in runs]),
        steps=_average([run.counts.steps for run in runs]),
        passes=_average([run.counts.passes for run in runs]),
        seconds=_average([run.seconds.total for run in runs]) if timed else None,
        equivalent_uniform_rate=_present([run.measured.unit_equivalent_uniform_rate for run in runs]),
        timed_equivalent_uniform_rate=by_time,
        worst_class=_present([run.result.worst_class for run in runs]),
        collapsed=sum(run.result.collapsed for run in runs),
        diverged=len(runs) - len(values),
    )  # fmt: skip


def _average(values: Sequence[float]) -> float:
    return mean(values) or 0.0


def _present(values: Sequence[float | None]) -> float | None:
    """Mean where every run has a value."""
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def pair_key(run: Record) -> tuple[int, str, str]:
    """What runs must share to be paired: seed, data and kind of device, as two kinds of it round differently."""
    return run.config.seed, run.config.data, run.environment.device


def _compared(row: Row, rows: Sequence[Row]) -> Row:
    """Set a row beside uniform at the same budget; the better of several such rows (the harder opponent)."""
    sign = 1.0 if row.records[0].result.higher_is_better else -1.0
    version = row.records[0].environment.adaselection
    rivals = [
        rival
        for rival in rows
        if rival.arm == OPPONENT and rival.budget == row.budget and rival.mean is not None
        and rival.records[0].environment.adaselection == version
    ]  # fmt: skip
    if row.arm == OPPONENT or row.diverged or not rivals:
        return row
    rival = max(rivals, key=lambda candidate: sign * (candidate.mean or 0.0))
    pairs = set(map(pair_key, rival.records))
    ours = {
        run.config.seed: sign * run.result.value
        for run in row.records
        if run.result.value is not None and pair_key(run) in pairs
    }
    theirs = {seed: sign * value for seed, value in rival.values.items()}
    return replace(row, difference=paired_difference(ours, theirs), opponent=rival.label)


def _setting(row: Row) -> str:
    rate = "" if row.rate is None else f" at rate {row.rate:g}"
    return f"{row.label}{rate} and budget {row.budget:g}:"


def _notes(rows: Sequence[Row], mixed_data: bool) -> Iterable[str]:
    records = [record for row in rows for record in row.records]
    versions = sorted({record.environment.adaselection for record in records})
    if len(versions) > 1:
        yield f"Versions {', '.join(versions)} of the library are here. They have rows of their own, never averaged."
    if mixed_data:
        yield "One seed appears with more than one data set (fingerprints differ). Such runs are never paired."
    rivals = [row for row in rows if row.arm == OPPONENT]
    if len({row.budget for row in rivals}) < len(rivals) and len(versions) == 1:
        yield f"There are several {OPPONENT} rows at one budget. Others are compared with the best of them."
    if any(row.difference and 0 < row.difference.n < row.seeds for row in rows):
        yield f"Some runs have no {OPPONENT} run of the same seed. The difference uses the pairs alone."
    if records[0].config.regime == "long_tail" and (known := [row for row in rows if row.worst_class is not None]):
        unit = f" {records[0].result.unit}".rstrip()
        each = (f"{_setting(row)} {row.worst_class:.1f}{unit}" for row in sorted(known, key=_row_order))
        yield f"Worst class, mean over the seeds: {'; '.join(each)}."
    if collapsed := sum(row.collapsed for row in rows):
        yield f"{collapsed} of {len(records)} runs collapsed (the model says nearly the same for every input)."
    if diverged := sum(row.diverged for row in rows):
        yield f"{diverged} of {len(records)} runs diverged (the metric is not finite). Their rows have no mean."
