"""Rules of the recorded plane that leave instances out and so set their own count.

Each gives inclusion probabilities ``p``, shape ``[b]``, over a window; 0 where there is no record (``valid``). They sum
to what the rule wants, and ``k`` says only which share it should aim at; `scaled` makes them sum to ``k``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int
from adaselection.functional.inclusion import count_valid, places


def infobatch(losses: Float[Tensor, " b"], k: int, valid: Bool[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
    """Keep all instances from the mean loss upwards, and one below it with probability ``1 - r``, ``r = 1 - k / n``.

    Args:
        losses: shape ``[b]``.
        k: sets the share pruned.
        valid: the n instances with a record, shape ``[b]``; all if None.

    Returns:
        Shape ``[b]``; the sum is the rule's own, and larger than ``k``.

    Source: Qin et al. 2024 (2303.04947).

    Differs from the paper in: ``r`` follows from the rate where it is a setting of theirs (0.5); the mean is over
    the window.
    """
    if losses.shape[0] == 0:
        return losses
    known = losses if valid is None else torch.where(valid, losses, torch.inf)
    low, count = known.amin(), count_valid(losses, valid)
    above = losses - low if valid is None else torch.where(valid, losses - low, 0)
    easy = above < (above / count).sum()  # as distances from the lowest, so that equal losses are at their mean
    chances = torch.where(easy, (k / count).clamp(0.0, 1.0), 1.0)
    return chances if valid is None else torch.where(valid, chances, 0)


def infobatch_weights(probabilities: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """``1 / p``: ``1 / (1 - r)`` for what is left of the pruned part, 1 for the rest, 0 where p is 0, shape ``[b]``.

    Source: Qin et al. 2024 (2303.04947), the rescaling that keeps the sum of the gradients.
    """
    possible = probabilities > 0
    return torch.where(possible, 1 / torch.where(possible, probabilities, 1.0), 0.0)


def kakurenbo(
    losses: Float[Tensor, " b"],
    k: int,
    valid: Bool[Tensor, " b"] | None = None,
    *,
    confidence: float = 0.7,
) -> Float[Tensor, " b"]:
    """Hide the ``n - k`` lowest losses, but for those that the model is not confident of, ``P = exp(-loss)``.

    Args:
        losses: cross-entropy, shape ``[b]``; equal ones are ranked by position.
        k: sets the share hidden.
        valid: the n instances with a record, shape ``[b]``; all if None.
        confidence: an instance with ``P`` below it is moved back.

    Returns:
        1 for what is kept and 0 for what is hidden, shape ``[b]``; the sum is the rule's own, at least ``k``.

    Source: Nguyen et al. 2023, KAKURENBO (2310.10102).

    Differs from the paper in: the probability of the label stands for "predicted rightly and with confidence", which is
    the same for a confidence of at least one half; hidden instances get no forward pass at the end of an epoch, so it
    needs forced draws that bound their age; the learning rate and the schedule of the hidden share are left alone.
    """
    known = losses if valid is None else torch.where(valid, losses, torch.inf)
    rank = places(known.sort(stable=True).indices)
    hidden = (rank < count_valid(losses, valid) - k) & (losses <= -math.log(confidence))
    kept = (~hidden).to(losses.dtype)
    return kept if valid is None else kept * valid


def calm_update(
    losses: Float[Tensor, " b"],
    last: Float[Tensor, " b"],
    previous: Float[Tensor, " b"],
    calm: Int[Tensor, " b"],
    visits: Int[Tensor, " b"],
    scale: Float[Tensor, ""] | float,
    *,
    delta: float = 0.01,
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """What `early_stopping` remembers of an instance, after a visit.

    Args:
        losses: of this visit, shape ``[b]``.
        last: of the visit before, shape ``[b]``.
        previous: of the visit before that, shape ``[b]``.
        calm: how many checks in a row were calm, shape ``[b]``, int8.
        visits: visits before this one, shape ``[b]``.
        scale: typical absolute loss.
        delta: a check is calm where ``|l_t - 2 l_{t-1} + l_{t-2}| < delta * scale``.

    Returns:
        The next ``previous`` and ``calm``, shape ``[b]`` each. A check needs three losses, so the first two visits are
        not calm.
    """
    bend = (losses - 2 * last + previous).abs()
    steady = (bend < delta * scale) & (visits >= 2)
    most = torch.iinfo(calm.dtype).max - 1
    return last, torch.where(steady, calm.clamp_max(most) + 1, 0).to(calm.dtype)


def early_stopping(
    losses: Float[Tensor, " b"],
    calm: Int[Tensor, " b"],
    valid: Bool[Tensor, " b"] | None = None,
    *,
    checks: int = 3,
    skip: float = 1.0,
) -> Float[Tensor, " b"]:
    """Leave out the mastered instances: those whose loss went straight on for ``checks`` visits (`calm_update`).

    Args:
        losses: for the shape and the type only, shape ``[b]``.
        calm: how many checks in a row were calm, shape ``[b]``.
        valid: instances with a record, shape ``[b]``; all if None.
        checks: calm checks that make an instance mastered.
        skip: share of the mastered that is left out.

    Returns:
        ``1 - skip`` for the mastered and 1 for the others, shape ``[b]``; the sum is the rule's own.

    Source: Yuan et al. 2025 (2502.07547), IES.

    Differs from the paper in: each of the last 3 second differences is small relative to the typical loss, where the
    authors' code wants the mean of the last 3 below an absolute 0.001; mastered instances get no forward pass, so one
    comes back only when it is drawn by force.
    """
    chances = torch.where(calm >= checks, 1.0 - skip, torch.ones_like(losses))
    return chances if valid is None else torch.where(valid, chances, 0)
