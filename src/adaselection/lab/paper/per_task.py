"""The tables of one task: the metric at each rate, what it costs, and the differences from uniform."""

from __future__ import annotations

from adaselection.lab import stats, wording
from adaselection.lab.paper import plan
from adaselection.lab.paper.comparing import against
from adaselection.lab.paper.results import TaskResults
from adaselection.lab.paper.tabulating import MISSING, Entry, Line, Table, flag, places, spread

__all__ = ["against_uniform", "by_rate", "cost"]


def by_rate(task: TaskResults) -> Table:
    """The metric at each rate, with what the paper left out below."""
    digits, lines = places(task), []
    for row in _shown_rows():
        entries = tuple(_cell_entry(task, row.name, rate, digits) for rate in plan.RATES)
        if row.cost == "full":
            entries = (entries[0], *(Entry("the same") for _ in plan.RATES[1:])) if task.at(row.name, None) else entries
        lines.append(Line(row.label, entries, row.name))
    caption = (
        "Mean ± standard deviation over the seeds at each rate, n seeds. The last three rows are not in the paper."
    )
    return Table("At each rate", caption, tuple(f"rate {rate:g}" for rate in plan.RATES), tuple(lines))


def cost(task: TaskResults) -> Table:
    """Counted work and seconds at each rate, as shares of training on everything."""
    full, lines = task.seconds("full", None), []
    for row in _shown_rows():
        if row.cost == "full":
            continue
        entries = []
        for rate in plan.RATES:
            seconds = task.seconds(row.name, rate)
            share = stats.mean(seconds) if seconds and full else None
            timed = wording.share(share / (stats.mean(full or [1.0]) or 1.0)) if share is not None else wording.DASH
            work = task.work(row.name, rate)
            runs = len(task.at(row.name, rate))
            entries.append(Entry(MISSING if work is None else f"{wording.share(work)} / {timed}", n=runs))
        lines.append(Line(row.label, tuple(entries), row.name))
    caption = (
        "Counted work (forward 1, backward 2, scoring charged) / seconds with scoring charged, as shares of training "
        "on "
        "everything, of the seeds all of whose runs had the machine to themselves. A dash: there is none."
    )
    return Table("What it costs", caption, tuple(f"rate {rate:g}" for rate in plan.RATES), tuple(lines))


def against_uniform(task: TaskResults) -> Table:
    """Differences from uniform at the same rate and at the same cost, with Holm's p values."""
    unit = "points" if task.higher_is_better else "of the loss"
    lines = []
    for found in against(task):
        entries = []
        for difference, p in ((found.same_rate, found.p_rate), (found.same_cost, found.p_cost)):
            digits = places(task)
            ends = wording.interval(difference, digits)
            text = MISSING if difference.mean is None else wording.signed(difference.mean, digits)
            entries.append(Entry(text, n=difference.n, interval=ends if difference.mean is not None else ""))
            entries.append(Entry(wording.DASH if p is None else f"{p:.2g}"))
        lines.append(Line(plan.ROWS[found.row].label, tuple(entries), found.row))
    caption = (
        f"Mean difference over the rates ({unit}, positive is better), paired by seed, with Student's 95 % interval. "
        "p is "
        f"Holm's, corrected over the {len(lines)} rows of each column: below 0.05 is more than chance."
    )
    heads = ("from uniform at the same rate", "p", "from uniform at the same cost", "p")
    return Table("Against uniform", caption, heads, tuple(lines))


def _shown_rows() -> list[plan.Row]:
    return [row for row in plan.ROWS.values() if row.part != "beta"]


def _cell_entry(task: TaskResults, row: str, rate: float | None, digits: int) -> Entry:
    values = list(task.value_by_seed(row, rate).values())
    if not values:
        return Entry(MISSING)
    return Entry(spread(values, digits), n=len(values), flag=flag(task, row, rate))
