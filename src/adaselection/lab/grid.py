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
from adaselection.lab.arms import PolicyOptions, get_arm
from adaselection.lab.groups import expand
from adaselection.lab.instances import instances_path, keep_instances
from adaselection.lab.record import Record, run_id
from adaselection.lab.spec import RunSpec, reads_irreducible
from adaselection.lab.store import RecordStore
from adaselection.lab.tasks import LoadOptions
from adaselection.lab.training import Show, train_one

_DEFAULT = ("adaselection", "recorded")  # the arms that the options of the policy are for
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
    base: RunSpec,
    arms: Sequence[str],
    rates: Sequence[float],
    budgets: Sequence[float],
    seeds: Sequence[int],
    *,
    irreducible: Path | None = None,
) -> list[RunSpec]:
    """Every run of a comparison, seed by seed, so that a part of it already compares all arms.

    Arms that do not select have no rates, and `full` has one budget. The base's options go to the arms that are the
    default policy.

    Args:
        base: What the runs have in common.
        arms: Names of arms and of groups of them.
        rates: Sampling rates.
        budgets: Shares of the full run's work.
        seeds: One run of each setting for each.
        irreducible: File or folder of irreducible losses, for the arms that read them.

    Raises:
        ValueError: An unknown arm, or a value out of its range.
        FileNotFoundError: Irreducible losses that some run needs are not there.
    """
    if not (arms and rates and budgets and seeds):
        raise ArgumentError("a comparison needs at least one arm, rate, budget and seed.")
    chosen = [(arm, base.options if arm in _DEFAULT else PolicyOptions()) for arm in expand(arms)]
    reading = {arm for arm, options in chosen if reads_irreducible(get_arm(arm), options)}
    if irreducible is not None and not reading:
        raise ArgumentError("--irreducible: none of these arms reads it. Leave it out, or add recorded_rho_loss.")
    specs: dict[RunSpec, None] = {}
    for seed in seeds:
        for arm, options in chosen:
            losses = irreducible if arm in reading else None
            for budget in [1.0] if arm == "full" else budgets:
                for rate in rates if get_arm(arm).build else rates[:1]:
                    own = replace(
                        base, method=arm, seed=seed, rate=rate, budget=budget, options=options, irreducible=losses
                    )
                    specs[own] = None
    return list(specs)


def named(specs: Iterable[RunSpec]) -> list[Due]:
    """The runs with their names, which need the fingerprint of each task's data.

    Raises:
        DataError: A task's data is missing or damaged.
        IrreducibleFileError: A run's irreducible losses are of other data.
    """
    prints: dict[tuple[str, str, Path | None], str] = {}
    due = []
    for spec in specs:
        key = (spec.task, spec.preset, spec.data_dir)
        if key not in prints:
            loaded = spec.get_task().load(spec.get_preset(), LoadOptions(data_dir=spec.data_dir))
            prints[key] = loaded.fingerprint
        spec.check_data(prints[key])
        due.append(Due(spec, run_id(spec.config(prints[key]))))
    return due


def run_grid(
    due: Sequence[Due], store: RecordStore, *, jobs: int = 1, show: ShowRun | None = None, instances: bool = False
) -> Iterator[Due]:
    """Do all runs that have no record yet; gives each run once it is done, by whomever.

    Args:
        due: The runs.
        store: Where records go. Other processes may fill it at the same time.
        jobs: Processes here; seconds only count with 1.
        show: Gives the live view of a run, for one job.
        instances: Also keep what is known of each training row of a run with recorded losses, beside its record. A
            run that has its record and not that file is done again; the record stays.

    Raises:
        StoreError: A record cannot be written.
    """
    have, missing, elsewhere = _finished(store, instances), [], []
    for run in due:
        if run.run_id in have:
            yield replace(run, record=have[run.run_id])
        else:
            missing.append(run)
    one = partial(_one, store=store, show=show, instances=instances)
    for done in _in_processes(missing, store, jobs, instances) if jobs > 1 else map(one, missing):
        if done.record is None:
            elsewhere.append(done)
        else:
            yield done
    yield from _waited(elsewhere, store, show, instances)


def _finished(store: RecordStore, instances: bool) -> dict[str, Record]:
    """The runs that need not be done any more, by name."""
    found = {record.run_id: record for record in store.read_all()[0]}
    if instances:
        lacking = {name for name, record in found.items() if not instances_path(store.path(record)).is_file()}
        lacking = {name for name in lacking if get_arm(found[name].config.arm).recorded}
        return {name: record for name, record in found.items() if name not in lacking}
    return found


def _in_processes(missing: Sequence[Due], store: RecordStore, jobs: int, instances: bool) -> Iterator[Due]:
    """Do runs side by side, each in a process of its own; gives them as they end."""
    from joblib import Parallel, delayed

    work = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1)
    threads = max(1, torch.get_num_threads())
    yield from work(delayed(_apart)(run, store.folder, threads, instances) for run in missing)


def _apart(run: Due, folder: Path, threads: int, instances: bool) -> Due:
    """Do one run in a process of its own."""
    torch.set_num_threads(threads)
    return _one(run, RecordStore(folder), None, instances, alone=False)


def _one(run: Due, store: RecordStore, show: ShowRun | None, instances: bool, *, alone: bool = True) -> Due:
    """Do one run, unless another process has it."""
    with store.claim(run.run_id, again=instances) as mine:
        if not mine:
            return run
        keep = partial(keep_instances, store) if instances else None
        train = partial(train_one, run.spec, alone=alone, keep=keep)
        if show is None:
            record = train()
        else:
            with show(run.spec) as step:
                record = train(step)
        if not (instances and store.has(run.run_id)):
            store.write(record)
        return replace(run, record=record, fresh=True)


def _waited(runs: Sequence[Due], store: RecordStore, show: ShowRun | None, instances: bool) -> Iterator[Due]:
    """Runs that other processes have claimed, once each has its record; takes over those of a process that died."""
    while runs:
        have = _finished(store, instances)
        left = []
        for run in runs:
            done = replace(run, record=have[run.run_id]) if run.run_id in have else _one(run, store, show, instances)
            if done.record is None:
                left.append(run)
            else:
                yield done
        runs = left
        if runs:
            time.sleep(_PATIENCE)
