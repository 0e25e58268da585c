"""Inclusion probabilities over a window: how a rule, a mixture or a floor becomes a chance for every instance.

A rule of the recorded plane is a vector ``p`` of shape ``[b]`` with entries in ``[0, 1]`` that sum to ``k``: instance i
is drawn with probability ``p_i`` (`systematic_draw`), so that the weights which undo the bias of the draw are known.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int
from adaselection.functional.draws import inclusion_probabilities
from adaselection.functional.selection import rank_rows


def places(order: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """The place of each row in an order of the rows (`rank_rows`): 0 for the first, shape ``[b]``."""
    return torch.empty_like(order).scatter_(0, order, torch.arange(order.shape[0], device=order.device))


def count_valid(values: Float[Tensor, " b"], valid: Bool[Tensor, " b"] | None) -> Float[Tensor, ""]:
    """How many rows are valid, at least 1, in the type of ``values``: a scalar."""
    if valid is None:
        return values.new_tensor(float(max(1, values.shape[0])))
    return valid.sum().clamp_min(1).to(values.dtype)


def uniform_inclusion(
    scores: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """``k / n`` for each of the n valid rows, 0 for the others, whatever the scores, shape ``[b]``."""
    return inclusion_probabilities(torch.ones_like(scores), k, valid)


def top_k_inclusion(
    scores: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """Indicator of the ``k`` highest scores, ties by position: the draw without chance.

    Args:
        scores: shape ``[b]``; NaN counts as the lowest.
        k: rows to keep, at most the number of valid ones.
        valid: rows that may be kept, shape ``[b]``; all if None.

    Returns:
        1 for the rows kept and 0 for the others, shape ``[b]``.
    """
    kept = torch.zeros_like(scores).index_fill(0, rank_rows(scores, valid)[:k], 1.0)
    return kept if valid is None else kept * valid


def proportional_inclusion(
    scores: Float[Tensor, " b"], k: int, power: float = 1.0, valid: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """``min(1, c * score^power)`` with the c that makes the sum ``k``.

    Args:
        scores: shape ``[b]``; those below 0 count as 0.
        k: rows to draw, at most the number of valid ones.
        power: at least 0; 0 is uniform, larger favours the large scores more.
        valid: rows that may be drawn, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``; every valid row has a chance, however small (see `inclusion_probabilities`), and where all scores
        are 0 all chances are equal.
    """
    if scores.shape[0] == 0:
        return scores
    present = scores.clamp_min(0.0)
    if power != 1:
        present = present if valid is None else torch.where(valid, present, 0)
        present = (present / present.amax()).nan_to_num(1.0).pow(power)
    return inclusion_probabilities(present, k, valid)


def scaled(probabilities: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
    """Probabilities of any sum in proportion to themselves, capped at 1, so that they sum to ``k``.

    This is how a rule that sets its own count takes part in a mixture. Rows of probability 0 get a real chance only
    where the others cannot fill the ``k`` places.

    Args:
        probabilities: in ``[0, 1]``, shape ``[b]``.
        k: rows to draw, at most the number of valid ones.
        valid: rows that may be drawn, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``.
    """
    return inclusion_probabilities(probabilities, k, valid)


def mix(weights: Float[Tensor, " m"], inclusions: Float[Tensor, "m b"]) -> Float[Tensor, " b"]:
    """The mixture ``p = sum_m w_m pi^m`` of the methods' inclusion probabilities.

    Args:
        weights: of the methods, summing to 1, shape ``[m]``.
        inclusions: one row per method, each summing to ``k``, shape ``[m, b]``.

    Returns:
        Shape ``[b]``, summing to ``k``.
    """
    return (weights.to(inclusions.dtype).unsqueeze(1) * inclusions).sum(0).clamp(0.0, 1.0)


def with_floor(
    probabilities: Float[Tensor, " b"], share: float, k: int, valid: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """Mix in a share of uniform, so that no chance is below ``share * k / n`` and no weight above ``1 / share``.

    Args:
        probabilities: summing to ``k``, shape ``[b]``.
        share: of uniform, in ``[0, 1]``.
        k: rows to draw.
        valid: the n rows that may be drawn, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``, summing to ``k``.
    """
    return (1 - share) * probabilities + share * uniform_inclusion(probabilities, k, valid)


def unbiased_weights(probabilities: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Weights ``(sum_j p_j / n) / p_i`` over the n rows with a chance.

    A weighted sum over the drawn rows then expects what uniform draws of the same size expect, without a normalisation
    that depends on the draw.

    Args:
        probabilities: shape ``[b]``.

    Returns:
        Shape ``[b]``; 0 where the probability is 0. Their expected sum over a draw is the expected count.

    Source: Horvitz & Thompson 1952.
    """
    possible = probabilities > 0
    mean = probabilities.sum() / possible.sum().clamp_min(1)
    return torch.where(possible, mean / torch.where(possible, probabilities, 1.0), 0.0)


def with_sure(weights: Float[Tensor, " k"], sure: int, others: int) -> Float[Tensor, " l"]:
    """Weights of rows that were sure to come, and then of k drawn from others, as of one draw from all of them.

    The mean of weight times value over all that came then expects the mean of the values over all rows: a sure one
    counts ``l / n``, as its chance is 1, where ``l = sure + k`` come of ``n = sure + others``.

    Args:
        weights: `unbiased_weights` of those drawn, shape ``[k]``.
        sure: rows that come in any case.
        others: rows of which the k are drawn.

    Returns:
        Shape ``[sure + k]``.

    Source: Horvitz & Thompson 1952, of a stratified draw.
    """
    k = weights.shape[0]
    share = (sure + k) / (sure + others)
    return torch.cat((weights.new_full((sure,), share), weights * (share * others / k if k else 1.0)))


def effective_sample_size(weights: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """How many equally weighted rows the weighted ones are worth, ``(sum w)^2 / sum w^2``: a scalar in ``[0, k]``.

    Args:
        weights: at least 0, shape ``[k]``.

    Returns:
        A scalar; 0 of none.

    Source: Kish 1965.
    """
    if weights.shape[0] == 0:
        return weights.new_zeros(())
    share = (weights / weights.amax()).nan_to_num(0.0)  # by the largest, so that no square overflows
    return share.sum().square() / share.square().sum().clamp_min(1.0)
