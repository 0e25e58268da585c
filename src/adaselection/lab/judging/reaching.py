"""What it costs an arm to reach a target: its ladder of budgets, each a run of its own, and never one long run's curve.

Between two budgets mean score and mean cost are taken as linear. An arm that does not reach the target by its largest
budget stays in, as censored; one that has it at its smallest budget needs that much or less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ladder", "Reach", "Speedup", "crossing", "reach", "speedup", "target"]

Floats = NDArray[np.float64]
Sense = Literal["about", "at least", "at most", "unknown"]
RESAMPLES = 2_000


@dataclass(frozen=True)
class Ladder:
    """The runs of one arm: at each rung (a budget) its score and cost by seed. Higher scores are better.

    Attributes:
        scores: For each rung, from the cheapest on, the score by seed.
        costs: The cost likewise: seconds, or units as a share of the full run's.
    """

    scores: tuple[Mapping[int, float], ...]
    costs: tuple[Mapping[int, float], ...]

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds that every rung has."""
        return frozenset.intersection(*(frozenset(rung) for rung in self.scores)) if self.scores else frozenset()

    def means(self, draws: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return mean costs and scores ``[r, rungs]`` for samples of the seeds ``[r, n]``."""
        costs, scores = (_by_draw(rungs, draws) for rungs in (self.costs, self.scores))
        return costs.mean(axis=-1).T, scores.mean(axis=-1).T


@dataclass(frozen=True)
class Reach:
    """Where an arm reaches the target.

    Attributes:
        cost: What it then has cost; infinite where it is not reached.
        lowest: Cost of its cheapest rung. Equal to `cost` where the target is reached there: it may need less.
        largest: Cost of its dearest rung.
    """

    cost: float
    lowest: float
    largest: float

    @property
    def reached(self) -> bool:
        """Whether the target is reached by the dearest rung."""
        return math.isfinite(self.cost)

    @property
    def at_once(self) -> bool:
        """Whether the cheapest rung reaches it already."""
        return self.cost == self.lowest


@dataclass(frozen=True)
class Speedup:
    """How many times cheaper an arm reaches the target than another.

    Attributes:
        ratio: The other's cost over the arm's; a bound unless `sense` is "about"; None if nothing is known.
        sense: What the ratio is.
        low: Lower end of the bootstrap interval; 0 stands for "not reached". None with fewer than two seeds.
        high: Upper end; infinite where the other does not reach it.
    """

    ratio: float | None
    sense: Sense
    low: float | None
    high: float | None


def target(scores: Sequence[float] | Floats) -> Any:
    """Return mean minus one standard error over the last axis; the mean itself of a single value."""
    values = np.asarray(scores, dtype=np.float64)
    n = values.shape[-1]
    centre = values.mean(axis=-1)
    return centre - values.std(axis=-1, ddof=1) / math.sqrt(n) if n > 1 else centre


def crossing(costs: Floats, scores: Floats, targets: Floats) -> Floats:
    """Return the lowest cost ``[r]`` at which each piecewise linear score reaches its target; infinite if none does.

    Args:
        costs: Costs of the rungs ``[r, rungs]``.
        scores: Scores ``[r, rungs]``, higher is better.
        targets: Targets ``[r]``.

    >>> crossing(np.array([[1.0, 3.0]]), np.array([[10.0, 20.0]]), np.array([15.0])).tolist()
    [2.0]
    """
    reached = scores >= targets[:, None]
    first, rows = reached.argmax(axis=1), np.arange(len(targets))
    before = np.maximum(first - 1, 0)
    rise = scores[rows, first] - scores[rows, before]
    share = np.divide(targets - scores[rows, before], rise, out=np.ones_like(rise), where=rise > 0)
    step = costs[rows, first] - costs[rows, before]
    return np.where(reached.any(axis=1), costs[rows, before] + share * step, np.inf)


def reach(ladder: Ladder, goal: float, seeds: Sequence[int]) -> Reach:
    """Return where the means over these seeds reach a goal."""
    costs, scores = ladder.means(np.array([list(seeds)]))
    cost = float(crossing(costs, scores, np.array([goal]))[0])
    return Reach(cost, float(costs[0, 0]), float(costs[0, -1]))


def speedup(arm: Ladder, other: Ladder, full: Mapping[int, float], *, resamples: int = RESAMPLES) -> Speedup:
    """Return how many times cheaper `arm` reaches the target than `other`.

    Seeds are resampled, the same for both arms and for the target. A sample in which the arm does not reach the target
    counts as 0, so that failures widen the interval and are never dropped.

    Args:
        arm: The arm that is judged.
        other: What it is compared with. For full training itself use a ladder of one rung.
        full: Scores of full training by seed, of which the target is made.
        resamples: Samples of the seeds.
    """
    seeds = sorted(arm.seeds & other.seeds & full.keys())
    if not seeds:
        return Speedup(None, "unknown", None, None)
    goal = float(target([full[seed] for seed in seeds]))
    ours, theirs = reach(arm, goal, seeds), reach(other, goal, seeds)
    low, high = _interval(arm, other, full, seeds, resamples) if len(seeds) > 1 else (None, None)
    return Speedup(*_ratio(ours, theirs, full_run=len(other.scores) == 1), low, high)


def _ratio(ours: Reach, theirs: Reach, *, full_run: bool) -> tuple[float | None, Sense]:
    """Return the ratio, or the bound that the smallest and the largest budgets leave."""
    theirs_at_once = theirs.at_once and not full_run
    if ours.reached and theirs.reached and not (ours.at_once and theirs_at_once):
        sense: Sense = "at least" if ours.at_once else "at most" if theirs_at_once else "about"
        return theirs.cost / ours.cost, sense
    if ours.reached and not theirs.reached:
        return theirs.largest / ours.cost, "at least"
    if theirs.reached and not ours.reached:
        return theirs.cost / ours.largest, "at most"
    return None, "unknown"


def _interval(
    arm: Ladder, other: Ladder, full: Mapping[int, float], seeds: Sequence[int], resamples: int
) -> tuple[float, float]:
    places = np.random.default_rng(0).integers(0, len(seeds), (resamples, len(seeds)))
    draws = np.array(seeds)[places]
    goals = target(_by_draw([full], draws)[0])
    ours, theirs = (crossing(*ladder.means(draws), goals) for ladder in (arm, other))
    ratios = np.sort(np.divide(theirs, ours, out=np.zeros_like(ours), where=np.isfinite(ours)))
    last = resamples - 1
    return float(ratios[math.floor(0.025 * last)]), float(ratios[math.ceil(0.975 * last)])


def _by_draw(rungs: Sequence[Mapping[int, float]], draws: NDArray[np.int64]) -> Floats:
    """Return the values ``[rungs, r, n]`` of the seeds drawn ``[r, n]``."""
    known, places = np.unique(draws, return_inverse=True)
    values = np.array([[rung[int(seed)] for seed in known] for rung in rungs], dtype=np.float64)
    return values[:, places.reshape(draws.shape)]
