"""The judgement at a glance, for the README: a row a kind of data, a column a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.never_lose import cells, pooled
from adaselection.lab.judging.pairing import Compared
from adaselection.lab.judging.settings import PRESET, kind, outliers_in_plain
from adaselection.lab.record import Record
from adaselection.lab.summary import Study, summarise

__all__ = ["at_a_glance"]

HALF, FULL = 0.5, 1.0
_CLEAN, _OUTLIERS = "clean", "outliers"
_FIRST = (_CLEAN, "20 % wrong labels", "40 % wrong labels", "40 % from halfway on", _OUTLIERS)
"""Rows in their order; others follow as they come."""
_SURE = 0.05
_BRIEF = {"label noise from": "from", "label noise": "wrong labels", "5x duplicated data": "5x duplicated"}


def at_a_glance(records: Iterable[Record]) -> str:
    """One column a task in which anything differs, one row a kind of data, and what all cells together say.

    Args:
        records: of the recorded plane.

    Returns:
        Markdown.
    """
    studies = summarise(records)
    found: dict[str, dict[str, dict[float, Compared]]] = {}
    for cell in cells(studies, (HALF, FULL)):
        by_data = found.setdefault(_task(cell.study), {}).setdefault(_data(cell.study), {})
        by_data[cell.row.budget] = cell
    if not found:
        return "No runs yet."
    tasks = [task for task, by_data in found.items() if _differs(by_data)]
    named = dict.fromkeys(data for task in tasks for data in found[task])
    order = sorted(named, key=lambda data: _FIRST.index(data) if data in _FIRST else len(_FIRST))
    rows = [(data, *(_shown(found[task].get(data, {})) for task in tasks)) for data in order]
    same = [f"{task} ({', '.join(by_data)})" for task, by_data in found.items() if task not in tasks]
    return f"{md.table(['', *tasks], rows)}\n\n{_caption(cells(studies), same)}"


def _differs(by_data: Mapping[str, Mapping[float, Compared]]) -> bool:
    return any(cell.outcome != "equal" for by_budget in by_data.values() for cell in by_budget.values())


def _task(study: Study) -> str:
    return study.task if study.preset == PRESET else f"{study.task}, {study.preset}"


def _data(study: Study) -> str:
    if kind(study) == "clean":
        return _CLEAN
    outliers = outliers_in_plain(study.task)
    if study.regime == "plain" and outliers:
        return _OUTLIERS
    words = md.setting(study)
    for long, brief in _BRIEF.items():
        words = words.replace(long, brief)
    return f"{words}, {_OUTLIERS}" if outliers else words


def _shown(by_budget: Mapping[float, Compared]) -> str:
    """The differences at half and at all of the work; nothing where the default has no runs."""
    if not by_budget:
        return ""
    return "\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}".join(_difference(by_budget.get(budget)) for budget in (HALF, FULL))


def _difference(cell: Compared | None) -> str:
    if cell is None or cell.difference.mean is None:
        return wording.DASH
    if cell.outcome == "equal":
        return "0"
    said = wording.signed(cell.difference.mean, 2 if cell.study.unit == "%" else 1)
    return f"**{said}**" if cell.outcome in ("won", "lost") else said


def _caption(judged: Sequence[Compared], same: Sequence[str]) -> str:
    outcomes = Counter(cell.outcome for cell in judged)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    found = ((cell, p) for group in pooled(judged) for cell, p in zip(group.cells, group.adjusted, strict=True))
    sure = sum(cell.outcome == "won" and p is not None and p < _SURE for cell, p in found)
    corrected = f" ({sure} of those won after Holm's correction over the cells of a task)" if outcomes["won"] else ""
    lost = "" if "lost" in outcomes else ", and none lost"
    equal = f" Not in the table, as every difference is 0: {'; '.join(same)}." if same else ""
    return (
        "Two numbers a cell: at half and at all of the full run's forward and backward work; a dash where that did not "
        "run, and nothing where there is no such data or none of it ran. Accuracy in points, for bike and regression % "
        "of the squared error; positive is better, **bold** where the 95 % interval over the paired seeds leaves out "
        "0, and a plain 0 where all runs are those of the plain loader or end alike. At all of the work the opponent "
        f"is full training.{equal} Of all {len(judged)} cells at 10 to 50 % of the work: {counts}{lost}{corrected}."
    )
