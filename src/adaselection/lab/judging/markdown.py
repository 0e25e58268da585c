"""Plain Markdown: tables, and the cells that every page shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from adaselection.lab import wording
from adaselection.lab.judging.settings import outliers_in_plain
from adaselection.lab.stats import PairedDifference
from adaselection.lab.summary import Row, Study
from adaselection.lab.tables import measured_with

__all__ = ["bullets", "difference", "difference_unit", "measured", "score", "setting", "table"]

MISSING = "missing"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a table in GitHub's form; the first `left` columns stand to the left, the others to the right."""
    rule = [" --- "] * left + [" ---: "] * (len(headers) - left)
    lines = [_line(headers), f"|{'|'.join(rule)}|", *(_line(row) for row in rows)]
    return "\n".join(lines)


def bullets(lines: Iterable[str]) -> str:
    """Return a list, or nothing of nothing."""
    return "\n".join(f"- {line}" for line in lines)


def score(row: Row | None, study: Study) -> str:
    """Return mean and spread of a row, or that it is missing or diverged."""
    if row is None:
        return MISSING
    if row.diverged:
        return f"{row.diverged} of {row.seeds} diverged"
    places = wording.decimals(study)
    return wording.number(row.mean, places) + (f" ± {wording.number(row.sd, places)}" if row.sd is not None else "")


def difference(found: PairedDifference) -> str:
    """Return a mean difference with its interval, to two decimals."""
    if found.mean is None:
        return wording.DASH
    ends = ", ".join(wording.signed(end, 2) for end in (found.ci_low, found.ci_high) if end is not None)
    return f"{wording.signed(found.mean, 2)} [{ends or wording.DASH}]"


def difference_unit(study: Study) -> str:
    """Return what the differences of a study are in."""
    return "points" if study.unit == "%" else "% of uniform's mean"


def setting(study: Study) -> str:
    """Return preset aside what a study's data are, in words."""
    plain = "plain data, with outliers" if outliers_in_plain(study.task) else "plain data"
    return study.title.partition(" preset")[2].strip(" ,)") or plain


def measured(study: Study, rows: Sequence[Row]) -> str:
    """Return the line under a table: hardware, versions and seeds of the runs in it."""
    return f"Measured with {measured_with(replace(study, rows=tuple(rows)))}." if rows else ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
