"""Draws of a fixed size with known inclusion probabilities, and the weights that undo their bias."""

from __future__ import annotations

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int
from adaselection.bulk import ordered

_FLOOR = 1e-9


def inclusion_probabilities(
    scores: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """Probabilities ``min(1, c * score)`` that sum to ``k``.

    Args:
        scores: at least 0, shape ``[b]``. Scores below ``1e-9`` of the largest count as that, so that every
            valid row has a chance.
        k: rows to draw, at most the number of valid rows.
        valid: rows that may be drawn, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``, each in ``[0, 1]``; 0 where not valid.
    """
    if scores.shape[0] == 0 or k == 0:
        return torch.zeros_like(scores)
    present = scores if valid is None else torch.where(valid, scores, 0)
    share = (present / present.amax()).nan_to_num(1.0).clamp_min(_FLOOR)  # all 0: all the same
    share = share if valid is None else torch.where(valid, share, 0)
    # With the t largest sure, the others share k - t places: c = (k - t) / (sum of the others). The t that fits is
    # the one with the largest c: c grows while the next row would still get more than 1, and falls from there on.
    sums = ordered(share).cumsum(0)[-k:]
    places = torch.arange(1, k + 1, dtype=scores.dtype, device=scores.device)
    factor = (places / sums.clamp_min(torch.finfo(scores.dtype).tiny)).amax()
    return (share * factor).clamp_max(1.0)


def systematic_draw(
    probabilities: Float[Tensor, " b"],
    k: int,
    start: Float[Tensor, ""] | float,
    order: Int[Tensor, " b"] | None = None,
) -> Int[Tensor, " k"]:
    """Exactly ``k`` different rows, row i with probability ``probabilities[i]``.

    Args:
        probabilities: in ``[0, 1]``, summing to ``k``, shape ``[b]``.
        k: rows to draw.
        start: one uniform random number in ``[0, 1)``.
        order: order in which the rows are walked, shape ``[b]``; a random one keeps neighbours from excluding
            each other. The order of the batch if None.

    Returns:
        The rows drawn, in the order of the batch, shape ``[k]``.

    Source: systematic sampling, Madow 1949.
    """
    size = probabilities.shape[0]
    if size == 0 or k == 0:
        return torch.empty(0, dtype=torch.int64, device=probabilities.device)
    walked = probabilities if order is None else probabilities.take(order)
    reach = walked.cumsum(0)
    reach = reach * (k / reach[-1])
    steps = (reach + start).floor()
    crossed = torch.cat((steps[:1], steps[1:] - steps[:-1])).clamp(0, 1)
    crossed = torch.maximum(crossed, walked.floor())  # sure rows stay sure where sums are rounded
    chosen = (2 * crossed + walked).sort(descending=True, stable=True).indices[:k]
    return ordered(chosen if order is None else order.take(chosen))


def sample_weights(probabilities: Float[Tensor, " k"], exponent: float = 1.0) -> Float[Tensor, " k"]:
    """Horvitz-Thompson weights of drawn rows, ``p^-exponent``, scaled to mean 1.

    Args:
        probabilities: inclusion probabilities of the rows drawn, above 0, shape ``[k]``.
        exponent: 1 makes the weighted mean an unbiased estimate up to its normalisation, 0 leaves it biased
            as in the paper.

    Returns:
        Shape ``[k]``.
    """
    if exponent == 0 or probabilities.shape[0] == 0:
        return torch.ones_like(probabilities)
    logs = -exponent * probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
    return torch.softmax(logs, dim=0) * probabilities.shape[0]
