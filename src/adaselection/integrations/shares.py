"""How many rows each process gets of each batch of a loader that accelerate prepared: the arithmetic behind `len`."""

from __future__ import annotations

from typing import Any

from torch.utils.data import BatchSampler, IterableDataset


def share(rows: int, size: int, processes: int, index: int, *, drop_last: bool, split: bool, even: bool) -> list[int]:
    """Rows of the batches of one process, where each process loads its own (accelerate's `BatchSamplerShard`).

    Args:
        rows: of the whole sampler.
        size: rows of a batch of the loader before it was prepared.
        processes: how many there are.
        index: of this process.
        drop_last: whether the batch that is not full is left out.
        split: whether each batch is split over the processes, or every process gets batches of its own.
        even: whether the last batches are filled up with rows of the first ones.
    """
    full, rest = divmod(rows, size)
    if split:
        part = size // processes
        last = part if even else max(0, min(rest, part * (index + 1)) - part * index)
        return [part] * full + [last] * (rest > 0 and last > 0 and not drop_last)
    rounds, over = divmod(full, processes)
    if drop_last or not (over or rest):
        return [size] * rounds
    if even or index < over:
        return [size] * (rounds + 1)
    return [size] * rounds + [rest] * (index == over and rest > 0)


def dispatched(rows: int, size: int, processes: int, *, drop_last: bool, split: bool) -> list[int]:
    """Rows of the batches of any process, where the first loads for all (accelerate's `DataLoaderDispatcher`)."""
    each = size if split else size * processes
    full, rest = divmod(rows - rows % size if drop_last else rows, each)
    return [each // processes] * full + [-(-rest // processes)] * (rest > 0 and not drop_last)


def incoming(prepared: Any, base: Any) -> list[list[int]] | None:
    """Rows of the batches of each process, or None where they cannot be known.

    Args:
        prepared: what ``accelerator.prepare`` returned.
        base: the loader inside.
    """
    if isinstance(base.dataset, IterableDataset):
        return None
    batches: Any = base.sampler if isinstance(base.sampler, BatchSampler) else base.batch_sampler
    sharded = hasattr(batches, "num_processes")
    inner: Any = batches.batch_sampler if sharded else batches
    if type(inner) is not BatchSampler:
        return None
    try:
        rows = len(inner.sampler)  # type: ignore[arg-type]
    except TypeError:  # a sampler need not have a length
        return None
    if is_dispatched(prepared):
        processes, split = prepared.state.num_processes, prepared.split_batches
        same = dispatched(rows, inner.batch_size, processes, drop_last=inner.drop_last, split=split)
        return [same] * processes
    if not sharded:
        return [share(rows, inner.batch_size, 1, 0, drop_last=inner.drop_last, split=False, even=True)]
    options = {"drop_last": batches.drop_last, "split": batches.split_batches, "even": batches.even_batches}
    processes = batches.num_processes
    return [share(rows, inner.batch_size, processes, index, **options) for index in range(processes)]


def is_dispatched(prepared: Any) -> bool:
    """Whether one process loads for all."""
    return hasattr(prepared, "slice_fn")


class Share(BatchSampler):
    """A sharded batch sampler that says how many rows a batch of this process has, and not of all."""

    def __init__(self, batches: Any) -> None:
        self.batch_sampler = batches  # not to the parent, which would want a sampler of rows
        self.drop_last = batches.drop_last
        self.batch_size = batches.batch_size // (batches.num_processes if batches.split_batches else 1)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Any:
        """Batches of ids."""
        return iter(self.batch_sampler)
