"""Many small parts as one tensor."""

from __future__ import annotations

from array import array

import torch
from torch import Tensor


def as_tensor(numbers: array[int]) -> Tensor:
    """Numbers without a copy."""
    return torch.frombuffer(numbers, dtype=torch.int64) if numbers else torch.empty(0, dtype=torch.int64)


def stamps_of(runs: list[list[int]]) -> int | Tensor:
    """The pass of each loss, or of all of them."""
    if runs[0][0] == runs[-1][0]:
        return runs[0][0]
    return torch.cat([torch.full((count,), number) for number, count in runs])


def joined(values: list[Tensor]) -> Tensor:
    """One tensor of several, where the last one is."""
    if not values:
        return torch.empty(0)
    last = values[-1].device
    return torch.cat([value if value.device == last else value.to(last) for value in values])
