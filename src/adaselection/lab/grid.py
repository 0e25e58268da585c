"""Many runs: a grid that can be killed at any time and shared by several processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from adaselection.errors import ArgumentError
from adaselection.lab.arms import PolicyOptions, get_arm, names
from adaselection.lab.record import Record, run_id
from adaselection.lab.spec import RunSpec
from adaselection.lab.store import RecordStore
from adaselection.lab.tasks import LoadOptions
from adaselection.lab.training import Show, train_one
from adaselection.lab.tuning import tuning

_PATIENCE = 0.5  # seconds between looks at a run that another process has claimed
ShowRun = Callable[[RunSpec], AbstractContextManager[Show | None]]


@dataclass(frozen=True)
class Due:
    """A run of a grid.

    Attributes:
        spec: The run.
        run_id: Its name.
        record: What it gave, once it is there.
        fresh: Whether this process trained it just now.
    """

    spec: RunSpec
    run_id: str
    record: Record | None = None
    fresh: bool = False

    def found(self) -> Record:
        """The record of a run that is done."""
        if self.record is None:
            raise RuntimeError(f"run {self.run_id} is not done")
        return self.record


def grid(
    base: RunSpec, arms: Sequence[str], rates: Sequence[float], budgets: Sequence[float], seeds: Sequence[int]
) -> list[RunSpec]:
    """Every run of a comparison, seed by seed, so that a part of it already compares all arms.

    Arms that do not select have no rates, and `full` has one budget.

    Raises:
        ValueError: An unknown arm, or a value out of its range.
    """
    if not (arms and rates and budgets and seeds):
        raise ArgumentError("a comparison needs at least one arm, rate, budget and seed.")
    specs: dict[RunSpec, None] = {}
    for seed in seeds:
        for arm in names(arms):
            for budget in budgets[:1] if arm == "full" else budgets:
                for rate in rates if get_arm(arm).build else rates[:1]:
                    options = base.options if get_arm(arm).name == "adaselection" else PolicyOptions()
                    spec = replace(base, method=arm, seed=seed, rate=rate, budget=budget, options=options)
                    specs[spec if arm != "full" else replace(spec, budget=1.0)] = None
    return list(specs)


def with_tuned(specs: Iterable[RunSpec], records: Iterable[Record]) -> list[RunSpec]:
    """Give every run without a learning rate the one that validation runs chose for its arm, if there are any.

    The trial at the same budget and rate counts first, then the arm's only or first one.
    """
    chosen = [entry for entry in tuning(records) if entry.chosen is not None]
    result = []
    for spec in specs:
        config = spec.config("")
        fits = [t for t in chosen if (t.task, t.preset, t.arm) == (config.task, config.preset, config.arm)]
        fits = [t for t in fits if t.regime == config.regime] or fits
        fits = [t for t in fits if t.label_noise == config.label_noise] or fits
        exact = [t for t in fits if (t.budget, t.rate) == (config.budget, config.rate)] or fits
        known = spec.learning_rate is not None or not exact
        result.append(spec if known else replace(spec, learning_rate=exact[0].chosen))
    return result


def named(specs: Iterable[RunSpec]) -> list[Due]:
    """The runs with their names, which need the fingerprint of each task's data.

    Raises:
        DataError: A task's data is missing or damaged.
    """
    prints: dict[tuple[str, str, Path | None], str] = {}
    due = []
    for spec in specs:
        key = (spec.task, spec.preset, spec.data_dir)
        if key not in prints:
            loaded = spec.get_task().load(spec.get_preset(), LoadOptions(data_dir=spec.data_dir))
            prints[key] = loaded.fingerprint
        due.append(Due(spec, run_id(spec.config(prints[key]))))
    return due


def run_grid(due: Sequence[Due], store: RecordStore, *, jobs: int = 1, show: ShowRun | None = None) -> Iterator[Due]:
    """Do all runs that have no record yet; gives each run once it is done, by whomever.

    Args:
        due: The runs.
        store: Where records go. Other processes may fill it at the same time.
        jobs: Processes here; seconds only count with 1.
        show: Gives the live view of a run, for one job.

    Raises:
        StoreError: A record cannot be written.
    """
    have = {record.run_id: record for record in store.read_all()[0]}
    missing = []
    for run in due:
        if run.run_id in have:
            yield replace(run, record=have[run.run_id])
        else:
            missing.append(run)
    elsewhere = []
    for done in _in_processes(missing, store, jobs) if jobs > 1 else (_one(run, store, show) for run in missing):
        if done.record is None:
            elsewhere.append(done)
        else:
            yield done
    yield from _waited(elsewhere, store, show)


def _in_processes(missing: Sequence[Due], store: RecordStore, jobs: int) -> Iterator[Due]:
    """Do runs side by side, each in a process of its own; gives them as they end."""
    from joblib import Parallel, delayed

    work = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1)
    threads = max(1, torch.get_num_threads())
    yield from work(delayed(_apart)(run, store.folder, threads) for run in missing)


def _apart(run: Due, folder: Path, threads: int) -> Due:
    """Do one run in a process of its own."""
    torch.set_num_threads(threads)
    return _one(run, RecordStore(folder), None, alone=False)


def _one(run: Due, store: RecordStore, show: ShowRun | None, *, alone: bool = True) -> Due:
    """Do one run, unless another process has it."""
    with store.claim(run.run_id) as mine:
        if not mine:
            return run
        train = partial(train_one, run.spec, alone=alone)
        if show is None:
            record = train()
        else:
            with show(run.spec) as step:
                record = train(step)
        store.write(record)
        return replace(run, record=record, fresh=True)


def _waited(runs: Sequence[Due], store: RecordStore, show: ShowRun | None) -> Iterator[Due]:
    """Runs that other processes have claimed, once each has its record; takes over those of a process that died."""
    while runs:
        have = {record.run_id: record for record in store.read_all()[0]}
        left = []
        for run in runs:
            done = replace(run, record=have[run.run_id]) if run.run_id in have else _one(run, store, show)
            if done.record is None:
                left.append(run)
            else:
                yield done
        runs = left
        if runs:
            time.sleep(_PATIENCE)
