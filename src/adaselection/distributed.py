"""The few collectives; without a process group every one does nothing."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch import distributed as dist
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from adaselection.errors import ShardingError, StateError

_UNSHARDED = (RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)


def world_size() -> int:
    """Number of processes in the process group; 1 without one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process in the process group; 0 without one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def refuse_state_of_another(process: int) -> None:
    """Refuse a loader's state that another process saved: its rows are those of the other's shard.

    Raises:
        StateError: the state is not that of this process.
    """
    if process != rank():
        raise StateError(
            f"the loader state is that of process {process}, and this is process {rank()}, which trains on other rows. "
            "Save the loader's state_dict() of every process, and load each where it was saved. Under Lightning "
            "adaselection.integrations.lightning.AdaSelectionCallback does this."
        )


def mean(values: Tensor) -> Tensor:
    """Mean over the processes, bit-equal on all of them."""
    total = values.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def refuse_unsharded(loader: object) -> None:
    """Refuse a loader that gives every process the same rows.

    Raises:
        ShardingError: there are several processes, and the loader's sampler is not split over them.
    """
    world = world_size()
    if world == 1 or not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return
    batches: Any = loader.batch_sampler
    if type(batches) not in (BatchSampler, type(None)):
        return
    sampler = loader.sampler if batches is None else batches.sampler
    if isinstance(sampler, _UNSHARDED):
        raise ShardingError(
            f"{world} processes run, and the loader's {type(sampler).__name__} gives each of them all rows, so they "
            "would train on the same ones. Build it with sampler=torch.utils.data.DistributedSampler(dataset), or "
            "prepare it with your framework first and wrap it last."
        )
