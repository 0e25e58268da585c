"""Rules of the recorded plane as published: draws by percentile, by groups, and by gradient norms with a switch.

Each gives inclusion probabilities ``p`` of shape ``[b]`` over a window; 0 where there is no record (``valid``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float
from adaselection.bulk import ordered
from adaselection.functional.inclusion import count_valid, proportional_inclusion, uniform_inclusion

_FORWARD_AND_BACKWARD = 3.0


def loss_percentile(
    losses: Float[Tensor, " b"],
    valid: Bool[Tensor, " b"] | None = None,
    history: Float[Tensor, " r"] | None = None,
) -> Float[Tensor, " b"]:
    """Share of the history's losses that are not larger, equal ones at the mean of their ranks, shape ``[b]``.

    Args:
        losses: shape ``[b]``.
        valid: rows of the window that count, shape ``[b]``; all if None.
        history: the last R losses, shape ``[r]``; the window itself if None.
    """
    if history is not None:
        return _percentile(losses, ordered(history.to(losses.dtype)), max(1, history.shape[0]))
    known = losses if valid is None else torch.where(valid, losses, torch.inf)
    past, order = known.sort()  # looking up in sorted order is several times faster
    found = _percentile(past, past, count_valid(losses, valid)).clamp_max(1.0)
    return torch.empty_like(losses).scatter_(0, order, found)


def _percentile(losses: Tensor, past: Tensor, count: Tensor | int) -> Tensor:
    """The share for each loss, from the history in rising order."""
    below, upto = torch.searchsorted(past, losses), torch.searchsorted(past, losses, right=True)
    return (below + upto + (upto > below)).to(losses.dtype) / (2 * count)


def selective_backprop(
    losses: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
    *,
    history: Float[Tensor, " r"] | None = None,
) -> Float[Tensor, " b"]:
    """``p = CDF(loss)^beta`` for every instance by itself, with ``beta = n / k - 1``, so that about ``k`` are kept.

    With CDF values spread evenly the expected share is ``1 / (beta + 1) = k / n``; how many are kept is left to chance.
    Read from records this is the authors' variant with stale losses.

    Args:
        losses: shape ``[b]``.
        k: instances to aim at.
        valid: the n instances with a record, shape ``[b]``; all if None.
        history: the last R losses, over which the CDF is taken, shape ``[r]``; the window itself if None.

    Returns:
        Shape ``[b]``; the sum is the rule's own.

    Source: Jiang et al. 2019 (1910.00762), their percentile of kind "rank".

    Differs from the paper in: ``beta`` follows from the rate where it is a setting of theirs; the CDF is over the
    window's records unless a history is given.
    """
    if losses.shape[0] == 0 or k == 0:
        return torch.zeros_like(losses)
    beta = (count_valid(losses, valid) / k - 1).clamp_min(0.0)
    chances = loss_percentile(losses, valid, history).pow(beta).clamp(0.0, 1.0)
    return chances if valid is None else torch.where(valid, chances, 0)


def min_k_loss(losses: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
    """The chance to have the lowest loss of a random group, when the window falls into ``k`` groups at random.

    Of n instances, ``n mod k`` groups have ``g + 1`` members and the others ``g = floor(n / k)``. The instance that r
    others undercut is the lowest of a group of size s with probability ``C(n-1-r, s-1) / C(n-1, s-1)``.

    Args:
        losses: shape ``[b]``; equal ones are ranked by position.
        k: groups, and so instances to draw.
        valid: the n instances with a record, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: Shah et al. 2020 (2001.03316).

    Differs from the paper in: theirs draws one group of given size for each place, so that an instance may be drawn
    twice; with groups that share no instance all ``k`` are different, and for ``n = k g`` each is the same draw.
    """
    size = losses.shape[0]
    if size == 0 or k == 0:
        return torch.zeros_like(losses)
    known = losses if valid is None else torch.where(valid, losses, torch.inf)
    order = known.sort(stable=True).indices
    n = count_valid(losses, valid)
    whole = (n / k).floor()
    larger = n - whole * k
    left = (n - 1 - torch.arange(size - 1, dtype=losses.dtype, device=losses.device)).clamp_min(1.0)

    def lowest(others: Tensor) -> Tensor:
        """By rank, the chance that ``others`` instances drawn from the rest are all higher."""
        ratios = (1 - others.clamp_min(0.0) / left).clamp_min(0.0)
        return torch.cat((torch.ones_like(losses[:1]), ratios)).cumprod(0)

    by_rank = (larger * (whole + 1) * lowest(whole) + (k - larger) * whole * lowest(whole - 1)) / n
    chances = torch.empty_like(losses).scatter_(0, order, by_rank.clamp(0.0, 1.0))
    return chances if valid is None else torch.where(valid, chances, 0)


def variance_gain(norms: Float[Tensor, " b"], valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, ""]:
    """The variance reduction tau of drawing in proportion to the norms, in units of the batch size: a scalar >= 1.

    ``1 / tau = sqrt(1 - |g - u|^2 / sum g^2)`` with ``g`` the norms over their sum and ``u = 1 / n``, which is
    ``tau = sqrt(mean norm^2) / mean norm``.

    Args:
        norms: bound of each instance's gradient norm, at least 0, shape ``[b]``.
        valid: instances that count, shape ``[b]``; all if None.

    Returns:
        A scalar; 1 where all norms are equal.

    Source: Katharopoulos & Fleuret 2018 (1803.00942), section 3.3.
    """
    if norms.shape[0] == 0:
        return norms.new_ones(())
    present = norms if valid is None else torch.where(valid, norms, 0)
    share = (present / present.amax()).nan_to_num(0.0)
    count = count_valid(norms, valid)
    mean, square = share.sum() / count, share.square().sum() / count
    return torch.where(mean > 0, square.sqrt() / torch.where(mean > 0, mean, 1.0), 1.0).clamp_min(1.0)


def switch(gain: Float[Tensor, ""], size: Float[Tensor, ""] | int, k: int, *, scoring: float = 1.0) -> Bool[Tensor, ""]:
    """Whether the variance reduction pays for scoring: ``tau > (B + 3 b) / (3 b)``, a scalar.

    Args:
        gain: tau of `variance_gain`.
        size: B, the instances that are scored.
        k: b, the instances that are trained on.
        scoring: cost of scoring an instance, in forward passes: 1 as published; 0 where norms come from a record.

    Source: Katharopoulos & Fleuret 2018 (1803.00942), algorithm 1 and section 3.3.
    """
    threshold = (scoring * size + _FORWARD_AND_BACKWARD * k) / (_FORWARD_AND_BACKWARD * max(1, k))
    return gain > threshold


def katharopoulos_fleuret(
    norms: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
    *,
    gain: Float[Tensor, ""] | None = None,
    scoring: float = 1.0,
) -> Float[Tensor, " b"]:
    """``p`` in proportion to the bound of the gradient norm while that pays by the rule's `switch`, else uniform.

    Use it with `unbiased_weights`.

    Args:
        norms: bound of each instance's gradient norm, shape ``[b]``.
        k: instances to draw.
        valid: instances with a record, shape ``[b]``; all if None.
        gain: tau that the switch looks at, such as a moving average; that of this window if None.
        scoring: cost of scoring an instance, in forward passes.

    Returns:
        Shape ``[b]``, summing to ``k``.

    Source: Katharopoulos & Fleuret 2018 (1803.00942).

    Differs from the paper in: without replacement, so chances are capped at 1; the bound is the norm of the gradient at
    the model's output; tau is that of the window where theirs is smoothed (pass ``gain``).
    """
    tau = variance_gain(norms, valid) if gain is None else gain
    on = switch(tau, count_valid(norms, valid), k, scoring=scoring)
    return torch.where(on, proportional_inclusion(norms, k, valid=valid), uniform_inclusion(norms, k, valid))
