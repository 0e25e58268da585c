"""Whether it is a matter of the targets which instances have high losses: rare classes, or numbers at one end."""

from __future__ import annotations

import math

import torch

from adaselection._shapes import Float

_ERRORS = 2  # standard errors, of what is said of a class
_HALVINGS = 60  # of an interval, after which its ends are next to each other


def explained(rows: Float[torch.Tensor, " c"], upper: Float[torch.Tensor, " c"]) -> float:
    """Share of the variance of being in the upper group that labels explain; 0 where nothing varies.

    Labels that are wrong by chance are so for every class about alike: it is near 0, or .3 where one class has most of
    the rows. It is near 1 where the upper group is the rare classes, which a model is yet to tell from a common one.

    Args:
        rows: how many instances have each label, shape ``[c]``.
        upper: how many of these are in the upper group, shape ``[c]``.

    Returns:
        At most 1; about 0 or a little below for labels that say nothing, however many they are.

    Source: epsilon squared of Kelley 1935, "An unbiased correlation ratio measure".
    """
    rows, upper = rows.double(), upper.double()
    inside = upper - upper.square() / rows.clamp_min(1)
    size, above, within, labels = torch.stack((rows, upper, inside, (rows > 0).double())).sum(1).tolist()
    if not 0 < above < size or size <= labels:
        return 0.0
    left: float = within / (size - labels) * (size - 1) / (above - above * above / size)
    return 1 - left


def values_behind(distinct: int, draws: int) -> float:
    """How many values there are, of which so many draws found so many distinct ones; infinity if all differ.

    What the draws are expected to find of C values that are equally frequent is ``C (1 - exp(-draws / C))``. Of values
    that are not it finds fewer, so that there are more.

    Source: the occupancy problem, Feller 1950, "An introduction to probability theory and its applications", IV.2.
    """
    if distinct >= draws:
        return math.inf if draws else 0.0
    low, high = float(distinct), float(draws) ** 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if middle * -math.expm1(-draws / middle) > distinct else (middle, high)
    return high


def emptied(rows: Float[torch.Tensor, " c"], upper: Float[torch.Tensor, " c"]) -> float:
    """Share of a class that is surely in the upper group, the largest of all classes.

    What is left out of a class beyond that is not learnt, whatever of it is wrong: a rare class takes its part of the
    wrong labels, and most of what bears its label may be wrong.

    Args:
        rows: how many instances have each label, shape ``[c]``.
        upper: how many of these are in the upper group, shape ``[c]``.

    Returns:
        A limit two standard errors below, 0 without instances. Of 16, all of them there, it is 0.8.

    Source: the limit of Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    limits, square = [0.0], _ERRORS * _ERRORS
    for size, above in zip(rows.tolist(), upper.tolist(), strict=True):  # plain numbers cost less than tensors
        error = (above * (size - above) / max(size, 1) + square / 4) ** 0.5
        limits.append((above + square / 2 - _ERRORS * error) / (size + square))
    return max(limits)


def one_sided(rows: Float[torch.Tensor, " c"], upper: Float[torch.Tensor, " c"]) -> float:
    """How far the upper group is at one end of a number that each instance has: 1 if all of it is beyond all others.

    It is near 0 for outliers to both sides, whose loss does not shift a mean. Where all are at one end they may be what
    is rare, and without them a model predicts too little or too much. Only the order counts, so heavy tails are fine.

    Args:
        rows: how many instances have each number, from the smallest number to the largest, shape ``[c]``.
        upper: how many of these are in the upper group, shape ``[c]``.

    Returns:
        ``(2 A - 1)^2`` with A the chance that one of the upper group has a larger number than another instance has; 0
        where one of the groups is empty.

    Source: A is the statistic of Mann and Whitney 1947, scaled.
    """
    others = rows.double() - upper.double()
    below = others.cumsum(0) - others / 2  # equal numbers count half
    pairs = float(upper.sum()) * float(others.sum())
    return (2 * float(upper.double() @ below) / pairs - 1) ** 2 if pairs else 0.0
