"""The commands of ``adaselection`` as frozen dataclasses: their fields are the flags, `do` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.text import Text
from tyro.conf import Positional

from adaselection.errors import ArgumentError
from adaselection.lab.listing import arm_table, method_tables, plain_table
from adaselection.lab.options import (
    DataDir,
    Folder,
    Jobs,
    Options,
    Preset,
    TaskName,
    Threads,
    at_least_one,
    flag,
    numbers,
    set_threads,
    words,
)
from adaselection.lab.spec import RunSpec, Split
from adaselection.lab.store import RecordStore

_ARMS = "full,uniform_budget,adaselection,big_loss"


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """List the tasks, with a line each."""

    def do(self, console: Console) -> None:
        """Print the list."""
        from adaselection.lab.tasks import TASKS

        table = plain_table("task", "what it is", "metric", "presets")
        for task in TASKS.values():
            table.add_row(task.name, task.summary, task.metric.name, " ".join(task.presets))
        console.print(table)


@dataclass(frozen=True, kw_only=True)
class Methods:
    """List the methods and the arms of a comparison, with a line each."""

    def do(self, console: Console) -> None:
        """Print both lists."""
        for table in method_tables():
            console.print(table)
            console.print()
        console.print(arm_table())


@dataclass(frozen=True, kw_only=True)
class Run(Options):
    """Train one arm with a live view and write its record."""

    task: TaskName
    method: Annotated[str, flag("ARM", "an arm of `adaselection methods`")] = "adaselection"
    rate: Annotated[float, flag("RATE", "share of the rows to keep, in (0, 1]")] = 0.3
    budget: Annotated[float, flag("SHARE", "share of the full run's forward and backward work")] = 1.0
    seed: Annotated[int, flag("N", "of weights, data order, augmentation and selection")] = 0
    learning_rate: Annotated[float | None, flag("RATE", "the preset's if left out")] = None
    split: Annotated[Split, flag("{test,validation}", "what to judge on; validation for tuning")] = "test"
    instances: Annotated[bool, flag("", "also write what `inspect` reads; for arms with recorded losses")] = False
    out: Folder = Path("runs")

    def do(self, console: Console) -> None:
        """Train, and print the result and where its record is."""
        from adaselection.lab.grid import named, run_grid
        from adaselection.lab.live import RunView

        set_threads(self.threads)
        spec = self.spec(
            self.task,
            method=self.method,
            rate=self.rate,
            budget=self.budget,
            seed=self.seed,
            learning_rate=self.learning_rate,
            split=self.split,
            irreducible=self.irreducible,
        )
        if self.instances and not spec.arm().recorded:
            raise ArgumentError(
                f"--instances: {self.method} records nothing of its rows. Leave it out, or take --method recorded."
            )
        store = RecordStore(self.out)
        with RunView(console, 1) as view:
            for done in run_grid(named([spec]), store, show=view.run, instances=self.instances):
                view.done(done)
                view.account(done.found())
                console.print(Text(str(store.path(done.found())), style="dim"), soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Compare(Options):
    """Compare arms at equal cost over seeds; a killed comparison goes on."""

    task: TaskName
    arms: Annotated[str, flag("A,B", "comma-separated arms, and groups of arms")] = _ARMS
    rates: Annotated[str, flag("X,Y", "comma-separated sampling rates", aliases=["--rate"])] = "0.3"
    budgets: Annotated[str, flag("X,Y", "comma-separated shares of the full run's work", aliases=["--budget"])] = "0.5"
    seeds: Annotated[int, flag("N", "number of seeds, 0 to N - 1")] = 5
    learning_rate: Annotated[float | None, flag("RATE", "for all arms; else the tuned one, else the preset's")] = None
    jobs: Jobs = 1
    out: Folder = Path("runs")

    def do(self, console: Console) -> None:
        """Do all runs, and end with the table and a verdict."""
        from adaselection.lab.grid import grid
        from adaselection.lab.learning_rates import in_words, with_tuned
        from adaselection.lab.tuning import tuning

        set_threads(self.threads, self.jobs)
        base = self.spec(self.task, learning_rate=self.learning_rate)
        rates, budgets = numbers("rates", self.rates), numbers("budgets", self.budgets)
        specs = grid(base, words(self.arms), rates, budgets, range(self.seeds), irreducible=self.irreducible)
        store = RecordStore(self.out)
        chosen = tuning(store.read_all()[0])
        if told := in_words(specs, chosen):
            console.print(Text(told, style="dim"))
        _do_all(with_tuned(specs, chosen), store, self.jobs, console)


@dataclass(frozen=True, kw_only=True)
class Tune(Options):
    """Try learning rates on a validation split; `compare` then takes the best."""

    task: TaskName
    learning_rates: Annotated[str, flag("X,Y", "comma-separated candidates, the same for every arm")]
    arms: Annotated[str, flag("A,B", "comma-separated arms, and groups of arms")] = _ARMS
    rate: Annotated[float, flag("RATE", "sampling rate of the trials")] = 0.3
    budget: Annotated[float, flag("SHARE", "budget of the trials")] = 0.5
    seeds: Annotated[int, flag("N", "number of seeds, from 1000 on, so that no trial is used again")] = 1
    jobs: Jobs = 1
    out: Folder = Path("runs")

    def do(self, console: Console) -> None:
        """Do all trials, and end with the best of each arm."""
        from adaselection.lab.grid import grid
        from adaselection.lab.tuning import tuning

        set_threads(self.threads, self.jobs)
        base = self.spec(self.task, split="validation")
        tried = [replace(base, learning_rate=value) for value in numbers("learning_rates", self.learning_rates)]
        seeds = range(1000, 1000 + self.seeds)
        store = RecordStore(self.out)
        make = partial(grid, irreducible=self.irreducible)
        specs = [spec for each in tried for spec in make(each, words(self.arms), [self.rate], [self.budget], seeds)]
        _do_all(specs, store, self.jobs, console)
        table, remarks = plain_table("arm", "tried", "best"), []
        for entry in tuning(store.read_all()[0]):
            setting = entry.task, entry.preset, entry.regime, entry.label_noise
            if setting == (base.task, base.preset, base.regime, base.label_noise):
                means = ((c.learning_rate, "-" if c.mean is None else f"{c.mean:.4g}") for c in entry.candidates)
                tries = "  ".join(f"{value:g}: {mean}" for value, mean in means)
                table.add_row(entry.arm, tries, "-" if entry.chosen is None else f"{entry.chosen:g}")
                remarks += [f"{entry.arm}: {entry.chosen:g} is {entry.remark}."] if entry.remark else []
        console.print(table)
        for remark in remarks:
            console.print(Text(remark, style="dim"))


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one self-contained HTML file about all records of a folder."""

    folder: Positional[Folder] = Path("runs")
    output: Annotated[Path, flag("FILE", "the file to write", aliases=["-o"])] = Path("report.html")

    def do(self, console: Console) -> None:
        """Write the file and print its path."""
        from adaselection.lab.report import write_report

        console.print(Text(str(write_report(self.folder, self.output).resolve())), soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Measure the parts of a step here, and say what selection can gain."""

    task: TaskName
    preset: Preset = "cpu"
    data_dir: DataDir = None
    threads: Threads = None
    repeats: Annotated[int, flag("N", "batches of each part")] = 15

    def do(self, console: Console) -> None:
        """Measure, and print two tables and what they mean."""
        from adaselection.lab.profile import RATES, measure

        set_threads(self.threads)
        spec = RunSpec(self.task, preset=self.preset, data_dir=self.data_dir)
        found = measure(spec, at_least_one("repeats", self.repeats))
        table = plain_table("one batch", "ms")
        table.add_row(f"load {found.batch_size} rows", f"{found.load:.2f}")
        table.add_row("score them (forward, no gradient)", f"{found.forward:.2f}")
        table.add_row("select", f"{found.select:.2f}")
        table.add_row("train on them (step)", f"{found.step:.2f}")
        console.print(table)
        console.print()
        table = plain_table("rate", "time of a pass", "equivalent uniform rate", "steps of a full run")
        for rate in RATES:
            cost = found.relative_cost(rate)
            table.add_row(f"{rate:g}", f"{cost:.0%}", f"{cost:.2f}", f"{rate * found.steps:.0f}")
        table.add_row("all", "100%", "1.00", f"{found.steps}")
        console.print(table)
        console.print()
        console.print(Text(f"{found.task}, {found.threads} thread(s). {found.words()}"))


def _do_all(specs: Sequence[RunSpec], store: RecordStore, jobs: int, console: Console) -> None:
    """Do the runs of a grid and end with the tables of its studies."""
    from adaselection.lab.gates import gate_table
    from adaselection.lab.grid import named, run_grid
    from adaselection.lab.live import RunView
    from adaselection.lab.summary import summarise
    from adaselection.lab.tables import terminal_table
    from adaselection.lab.verdict import verdict

    due = named(specs)
    records = []
    with RunView(console, len(due)) as view:
        for done in run_grid(due, store, jobs=jobs, show=view.run):
            view.done(done)
            records.append(done.found())
    for study in summarise(records):
        console.print(terminal_table(study, console.width))
        console.print()
        if gate := gate_table(study):
            console.print(gate)
            console.print()
        console.print(Text(verdict(study).sentence, style="bold"))
