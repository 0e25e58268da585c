"""The command `paper`: the runs behind the paper's tables and figures, resumable, in parts, here or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.text import Text

from adaselection.errors import ArgumentError
from adaselection.lab.grid import Due, named, run_grid
from adaselection.lab.live import RunView
from adaselection.lab.options import DataDir, Folder, Jobs, Threads, flag, set_threads, words
from adaselection.lab.paper.archive import merge, pack
from adaselection.lab.paper.page import write_page
from adaselection.lab.paper.plan import ROWS, TASKS
from adaselection.lab.paper.runs import Estimate, Slice, estimates, paper_specs
from adaselection.lab.store import RecordStore
from adaselection.lab.wording import plural

__all__ = ["Paper"]

_NO_TIME = "--minutes {:g}: the shortest run that is left takes about {}. Give more minutes."


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Do the runs behind the paper's tables and figures; a killed one goes on."""

    preset: Annotated[Literal["cpu", "paper"], flag("{cpu,paper}", "small networks for CPUs, or the paper's")] = "cpu"
    tasks: Annotated[str, flag("A,B", "comma-separated tasks of the paper")] = ",".join(TASKS)
    rows: Annotated[str, flag("A,B", "comma-separated rows of the plan, see docs/paper.md; else all")] = ",".join(ROWS)
    seeds: Annotated[int | None, flag("N", "number of seeds, 0 to N - 1; else as many as a complete grid has")] = None
    jobs: Jobs = 1
    backend: Annotated[Literal["loky", "dask"], flag("{loky,dask}", "processes here, or a Dask cluster")] = "loky"
    scheduler: Annotated[str | None, flag("ADDRESS", "of a running Dask cluster; else --jobs workers here")] = None
    slice: Annotated[str | None, flag("I/N", "only the I-th of N equal parts of what the whole grid has")] = None
    minutes: Annotated[float | None, flag("M", "start no run that would not be done in time")] = None
    pack: Annotated[Path | None, flag("FILE", "run nothing; write all records of --out into one .tar.gz")] = None
    merge: Annotated[Path | None, flag("FILE", "run nothing; add the records of such a file to --out")] = None
    report: Annotated[Path | None, flag("FILE", "run nothing; write one HTML page about the records of --out")] = None
    data_dir: DataDir = None
    threads: Threads = None
    out: Folder = Path("runs/paper")

    def do(self, console: Console) -> None:
        """Do the runs, pack or merge their records, or write the page about them."""
        if sum(wish is not None for wish in (self.pack, self.merge, self.report)) > 1:
            raise ArgumentError("--pack, --merge and --report: one at a time.")
        if self.report is not None:
            console.print(Text(f"{write_page(RecordStore(self.out, writable=False), self.report)}"), soft_wrap=True)
        elif self.pack is not None:
            count = pack(RecordStore(self.out, writable=False), self.pack)
            console.print(Text(f"{self.pack}: {plural(count, 'record')}"), soft_wrap=True)
        elif self.merge is not None:
            found = merge(self.merge, RecordStore(self.out))
            console.print(
                Text(f"{self.out}: {plural(found.added, 'record')} added, {found.known} known"), soft_wrap=True
            )
        else:
            self._run(console)

    def _run(self, console: Console) -> None:
        if self.scheduler is not None and self.backend != "dask":
            raise ArgumentError("--scheduler is for --backend dask. Add that, or leave it out.")
        if self.minutes is not None and not self.minutes > 0:
            raise ArgumentError(f"--minutes {self.minutes:g} must be above 0.")
        set_threads(self.threads, self.jobs)
        part = Slice(1, 1) if self.slice is None else Slice.parse(self.slice)
        store = RecordStore(self.out)
        specs = paper_specs(self.preset, words(self.tasks), self.seeds, rows=words(self.rows), data_dir=self.data_dir)
        due = part.of(named(specs))
        records = store.read_all()[0]
        have = {record.run_id for record in records}
        left = [run for run in due if run.run_id not in have]
        estimate = estimates(left, records)
        console.print(Text(_says(due, left, estimate, self.jobs)), soft_wrap=True)
        with RunView(console, len(left)) as view:
            for done in self._done(left, store, estimate, view):
                view.done(done)

    def _done(self, left: Sequence[Due], store: RecordStore, estimate: Estimate, view: RunView) -> Iterator[Due]:
        """Do the runs that are left, those that there is time for."""
        if self.minutes is None:
            yield from self._some(left, store, view)
            return
        end = time.monotonic() + 60 * self.minutes
        waiting, started = list(left), False
        while waiting:
            seconds = end - time.monotonic()
            fits = [run for run in waiting if estimate.seconds[run.run_id] <= seconds][: self.jobs]
            if not fits and not started:
                shortest = min(estimate.seconds[run.run_id] for run in waiting)
                raise ArgumentError(_NO_TIME.format(self.minutes, duration(shortest)))
            if not fits:
                return
            started = True
            yield from self._some(fits, store, view)
            waiting = [run for run in waiting if run not in fits]

    def _some(self, runs: Sequence[Due], store: RecordStore, view: RunView) -> Iterator[Due]:
        if self.backend == "dask":
            from adaselection.lab.cluster import run_on_cluster

            return run_on_cluster(runs, store, workers=self.jobs, scheduler=self.scheduler)
        return run_grid(runs, store, jobs=self.jobs, show=view.run)


def _says(due: Sequence[Due], left: Sequence[Due], estimate: Estimate, jobs: int) -> str:
    """What there is to do, and how long it takes."""
    done = f"{plural(len(due), 'run')}, {len(due) - len(left)} of them have their record."
    if not left:
        return done
    source = f" (timed now: {', '.join(estimate.measured)})" if estimate.measured else ""
    side = f" with {jobs} at a time" if jobs > 1 else ""
    return f"{done} {len(left)} left: about {duration(estimate.total(left, jobs))} on this machine{side}{source}."


def duration(seconds: float) -> str:
    """Return seconds in the unit that people would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
