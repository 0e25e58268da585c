"""Eq. 4: the curriculum reward r_t, one number per row, summing to 1 over the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int
from adaselection.functional.scaling import robust_z


def printed_reward(
    losses: Float[Tensor, " b"],
    step: Int[Tensor, ""] | int,
    power: float,
    valid: Bool[Tensor, " b"] | None = None,
) -> Float[Tensor, " b"]:
    """Eq. 4 as printed: ``r proportional to exp(-t^power * l_i / sum_j l_j^2)``.

    Args:
        losses: shape ``[b]``.
        step: number of the batch t, counted from 1.
        power: the exponent of t; the paper writes gamma, which is also its sampling rate.
        valid: rows that take part, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``, sums to 1; flat where all losses are 0; 0 for rows that are not valid.

    Differs from the paper in: normalised over the batch. As printed it starts fair and ends favouring small
    losses, the opposite of what the text describes; `text_reward` is that one.
    """
    if valid is None:
        valid = torch.ones_like(losses, dtype=torch.bool)
    present = torch.where(valid, losses, 0)
    largest = present.abs().amax() if losses.shape[0] else present.sum()
    safe = torch.where(largest > 0, largest, torch.ones_like(largest))
    unit = present / safe  # in [-1, 1]: no square overflows
    time = torch.as_tensor(step, dtype=losses.dtype, device=losses.device) ** power
    strength = time / safe / unit.square().sum().clamp_min(torch.finfo(losses.dtype).tiny)
    strength = strength.clamp_max(torch.finfo(losses.dtype).max / 4)
    return _softmax(-strength * unit, valid)


def text_reward(
    losses: Float[Tensor, " b"],
    step: Int[Tensor, ""] | int,
    power: float,
    valid: Bool[Tensor, " b"] | None = None,
) -> Float[Tensor, " b"]:
    """Eq. 4 as the text describes it: the power of t negated, so that the preference for small losses fades.

    Arguments and result as in `printed_reward`.
    """
    return printed_reward(losses, step, -power, valid)


def scale_free_reward(
    losses: Float[Tensor, " b"],
    progress: Float[Tensor, ""] | float,
    strength: float = 1.0,
    valid: Bool[Tensor, " b"] | None = None,
) -> Float[Tensor, " b"]:
    """Easy rows first, then exactly flat: ``softmax(-strength * (1 - progress)_+ * z_i)``.

    Args:
        losses: shape ``[b]``.
        progress: how far the curriculum is, 0 at its start, 1 at its end and after.
        strength: preference at the start.
        valid: rows that take part, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``, sums to 1, the same for ``losses`` and for any positive multiple of them.

    Differs from the paper in: z is a robust z-score, so the unit of the loss does not matter, and the effect
    ends.
    """
    if valid is None:
        valid = torch.ones_like(losses, dtype=torch.bool)
    left = (1 - torch.as_tensor(progress, dtype=losses.dtype, device=losses.device)).clamp_min(0)
    return _softmax(-strength * left * robust_z(losses, valid), valid)


def _softmax(exponents: Tensor, valid: Tensor) -> Tensor:
    """Softmax over the valid rows, 0 elsewhere."""
    return torch.softmax(torch.where(valid, exponents, torch.finfo(exponents.dtype).min), dim=-1) * valid
