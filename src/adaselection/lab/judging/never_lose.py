"""The page of the first promise: the default never loses to uniform at the same budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adaselection.lab import stats, wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.gate import shut_throughout
from adaselection.lab.judging.pairing import Compared, compare, rival_of
from adaselection.lab.judging.settings import BUDGETS, CHALLENGER, PRESET, SEEDS, limits, missing, required, shares
from adaselection.lab.summary import OPPONENT, Study

__all__ = ["Pooled", "cells", "page", "pooled"]

_INTRO = f"""\
`{CHALLENGER}` is AdaSelection on recorded losses with its default settings; `{OPPONENT}` is the plain loader, whole \
reshuffled passes, with the learning-rate schedule fitted to the same budget. Both train at the learning rate that \
uniform's trials chose at that budget; cifar10's and cifar100's are from trials at 30 % of the work, and wikitext2's \
is set by hand. Budget: share of the full run's forward and backward work. Differences are paired by seed; positive \
is better. A cell **holds** if its mean is no worse than -0.1 points (for an error: -1 % of uniform's mean). A task \
holds if also the lower end of the 95 % interval, pooled over its cells with the seeds as clusters, is above -0.3 \
points (-1 %), *so far* while cells are missing. *Won* and *lost*: the cell's own 95 % interval (Student's t) leaves \
out 0; *tied*: it does not, and lies within 0.3 points (1 %) of 0; *undecided*: it is wider; *equal*: every \
difference is exactly 0. p is two-sided, and corrected by Holm over the cells of the task, since among many cells \
some leave out 0 by chance. The bootstrap interval (percentile, 10,000 resamples of the seeds) stands beside it."""


@dataclass(frozen=True)
class Pooled:
    """A task at one preset and rate, over all its cells.

    Attributes:
        task: Name of the task.
        preset: Of its runs.
        variant: Rate, and what else tells its rows apart.
        cells: The cells, in the order of the tables.
        adjusted: Holm's p of each cell, None where it has none.
    """

    task: str
    preset: str
    variant: str
    cells: tuple[Compared, ...]
    adjusted: tuple[float | None, ...]

    @property
    def difference(self) -> stats.PairedDifference:
        """The pooled difference; a seed is a cluster."""
        return stats.pooled_difference([cell.differences for cell in self.cells])

    @property
    def verdict(self) -> str:
        """Whether every cell and the pooled interval hold, in words."""
        broken = sum(cell.holds is False for cell in self.cells)
        if broken:
            return f"**fails** in {wording.plural(broken, 'cell')}"
        low = self.difference.ci_low
        if low is None:
            return "too few seeds"
        held = low > limits(self.cells[0].study).pooled
        return "**fails**: pooled interval too low" if not held else "holds so far" if self.missing else "holds"

    @property
    def missing(self) -> int:
        """How many of the cells that must be judged have no interval yet."""
        if self.preset != PRESET or self.task not in SEEDS:
            return 0
        there = {
            (cell.study.regime, share, cell.row.budget)
            for cell in self.cells
            if cell.outcome != "unknown"
            for share in shares(cell.study)
        }
        return sum((*pair, budget) not in there for pair in required(self.task) for budget in BUDGETS)


def cells(studies: Iterable[Study], budgets: Sequence[float] = BUDGETS) -> list[Compared]:
    """Compare every row of the challenger with uniform at the same budget, at some budgets; those judged by default."""
    return [
        compare(study, row, rival_of(study, row))
        for study in studies
        for row in study.rows
        if row.arm == CHALLENGER and row.budget in budgets
    ]


def pooled(found: Sequence[Compared]) -> list[Pooled]:
    """Gather the cells of each task, preset and variant, with Holm's correction over them."""
    groups: dict[tuple[str, str, str], list[Compared]] = {}
    for cell in found:
        key = cell.study.task, cell.study.preset, _variant(cell)
        groups.setdefault(key, []).append(cell)
    result = []
    for key, group in groups.items():
        known = [cell.p for cell in group if cell.p is not None]
        corrected = iter(stats.holm(known))
        adjusted = tuple(None if cell.p is None else next(corrected) for cell in group)
        result.append(Pooled(*key, tuple(group), adjusted))
    return result


def page(studies: Sequence[Study]) -> str:
    """Return the page."""
    groups = pooled(cells(studies))
    parts = ["# Never lose", _INTRO, "## By task"]
    parts.append(_summary(groups) if groups else f"No runs of `{CHALLENGER}` yet.")
    for task, preset in dict.fromkeys((group.task, group.preset) for group in groups):
        chosen = [study for study in studies if (study.task, study.preset) == (task, preset)]
        parts += _task(chosen, [group for group in groups if (group.task, group.preset) == (task, preset)])
    if lines := missing(studies):
        parts += ["## Missing", md.bullets(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(groups: Sequence[Pooled]) -> str:
    rows = []
    for group in groups:
        tally = Counter(cell.outcome for cell in group.cells)
        certain = Counter(
            cell.outcome for cell, p in zip(group.cells, group.adjusted, strict=True) if p is not None and p < 0.05
        )
        holding = sum(cell.holds is True for cell in group.cells)
        seeds = [cell.difference.n for cell in group.cells]
        rows.append(
            (f"{group.task} ({group.preset})", group.variant, f"{holding} of {len(group.cells)}",
             f"{tally['won']} ({certain['won']})", str(tally["tied"]), str(tally["undecided"]),
             f"{tally['lost']} ({certain['lost']})", str(tally["equal"]), str(tally["diverged"] + tally["unknown"]),
             str(group.missing), md.difference(group.difference), _seeds(seeds, group.task), group.verdict)
        )  # fmt: skip
    headers = ("task", "rate", "cells that hold", "won (Holm)", "tied", "undecided", "lost (Holm)", "equal",
               "not to be judged", "missing", "pooled difference [95 % CI]", "seeds", "verdict")  # fmt: skip
    return md.table(headers, rows, left=2)


def _task(studies: Sequence[Study], groups: Sequence[Pooled]) -> list[str]:
    adjusted = {id(cell): p for group in groups for cell, p in zip(group.cells, group.adjusted, strict=True)}
    found = [cell for group in groups for cell in group.cells]
    first = studies[0]
    rows = []
    for study in studies:
        mine = [cell for cell in found if cell.study is study]
        rows += [_cell(cell, adjusted[id(cell)]) for cell in sorted(mine, key=lambda cell: cell.row.budget)]
        absent = [b for b in BUDGETS if b not in {cell.row.budget for cell in mine}] if study.preset == PRESET else []
        rows += [(md.setting(study), wording.share(b), *[md.MISSING] * 2, *[wording.DASH] * 6) for b in absent]
    unit = f" ({first.unit})" if first.unit else ""
    metric = f"{wording.metric(first.metric)}{unit}"
    headers = ("data", "budget", f"uniform, {metric}", f"{CHALLENGER}, {metric}",
               f"difference ({md.difference_unit(first)}) [95 % CI]", "bootstrap", "p (Holm)", "seconds, of uniform's",
               "seeds", "judged")  # fmt: skip
    parts = [f"## {first.task} ({first.preset} preset)", md.table(headers, rows)]
    used = [row for cell in found for row in (cell.row, cell.rival) if row is not None]
    return [*parts, md.measured(first, used)]


def _cell(cell: Compared, adjusted: float | None) -> tuple[str, ...]:
    row, rival = cell.row, cell.rival
    seconds = row.seconds / rival.seconds if rival and row.seconds and rival.seconds else None
    ends = cell.bootstrap
    return (
        md.setting(cell.study), wording.share(row.budget), md.score(rival, cell.study),
        md.score(row, cell.study) + (f" ({row.detail})" if row.detail else ""),
        md.difference(cell.difference),
        f"{wording.signed(ends[0], 2)}, {wording.signed(ends[1], 2)}" if ends else wording.DASH,
        _p(adjusted), wording.number(seconds, 2), str(cell.difference.n), _judged(cell),
    )  # fmt: skip


def _p(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else wording.number(value, 3)


def _judged(cell: Compared) -> str:
    if cell.rival is None:
        return f"no {OPPONENT}"
    words = "not to be judged" if cell.holds is None else "holds" if cell.holds else "**fails**"
    shut = shut_throughout(cell.row)
    if cell.outcome == "equal":
        return f"{words}, equal: {'the gate never opened' if shut else 'all differences are 0'}"
    return f"{words}, {cell.outcome}" + (" (**though the gate never opened**)" if shut else "")


def _variant(cell: Compared) -> str:
    return ", ".join(part for part in (wording.rate(cell.row.rate), cell.row.detail) if part)


def _seeds(counts: Sequence[int], task: str) -> str:
    text = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    wanted = SEEDS.get(task, 0)
    return f"{text} (of {wanted} wanted)" if min(counts) < wanted else text
