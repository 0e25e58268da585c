"""The few collectives; without a process group every one does nothing."""

from __future__ import annotations

from typing import Any

import torch
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

from adaselection.errors import ShardingError

if dist.is_available() and not dist.is_initialized():
    # First imported when there is a group, as by making DDP, it keeps that group in its functions' default arguments
    # (torch 2.13): destroyed or not, the threads of gloo go on then, and may abort the process when Python ends.
    import torch.distributed.nn.functional

_UNSHARDED = (RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)


def world_size() -> int:
    """Number of processes in the process group; 1 without one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process in the process group; 0 without one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def wire(device: torch.device | None = None) -> torch.device:
    """Where tensors of a device travel best; for None the CPU, if a backend serves it, so that no accelerator waits."""
    backends = dict(pair.split(":", 1) for pair in dist.get_backend_config().split(","))
    if device is not None and device.type != "cpu" and backends.get(device.type, "gloo") != "gloo":
        return device
    if "cpu" in backends:
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def total(values: Tensor) -> Tensor:
    """Sum over the processes, bit-equal on all of them, on the device of the values."""
    found = values.to(wire(values.device), copy=True)
    dist.all_reduce(found)
    return found.to(values.device)


def mean(values: Tensor) -> Tensor:
    """Mean over the processes, bit-equal on all of them, on the device of the values."""
    return total(values) / dist.get_world_size()


def gather(values: Tensor) -> Tensor:
    """The values of every process, of one shape and type on all, shape ``[W, ...]``, on the device of these."""
    own = values.to(wire(values.device)).contiguous()
    found = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(found, own)
    return torch.stack(found).to(values.device)


def gather_rows(values: Tensor) -> Tensor:
    """The rows of every process, process by process, of one type on all and however many on each: ``[n_i, ...]``."""
    counts = gather(torch.tensor(values.shape[0], device=wire())).tolist()
    padded = values.new_zeros((max(counts), *values.shape[1:]))
    padded[: values.shape[0]] = values
    return torch.cat([part[:count] for part, count in zip(gather(padded), counts, strict=True)])


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
