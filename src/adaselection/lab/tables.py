"""A study as a table: in the terminal, in Markdown, and as the block of results in a README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adaselection.lab import wording
from adaselection.lab.record import Record
from adaselection.lab.store import write_atomically
from adaselection.lab.summary import Row, Study, summarise
from adaselection.lab.verdict import outcome, verdict

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["markdown_table", "readme_block", "terminal_table", "update_block"]

WIDE = 119
_EQUAL = "Equal rate: the rate at which uniform subsampling costs as much."
_STYLES = {"better": "green", "worse": "red", "same": "", "equal": "", "mixed": "", "unknown": "dim"}


def terminal_table(study: Study, width: int = 80) -> Table:
    """Build the table that `compare` ends with.

    Args:
        study: The study to show.
        width: Width of the terminal in columns. From 119 on, costs and counts are shown too.

    Returns:
        A rich table, one section a budget. Green and red mark intervals that leave out 0.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    wide = width >= WIDE
    table = Table(box=SIMPLE_HEAD, title=Text(study.title), title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    unit = f" ({study.unit})" if study.unit else ""
    table.add_column("arm", overflow="fold", min_width=12)
    timed = any(row.seconds is not None for row in study.rows)  # else the column would be one of dashes
    table.caption, table.caption_justify = Text(f"{_caption(study, costs=wide, timed=timed)} {_EQUAL}"), "left"
    table.title_style = "bold"
    score, gain = f"{wording.metric(study.metric)}{unit}\nmean ± sd", "gain on uniform\n[95 % CI]"
    headers = ["rate", score, gain, *(["time\n(s)"] if timed else []), "equal\nrate"]
    for header in (*headers, *(("cost", "n", "scored", "trained", "steps") if wide else ())):
        table.add_column(Text(header), justify="right", no_wrap=True)
    for budget, rows in by_budget(study):
        table.add_row(Text(budget, style="bold"), "", "", Text(_seeds(rows), style="dim"))
        for row in rows:
            cells: list[Text | str] = [Text(row.label), wording.rate(row.rate), _score(row, study),
                     Text(_difference(row, study), style=_STYLES[outcome(row)]),
                     *([wording.seconds(row.seconds)] if timed else []),
                     wording.rate(row.equivalent_uniform_rate)]  # fmt: skip
            table.add_row(*cells, *(_costs(row) if wide else ()))
        table.add_section()
    return table


def markdown_table(study: Study) -> str:
    """Return the study's rows as a Markdown table (GitHub's form)."""
    unit = f" ({study.unit})" if study.unit else ""
    points = wording.difference_unit(study.unit)
    better = f"gain on uniform{f' ({points})' if points else ''} [95 % CI]"
    header = (
        "budget",
        "arm",
        "rate",
        f"{wording.metric(study.metric)}{unit}, mean ± sd",
        better,
        "cost",
        "seconds",
        "seeds",
    )
    lines = [_line(header), "|---|---|" + "---:|" * (len(header) - 2)]
    for budget, rows in by_budget(study):
        for row in rows:
            name = f"`{row.arm}`" + (f" ({row.detail})" if row.detail else "")
            cells = (budget.removeprefix("budget "), name, wording.rate(row.rate), _score(row, study),
                     _difference(row, study), wording.share(row.units_share), wording.seconds(row.seconds),
                     str(row.seeds))  # fmt: skip
            lines.append(_line(cells))
    return "\n".join(lines)


def readme_block(records: Iterable[Record], task: str) -> str:
    """Return the results of one task in Markdown: verdict, table, notes, and where they were measured.

    Args:
        records: Any records; those of other tasks and of tuning are left out.
        task: The task's name.

    Raises:
        ValueError: If there is no result of that task.
    """
    studies = [study for study in summarise(records) if study.task == task]
    if not studies:
        raise ValueError(f"no results of task {task!r} among these records: run `adaselection compare {task}` first")
    parts = []
    for study in studies:
        parts += [f"**{wording.capital(study.title)}.** {verdict(study).sentence}", markdown_table(study)]
        parts += (
            [f"{_caption(study)}"] + [f"{note}" for note in study.notes] + [f"Measured with {measured_with(study)}."]
        )
    return "\n\n".join(parts)


def measured_with(study: Study) -> str:
    """Return hardware, versions and seeds of a study in one line."""
    return where_measured(study.records)


def where_measured(records: Sequence[Record]) -> str:
    """Return hardware, versions and seeds of runs in one line."""
    where = dict.fromkeys(
        f"{e.cpu} ({wording.plural(e.cores, 'core')}, {wording.plural(e.threads, 'thread')}), device {e.device}, "
        f"Python {e.python}, torch {e.torch}, adaselection {e.adaselection}"
        for e in (record.environment for record in records)
    )
    seeds = sorted({record.config.seed for record in records})
    return f"{'; '.join(where)}; seeds {', '.join(map(str, seeds))}"


def update_block(path: Path, marker: str, text: str) -> bool:
    """Replace the text between `<!-- results:MARKER -->` and `<!-- /results:MARKER -->` in a file.

    Args:
        path: A Markdown file.
        marker: Name of the block.
        text: Its new content.

    Returns:
        Whether the file changed; a second call with the same text changes nothing.

    Raises:
        ValueError: If the markers are missing, doubled or the wrong way round.
        StoreError: If the file cannot be written. It then keeps its content.
    """
    start, end = f"<!-- results:{marker} -->", f"<!-- /results:{marker} -->"
    old = path.read_text(encoding="utf-8")
    if old.count(start) != 1 or old.count(end) != 1 or old.index(start) > old.index(end):
        raise ValueError(f"{path} needs the lines {start!r} and {end!r}, once each and in this order: add them")
    head, rest = old.split(start)
    new = f"{head}{start}\n{text.strip()}\n{end}{rest.split(end)[1]}"
    if new != old:
        write_atomically(path, new)
    return new != old


def by_budget(study: Study) -> Iterator[tuple[str, Sequence[Row]]]:
    """Full training first, as the reference, then one group a budget."""
    full = [row for row in study.rows if row.arm == "full"]
    if full:
        yield "full run", full
    for budget in study.budgets:
        rows = [row for row in study.rows if row.budget == budget and row.arm != "full"]
        if rows:
            yield f"budget {wording.share(budget)}", rows


def _score(row: Row, study: Study) -> str:
    places = wording.decimals(study)
    if row.diverged:
        return f"{row.diverged} of {row.seeds} diverged"
    return wording.number(row.mean, places) + (f" ± {wording.number(row.sd, places)}" if row.sd is not None else "")


def _difference(row: Row, study: Study) -> str:
    places = wording.decimals(study)
    if row.difference is None:
        return wording.DASH
    low, high = (wording.signed(end, places) for end in (row.difference.ci_low, row.difference.ci_high))
    ends = f" [{low}, {high}]" if row.difference.ci_low is not None else f" [{wording.DASH}]"
    return wording.signed(row.difference.mean, places) + ends


def _costs(row: Row) -> tuple[str, ...]:
    counts = (wording.count(row.scored), wording.count(row.trained), wording.count(row.steps))
    return (wording.share(row.units_share), str(row.seeds), *counts)


def _seeds(rows: Sequence[Row]) -> str:
    fewest, most = min(row.seeds for row in rows), max(row.seeds for row in rows)
    return wording.plural(most, "seed") if fewest == most else f"{fewest} to {most} seeds"


def _caption(study: Study, costs: bool = True, timed: bool = True) -> str:
    """What the columns mean, of those that are there."""
    direction = "higher is better" if study.higher_is_better else "lower is better"
    points = " in points" if study.unit == "%" else ""
    name = wording.capital(wording.metric(study.metric))
    text = (f"{name}: {direction}. Gain on uniform: paired by seed against uniform_budget at the "
            f"same budget{points}; positive is better. Budget{' and cost' if costs else ''}: share of the full run's "
            "forward and backward work, scoring charged.")  # fmt: skip
    if not timed:
        return f"{text} No seconds: no arm had the machine to itself in all its runs."
    if any(row.seconds is None for row in study.rows):
        text += " A dash for seconds: the run did not have the machine to itself."
    return text


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
