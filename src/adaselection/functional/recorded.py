"""Rules of the recorded plane that draw exactly ``k`` of a window, as inclusion probabilities.

Each takes what the record knows about the ``b`` instances of a window and gives ``p`` of shape ``[b]`` with entries in
``[0, 1]`` that sum to ``k``; ``valid`` marks the instances that have a record, and the others get 0. Rules as published
with a count, a switch or a state of their own are in `published` and `pruning`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int
from adaselection.functional.inclusion import (
    count_valid,
    places,
    proportional_inclusion,
    top_k_inclusion,
    with_floor,
)
from adaselection.functional.scaling import masked_median
from adaselection.functional.selection import rank_rows


def proportional(
    losses: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None, *, power: float = 1.0
) -> Float[Tensor, " b"]:
    """``p`` in proportion to the recorded loss.

    Args:
        losses: shape ``[b]``; those below 0 count as 0.
        k: instances to draw.
        valid: instances with a record, shape ``[b]``; all if None.
        power: of the loss; 0 is uniform.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: online batch selection after Loshchilov & Hutter 2015 (1511.06343), in proportion as in Schaul et al. 2016
    (1511.05952).

    Differs from the paper in: proportional to the loss where Loshchilov & Hutter use its rank; without replacement, so
    that no instance is drawn twice in a window; no sample weights unless asked for.
    """
    return proportional_inclusion(losses, k, power, valid)


def log_rank_weight(
    losses: Float[Tensor, " b"], valid: Bool[Tensor, " b"] | None = None, *, pressure: float = 100.0
) -> Float[Tensor, " b"]:
    """``-log(pressure) * rank / n`` with rank 0 for the largest loss, ties by position, shape ``[b]``.

    The log of what `rank_based` draws in proportion to.
    """
    rank = places(rank_rows(losses, valid)).to(losses.dtype)
    return rank * (-math.log(pressure) / count_valid(losses, valid))


def rank_based(
    losses: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None, *, pressure: float = 100.0
) -> Float[Tensor, " b"]:
    """``p_i`` in proportion to ``exp(-log(s_e) rank_i / n)``, rank 0 for the largest loss, ties by position.

    Args:
        losses: shape ``[b]``.
        k: instances to draw.
        valid: the n instances with a record, shape ``[b]``; all if None.
        pressure: the selection pressure ``s_e``, at least 1: how much likelier the first rank is than the last.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: Loshchilov & Hutter 2015 (1511.06343).

    Differs from the paper in: a draw of fixed size without replacement, so chances are capped at 1; the pressure is
    constant where theirs falls as training goes on; losses are those that training saw, none is computed anew.
    """
    return proportional_inclusion(log_rank_weight(losses, valid, pressure=pressure).exp(), k, valid=valid)


def uncertainty(losses: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """``P (1 - P)`` with ``P = exp(-loss)``, the probability of the label under cross-entropy, shape ``[b]``."""
    bounded = losses.clamp_min(0.0)
    return -torch.exp(-bounded) * torch.expm1(-bounded)


def uncertain(losses: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
    """``p`` in proportion to ``P (1 - P)``, ``P = exp(-loss)``: neither the known nor the hopeless.

    Args:
        losses: cross-entropy, shape ``[b]``.
        k: instances to draw.
        valid: instances with a record, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: Chang et al. 2017 (1704.07433), closeness to the threshold.

    Differs from the paper in: theirs averages ``P`` over the past and adds a constant; here it is what the last
    loss says.
    """
    return proportional_inclusion(uncertainty(losses), k, valid=valid)


def capped_losses(
    losses: Float[Tensor, " b"],
    valid: Bool[Tensor, " b"] | None = None,
    *,
    top: float = 0.25,
    cap: float = 0.3,
) -> Float[Tensor, " b"]:
    """The losses, with the largest ``floor(top * n)`` of them held down to ``cap`` times the median, shape ``[b]``."""
    if losses.shape[0] == 0:
        return losses
    suspect = places(rank_rows(losses, valid)) < (top * count_valid(losses, valid)).floor()
    return torch.where(suspect, torch.minimum(losses, cap * masked_median(losses, valid)), losses)


def capped(
    losses: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
    *,
    top: float = 0.25,
    cap: float = 0.3,
) -> Float[Tensor, " b"]:
    """``p`` in proportion to the recorded loss, with the largest losses held down, as they may be wrong labels.

    Args:
        losses: shape ``[b]``.
        k: instances to draw.
        valid: the n instances with a record, shape ``[b]``; all if None.
        top: share of the instances that is held down: the ``floor(top * n)`` largest losses, ties by position.
        cap: what they are held down to, in units of the median loss.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: ours.
    """
    return proportional_inclusion(capped_losses(losses, valid, top=top, cap=cap), k, valid=valid)


def upper_confidence(
    losses: Float[Tensor, " b"],
    visits: Int[Tensor, " b"],
    ages: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
    *,
    bonus: float = 0.2,
    age_bonus: float = 0.1,
) -> Float[Tensor, " b"]:
    """``p`` in proportion to ``loss + c sqrt(log t / visits)``, and more for what was not seen for long.

    The score is ``loss / mean + bonus * sqrt(log(1 + t) / (1 + visits)) + age_bonus * age``, where ``t`` counts the
    visits of the whole window; in units of the mean loss, so that it does not depend on the loss's scale.

    Args:
        losses: shape ``[b]``; those below 0 count as 0.
        visits: how often each instance was trained on, shape ``[b]``.
        ages: passes since it was trained on last, shape ``[b]``.
        k: instances to draw.
        valid: instances with a record, shape ``[b]``; all if None.
        bonus: the weight c of the confidence bound.
        age_bonus: weight of a pass without a visit.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: Raju et al. 2021 (2111.12621), after UCB1 of Auer et al. 2002.

    Differs from the paper in: drawn in proportion to the bound where theirs keeps the highest; last losses in the place
    of their moving average; the age bonus is ours.
    """
    bounded = losses.clamp_min(0.0) if valid is None else torch.where(valid, losses.clamp_min(0.0), 0)
    seen = visits if valid is None else torch.where(valid, visits, 0)
    mean = (bounded / count_valid(losses, valid)).sum()
    total = torch.log1p(seen.sum().to(losses.dtype))
    score = bounded / torch.where(mean > 0, mean, 1.0)
    score = score + bonus * (total / (1 + seen).to(losses.dtype)).sqrt() + age_bonus * ages.to(losses.dtype)
    return proportional_inclusion(score, k, valid=valid)


def learning_progress(
    losses: Float[Tensor, " b"],
    averages: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
    *,
    floor: float = 0.2,
) -> Float[Tensor, " b"]:
    """``p`` in proportion to how far an instance's loss fell below its own average lately, plus a uniform floor.

    Args:
        losses: shape ``[b]``.
        averages: moving average of each instance's own losses, shape ``[b]``.
        k: instances to draw.
        valid: instances with a record, shape ``[b]``; all if None.
        floor: share of uniform, in ``[0, 1]``, so that an instance that got worse is seen again.

    Returns:
        Shape ``[b]``, summing to ``k``; uniform where no loss fell.

    Source: ours, after the prediction gain of Graves et al. 2017 (1704.03003).

    Differs from the paper in: theirs is the gain of a task from one step, ours the drop of one instance between visits.
    """
    fall = (averages - losses).clamp_min(0.0)
    return with_floor(proportional_inclusion(fall, k, valid=valid), floor, k, valid)


def rho_loss(
    losses: Float[Tensor, " b"],
    irreducible: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
) -> Float[Tensor, " b"]:
    """Indicator of the ``k`` largest reducible losses ``loss - irreducible``, ties by position.

    Args:
        losses: shape ``[b]``.
        irreducible: loss of each instance under a model trained on other data, shape ``[b]``.
        k: instances to keep.
        valid: instances with a record, shape ``[b]``; all if None.

    Returns:
        1 for the instances kept and 0 for the others, shape ``[b]``.

    Source: Mindermann et al. 2022 (2206.07137).

    Differs from the paper in: on the recorded plane the losses are the last that training saw, where theirs are fresh.
    """
    return top_k_inclusion(losses - irreducible, k, valid)
