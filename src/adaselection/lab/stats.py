"""The few statistics behind the tables: mean, spread, and the paired difference with its interval. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["PairedDifference", "mean", "paired_difference", "standard_deviation"]


@dataclass(frozen=True)
class PairedDifference:
    """Mean of `a - b` over the seeds that both have, with a confidence interval.

    Attributes:
        mean: Mean difference, in the metric's unit. None without a pair.
        ci_low: Lower end of the interval. None with fewer than two pairs: one pair says nothing about spread.
        ci_high: Upper end, likewise.
        n: Number of pairs.
    """

    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (divisor n - 1), or None of fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def paired_difference(
    a_by_seed: Mapping[int, float], b_by_seed: Mapping[int, float], confidence: float = 0.95
) -> PairedDifference:
    """Compare two arms seed by seed.

    Runs of one seed share initial weights and data order, so most of the spread between seeds cancels in the
    difference. The interval is Student's: `mean +- t * sd / sqrt(n)`, with `sd` the sample standard deviation of the
    n differences and `t` the quantile at `(1 + confidence) / 2` with n - 1 degrees of freedom.

    Args:
        a_by_seed: Metric of the first arm by seed.
        b_by_seed: Metric of the second arm by seed. Seeds that only one of them has are left out.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The mean of `a - b`, the interval, and the number of pairs.

    Raises:
        ValueError: If `confidence` is outside (0, 1).

    >>> paired_difference({0: 3.0, 1: 5.0, 2: 9.0}, {0: 2.0, 1: 3.0, 2: 6.0, 3: 1.0}).mean
    2.0
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be inside (0, 1), not {confidence}: pass 0.95 for a 95 % interval")
    differences = [a_by_seed[seed] - b_by_seed[seed] for seed in sorted(a_by_seed.keys() & b_by_seed.keys())]
    centre, spread, n = mean(differences), standard_deviation(differences), len(differences)
    if centre is None or spread is None:
        return PairedDifference(centre, None, None, n)
    from scipy.special import stdtrit  # the t quantile, without the second that scipy.stats takes to load

    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * spread / math.sqrt(n)
    return PairedDifference(centre, centre - half, centre + half, n)
