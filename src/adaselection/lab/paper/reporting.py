"""What the report says, before it is Markdown or HTML: verdicts in words, sections, commands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from adaselection.lab import wording
from adaselection.lab.paper import per_task, pictures, plan, tabulating
from adaselection.lab.paper.judging import Judgement, Part, Verdict
from adaselection.lab.paper.pictures import Picture
from adaselection.lab.paper.plan import PresetName
from adaselection.lab.paper.published import PUBLISHED
from adaselection.lab.paper.results import TaskResults, read
from adaselection.lab.paper.statements import Statement, judgements
from adaselection.lab.paper.tabulating import Table
from adaselection.lab.record import Record

__all__ = [
    "FEW",
    "Commands",
    "Content",
    "Judged",
    "Section",
    "answer",
    "content",
    "generic",
    "grids",
    "headline",
    "progress",
]

FEW = 6
"""How many parts of a statement are shown at once; more are folded away."""

READING = (
    (
        "Published and ours",
        "The paper's number stands first, from its single run without spread; ours has the standard deviation over the "
        "seeds and n, their number. A statement is about order; the numbers themselves cannot agree where the network "
        "is smaller or a unit unknown.",
    ),
    (
        "Verdicts",
        "A statement holds where it does so in the means and in at least 90 % of 2,000 draws of the seeds with "
        "replacement, the same seeds for all rows; it does not hold where both say no. Anything else cannot be judged "
        "yet. A probability of 1 from three seeds says no more than that three seeds agree.",
    ),
    (
        "The best of the configurations",
        "The paper prints one AdaSelection column, the best of at least four configurations, picked on the test set. "
        "We print it so, labelled, beside each configuration. The best of four equal things looks better than one of "
        "them by about one standard deviation.",
    ),
    (
        "Uniform at the same cost",
        "Scoring costs a third of a full pass. Uniform at the same rate is given less to spend than AdaSelection; "
        "uniform at the same cost is the fair opponent, and the paper has none.",
    ),
    (
        "Collapsed and diverged",
        "Collapsed: the model says nearly the same for every input. Diverged: its metric is not finite. Such runs are "
        "counted and shown; a diverged one has the worst rank.",
    ),
    ("Missing", "No run for that cell yet. It is never filled in from others."),
)


@dataclass(frozen=True)
class Judged:
    """A statement with what became of it."""

    statement: Statement
    judgement: Judgement

    @property
    def tone(self) -> str:
        """The class of its card."""
        return {"holds": "better", "does not hold": "worse"}.get(self.judgement.verdict, "unknown")

    @property
    def chance(self) -> str:
        """Its bootstrap probability in words; nothing where there is none."""
        probability = self.judgement.probability
        return "" if probability is None else f"bootstrap probability {probability:.2f}"

    @property
    def few(self) -> bool:
        """Whether its parts can all be shown at once."""
        return len(self.judgement.parts) <= FEW

    @property
    def tally(self) -> str:
        """In how many of its parts it is so."""
        yes = sum(bool(part.holds[0]) for part in self.judgement.parts)
        return f"It is so in {yes} of {len(self.judgement.parts)} parts."


@dataclass(frozen=True)
class Commands:
    """The commands behind one row of a task: rate and command of its first seed, and all its seeds."""

    label: str
    seeds: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """What the report has on one task."""

    name: str
    title: str
    note: str
    setting: str
    progress: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    commands: tuple[Commands, ...]
    again: str


@dataclass(frozen=True)
class Content:
    """The report on one grid."""

    preset: PresetName
    records: tuple[Record, ...]
    judged: tuple[Judged, ...]
    tables: tuple[Table, ...]
    sections: tuple[Section, ...]
    pictures: tuple[Picture, ...]


def grids(records: Iterable[Record]) -> list[PresetName]:
    """Which grids have runs of their own: `cpu` always comes first, `paper` where something ran on its scale alone."""
    both = {name for name, task in plan.TASKS.items() if task.labs["cpu"] == task.labs["paper"]}
    large = any(task.runs for name, task in read(records, "paper").items() if name not in both)
    return ["cpu", "paper"] if large else ["cpu"]


def content(records: Sequence[Record], preset: PresetName = "cpu") -> Content:
    """Put together what the report says of one grid.

    Args:
        records: Any records; those of other kinds are left out.
        preset: Which grid.
    """
    results = read(records, preset)
    drawn = pictures.of_results(results)
    used = {run.run_id: run for task in results.values() for run in task.records}
    return Content(
        preset,
        tuple(used[name] for name in sorted(used)),
        tuple(Judged(*pair) for pair in judgements(results)),
        (tabulating.table_3(results), tabulating.table_4(results)),
        tuple(_section(task, drawn) for task in results.values()),
        tuple(picture for picture in drawn if picture.name.startswith("fig_")),
    )


def answer(part: Part) -> str:
    """Return whether a part of a statement holds, with its probability and the number of seeds."""
    share = f", probability {part.probability:.2f}" if part.probability is not None else ""
    return f"{'yes' if part.holds[0] else 'no'}{share}, n {part.n}"


def headline(judged: Sequence[Judged]) -> str:
    """Say how many statements hold, do not hold, and cannot be judged yet, and which."""
    counts = Counter(entry.judgement.verdict for entry in judged)
    words = []
    several: dict[Verdict, str] = {"holds": "hold", "does not hold": "do not hold"}
    for verdict in get_args(Verdict):
        verb = several.get(verdict, verdict) if counts[verdict] > 1 else verdict
        if counts[verdict]:
            names = ", ".join(entry.statement.name for entry in judged if entry.judgement.verdict == verdict)
            words.append(f"{counts[verdict]} {verb} ({names})")
    return f"Of the paper's {len(judged)} statements, {'; '.join(words)}."


def reached(found: Content) -> str:
    """Say how far full training comes beside the paper's, and how many runs collapsed: what the verdicts rest on."""
    scores = [table for table in found.tables if table.title.startswith("Table 4")]
    full = [
        f"{task} {entry.published} / {entry.text}"
        for table in scores
        for task, entry in zip(table.headers, table.lines[0].entries, strict=True)
        if entry.n
    ]
    if not full:
        return ""
    collapsed = sum(record.result.collapsed for record in found.records)
    return (
        f"Full training in the paper / here: {'; '.join(full)}. {collapsed:,} of {len(found.records):,} runs "
        "collapsed. Where the two are far apart, a verdict says what holds for a small network after few epochs, and "
        "no more."
    )


def progress(task: TaskResults) -> str:
    """Say how much of a task's grid is here."""
    cells = plan.cells()
    there = sum(cell in task.runs for cell in cells)
    wanted = task.task.seeds[task.preset]
    seeds = sorted(len(task.runs[cell]) for cell in cells if cell in task.runs)
    if not seeds:
        return f"No runs yet; {wording.plural(wanted, 'seed')} wanted."
    spread = "" if seeds[0] == seeds[-1] else f"{seeds[0]} to "
    each = f"of {spread}{wording.plural(seeds[-1], 'seed')} each; {wanted} wanted."
    replaced = f" {wording.plural(task.replaced, 'run')} left out: a later run of the same cell and seed is here."
    return f"{there} of {len(cells)} cells have runs, {each}{replaced if task.replaced else ''}"


def _section(task: TaskResults, drawn: Sequence[Picture]) -> Section:
    name, paper = task.task.name, PUBLISHED[task.task.name]
    mine = tuple(picture for picture in drawn if picture.name.startswith(f"{name}_"))
    tables = (per_task.by_rate(task), per_task.cost(task), per_task.against_uniform(task)) if task.runs else ()
    note = task.task.note if task.preset == "cpu" else ""
    preset = "" if task.preset == "cpu" else f" --preset {task.preset}"
    return Section(
        name, task.title, f"{wording.capital(note)}." if note else "", f"In the paper: {paper.size}; {paper.setting}.",
        progress(task), tables, mine, _commands(task), f"adaselection paper --tasks {name}{preset}",
    )  # fmt: skip


def _commands(task: TaskResults) -> tuple[Commands, ...]:
    found = []
    for row in plan.ROWS.values():
        lines, seeds = [], set[int]()
        for rate in task.rates(row.name):
            if runs := task.at(row.name, rate):
                lines.append(("" if rate is None else f"rate {rate:g}", runs[0].command))
                seeds |= {run.config.seed for run in runs}
        if lines:
            found.append(Commands(row.label, _span(sorted(seeds)), tuple(lines)))
    return tuple(found)


def _span(seeds: Sequence[int]) -> str:
    """Return seeds in short: 0 to 19, or each of them where some are left out."""
    whole = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))


def generic(command: str) -> str:
    """Return a command with the seed left open."""
    return re.sub(r"--seed \d+", "--seed SEED", command)
