"""Eqs. 1 and 2: the paper's seven candidate rules as raw scores, larger is more wanted.

A raw score orders the rows of a batch; `importance` (eq. 2) turns it into the alpha that rules share.
Source of every rule here: the AdaSelection paper, section 3.2, unless another is named.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float

AdaBoostReading = Literal["clamp", "nan_last", "abs", "cross_entropy", "scale_free"]
ADABOOST_READINGS: tuple[str, ...] = get_args(AdaBoostReading)
_CLAMP = 1e-6


def uniform(noise: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Random scores, fresh each batch.

    Args:
        noise: uniform random numbers in ``[0, 1)``, shape ``[b]``.

    Returns:
        The noise itself, shape ``[b]``.

    Differs from the paper in: nothing; a constant score would never change any ranking, so random scores are
    the only reading in which adding this rule to a mixture has an effect.
    """
    return noise


def big_loss(losses: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The largest losses first, shape ``[b]``.

    Differs from the paper in: nothing. What the paper calls Selective-Backprop's rule is in the original a
    random draw by the percentile of the loss; this is the paper's deterministic reading.
    """
    return losses


def small_loss(losses: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The smallest losses first, shape ``[b]``."""
    return -losses


def grad_norm(grad_norms: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The largest gradient norms first, shape ``[b]``.

    Differs from the paper in: the norm is that of the loss's gradient at the model's output
    (`cross_entropy_grad_norm`, `squared_error_grad_norm`), which costs no backward pass and exists for text
    too.
    """
    return grad_norms


def adaboost(
    losses: Float[Tensor, " b"],
    reading: AdaBoostReading = "clamp",
    scale: Float[Tensor, ""] | float | None = None,
) -> Float[Tensor, " b"]:
    """Eq. 1, ``w = 1/2 log((1 + l) / (1 - l)) = artanh(l)``, in one of five readings.

    Args:
        losses: shape ``[b]``.
        reading: what to do where the printed equation has no value (``l >= 1``):

            - ``"clamp"``: losses clamped to ``[0, 1 - 1e-6]``; all above tie. The paper reading.
            - ``"nan_last"``: as printed; NaN (``|l| > 1``) stays NaN, which every ranking puts last.
            - ``"abs"``: ``1/2 log |(1 + l) / (1 - l)|``, which falls again above 1.
            - ``"cross_entropy"``: ``artanh(1 - exp(-l))``: the loss becomes the error ``1 - p`` of the label.
            - ``"scale_free"``: ``1/2 log(1 + 2 l / scale)``, which is ``artanh(l / (l + scale))``.
        scale: typical loss, for ``"scale_free"``; the mean absolute loss of the batch if None.

    Returns:
        The weights, shape ``[b]``.

    Raises:
        ValueError: ``reading`` is none of the five.

    Differs from the paper in: ``"cross_entropy"`` and ``"scale_free"`` are ours; the other three are guesses
    at what the paper's code did where its equation is undefined.
    """
    if reading == "clamp":
        return torch.atanh(losses.clamp(0.0, 1.0 - _CLAMP))
    if reading == "nan_last":
        return torch.atanh(losses)
    if reading == "abs":
        size = losses.abs()
        above = losses.sign() * 0.5 * torch.log1p(2 / (size - 1))  # arcoth, where artanh has no value
        return torch.where(size <= 1, torch.atanh(losses), above)
    if reading == "cross_entropy":
        bounded = losses.clamp_min(0.0)
        return 0.5 * (bounded + torch.log1p(-torch.expm1(-bounded)))
    if reading == "scale_free":
        typical = _mean(losses.abs()) if scale is None else torch.as_tensor(scale, dtype=losses.dtype)
        safe = torch.where(typical > 0, typical, torch.ones_like(typical))
        return 0.5 * torch.log1p(2 * (losses.clamp_min(0.0) / safe))
    raise ValueError(f"adaboost reading {reading!r} is unknown; take one of {', '.join(ADABOOST_READINGS)}")


def coreset_extremes(losses: Float[Tensor, " b"], valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
    """Coresets approximation 1: half of the kept rows from the top of the losses, half from the bottom.

    The score is the distance of a row's rank from the middle rank, the upper one of two equal distances
    first, so that its top k holds ``ceil(k / 2)`` of the highest and ``floor(k / 2)`` of the lowest losses
    for every k. Equal losses are ranked by position, so the earlier rows count as the higher ones.

    Args:
        losses: shape ``[b]``.
        valid: rows that take part in the ranking, shape ``[b]``; all of them if None.

    Returns:
        Scores in ``[0, 1]``, shape ``[b]``, those of valid rows all different; 0 for rows that are not valid.

    Differs from the paper in: nothing for a single rule; as a score inside a mixture it is the rank distance,
    where ``|l - mean|`` would not give the halves that the paper describes.
    """
    size = losses.shape[0]
    if valid is None:
        valid = torch.ones_like(losses, dtype=torch.bool)
    order = torch.where(valid, losses, -torch.inf).sort(descending=True, stable=True).indices
    places = torch.arange(size, device=losses.device)
    rank = torch.empty_like(order).scatter_(0, order, places)  # 0 is the largest loss
    doubled = 2 * rank - (valid.sum() - 1)
    distance = torch.add(doubled < 0, doubled.abs(), alpha=2).to(losses.dtype) / max(1, 2 * size)
    return distance * valid


def coreset_mean(losses: Float[Tensor, " b"], valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
    """Coresets approximation 2: the losses nearest to the mean loss of the batch first.

    Args:
        losses: shape ``[b]``.
        valid: rows that make up the mean, shape ``[b]``; all of them if None.

    Returns:
        ``-|l - mean(l)|``, shape ``[b]``.
    """
    return -(losses - _mean(losses, valid)).abs()


def _mean(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean of the valid values, divided before they are summed so that it cannot overflow; 0 of none."""
    if valid is None:
        return (values / max(1, values.shape[0])).sum()
    return (torch.where(valid, values, 0) / valid.sum().clamp_min(1)).sum()
