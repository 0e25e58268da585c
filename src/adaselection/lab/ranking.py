"""Ranks with ties, and how often a statement holds when the seeds are drawn again. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adaselection.lab import stats

__all__ = ["AverageRank", "average_rank", "average_ranks", "probability", "resampled_means", "seed_draws"]

Floats = npt.NDArray[np.float64]
RESAMPLES = 2_000


@dataclass(frozen=True)
class AverageRank:
    """The average rank of one entry, each seed being one copy of the whole table.

    Attributes:
        mean: Mean over the seeds of the average over the rows (rates). 1 is best.
        sd: Sample standard deviation over the seeds, None with fewer than two.
        low: Lower end of the 95 % bootstrap interval over the seeds, None likewise.
        high: Upper end, likewise.
        n: Number of seeds.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def average_ranks(values: npt.ArrayLike, *, higher_is_better: bool) -> Floats:
    """Rank along the last axis: 1 is the best, equal values share the mean of their places.

    Args:
        values: Metrics, shape ``[..., m]``. One that is not a number (a run that diverged) is worse than all others.
        higher_is_better: Whether the largest value gets rank 1.

    Returns:
        Ranks from 1 to m, shape ``[..., m]``.

    >>> average_ranks([90.0, 92.0, 90.0, float("nan")], higher_is_better=True).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    from scipy.stats import rankdata  # slow to import

    given = np.asarray(values, dtype=np.float64)
    cost = -given if higher_is_better else given
    return np.asarray(rankdata(np.where(np.isnan(cost), np.inf, cost), axis=-1), dtype=np.float64)


def average_rank(ranks: npt.ArrayLike) -> list[AverageRank]:
    """Average ranks over the rows of a table, and say how they spread over the seeds.

    Args:
        ranks: Ranks of m entries in r rows for n seeds, shape ``[n, r, m]``.

    Returns:
        One summary an entry.

    Raises:
        ValueError: If the shape is another, or a side of it is 0.
    """
    given = np.asarray(ranks, dtype=np.float64)
    if given.ndim != 3 or not given.size:
        raise ValueError(f"ranks must have the shape [seeds, rows, entries], none of them 0, not {list(given.shape)}")
    found = []
    for column in given.mean(axis=1).T:
        values = [float(value) for value in column]
        low, high = stats.bootstrap_interval(values) or (None, None)
        found.append(AverageRank(float(np.mean(column)), stats.standard_deviation(values), low, high, len(values)))
    return found


def seed_draws(count: int, *, resamples: int = RESAMPLES, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw seeds with replacement: the first row is every seed once, as measured.

    Args:
        count: Number n of seeds, at least 1.
        resamples: Number of draws after the first row.
        seed: Of the draws.

    Returns:
        Places in 0 .. n - 1, shape ``[1 + resamples, n]``.

    Raises:
        ValueError: If there is no seed.
    """
    if count < 1:
        raise ValueError("there must be at least one seed to draw from")
    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    return np.concatenate([np.arange(count)[None], drawn])


def resampled_means(values: Sequence[float], draws: npt.NDArray[np.int64]) -> Floats:
    """Return the mean of each draw, the measured mean first.

    Args:
        values: One a seed, shape ``[n]``.
        draws: From `seed_draws`, shape ``[d, n]``.

    Returns:
        Shape ``[d]``.
    """
    return np.asarray(np.asarray(values, dtype=np.float64)[draws].mean(axis=1), dtype=np.float64)


def probability(holds: npt.NDArray[np.bool_]) -> float:
    """Return in what share of the draws a statement holds, the measured row (the first) left out.

    >>> probability(np.array([True, True, False, True, True]))
    0.75
    """
    return float(holds[1:].mean())
