"""The page of the first promise by the clock: what the default gains on uniform that is given the same seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import geometric_mean, quantiles

from adaselection.lab import stats, wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.ladders import opponent
from adaselection.lab.judging.never_lose import cells
from adaselection.lab.judging.pairing import Compared
from adaselection.lab.judging.settings import PRESET, limits
from adaselection.lab.judging.timing import ENOUGH, Timing, alone, key_of, per_step, per_window, recording, timings
from adaselection.lab.summary import Study

__all__ = ["Clocked", "at_budget", "bears", "clocked", "page"]

_INTRO = f"""\
Equal work is not equal seconds: choosing takes time. For this page both arms ran again, in turns, one run at a time \
and with the machine to themselves. *Ratio*: seconds of the default over those of uniform of the same seed and \
budget, loading, choosing and training, median and quartiles over the seeds that were timed. Two runs of the same \
work differ by several hundredths by themselves, so fewer than {ENOUGH} seeds tell nothing. There the larger of two \
ratios stands in: the geometric mean over all pairs of the *task*, and what the *clock* of the default charges to \
choosing, with what recording takes, which no clock of a run keeps apart: one plus these seconds over the others. \
What a recorded step takes beyond a plain one is the largest of the medians of the tasks with {ENOUGH} seeds and \
more. In a cell that was not timed the largest such ratio of its task counts.

Uniform is given that many times the budget: its score there is interpolated seed by seed between its own budgets, on \
a logarithmic axis, each at the learning rate that it has there (of several the best), full training being budget 1 \
where nothing else is; beyond, the line of the last two budgets goes on. Where more seconds would harm it on average, \
it stops at its own budget. The differences are over all seeds of [never lose](never_lose.md), which has them at \
equal work, and so are the limits: a cell **holds** if its mean is no worse than -0.1 points (-1 % of uniform's mean \
for an error), a task if also the pooled 95 % interval lies above -0.3 points (-1 %). *Lost* is every interval below \
0, however near: where the batches are uniform's own, any time at all is lost. *Bears*: the largest ratio up to which \
the cell would hold."""
_WHY = """\
A recorded step takes {recording:.0f} microseconds more than a plain one, and judging takes its time however few \
the steps of a walk are. With networks whose step takes less than a millisecond the ratios show it, and what \
uniform makes of that time early in training is more than the gate can win there. Where uniform still gains fast, \
next to nothing may be lost: some cells would not bear one hundredth more."""
_MOST = 1.5  # ratio; a cell that bears it is not asked for more
_NONE = "No run of both arms had the machine to itself yet."

Ladder = Mapping[float, float]


@dataclass(frozen=True)
class Clocked:
    """A cell at equal seconds.

    Attributes:
        work: The cell at equal work.
        own: Ratio of seconds of each timed seed of this very cell.
        ratio: The ratio used, at least 1.
        cell: The cell at equal seconds.
        source: What the ratio is of where it is not the median of the cell: the run's own clock, or all of the task.
    """

    work: Compared
    own: tuple[float, ...]
    ratio: float
    cell: Compared
    source: str = "task"


def at_budget(ladder: Ladder, budget: float) -> float:
    """The score at a budget, straight between the two nearest on a logarithmic axis; beyond the ends as between those.

    Args:
        ladder: Score by budget, two or more.
        budget: Share of the full run's work, above 0.
    """
    known = sorted(ladder)
    place = min(max(1, sum(value < budget for value in known)), len(known) - 1)
    low, high = known[place - 1], known[place]
    share = math.log(budget / low) / math.log(high / low)
    return ladder[low] + share * (ladder[high] - ladder[low])


def clocked(cell: Compared, own: tuple[float, ...], ratio: float) -> Clocked:
    """Compare a cell's runs with uniform at as many seconds; uniform may stop at its own budget."""
    study, row, rival = cell.study, cell.row, cell.rival
    ratio = max(1.0, ratio)
    gained: dict[int, float] = {}
    if rival is not None:
        unit = _unit(cell)
        uniform = opponent(study)
        rows = uniform.rows if uniform is not None else ()
        for seed in cell.differences:
            ladder = {row.budget: row.values[seed] for row in rows if seed in row.values}
            if len(ladder) > 1:
                gained[seed] = unit * (at_budget(ladder, ratio * row.budget) - at_budget(ladder, row.budget))
    stops = sum(gained.values()) < 0
    found = {seed: cell.differences[seed] - (0.0 if stops else more) for seed, more in gained.items()}
    return Clocked(cell, own, ratio, Compared(study, row, rival, found))


def bears(cell: Compared) -> float | None:
    """The largest ratio of seconds up to which a cell holds, in steps of a hundredth; None where it never does.

    Up to 1.01 the steps are of 5 in ten thousand.
    """
    borne = None
    for part in (*range(0, 100, 5), *range(100, round(10000 * (_MOST - 1)) + 1, 100)):
        if clocked(cell, (), 1 + part / 10000).cell.holds is not True:
            break
        borne = 1 + part / 10000
    return borne


def page(studies: Sequence[Study], timed: Sequence[Study]) -> str:
    """Return the page."""
    pairs = alone(timed)
    known = timings(pairs)
    parts, summary = ["# At equal seconds", _INTRO, _WHY.format(recording=1e6 * recording(pairs))], []
    tasks = dict.fromkeys(task for task, *_ in known)
    for task in tasks:
        mine = {key: value for key, value in known.items() if key[0] == task}
        pooled = geometric_mean([ratio for timing in mine.values() for ratio in timing.ratios])
        other = Timing((), max(timing.choosing for timing in mine.values()))
        found = []
        for cell in cells([study for study in studies if (study.task, study.preset) == (task, PRESET)]):
            timing = mine.get(key_of(cell), other)
            ratio = timing.ratio(pooled)
            source = "clock" if ratio == timing.choosing else "task"
            found.append(replace(clocked(cell, timing.ratios, ratio), source=source))
        took = (per_step(pairs, task), per_window(pairs, task))
        summary.append((task, *map(_milliseconds, took), *_summary(found)))
        parts += [f"## {task}", _table(found), _measured(task, timed)]
    if not summary:
        return "\n\n".join([*parts[:2], _NONE]) + "\n"
    headers = ("task", "plain step (ms)", "judging a window (ms)", "ratio, range over the cells",
               "cells timed", "cells that hold", "won", "tied", "undecided",
               "lost", "equal", "pooled difference [95 % CI]", "verdict")  # fmt: skip
    return "\n\n".join([*parts[:3], "## By task", md.table(headers, summary), *parts[3:]]) + "\n"


def _milliseconds(seconds: float | None) -> str:
    return wording.DASH if seconds is None else f"{1000 * seconds:.2f}"


def _summary(found: Sequence[Clocked]) -> tuple[str, ...]:
    tally = Counter(each.cell.outcome for each in found)
    holding = sum(each.cell.holds is True for each in found)
    pooled = stats.pooled_difference([each.cell.differences for each in found])
    low, timed = pooled.ci_low, [each.ratio for each in found if each.own]
    broken = sum(each.cell.holds is False for each in found)
    if broken:
        verdict = f"**fails** in {wording.plural(broken, 'cell')}"
    elif low is None:
        verdict = "too few seeds"
    else:
        verdict = "holds" if low > limits(found[0].cell.study).pooled else "**fails**: pooled interval too low"
    counts = (str(tally[word]) for word in ("won", "tied", "undecided", "lost", "equal"))
    span = f"{min(timed):.2f} to {max(timed):.2f}" if timed else wording.DASH  # of the medians
    return (span, f"{len(timed)} of {len(found)}", f"{holding} of {len(found)}", *counts,
            md.difference(pooled), verdict)  # fmt: skip


def _table(found: Sequence[Clocked]) -> str:
    headers = ("data", "budget", "ratio of seconds", "timed seeds", "bears", "difference at equal work [95 % CI]",
               "at equal seconds [95 % CI]", "seeds", "judged")  # fmt: skip
    rows = []
    for each in found:
        told = len(each.own) >= ENOUGH
        ratio = _spread(each.own) if told else f"{each.ratio:.4f} ({each.source})"
        words = "not to be judged" if each.cell.holds is None else "holds" if each.cell.holds else "**fails**"
        most = bears(each.work)
        borne = wording.DASH if most is None else f"≥ {most:.2f}" if most >= _MOST else f"{most:.{_places(most)}f}"
        rows.append((md.setting(each.work.study), wording.share(each.work.row.budget), ratio, str(len(each.own)),
                     borne, md.difference(each.work.difference), md.difference(each.cell.difference),
                     str(each.cell.difference.n), f"{words}, {each.cell.outcome}"))  # fmt: skip
    return md.table(headers, rows)


def _measured(task: str, timed: Sequence[Study]) -> str:
    mine = [study for study in timed if study.task == task]
    rows = [row for study in mine for row in study.rows]
    return md.measured(mine[0], rows)


def _places(ratio: float) -> int:
    return 4 if ratio < 1.01 else 2


def _unit(cell: Compared) -> float:
    """From the metric to the unit of the differences, positive being better."""
    assert cell.rival is not None
    sign = 1.0 if cell.study.higher_is_better else -1.0
    if cell.study.unit == "%":
        return sign
    base = stats.mean([cell.rival.values[seed] for seed in cell.differences])
    return sign * 100.0 / abs(base) if base else sign


def _spread(values: Sequence[float]) -> str:
    """Median and quartiles."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
