"""What the processes of a training must agree on before they choose; alone, nothing happens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist

from adaselection import distributed
from adaselection.errors import ShardingError
from adaselection.step import Reduce


def reduction() -> Reduce | None:
    """Mean over the processes, where there are several."""
    return mean if distributed.world_size() > 1 else None


def mean(values: Tensor) -> Tensor:
    """Mean over the processes, bit-equal on all of them, on the device of the values."""
    return distributed.mean(values.to(_wire())).to(values.device)


def least(*numbers: float) -> list[float]:
    """The smallest of each number over the processes."""
    if distributed.world_size() == 1:
        return list(numbers)
    found = torch.tensor(numbers, dtype=torch.float64, device=_wire())
    dist.all_reduce(found, op=dist.ReduceOp.MIN)
    smallest: list[float] = found.tolist()
    return smallest


def same_batches(rows: int, batches: int) -> None:
    """Refuse a pass that is not equally long on all processes, as they would wait for each other for ever.

    Raises:
        ShardingError: they differ. Raised by every process alike.
    """
    low, fewest, high, most = least(rows, batches, -rows, -batches)
    if (low, fewest) != (-high, -most):
        raise ShardingError(
            f"a walk has {low:g} to {-high:g} instances on the processes, and a pass {fewest:g} to {-most:g} batches; "
            "they must be equal. Build the loader with sampler=torch.utils.data.DistributedSampler(dataset)."
        )


def _wire() -> torch.device:
    """Where the backend wants its tensors."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
