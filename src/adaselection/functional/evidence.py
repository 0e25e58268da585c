"""Evidence from recorded losses on whether the instances with high losses are hard, or wrong.

Both have high losses. Wrong labels and outliers stand apart from the rest, stay where they are from visit to visit, and
training on *other* instances does not lower their losses; hard instances are the end of one crowd, move, and are learnt
from others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from adaselection._shapes import Bool, Float
from adaselection.bulk import ordered

UNIMODAL = 0.75
"""Separation of the two halves of a uniform distribution; a normal one has 0.64, an exponential one 0.65.

A crowd near 0 with a flat tail has up to 8 / 9, so that separation alone does not tell two groups from one.
"""


class Split(NamedTuple):
    """Values cut into a lower and an upper group.

    Attributes:
        threshold: the largest value of the lower group, a scalar.
        separation: share of the variance that lies between the groups, in ``[0, 1]``; 0 where all values are equal.
        share: of the values in the upper group.
    """

    threshold: Float[torch.Tensor, ""]
    separation: Float[torch.Tensor, ""]
    share: Float[torch.Tensor, ""]


def two_groups(values: Float[torch.Tensor, " b"]) -> Split:
    """Cut values in two where the variance between the groups is largest.

    Args:
        values: finite, shape ``[b]``.

    Returns:
        The cut, in float64. Of fewer than two different values everything is in the lower group.

    Source: Otsu 1979, "A threshold selection method from gray-level histograms"; here on the sorted values themselves.
    """
    rising = ordered(values.double())
    size = rising.shape[0]
    least, most = rising[:: size - 1].tolist() if size > 1 else (0.0, 0.0)  # plain numbers cost less than tensors
    if not most > least:
        top = rising[-1] if size else torch.zeros((), dtype=torch.float64, device=values.device)
        return Split(top, torch.zeros_like(top), torch.zeros_like(top))
    unit = rising.sub(least).div_(most - least)  # so that no square overflows
    lower = torch.arange(1, size, dtype=torch.float64, device=values.device).div_(size)
    sums = unit.cumsum(0).div_(size)
    between = (sums[-1].item() * lower).sub_(sums[:-1]).square_().div_(lower * (1 - lower))
    between.masked_fill_(unit[1:] == unit[:-1], -1)  # equal values are of one class
    best, place = between.max(0)
    separation = (best / unit.var(correction=0)).clamp_max(1.0)
    return Split(rising[place], separation, 1 - lower[place])


def trusted(
    averages: Float[torch.Tensor, " b"],
    audit: float = 0.05,
    valid: Bool[torch.Tensor, " b"] | None = None,
    threshold: float | None = None,
) -> Float[torch.Tensor, " b"]:
    """Leave out the upper of two groups of the average losses, but for a share that is looked at again.

    Args:
        averages: moving average of each instance's own losses, shape ``[b]``.
        audit: chance of an instance of the upper group.
        valid: instances with a record, shape ``[b]``; all if None. The others get 0.
        threshold: above which an instance is of the upper group; that of `two_groups` if None.

    Returns:
        1 for the lower group of `two_groups` and ``audit`` for the upper, shape ``[b]``, float64; the sum is the
        rule's own.

    Source: this library; that wrong labels are the upper of two groups of losses: Arazo et al. 2019 (1904.11238).
    """
    known = averages if valid is None else averages[valid]
    upper = averages.double() > (two_groups(known).threshold if threshold is None else threshold)
    chances = torch.ones_like(averages, dtype=torch.float64).masked_fill(upper, audit)
    return chances if valid is None else chances.masked_fill(~valid, 0.0)


class Movement(NamedTuple):
    """Sums over the visits of instances of the upper group, from which `persistence` and `learnt_from_others` follow.

    Plain numbers do as well as scalars.

    Attributes:
        visits: how many.
        stayed: of these, visits at which the loss was above the threshold again.
        gap: sum of the passes since the visit before.
        change: sum of what the loss changed since then.
        gap_gap, gap_change: sums of products.
        losses: sum of the losses.
        change_change: sum of the squared changes.
    """

    visits: Float[torch.Tensor, ""]
    stayed: Float[torch.Tensor, ""]
    gap: Float[torch.Tensor, ""]
    change: Float[torch.Tensor, ""]
    gap_gap: Float[torch.Tensor, ""]
    gap_change: Float[torch.Tensor, ""]
    losses: Float[torch.Tensor, ""]
    change_change: Float[torch.Tensor, ""]


def movement(
    upper: Bool[torch.Tensor, " b"],
    before: Float[torch.Tensor, " b"],
    now: Float[torch.Tensor, " b"],
    gaps: Float[torch.Tensor, " b"],
    threshold: Float[torch.Tensor, ""],
) -> Movement:
    """Sums over one lot of visits.

    Args:
        upper: whether the instance was of the upper group, shape ``[b]``.
        before: its loss at the visit before, shape ``[b]``.
        now: its loss now, before it is trained on again, shape ``[b]``.
        gaps: time since the visit before, in walks over the data, shape ``[b]``.
        threshold: of the groups, a scalar.
    """
    new = now.double()
    rows = torch.stack((torch.ones_like(new), (new > threshold).double(), gaps.double(), new - before.double(), new))
    rows = torch.where(upper, rows, 0.0)
    products = rows @ rows.T  # the sum of every product of two
    wanted = torch.cat((products[0], products[2, 2:4], products[3, 3:4]))
    visits, stayed, gap, change, losses, gap_gap, gap_change, change_change = wanted.unbind()
    return Movement(visits, stayed, gap, change, gap_gap, gap_change, losses, change_change)


def persistence(sums: Movement) -> float:
    """Share of the visits at which instances of the upper group were of it again; 0 without visits."""
    return float(sums.stayed / sums.visits) if float(sums.visits) > 0 else 0.0


def learnt_from_others(sums: Movement) -> float:
    """By what part of their loss instances of the upper group get better in a walk through training on *others*.

    At each visit the loss is seen before the instance is trained on again. All of them were trained on the same number
    of times, so how the change depends on the time since the last visit is what the others did: minus the slope of a
    least-squares line of the change on the gap, over the mean loss. NaN where that is not known, which is neither above
    nor below anything: too few visits, all after the same time, or losses that are not positive on average.
    """
    found = _line(sums)
    return math.nan if found is None else -found[0] / found[1]


def learnt_error(sums: Movement) -> float:
    """Standard error of `learnt_from_others`, of the least-squares slope; NaN where that is."""
    found = _line(sums)
    if found is None:
        return math.nan
    slope, level, spread = found
    count, change = float(sums.visits), float(sums.change)
    varied = float(sums.change_change) - change * change / count - slope * slope * spread
    return math.sqrt(max(0.0, varied) / (count - 2) / spread) / level


def _line(sums: Movement) -> tuple[float, float, float] | None:
    """Slope of the change on the gap, mean loss, and spread of the gaps; None where there is no slope."""
    count, _, gap, change, gap_gap, gap_change, losses, _ = map(float, sums)
    if count < 3:
        return None
    spread = gap_gap - gap * gap / count
    together = gap_change - gap * change / count
    level = losses / count
    if spread <= 1e-9 * max(1.0, gap_gap) or level <= 0:
        return None
    return together / spread, level, spread
