"""The judgement in a few rows, for the README."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.gate import shut_throughout
from adaselection.lab.judging.never_lose import cells, pooled
from adaselection.lab.record import Record
from adaselection.lab.summary import summarise

__all__ = ["short"]


def short(records: Iterable[Record], budget: float) -> str:
    """One row a task and kind of data at one budget, and what all budgets together say.

    Args:
        records: of the recorded plane.
        budget: the share of the full run's work that is shown.

    Returns:
        Markdown.
    """
    studies = summarise(records)
    found = cells(studies)
    rows = []
    for cell in (cell for cell in found if cell.row.budget == budget):
        gate = "shut" if shut_throughout(cell.row) else "opened"
        rows.append(
            (cell.study.task, md.setting(cell.study), md.score(cell.rival, cell.study), md.score(cell.row, cell.study),
             md.difference(cell.difference), gate, str(cell.difference.n))
        )  # fmt: skip
    headers = (
        "task",
        "data",
        "uniform, same budget",
        "`recorded`, the default",
        "difference [95 % CI]",
        "gate",
        "seeds",
    )
    outcomes = Counter(cell.outcome for cell in found)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    worse = sum(cell.holds is False for cell in found)
    groups = pooled(found)
    missing = sum(group.missing for group in groups)
    absent = f" (with fewer than two seeds or none: {missing})" if missing else ""
    verdicts = "; ".join(f"{group.task}: {group.verdict.replace('**', '')}" for group in groups)
    text = (
        f"At equal work, over all {len(found)} cells of task, data and budget that ran{absent}: {counts}. In "
        f"{worse or 'none'} of them the mean is worse than -0.1 points (for an error: -1 %). Judged by that, and by "
        f"the interval pooled over a task's cells, which must be above -0.3 points (-1 %): {verdicts}. Won, lost: the "
        "interval leaves out 0; tied: it lies within 0.3 points (1 %) of 0; undecided: it is wider; equal: all "
        "differences are 0."
    )
    caption = (
        f"Budget {wording.share(budget)} of the full run's forward and backward work. Accuracy in %, for bike and "
        "regression the mean squared error. Difference: paired by seed, positive is better, in points or, for an "
        "error, in % of uniform's; exactly 0 where the gate stayed shut, as the batches are then those of the plain "
        "loader. Gate: opened, in one seed at least."
    )
    return "\n\n".join((md.table(headers, rows, left=2), caption, text)) if rows else "No runs yet."
