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
    passes, counts = torch.tensor(runs).T
    return runs[0][0] if runs[0][0] == runs[-1][0] else passes.repeat_interleave(counts)


def joined(values: list[Tensor]) -> Tensor:
    """One tensor of several, where the last one is."""
    return torch.cat([value.to(values[-1].device) for value in values]) if values else torch.empty(0)
