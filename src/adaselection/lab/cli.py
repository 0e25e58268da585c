"""The command ``adaselection``: run, compare, tune, report, profile, and lists of what there is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from adaselection import method_info, methods
from adaselection.errors import AdaSelectionError
from adaselection.lab.arms import arms as all_arms
from adaselection.lab.options import Options, Preset, Threads, numbers, set_threads, words

_app = tyro.extras.SubcommandApp()
_console = Console()
_errors = Console(stderr=True)

Folder = Annotated[Path, arg(help="folder of the records")]
DataDir = Annotated[Path | None, arg(help="where to look for data files first")]


@_app.command(name="tasks")
def tasks_() -> None:
    """List the tasks, with a line each."""
    from adaselection.lab.tasks import TASKS

    table = _list("task", "what it is", "metric", "presets")
    for task in TASKS.values():
        table.add_row(task.name, task.summary, task.metric.name, " ".join(task.presets))
    _console.print(table)


@_app.command(name="methods")
def methods_() -> None:
    """List the methods and the arms of a comparison, with a line each."""
    table = _list("method", "keeps", "paper", "needs")
    for name in methods():
        info = method_info(name)
        table.add_row(name, info.summary, info.equation, ", ".join(sorted(info.needs)) or "nothing")
    _console.print(table)
    table = _list("arm", "what it trains on")
    for row in all_arms().values():
        table.add_row(row.name, row.summary)
    _console.print(table)


@_app.command
def run(
    task: Positional[str],
    options: Annotated[Options, arg(name="")],
    method: Annotated[str, arg(help="an arm of `adaselection methods`")] = "adaselection",
    rate: Annotated[float, arg(help="share of the rows to keep, in (0, 1]")] = 0.3,
    budget: Annotated[float, arg(help="share of the full run's forward and backward work")] = 1.0,
    seed: int = 0,
    learning_rate: Annotated[float | None, arg(help="the preset's if left out")] = None,
    split: Annotated[str, arg(help="test, or validation for tuning")] = "test",
    out: Folder = Path("runs"),
) -> None:
    """Train one arm with a live view and write its record."""
    from adaselection.lab.grid import named, run_grid
    from adaselection.lab.live import RunView
    from adaselection.lab.store import RecordStore

    set_threads(options.threads)
    spec = options.spec(
        task, method=method, rate=rate, budget=budget, seed=seed, learning_rate=learning_rate, split=split
    )
    store = RecordStore(out)
    due = named([spec])
    with RunView(_console, 1) as view:
        for done in run_grid(due, store, show=view.run):
            assert done.record is not None  # run_grid gives runs that are done
            view.done(done.spec, done.record, done.fresh)
            _console.print(Text(str(store.path(done.record)), style="dim"), soft_wrap=True)


@_app.command
def compare(
    task: Positional[str],
    options: Annotated[Options, arg(name="")],
    arms: Annotated[str, arg(help="comma-separated arms")] = "full,uniform_budget,adaselection,big_loss",
    rates: Annotated[str, arg(help="comma-separated sampling rates")] = "0.3",
    budgets: Annotated[str, arg(help="comma-separated shares of the full run's work")] = "0.5",
    seeds: Annotated[int, arg(help="number of seeds, 0 to N - 1")] = 5,
    learning_rate: Annotated[float | None, arg(help="for every arm; else the tuned one, else the preset's")] = None,
    jobs: Annotated[int, arg(help="runs at the same time; seconds only count with 1")] = 1,
    out: Folder = Path("results"),
) -> None:
    """Compare arms at equal cost over seeds; goes on where a killed comparison stopped."""
    from adaselection.lab.grid import grid, with_tuned
    from adaselection.lab.store import RecordStore

    set_threads(options.threads, jobs)
    base = options.spec(task, learning_rate=learning_rate)
    specs = grid(base, words(arms), numbers("rates", rates), numbers("budgets", budgets), range(seeds))
    store = RecordStore(out)
    _do(with_tuned(specs, store.read_all()[0]), store, jobs)


@_app.command
def tune(
    task: Positional[str],
    options: Annotated[Options, arg(name="")],
    learning_rates: Annotated[str, arg(help="comma-separated candidates, the same for every arm")],
    arms: Annotated[str, arg(help="comma-separated arms")] = "full,uniform_budget,adaselection,big_loss",
    rate: float = 0.3,
    budget: float = 0.5,
    seeds: Annotated[int, arg(help="number of seeds, from 1000 on: none of them is used again")] = 1,
    jobs: int = 1,
    out: Folder = Path("results"),
) -> None:
    """Try learning rates on a validation split; `compare` with the same folder then takes the best of each arm."""
    from dataclasses import replace

    from adaselection.lab.grid import grid
    from adaselection.lab.store import RecordStore
    from adaselection.lab.tuning import tuning

    set_threads(options.threads, jobs)
    base = options.spec(task, split="validation")
    tried = [replace(base, learning_rate=value) for value in numbers("learning_rates", learning_rates)]
    seeds_ = range(1000, 1000 + seeds)
    specs = [spec for each in tried for spec in grid(each, words(arms), [rate], [budget], seeds_)]
    store = RecordStore(out)
    _do(specs, store, jobs)
    table = _list("arm", "tried", "best")
    for entry in tuning(store.read_all()[0]):
        if (entry.task, entry.preset) == (base.task, base.preset):
            means = ((c.learning_rate, "-" if c.mean is None else f"{c.mean:.4g}") for c in entry.candidates)
            tries = "  ".join(f"{value:g}: {mean}" for value, mean in means)
            table.add_row(entry.arm, tries, "-" if entry.chosen is None else f"{entry.chosen:g}")
    _console.print(table)


@_app.command
def report(folder: Positional[Path], output: Annotated[Path, arg(aliases=["-o"])] = Path("report.html")) -> None:
    """Write one self-contained HTML file about all records of a folder."""
    from adaselection.lab.report import write_report

    _console.print(Text(str(write_report(folder, output).resolve())), soft_wrap=True)


@_app.command
def profile(
    task: Positional[str],
    preset: Preset = "cpu",
    data_dir: DataDir = None,
    threads: Threads = None,
    repeats: Annotated[int, arg(help="batches of each part")] = 15,
) -> None:
    """Measure forward, step, loading and selection on this machine, and say what selection can gain here."""
    from adaselection.lab.profile import RATES, measure
    from adaselection.lab.spec import RunSpec

    set_threads(threads)
    found = measure(RunSpec(task, preset=preset, data_dir=data_dir), repeats)
    table = _list("one batch", "ms")
    for label, value in (
        (f"load {found.batch_size} rows", found.load),
        ("score them (forward, no gradient)", found.forward),
        ("select", found.select),
        ("train on them (step)", found.step),
    ):
        table.add_row(label, f"{value:.2f}")
    _console.print(table)
    table = _list("rate", "time of a pass", "equivalent uniform rate", "steps of a full run")
    for rate in RATES:
        cost = found.relative_cost(rate)
        table.add_row(f"{rate:g}", f"{cost:.0%}", f"{cost:.2f}", f"{rate * found.steps:.0f}")
    table.add_row("all", "100%", "1.00", f"{found.steps}")
    _console.print(table)
    _console.print(f"{found.task}, {found.threads} thread(s). {found.words()}")


def _do(specs: Sequence[Any], store: Any, jobs: int) -> None:
    """Do the runs of a grid and end with the tables of its studies."""
    from adaselection.lab.grid import named, run_grid
    from adaselection.lab.live import RunView
    from adaselection.lab.summary import summarise
    from adaselection.lab.tables import terminal_table
    from adaselection.lab.verdict import verdict

    due = named(specs)
    records = []
    with RunView(_console, len(due)) as view:
        for done in run_grid(due, store, jobs=jobs, show=view.run):
            assert done.record is not None  # run_grid gives runs that are done
            view.done(done.spec, done.record, done.fresh)
            records.append(done.record)
    for study in summarise(records):
        _console.print(terminal_table(study, _console.width))
        _console.print(Text(verdict(study).sentence))


def _list(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if all went well, 1 after an error that was explained, 130 after control-c.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _app.cli(args=given, prog="adaselection", description=__doc__)
    except (AdaSelectionError, ValueError, FileNotFoundError) as error:
        _errors.print(Text(f"adaselection: {error}", style="red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        _errors.print("adaselection: stopped. Every finished run has its record; the same command goes on from here.")
        return 130
    return 0
