"""Many numbers at once, at the least cost."""

from __future__ import annotations

import functools
from array import array

import torch
from torch import Tensor

from adaselection._shapes import Shaped

_SORTED_BY_NUMPY = (torch.float32, torch.float64, torch.int64)


def as_tensor(numbers: array[int]) -> Tensor:
    """Numbers without a copy."""
    return torch.frombuffer(numbers, dtype=torch.int64) if numbers else torch.empty(0, dtype=torch.int64)


def stamps_of(runs: list[list[int]]) -> int | Tensor:
    """The pass of each loss, or of all of them."""
    if runs[0][0] == runs[-1][0]:
        return runs[0][0]
    return torch.cat([torch.full((count,), number) for number, count in runs])


def first_of_each(numbers: Shaped[Tensor, " b"]) -> Shaped[Tensor, " k"] | None:
    """Rows at which a number stands for the first time, in their order; None where none stands twice."""
    found = ordered(numbers)
    if not bool((found[1:] == found[:-1]).any()):
        return None
    found, order = numbers.sort(stable=True)
    again = found[1:] == found[:-1]
    return order[torch.cat((again.new_ones(1), ~again))].sort().values


def joined(values: list[Tensor]) -> Tensor:
    """One tensor of several, where the last one is."""
    if not values:
        return torch.empty(0)
    last = values[-1].device
    return torch.cat([value if value.device == last else value.to(last) for value in values])


def ordered(values: Shaped[Tensor, " b"]) -> Shaped[Tensor, " b"]:
    """The values from the smallest to the largest, NaN last; a copy.

    On a CPU by numpy, where there is one: of some thousands of numbers it takes a tenth of the time that torch takes.
    """
    plain = values.device.type == "cpu" and values.dtype in _SORTED_BY_NUMPY and not values.requires_grad
    if plain and not torch.compiler.is_compiling() and _numpy():
        found = values.clone()
        found.numpy().sort()  # in the memory of the tensor
        return found
    return values.sort().values


@functools.cache
def _numpy() -> bool:
    """Whether torch found numpy, which it does not need."""
    try:
        torch.empty(0).numpy()
    except RuntimeError:
        return False
    return True
