"""The few statistics behind the tables: means, paired differences with their intervals, ranks. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "PairedDifference",
    "RankCorrelation",
    "bootstrap_interval",
    "holm",
    "mean",
    "mean_interval",
    "p_value",
    "paired_difference",
    "pooled_difference",
    "rank_correlation",
    "standard_deviation",
]

RESAMPLES = 10_000


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
    return mean_interval([a_by_seed[s] - b_by_seed[s] for s in sorted(a_by_seed.keys() & b_by_seed.keys())], confidence)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> PairedDifference:
    """Return the mean of values with Student's interval, `mean +- t * sd / sqrt(n)`.

    Args:
        values: The values, such as one difference a seed.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: If `confidence` is outside (0, 1).
    """
    _check(confidence)
    centre, spread, n = mean(values), standard_deviation(values), len(values)
    if centre is None or spread is None:
        return PairedDifference(centre, None, None, n)
    half = _quantile(confidence, n - 1) * spread / math.sqrt(n)
    return PairedDifference(centre, centre - half, centre + half, n)


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of a mean: the same for the same values and seed.

    With few values it is too narrow (it never leaves their range), so Student's interval decides and this one stands
    beside it.

    Args:
        values: The values. Of fewer than two there is no interval.
        confidence: Coverage of the interval, in (0, 1).
        resamples: Samples drawn with replacement.
        seed: Of their draw.

    Raises:
        ValueError: If `confidence` is outside (0, 1).
    """
    _check(confidence)
    if len(values) < 2:
        return None
    draws = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    means = np.asarray(values, dtype=np.float64)[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def p_value(differences: Sequence[float]) -> float | None:
    """Return the two-sided p of Student's test that the mean difference is 0; None of fewer than two differences.

    Differences that are all 0 have p = 1, and those that are all equal and not 0 have p = 0.
    """
    centre, spread, n = mean(differences), standard_deviation(differences), len(differences)
    if centre is None or spread is None:
        return None
    if not spread:
        return 0.0 if centre else 1.0
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -abs(centre) / (spread / math.sqrt(n))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given.

    The i-th smallest of m (from 0) is multiplied by m - i; no adjusted value is above 1 or below a smaller p's.
    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def pooled_difference(cells: Sequence[Mapping[int, float]], confidence: float = 0.95) -> PairedDifference:
    """Pool the paired differences of several cells; runs of one seed are one cluster.

    The mean is that of the cells' means. Where every cell has the same seeds, the interval is Student's over the
    seeds' averages over the cells. Where seeds differ, a seed's part is the sum of its centred differences, each over
    its cell's count and with that cell's correction sqrt(n / (n - 1)), and the degrees of freedom are those of the
    smallest cell.

    Args:
        cells: For each cell the difference by seed. Cells with fewer than two seeds are left out: they have no spread.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The pooled mean, its interval, and the number of different seeds.

    >>> pooled_difference([{0: 1.0, 1: 3.0}, {0: 2.0, 1: 2.0}]).mean
    2.0
    """
    _check(confidence)
    usable = [cell for cell in cells if len(cell) > 1]
    if not usable:
        return PairedDifference(None, None, None, 0)
    parts: dict[int, float] = {}
    means = [float(np.mean(list(cell.values()))) for cell in usable]
    for cell, centre in zip(usable, means, strict=True):
        scale = math.sqrt(len(cell) / (len(cell) - 1)) / len(cell) / len(usable)
        for seed, value in cell.items():
            parts[seed] = parts.get(seed, 0.0) + scale * (value - centre)
    spread = math.sqrt(sum(part * part for part in parts.values()))
    half = _quantile(confidence, min(len(cell) for cell in usable) - 1) * spread
    overall = float(np.mean(means))
    return PairedDifference(overall, overall - half, overall + half, len(parts))


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation. `rho` and `p` are None with fewer than three pairs, or where one side is constant.

    Attributes:
        rho: The correlation, in [-1, 1].
        p: Two-sided p of no correlation.
        n: Number of pairs.
    """

    rho: float | None
    p: float | None
    n: int


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> RankCorrelation:
    """Return Spearman's rank correlation of the first and second of each pair, as SciPy has it."""
    first, second = {a for a, _ in pairs}, {b for _, b in pairs}
    if len(pairs) < 3 or len(first) < 2 or len(second) < 2:
        return RankCorrelation(None, None, len(pairs))
    from scipy.stats import spearmanr

    found = spearmanr([a for a, _ in pairs], [b for _, b in pairs])
    return RankCorrelation(float(found.statistic), float(found.pvalue), len(pairs))


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be inside (0, 1), not {confidence}: pass 0.95 for a 95 % interval")


def _quantile(confidence: float, freedom: int) -> float:
    from scipy.special import stdtrit  # the t quantile, without the second that scipy.stats takes to load

    return float(stdtrit(freedom, (1 + confidence) / 2))
