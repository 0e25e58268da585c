"""The report as Markdown with its figures: `docs/reproduction.md`, made by `tools/reproduction.py`."""

from __future__ import annotations

from collections.abc import Sequence

from adaselection.lab.judging import markdown as md
from adaselection.lab.paper import pictures
from adaselection.lab.paper.assumptions import ASSUMPTIONS
from adaselection.lab.paper.page import GRIDS
from adaselection.lab.paper.pictures import Picture
from adaselection.lab.paper.reporting import (
    FEW,
    READING,
    Content,
    Judged,
    Section,
    answer,
    content,
    generic,
    grids,
    headline,
    reached,
)
from adaselection.lab.paper.tabulating import Entry, Table
from adaselection.lab.record import Record
from adaselection.lab.tables import where_measured

__all__ = ["IMAGES", "document"]

IMAGES = "images/reproduction"
_NOTE = "<!-- Written by `python tools/reproduction.py` from the run records. Do not edit by hand. -->"


def document(records: Sequence[Record]) -> tuple[str, dict[str, str]]:
    """Return the page, and the text of every picture by the name of its file.

    Args:
        records: Any records; those that are no runs of the paper's grids are left out.
    """
    found: dict[str, str] = {}
    parts = [_NOTE, "# The AdaSelection paper, reproduced", _opening()]
    for preset in grids(records):
        parts += _grid(content(records, preset), found)
    parts += ["## What eq. 3 and eq. 4 do by themselves"]
    parts += ["No model is trained in these pictures; losses are random numbers with a fixed seed."]
    parts += [_drawn(picture, "", found) for picture in pictures.of_equations()]
    parts += ["## What we had to assume", "Where the paper is silent or contradicts itself we chose, and say so here."]
    choices = [(entry.item, entry.paper, entry.ours, entry.why) for entry in ASSUMPTIONS]
    parts += [md.table(("about", "in the paper", "here", "why"), choices, left=4)]
    parts += ["## How to read this", md.bullets(f"**{term}.** {words}" for term, words in READING)]
    return "\n\n".join(part for part in parts if part) + "\n", found


def _opening() -> str:
    return (
        "Every number of [the paper](https://arxiv.org/abs/2306.10728) beside ours, with the spread that it does not "
        "give, and nine statements that it stands on, each with a verdict. This makes the runs, and goes on where it "
        "was stopped:\n\n```bash\nadaselection paper --tasks regression,bike --seeds 20\n```\n\n"
        "With `--report FILE.html` the same command writes a page with more figures and the command behind each cell."
    )


def _grid(part: Content, found: dict[str, str]) -> list[str]:
    """Everything on one grid."""
    folder = "" if part.preset == "cpu" else f"{part.preset}_"
    lines = [
        f"## Preset {part.preset}: what holds, what does not, and why",
        GRIDS[part.preset],
        f"**{headline(part.judged)}**",
        reached(part),
    ]
    lines += [_judged(entry) for entry in part.judged]
    notes = [f"{section.title}: {section.note}" for section in part.sections if section.note]
    lines += [f"## Preset {part.preset}: Tables 3 and 4", "The paper's number, a slash, then ours.", md.bullets(notes)]
    lines += [text for table in part.tables for text in (f"### {table.title}", _table(table), table.caption)]
    lines += [f"## Preset {part.preset}: Figures 3, 7 and 8", pictures.UNKNOWN_FIGURES]
    lines += [_drawn(picture, folder, found) for picture in part.pictures] or ["No runs yet."]
    for section in part.sections:
        lines += _section(section, folder, found)
    if part.records:
        lines += [f"Preset {part.preset}: measured with {where_measured(part.records)}."]
    return lines


def _judged(entry: Judged) -> str:
    """One statement: verdict first, then test, numbers and background."""
    statement, judgement = entry.statement, entry.judgement
    verdict = ", ".join(text for text in (f"**{judgement.verdict}**", entry.chance) if text)
    lines = [f"### {statement.name}. {statement.claim}", f"Verdict: {verdict}. {judgement.reason}".strip()]
    shown = [f"{part.label}: {part.measured}: {answer(part)}." for part in judgement.parts]
    facts = [f"Our test: {statement.test}", f"In the paper: {statement.printed}", f"Background: {statement.background}"]
    facts += [f"Missing: {line}." for line in judgement.missing]
    if len(shown) <= FEW:
        return "\n\n".join([*lines, md.bullets([*shown, *facts])])
    facts.insert(0, entry.tally)
    return "\n\n".join([*lines, md.bullets(facts), _folded("All parts", md.bullets(shown))])


def _section(section: Section, folder: str, found: dict[str, str]) -> list[str]:
    """One task: the figure of its columns, its tables, its commands. The other figures are on the HTML page."""
    lines = [f"## {section.title}", " ".join(filter(None, (section.setting, section.note, section.progress)))]
    lines += [_drawn(picture, folder, found) for picture in section.pictures[:1]]
    if section.tables:
        first, *others = section.tables
        lines += [f"### {first.title}", _table(first), first.caption]
        lines += [_folded(table.title, f"{_table(table)}\n\n{table.caption}") for table in others]
    lines += [
        f"All of it again, missing cells too: `{section.again}`. One cell:"
        if section.commands
        else f"`{section.again}`"
    ]
    if section.commands:
        rows = [(row.label, row.seeds, f"`{generic(row.lines[0][1])}`") for row in section.commands]
        shown = md.table(("row", "seeds", "its first rate; others take another rate and its budget"), rows, left=3)
        lines += [_folded("Commands", shown)]
    return lines


def _table(table: Table) -> str:
    rows = [(line.label, *map(_entry, line.entries)) for line in table.lines]
    return md.table(("row", *table.headers), rows)


def _entry(entry: Entry) -> str:
    text = f"{entry.published} / {entry.text}" if entry.published else entry.text
    ends = f"[{entry.interval}]" if entry.interval else ""
    return " ".join(
        filter(None, (text, ends, f"(n {entry.n})" if entry.n else "", f"**{entry.flag}**" if entry.flag else ""))
    )


def _drawn(picture: Picture, folder: str, found: dict[str, str]) -> str:
    """Keep a picture's text under its name, and return what shows it."""
    name = f"{folder}{picture.name}.svg"
    found[name] = picture.figure.svg
    return f"![{picture.figure.title}]({IMAGES}/{name})\n\n*{picture.figure.title}. {picture.figure.caption}*"


def _folded(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"
