"""The judgement in a few rows, for the page of what the default gains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.never_lose import cells, pooled
from adaselection.lab.judging.pairing import Compared
from adaselection.lab.judging.settings import PRESET
from adaselection.lab.record import Record
from adaselection.lab.summary import Row, Study, summarise

__all__ = ["short"]

SHOWN = (0.5, 1.0)
"""Budgets that have columns: half of the full run's work, and all of it."""


def short(records: Iterable[Record]) -> str:
    """One row a task and kind of data in which something was chosen, and what all budgets together say.

    Args:
        records: of the recorded plane.

    Returns:
        Markdown.
    """
    studies = summarise(records)
    by_study: dict[int, dict[float, Compared]] = {}
    for cell in cells(studies, SHOWN):
        by_study.setdefault(id(cell.study), {})[cell.row.budget] = cell
    shown = [(study, by_study[id(study)]) for study in studies if id(study) in by_study]
    if not shown:
        return "No runs yet."
    rows = [_row(study, found) for study, found in shown if _differs(found)]
    equal = [study for study, found in shown if not _differs(found)]
    headers = ["task", "data"]
    for budget in SHOWN:
        headers += [f"budget {wording.share(budget)}: uniform → `recorded`", "difference [95 % CI]"]
    caption = (
        "Budget: share of the full run's forward and backward work. Accuracy in %, for bike and regression the mean "
        "squared error; means over the seeds. Difference: paired by seed, positive is better, in points or, for an "
        f"error, in % of uniform's; without runs that diverged. At 100 % uniform is full training at the better of the "
        f"rates that were run. A dash: not run. {_equal(equal, studies)}"
    )
    return "\n\n".join((md.table([*headers, "seeds"], rows, left=2), caption, _verdicts(cells(studies))))


def _differs(found: dict[float, Compared]) -> bool:
    return any(cell.outcome != "equal" for cell in found.values())


def _row(study: Study, found: dict[float, Compared]) -> tuple[str, ...]:
    name = study.task if study.preset == PRESET else f"{study.task} ({study.preset} preset)"
    row = [name, md.setting(study)]
    for budget in SHOWN:
        cell = found.get(budget)
        if cell is None:
            row += [wording.DASH] * 2
        else:
            row += [f"{_mean(cell.rival, study)} → {_mean(cell.row, study)}", md.difference(cell.difference)]
    counts = sorted({cell.difference.n for cell in found.values()})
    return (*row, " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))))


def _mean(row: Row | None, study: Study) -> str:
    return md.score(row, study).partition(" ±")[0]


def _equal(equal: Sequence[Study], studies: Sequence[Study]) -> str:
    """Where every difference is 0, in words; a preset other than the judged one has rows only where it differs."""
    parts = []
    for task in dict.fromkeys(study.task for study in equal):
        mine = [study for study in equal if (study.task, study.preset) == (task, PRESET)]
        ran = [study for study in studies if (study.task, study.preset) == (task, PRESET)]
        if len(mine) == len(ran) > 1:
            parts.append(f"{task} (all {len(mine)} kinds of data)")
        elif mine:
            parts.append(f"{task} ({', '.join(md.setting(study) for study in mine)})")
    others = [f"{study.task} ({study.preset} preset, {md.setting(study)})" for study in equal if study.preset != PRESET]
    if not parts + others:
        return ""
    where = "; ".join((*parts, *others))
    return f"Not in the table, as every difference is exactly 0 there at every budget that ran: {where}."


def _verdicts(found: Sequence[Compared]) -> str:
    """All cells of all budgets, in a paragraph."""
    outcomes = Counter(cell.outcome for cell in found)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    worse = sum(cell.holds is False for cell in found)
    groups = pooled(found)
    missing = sum(group.missing for group in groups)
    absent = f" (with fewer than two seeds or none: {missing})" if missing else ""
    by_verdict: dict[str, list[str]] = {}
    for group in groups:
        name = group.task if group.preset == PRESET else f"{group.task} ({group.preset} preset)"
        by_verdict.setdefault(group.verdict.replace("**", ""), []).append(name)
    verdicts = "; ".join(f"{', '.join(tasks)}: {verdict}" for verdict, tasks in by_verdict.items())
    return (
        f"At equal work, over all {len(found)} cells of task, data and budget (10 to 50 %) that ran{absent}: {counts}. "
        f"In {worse or 'none'} of them the mean is worse than -0.1 points (for an error: -1 %). Judged by that, and by "
        f"the interval pooled over a task's cells, which must be above -0.3 points (-1 %): {verdicts}. Won, lost: the "
        "interval leaves out 0; tied: it lies within 0.3 points (1 %) of 0; undecided: it is wider; equal: all "
        "differences are 0."
    )
