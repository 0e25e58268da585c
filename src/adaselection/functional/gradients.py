"""Norm of a per-sample loss's gradient at the model's output, in closed form.

No backward pass: for cross-entropy the gradient at the logits is ``softmax(z) - y``, for the squared error
``2 (f - y)``. Sequences sum the squares over their tokens, so the rule works on text, which the paper's did
not.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from adaselection._shapes import Float, Shaped

TokenReduction = Literal["sum", "mean"]


def cross_entropy_grad_norm(
    logits: Float[Tensor, "b c *positions"],
    targets: Shaped[Tensor, " b *rest"],
    *,
    weight: Float[Tensor, " c"] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    token_reduction: TokenReduction = "sum",
) -> Float[Tensor, " b"]:
    """Exact ``||d loss_i / d logits_i||`` of the cross-entropy of each row.

    Args:
        logits: shape ``[b, c]`` or ``[b, c, *positions]``, classes second as in
            `torch.nn.functional.cross_entropy`.
        targets: class numbers ``[b, *positions]``, or class probabilities of the shape of ``logits``.
        weight: weight of each class, shape ``[c]``.
        label_smoothing: as in `torch.nn.functional.cross_entropy`.
        ignore_index: class number of positions that have no loss (padding).
        token_reduction: whether a row's loss is the ``"sum"`` over its positions or their ``"mean"`` (over
            the positions that are not ignored; with class weights over the sum of their weights). Logits
            ``[b, c]`` have no positions, and the loss is that of ``reduction="none"``.

    Returns:
        Norms, shape ``[b]``; 0 for a row without any position that counts.

    Source: closed form ``softmax(z) - y``, as in Katharopoulos & Fleuret 2018 (1803.00942), section 3.2.
    """
    classes = logits.shape[1]
    probabilities = torch.softmax(logits, dim=1)
    counted: Tensor | None = None
    if targets.is_floating_point():
        wanted = targets.to(probabilities.dtype)
    else:
        counted = targets != ignore_index
        safe = torch.where(counted, targets, 0)
        wanted = torch.zeros_like(probabilities).scatter_(1, safe.unsqueeze(1), 1.0)
    wanted = (1 - label_smoothing) * wanted + label_smoothing / classes
    if weight is not None:
        wanted = wanted * weight.to(wanted.dtype).view(1, -1, *[1] * (logits.dim() - 2))
    squared = (probabilities * wanted.sum(1, keepdim=True) - wanted).square().sum(1)
    if counted is not None:
        squared = torch.where(counted, squared, 0)
    if squared.dim() == 1:
        return squared.sqrt()
    share = _share(squared, targets, counted, weight, token_reduction)
    return squared.flatten(1).sum(1).sqrt() * share


def _share(
    squared: Tensor, targets: Tensor, counted: Tensor | None, weight: Tensor | None, reduction: TokenReduction
) -> Tensor:
    """Factor that the reduction over a row's positions puts on its gradient, shape ``[b]``."""
    rows, positions = squared.shape[0], math.prod(squared.shape[1:])
    if reduction == "sum":
        return squared.new_ones(rows)
    if counted is None:
        return squared.new_full((rows,), 1 / max(1, positions))
    mass = counted.to(squared.dtype)
    if weight is not None:
        mass = mass * weight.to(squared.dtype)[torch.where(counted, targets, 0)]
    total = mass.flatten(1).sum(1)
    return torch.where(total > 0, 1 / total, 0)


def squared_error_grad_norm(
    outputs: Float[Tensor, " b *dims"],
    targets: Float[Tensor, " b *dims"],
    *,
    reduction: TokenReduction = "mean",
) -> Float[Tensor, " b"]:
    """Exact ``||d loss_i / d outputs_i||`` of the squared error of each row, ``2 |f - y|`` for one output.

    Args:
        outputs: shape ``[b]`` or ``[b, *dims]``.
        targets: the same shape.
        reduction: whether a row's loss is the ``"mean"`` or the ``"sum"`` of the squares over its outputs.

    Returns:
        Norms, shape ``[b]``.
    """
    width = math.prod(outputs.shape[1:])
    difference = (outputs - targets).reshape(outputs.shape[0], width)
    share = max(1, width) if reduction == "mean" else 1
    if width < 2:
        return 2 * difference.abs().sum(1)
    largest = difference.abs().amax(1)  # taken out, so that no square overflows or vanishes
    unit = difference / torch.where(largest > 0, largest, 1).unsqueeze(1)
    return largest * (2 * unit.square().sum(1).sqrt() / share)
