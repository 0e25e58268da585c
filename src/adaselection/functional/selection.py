"""Eqs. 2, 5 and 6: importance, score, and which rows to keep."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int
from adaselection.bulk import ordered
from adaselection.functional.scaling import robust_z

Importance = Literal["softmax", "softmax_z", "indicator", "rank"]
IMPORTANCES: tuple[str, ...] = get_args(Importance)
_SAME = 1e-9


def kept_per_batch(size: int, rate: float) -> int:
    """How many of ``size`` rows are kept: ``max(1, round(rate * size))``, with Python's round; 0 of 0."""
    return max(1, round(rate * size)) if size else 0


def rank_rows(raw: Float[Tensor, "*m b"], valid: Bool[Tensor, " b"] | None = None) -> Int[Tensor, "*m b"]:
    """Rows from the most to the least wanted, ties by position; NaN and minus infinity last.

    Args:
        raw: scores, shape ``[..., b]``.
        valid: rows that may be kept, shape ``[b]``; all if None. The others stand behind all of them, whatever the
            scores.

    Returns:
        Row numbers, the same shape.
    """
    least = torch.finfo(raw.dtype).min
    known = raw.nan_to_num(least, posinf=torch.inf, neginf=least)
    if valid is not None:
        known = torch.where(valid, known, -torch.inf)
    return known.sort(dim=-1, descending=True, stable=True).indices


def top_k(scores: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None) -> Int[Tensor, " k"]:
    """Eq. 6: the ``k`` rows with the highest scores, in the order of the batch, ties by position.

    Args:
        scores: shape ``[b]``.
        k: rows to keep.
        valid: rows that may be kept, as in `rank_rows`.

    Returns:
        Row numbers, shape ``[k]``.

    Differs from the paper in: a fixed count in the place of a threshold, as its algorithm 2 has it; a threshold would
    give the processes of a training different counts.
    """
    return ordered(rank_rows(scores, valid)[:k])


def importance(
    raw: Float[Tensor, "m b"],
    reading: Importance = "softmax_z",
    k: int = 1,
    valid: Bool[Tensor, "m b"] | None = None,
    *,
    order: Int[Tensor, "m b"] | None = None,
) -> Float[Tensor, "m b"]:
    """Eq. 2: the importance alpha of each row to each method; every method's row sums to 1.

    Args:
        raw: raw scores of the methods, shape ``[m, b]``.
        reading: how scores become importance:

            - ``"softmax"``: softmax of the raw score. The paper reading, its only hint.
            - ``"softmax_z"``: softmax of the robust z-score, the same for any unit of the loss.
            - ``"indicator"``: ``1 / k`` for the rows that the method would keep, 0 for others: a vote.
            - ``"rank"``: in proportion to the rank, ``b`` for the most wanted row and 1 for the least.
        k: rows that a method would keep, for ``"indicator"``.
        valid: entries that count, shape ``[m, b]``; all that are not NaN if None.
        order: where no entry is NaN and all count, the ranking of ``raw``, if known; saves the softmax readings
            their masks and a sort.

    Returns:
        Shape ``[m, b]``; 0 where not valid. Equal scores have equal importance under the softmax readings and
        are told apart by position under the other two. All 0 for a method without any valid entry.

    Raises:
        ValueError: ``reading`` is none of the four.

    Differs from the paper in: only ``"softmax"`` is the paper's.
    """
    limit = torch.finfo(raw.dtype).max / 4
    if order is not None and reading in ("softmax", "softmax_z"):
        finite = raw.clamp(-limit, limit)
        return torch.softmax(robust_z(finite, order=order) if reading == "softmax_z" else finite, dim=-1)
    usable = ~raw.isnan() if valid is None else valid & ~raw.isnan()
    finite = torch.where(usable, raw, 0).clamp(-limit, limit)
    if reading in ("softmax", "softmax_z"):
        exponents = robust_z(finite, usable) if reading == "softmax_z" else finite
        alpha = torch.softmax(torch.where(usable, exponents, -torch.inf), dim=-1)
        return torch.where(usable, alpha, 0)
    if reading not in IMPORTANCES:
        raise ValueError(f"importance {reading!r} is unknown; take one of {', '.join(IMPORTANCES)}")
    order = rank_rows(torch.where(usable, finite, -torch.inf))  # unusable rows behind usable infinities
    places = torch.arange(raw.shape[-1], device=raw.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(-1, order, places)
    value = (rank < k) if reading == "indicator" else usable.sum(-1, keepdim=True) - rank
    share = torch.where(usable, value, 0).to(raw.dtype)
    return share / share.sum(-1, keepdim=True).clamp_min(1)


def combine(
    weights: Float[Tensor, " m"], alpha: Float[Tensor, "m b"], reward: Float[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """Eq. 5: the score ``s_i = r_i * sum_m w_m alpha_i^m``, shape ``[b]``; without ``r`` if there is none."""
    mixed = (weights.to(alpha.dtype).unsqueeze(1) * alpha).sum(0)
    return mixed if reward is None else mixed * reward.to(mixed.dtype)


def quota_slots(weights: Float[Tensor, " m"], k: int) -> Int[Tensor, " m"]:
    """Share ``k`` slots out in proportion to the weights, by largest remainder; the slots sum to ``k``.

    Remainders that differ by less than ``1e-9`` or so tie, and ties go by position.
    """
    exact = weights * (k / weights.sum())
    whole = (exact + _SAME).floor()
    left = k - whole.sum()
    order = ((exact - whole) / _SAME).round().sort(descending=True, stable=True).indices
    return (whole + (order.argsort() < left)).to(torch.int64)


def quota_select(order: Int[Tensor, "m b"], slots: Int[Tensor, " m"], k: int) -> Int[Tensor, " k"]:
    """Fill each method's slots in turn with the rows that it wants most and that nobody took before.

    Args:
        order: rows from the most to the least wanted of each method, shape ``[m, b]`` (`rank_rows`).
        slots: how many rows each method may name, shape ``[m]``, summing to ``k`` (`quota_slots`).
        k: rows to keep.

    Returns:
        Rows kept, in the order of the batch, shape ``[k]``.
    """
    free = torch.ones(order.shape[-1], dtype=torch.bool, device=order.device)
    for row, count in zip(order, slots, strict=True):
        known = free[row]
        beyond = known.cumsum(0) > count  # rows up to there are taken now, or were before
        free = free.scatter(0, row, known & beyond)
    return free.sort(stable=True).indices[:k]
