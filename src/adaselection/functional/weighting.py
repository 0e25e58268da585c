"""Eq. 3: weights of the methods, kept as log-weights.

Every function here takes and gives log-weights that are normalised, ``logsumexp(log_weights) = 0``. The
paper's product ``w * exp(...)`` overflows within an epoch; its ranking of the rows (eq. 5) does not change
when all weights are divided by the same number, so nothing is lost by normalising.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from adaselection._shapes import Float, Int

LossAverage = Literal["kept", "batch"]
LOSS_AVERAGES: tuple[str, ...] = get_args(LossAverage)


def method_losses(
    losses: Float[Tensor, " b"], kept: Int[Tensor, "m k"], average: LossAverage = "kept"
) -> Float[Tensor, " m"]:
    """The loss l_t^m of each method in eq. 3.

    Args:
        losses: shape ``[b]``.
        kept: the rows that each method alone would keep, shape ``[m, k]``.
        average: ``"kept"``: mean loss of the rows that the method would keep. ``"batch"``: mean loss of all
            rows, the letter of the text, under which every method has the same loss and every weight stays
            equal for ever.

    Returns:
        Shape ``[m]``; 0 where no row is kept. Divided before they are summed, so that a mean cannot overflow.

    Differs from the paper in: ``"kept"`` is the only reading that depends on the method.
    """
    if average == "batch":
        return (losses / max(1, losses.shape[0])).sum().expand(kept.shape[0])
    return (losses.take(kept) / max(1, kept.shape[1])).sum(dim=1)


def relative_change(current: Float[Tensor, " m"], previous: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """``|l_t - l_{t-1}| / |l_{t-1}|`` of eq. 3, shape ``[m]``; 0 where nothing changed.

    Differs from the paper in: a previous loss of 0 counts as the smallest normal number, so that the change
    from 0 to anything is very large and finite.
    """
    limits = torch.finfo(current.dtype)
    change = (current - previous).abs() / previous.abs().clamp_min(limits.tiny)
    return change.clamp_max(limits.max / 4)


def bounded_change(
    current: Float[Tensor, " m"], previous: Float[Tensor, " m"], scale: Float[Tensor, ""], floor: float = 1e-3
) -> Float[Tensor, " m"]:
    """The change of eq. 3 in ``[0, 1]``: ``min(1, |l_t - l_{t-1}| / (|l_{t-1}| + floor * scale))``.

    Args:
        current: losses of the methods now, shape ``[m]``; here the moving averages of `smooth`.
        previous: the same one batch before.
        scale: typical absolute loss, a scalar, which keeps a method whose loss is near 0 from dominating.
        floor: share of ``scale`` added to the denominator.

    Differs from the paper in: bounded, and finite for every loss (`docs/method.md`, "Eq. 3 locks in").
    """
    bottom = (previous.abs() + floor * scale).clamp_min(torch.finfo(current.dtype).tiny)
    return ((current - previous).abs() / bottom).clamp_max(1.0)


def smooth(current: Float[Tensor, "*m"], previous: Float[Tensor, "*m"], half_life: float) -> Float[Tensor, "*m"]:
    """Moving average with the given half-life in batches, shape ``[m]`` or a scalar."""
    keep = math.exp2(-1 / half_life)
    return keep * previous + (1 - keep) * current


def update_log_weights(
    log_weights: Float[Tensor, " m"], change: Float[Tensor, " m"], beta: float
) -> Float[Tensor, " m"]:
    """Eq. 3 in log space: ``log w <- log w + beta * change``, normalised.

    Args:
        log_weights: shape ``[m]``.
        change: what the method's loss did, shape ``[m]``.
        beta: in ``[-1, 1]``; above 0 favours methods whose loss moves, below 0 those whose loss stands still.

    Returns:
        Normalised log-weights, shape ``[m]``.
    """
    moved = log_weights + beta * change
    return torch.log_softmax(moved, dim=0)


def fixed_share(log_weights: Float[Tensor, " m"], share: float) -> Float[Tensor, " m"]:
    """Give every method its part of a fixed share: ``w <- (1 - share) w + share / m``.

    A method that was bad can return, so that the mixture follows a change of regime.

    Source: Herbster & Warmuth 1998, "Tracking the best expert".

    Differs from the paper in: the paper has no floor.
    """
    if share == 0:
        return log_weights
    count = log_weights.shape[0]
    floor = torch.full_like(log_weights, math.log(share / count))
    return torch.logaddexp(log_weights + math.log1p(-share), floor) if share < 1 else floor
