"""Scores of any unit on one scale."""

from __future__ import annotations

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int

_NORMAL = 1.4826  # standard deviation of a normal distribution / its median absolute deviation
_NORMAL_MEAN = 1.2533  # the same / its mean absolute deviation


def masked_median(values: Float[Tensor, "*m b"], valid: Bool[Tensor, "*m b"] | None = None) -> Float[Tensor, "*m 1"]:
    """Median over the valid entries of the last dimension, the mean of the middle two for an even count.

    Args:
        values: shape ``[..., b]`` with ``b >= 1``.
        valid: the same shape; all of them if None.

    Returns:
        Shape ``[..., 1]``; plus infinity where nothing is valid.
    """
    if valid is None:
        return _median(_middle(values.sort(dim=-1).values))
    ordered = torch.where(valid, values, torch.inf).sort(dim=-1).values
    count = valid.sum(dim=-1, keepdim=True)
    low = ordered.gather(-1, ((count - 1) // 2).clamp_min(0))
    high = ordered.gather(-1, count // 2)
    return torch.where(count > 0, low / 2 + high / 2, torch.inf)


def _middle(ordered: Tensor) -> Tensor:
    """The one or two entries in the middle of the last dimension."""
    size = ordered.shape[-1]
    return ordered[..., (size - 1) // 2 : size // 2 + 1]


def _median(middle: Tensor) -> Tensor:
    """Median from the one or two middle values."""
    return middle if middle.shape[-1] == 1 else (middle / 2).sum(-1, keepdim=True)


def robust_z(
    values: Float[Tensor, "*m b"],
    valid: Bool[Tensor, "*m b"] | None = None,
    *,
    order: Int[Tensor, "*m b"] | None = None,
) -> Float[Tensor, "*m b"]:
    """``(value - median) / (1.4826 * median absolute deviation)`` over the last dimension's valid entries.

    Where the median deviation is 0 (more than half of the entries are equal) the mean absolute deviation
    times 1.2533 takes its place; where that is 0 too, every z is 0. So the result is the same for any
    positive multiple of the values.

    Args:
        values: shape ``[..., b]``.
        valid: the same shape; all of them if None, which saves the masks.
        order: where all are valid, the places of the values from one end to the other, if known; saves a sort.

    Returns:
        Shape ``[..., b]``, finite for finite values; 0 for entries that are not valid.

    Source: Iglewicz & Hoaglin 1993, modified z-score.
    """
    if values.shape[-1] == 0:
        return values
    count: Tensor | int = values.shape[-1]
    if valid is None:
        deviation = values - (masked_median(values) if order is None else _median(values.gather(-1, _middle(order))))
    else:
        present = torch.where(valid, values, 0)
        middle = torch.where(valid.any(-1, keepdim=True), masked_median(present, valid), 0)
        deviation = torch.where(valid, present - middle, 0)
        count = valid.sum(-1, keepdim=True).clamp_min(1)
    distance = deviation.abs()
    width = _NORMAL * masked_median(distance, valid)
    mean = _NORMAL_MEAN * (distance / count).sum(-1, keepdim=True)
    width = torch.where(width > 0, width, mean)
    limit = torch.finfo(values.dtype).max / 4  # one value may be more widths away than a number can say
    z = (deviation / torch.where(width > 0, width, 1)).clamp(-limit, limit)
    return z * (width > 0)
