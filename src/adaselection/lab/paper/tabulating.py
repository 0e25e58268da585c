"""The tables of the report as plain data: what Markdown and HTML both show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaselection.lab import stats, wording
from adaselection.lab.paper import plan
from adaselection.lab.paper.published import PUBLISHED
from adaselection.lab.paper.results import TaskResults
from adaselection.lab.ranking import AverageRank, average_rank, average_ranks

__all__ = [
    "BEST",
    "MISSING",
    "Entry",
    "Line",
    "Table",
    "flag",
    "places",
    "spread",
    "table_3",
    "table_4",
]

MISSING = "missing"
BEST = "AdaSelection as printed: the best of four configurations, picked on the test set"


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
        text: What we measured.
        published: The paper's number; empty where it has none.
        n: How many seeds are in it.
        flag: What has to be seen first, such as runs that collapsed.
        interval: Ends of a 95 % interval.
    """

    text: str
    published: str = ""
    n: int = 0
    flag: str = ""
    interval: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a table: its label, and its entries from left to right; `row` names the plan's row, if it is one."""

    label: str
    entries: tuple[Entry, ...]
    row: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption. Columns to the right of the label have `headers`."""

    title: str
    caption: str
    headers: tuple[str, ...]
    lines: tuple[Line, ...]


def table_3(results: Mapping[str, TaskResults]) -> Table:
    """Average ranks, published and ours."""
    fields = {name: _ranks(task) for name, task in results.items()}
    lines = []
    for label, row, column in _lines():
        entries = []
        for name, task in results.items():
            place = task.best_configuration() if row == "" else row
            entries.append(_rank_entry(fields[name].get(place or ""), _published(name, column, ranks=True)))
        lines.append(Line(label, tuple(entries), row))
    sizes = "; ".join(f"{task.title} {len(fields[name]) or MISSING}" for name, task in results.items())
    caption = (
        "Average rank of the test metric over the five rates, 1 is best. Every seed is one copy of the whole table: "
        "rank "
        "within each rate, ties share their places, averaged over the rates; then mean ± standard deviation over the "
        f"seeds, with the 95 % bootstrap interval. Rows in the ranking: {sizes}. The paper's own ranks go up to "
        "13.8, so "
        "its field is larger than the nine columns that it prints. Its CIFAR rows average four rates."
    )
    return Table("Table 3: average rank", caption, tuple(task.title for task in results.values()), tuple(lines))


def table_4(results: Mapping[str, TaskResults]) -> Table:
    """The metric averaged over the rates, published and ours."""
    lines = []
    for label, row, column in _lines():
        entries = []
        for name, task in results.items():
            place = task.best_configuration() if row == "" else row
            entries.append(_average_entry(task, place, _published(name, column, ranks=False)))
        lines.append(Line(label, tuple(entries), row))
    heads = tuple(f"{task.title}, {PUBLISHED[name].metric}" for name, task in results.items())
    caption = (
        "The metric averaged over the five rates; mean ± standard deviation over the seeds. Published and measured "
        "values "
        "of the losses have different units, and the networks are smaller here: compare the order, not the numbers."
    )
    return Table("Table 4: average over the rates", caption, heads, tuple(lines))


def places(task: TaskResults) -> int:
    """How many decimals the metric of a task is shown with: two for accuracies, else two digits of a typical spread."""
    if task.higher_is_better:
        return 2
    spreads = [stats.standard_deviation(_finite(task, cell.row, cell.rate)) for cell in task.runs]
    known = sorted(spread for spread in spreads if spread)
    typical = known[len(known) // 2] if known else 0.01
    return min(max(1 - math.floor(math.log10(typical)), 0), 6)


def _lines() -> list[tuple[str, str, str | None]]:
    """Label, row and column of each line; the best of the configurations, as printed, has no row of its own."""
    found: list[tuple[str, str, str | None]] = []
    for row in plan.ROWS.values():
        if row.part != "paper":
            continue
        if row.column == "adaselection" and not any(line[1] == "" for line in found):
            found.append((BEST, "", "adaselection"))
        found.append((row.label, row.name, None if row.column == "adaselection" else row.column))
    return found


def _ranks(task: TaskResults) -> dict[str, AverageRank]:
    rows = task.ranked_rows()
    if len(rows) < 2:
        return {}
    _, values = task.table(rows)
    ranks = average_ranks(values, higher_is_better=task.higher_is_better)
    return dict(zip(rows, average_rank(ranks), strict=True))


def _rank_entry(found: AverageRank | None, published: str) -> Entry:
    if found is None:
        return Entry(MISSING, published)
    spread = f" ± {found.sd:.2f}" if found.sd is not None else ""
    ends = f"{found.low:.2f} to {found.high:.2f}" if found.low is not None else ""
    return Entry(f"{found.mean:.2f}{spread}", published, found.n, interval=ends)


def _average_entry(task: TaskResults, row: str | None, published: str) -> Entry:
    if row is None or not task.complete_seeds([row]):
        some = sum(bool(row and task.at(row, rate)) for rate in plan.RATES)
        return Entry(f"{MISSING}: runs at {some} of {len(plan.RATES)} rates" if some else MISSING, published)
    seeds, values = task.table([row])
    return Entry(
        spread([float(v) for v in values.mean(axis=(1, 2))], places(task)), published, len(seeds), flag(task, row)
    )


def spread(values: Sequence[float], digits: int) -> str:
    """Return mean ± standard deviation, or how many runs diverged."""
    diverged = sum(not math.isfinite(value) for value in values)
    if diverged:
        return f"{diverged} of {len(values)} diverged"
    sd = stats.standard_deviation(values)
    return wording.number(stats.mean(values), digits) + (f" ± {wording.number(sd, digits)}" if sd is not None else "")


def flag(task: TaskResults, row: str, rate: float | None = None) -> str:
    """Say how many runs of a row collapsed, at one rate or at all; nothing where none did."""
    rates = plan.RATES if rate is None else (rate,)
    runs = list({run.run_id: run for at in rates for run in task.at(row, at)}.values())
    collapsed = sum(run.result.collapsed for run in runs)
    return f"{collapsed} of {len(runs)} collapsed" if collapsed else ""


def _finite(task: TaskResults, row: str, rate: float | None) -> list[float]:
    return [value for value in task.value_by_seed(row, rate).values() if math.isfinite(value)]


def _published(task: str, column: str | None, *, ranks: bool) -> str:
    if column is None:
        return ""
    row = PUBLISHED[task]
    value = (row.ranks if ranks else row.values)[column]
    return wording.DASH if value is None else f"{value:.2f}"
