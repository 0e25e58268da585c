"""Runs on many machines, through joblib's Dask backend: workers train and return records, this process writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import torch

from adaselection.errors import AdaSelectionError
from adaselection.lab.grid import Due
from adaselection.lab.record import Record
from adaselection.lab.spec import RunSpec
from adaselection.lab.store import RecordStore
from adaselection.lab.training import train_one

__all__ = ["ClusterError", "run_on_cluster"]


class ClusterError(AdaSelectionError, RuntimeError):
    """The Dask cluster cannot be used; the message says why and how to mend it."""


def run_on_cluster(
    due: Sequence[Due], store: RecordStore, *, workers: int = 2, scheduler: str | None = None
) -> Iterator[Due]:
    """Do all runs that have no record yet; gives each run once its record is written.

    Workers need this library, the data and no access to the store. A run that is lost with its worker is done by
    another one. Seconds of such runs never count as measured alone.

    Args:
        due: The runs.
        store: Where records go. Another process that fills it at the same time may do a run twice; one record stays.
        workers: Processes of a cluster on this machine, which lives as long as the runs.
        scheduler: Address of a running cluster, such as ``tcp://host:8786``, in the place of one on this machine.

    Raises:
        ClusterError: Dask is not installed, or there is no scheduler at the address.
        StoreError: A record cannot be written.
    """
    have = {record.run_id: record for record in store.read_all()[0]}
    missing = []
    for run in due:
        if run.run_id in have:
            yield replace(run, record=have[run.run_id])
        else:
            missing.append(run)
    if not missing:
        return
    from joblib import Parallel, delayed

    threads = max(1, torch.get_num_threads())
    by_id = {run.run_id: run for run in missing}
    with _backend(workers, scheduler) as backend:
        work = Parallel(backend=backend, n_jobs=-1, return_as="generator_unordered", batch_size=1)
        with closing(work(delayed(_train)(run.spec, threads) for run in missing)) as records:
            for text in records:
                record = Record.from_json(text)
                if not store.has(record.run_id):
                    store.write(record)
                yield replace(by_id[record.run_id], record=record, fresh=True)


def _train(spec: RunSpec, threads: int) -> str:
    """Do one run on a worker; the record travels as its text, which is checked where it arrives."""
    torch.set_num_threads(threads)
    return train_one(spec, alone=False).to_json()


@contextmanager
def _backend(workers: int, scheduler: str | None) -> Iterator[Any]:
    """Connect joblib to a cluster: one that runs, or one on this machine."""
    try:
        from distributed import Client, LocalCluster
        from joblib import register_parallel_backend
        from joblib._dask import DaskDistributedBackend
    except ImportError:
        raise ClusterError("--backend dask needs Dask: pip install '.[cluster]' in a clone of adaselection") from None
    register_parallel_backend("dask", DaskDistributedBackend)
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {scheduler}: {error}. Start one with `dask scheduler`, and `dask worker "
                f"{scheduler} --nthreads 1` on each machine; or leave --scheduler out for processes on this machine."
            ) from error
        with client:
            yield DaskDistributedBackend(client=client)
        return
    local = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with local, Client(local) as client:
        yield DaskDistributedBackend(client=client)
