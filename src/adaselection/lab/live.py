"""What people see in the terminal while runs go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from adaselection import RecordedReport, Report
from adaselection.lab.grid import Due
from adaselection.lab.record import Record
from adaselection.lab.spec import RunSpec
from adaselection.lab.training import Progress as StepProgress
from adaselection.lab.training import Show
from adaselection.lab.wording import measure, seconds, share

_BAR = 24


def describe(spec: RunSpec) -> str:
    """A run in a few words."""
    rate = f" rate {spec.rate:g}" if spec.arm().build else ""
    return f"{spec.task}/{spec.preset} {spec.arm().name}{rate} budget {spec.effective_budget:g} seed {spec.seed}"


def bar(part: float, width: int = _BAR) -> Text:
    """A share as a bar of whole and eighth blocks."""
    eighths = round(min(1.0, max(0.0, part)) * width * 8)
    text = "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")
    return Text(text.ljust(width, "·"), style="cyan")


def facts(report: Report | RecordedReport, loss: float) -> Table:
    """Loss, weights of the methods, kept share and seconds of each phase."""
    table = Table.grid(padding=(0, 2))
    table.add_row("loss", f"{loss:.4f}")
    for method, weight in report.weights.items():
        if len(report.weights) > 1:
            table.add_row(method, Text.assemble(bar(weight), f" {weight:.3f}"))
    if isinstance(report, RecordedReport):
        table.add_row("left out", f"{report.left_out:.1%}, unloaded; {report.trained:,} trained on")
        table.add_row("windows", f"open {report.selected} of {report.windows}" if report.windows else "first walk")
    else:
        table.add_row("kept", f"{report.kept or 0:.1%} of {report.loaded:,} loaded, {report.scored:,} scored")
    table.add_row("seconds", "  ".join(f"{name} {value:.1f}" for name, value in report.seconds.items()))
    return table


class RunView:
    """A live view of one run after the other, and of how far the whole grid is.

    Where the output is no terminal it prints nothing while a run goes on.
    """

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._runs = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=1e6,  # runs may take hours each
        )
        self._all = self._runs.add_task("runs", total=runs, visible=runs > 1)
        self._now = self._runs.add_task("", total=None, visible=False)
        self._facts: RenderableType = Text("")
        self._live = Live(
            self._view(), console=console, transient=True, refresh_per_second=8, auto_refresh=console.is_terminal
        )

    def __enter__(self) -> RunView:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @contextmanager
    def run(self, spec: RunSpec) -> Iterator[Show | None]:
        """Show one run; gives the function to call after its steps."""
        if not self._console.is_terminal:
            yield None
            return
        self._runs.reset(self._now, total=1, description="steps", visible=True)

        def step(now: StepProgress) -> None:
            self._runs.update(self._now, completed=now.step, total=now.steps)
            self._facts = Group(Text(describe(spec), style="bold"), facts(now.report, now.loss))
            self._live.update(self._view())

        yield step
        self._runs.update(self._now, visible=False)
        self._facts = Text("")

    def done(self, run: Due) -> None:
        """Count a run and print its line."""
        self._runs.advance(self._all)
        self._live.update(self._view())
        record = run.found()
        value, unit = record.result.value, record.result.unit
        result = "diverged" if value is None else measure(value, unit, 2 if unit == "%" else 4)
        took = f"  {seconds(record.seconds.total)} s" if record.environment.exclusive else ""
        note = took if run.fresh else "  (had its record)"
        line = Text(f"{describe(run.spec)}: {record.result.metric} {result}{note}")
        self._console.print(line, style=None if run.fresh else "dim", soft_wrap=True)

    def account(self, record: Record) -> None:
        """Print what a run did and what it cost, once it is over."""
        counts, phases = record.counts, ("load", "score", "select", "train")
        work = f"{counts.steps:,} steps, {counts.scored:,} rows scored, {counts.trained:,} trained on"
        spent = ", ".join(f"{name} {seconds(getattr(record.seconds, name))}" for name in phases)
        lines = [f"{work}: {share(record.units.used / record.units.full)} of the full run's work", f"seconds: {spent}"]
        if (gate := record.policy_trace) is not None:
            opened = f"chosen from {gate['selected']} of {gate['windows']} windows" if gate["windows"] else "first walk"
            lines.append(f"{opened}, {share(gate['left_out'])} of the rows left out")
        for line in lines:
            self._console.print(Text(f"  {line}", style="dim"), soft_wrap=True)

    def _view(self) -> Group:
        return Group(self._runs, self._facts)
