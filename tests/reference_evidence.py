"""The evidence of the gate again, slow and plain: every cut tried, lines fitted by NumPy, sums in loops.

Nothing of the library is imported. Names: values ``x``, a cut is the largest value of its lower group.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from reference_choice import inclusion_probabilities

Numbers = Sequence[float]


# Two groups


def variance(x: Numbers) -> Fraction:
    """Mean squared distance from the mean, exact."""
    exact = [Fraction(v) for v in x]
    mean = sum(exact, Fraction(0)) / len(exact)
    return sum(((v - mean) ** 2 for v in exact), Fraction(0)) / len(exact)


def cuts(x: Numbers) -> dict[float, Fraction]:
    """Variance between the groups for each way to cut: every value but the largest ends a lower group."""
    exact = [Fraction(v) for v in x]
    found = {}
    for cut in sorted(set(x))[:-1]:
        lower = [v for v in exact if v <= Fraction(cut)]
        upper = [v for v in exact if v > Fraction(cut)]
        apart = sum(upper, Fraction(0)) / len(upper) - sum(lower, Fraction(0)) / len(lower)
        found[cut] = Fraction(len(lower) * len(upper), len(exact) ** 2) * apart**2
    return found


def two_groups(x: Numbers) -> tuple[float, float, float]:
    """Best cut (of equally good ones the lowest), its share of the variance, and the share of the upper group."""
    tried = cuts(x) if x else {}
    if not tried:
        return (x[0] if x else 0.0), 0.0, 0.0
    best = max(tried.values())
    cut = min(v for v, between in tried.items() if between == best)
    return cut, float(best / variance(x)), sum(v > cut for v in x) / len(x)


def trusted(x: Numbers, cut: float, audit: float) -> list[float]:
    """``audit`` above the cut, 1 up to it."""
    return [audit if v > cut else 1.0 for v in x]


# Movement


def movement(
    upper: Sequence[bool], before: Numbers, now: Numbers, gaps: Numbers, threshold: float
) -> tuple[float, float, float, float, float, float, float, float]:
    """Visits, how many stayed, sums of gap, change, gap^2, gap * change, of the losses now, and of change^2."""
    visits = stayed = gap = change = gap_gap = gap_change = losses = change_change = 0.0
    for high, old, new, waited in zip(upper, before, now, gaps, strict=True):
        if not high:
            continue
        visits += 1
        stayed += new > threshold
        gap += waited
        change += new - old
        gap_gap += waited * waited
        gap_change += waited * (new - old)
        losses += new
        change_change += (new - old) ** 2
    return visits, stayed, gap, change, gap_gap, gap_change, losses, change_change


def learnt_from_others(before: Numbers, now: Numbers, gaps: Numbers) -> float:
    """Minus the slope of the change on the gap, over the mean loss."""
    slope = np.polyfit(np.asarray(gaps), np.asarray(now) - np.asarray(before), 1)[0]
    return float(-slope / np.mean(now))


def learnt_error(before: Numbers, now: Numbers, gaps: Numbers) -> float:
    """Standard error of the slope, from the residuals of the line, over the mean loss."""
    x, y = np.asarray(gaps), np.asarray(now) - np.asarray(before)
    slope, start = np.polyfit(x, y, 1)
    residual = y - start - slope * x
    return float(np.sqrt((residual**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum()) / np.mean(now))


# A window of a mixture


def scaled(chances: Numbers, k: int) -> list[float]:
    """In proportion to the rule's own chances, so that they sum to k."""
    return inclusion_probabilities(chances, k, [True] * len(chances))


def kept_loss(chances: Numbers, losses: Numbers) -> float:
    """The loss that a method expects of what it draws."""
    return float(np.dot(chances, losses) / np.sum(chances))


def tempered_weights(chances: Numbers, exponent: float) -> list[float]:
    """``p^-exponent`` over its mean."""
    raw = [p**-exponent for p in chances]
    return [w * len(raw) / sum(raw) for w in raw]


def same_mean_weights(chances: Numbers) -> list[float]:
    """``(k / n) / p``: what Katharopoulos & Fleuret multiply each gradient with."""
    return [sum(chances) / len(chances) / p for p in chances]


def explained(labels: Sequence[int], upper: Sequence[bool]) -> float:
    """Epsilon squared of being in the upper group, from the deviations of each instance from two means."""
    size, overall = len(upper), np.mean(upper) if len(upper) else 0.0
    total = sum((flag - overall) ** 2 for flag in upper)
    found = sorted(set(labels))
    if not total or size <= len(found):
        return 0.0
    within = 0.0
    for label in found:
        own = [flag for flag, other in zip(upper, labels, strict=True) if other == label]
        within += sum((flag - np.mean(own)) ** 2 for flag in own)
    return float(1 - (within / (size - len(found))) / (total / (size - 1)))
