"""The rules of the recorded plane again, slow and plain: one instance at a time, nothing of the library imported.

Written from the papers' rules. The random procedures that some of them are stand here too, to be repeated many times.
Names: chances ``p``, ``valid`` for instances with a record, ``n`` of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from reference import descending, median
from reference_choice import inclusion_probabilities

Numbers = Sequence[float]
Flags = Sequence[bool]


def known(valid: Flags) -> list[int]:
    """The instances with a record."""
    return [i for i, ok in enumerate(valid) if ok]


def ranked(losses: Numbers, valid: Flags) -> list[int]:
    """Instances with a record from the largest loss to the smallest, equal ones by position."""
    return [i for i in descending([x if ok else -math.inf for x, ok in zip(losses, valid, strict=True)]) if valid[i]]


def ascending(losses: Numbers, valid: Flags) -> list[int]:
    """Instances with a record from the smallest loss to the largest, equal ones by position."""
    return sorted(known(valid), key=lambda i: (losses[i], i))


# Chances


def top_k(scores: Numbers, k: int, valid: Flags) -> list[float]:
    """1 for the k highest."""
    kept = set(ranked(scores, valid)[:k])
    return [1.0 if i in kept else 0.0 for i in range(len(scores))]


def uniform(k: int, valid: Flags) -> list[float]:
    """``k / n``."""
    return [k / sum(valid) if ok else 0.0 for ok in valid]


def in_proportion(scores: Numbers, k: int, valid: Flags, power: float = 1.0) -> list[float]:
    """``min(1, c s^power)``."""
    positive = [max(0.0, s) for s in scores]
    top = max((positive[i] for i in known(valid)), default=0.0)
    share = [(s / top if top > 0 else 1.0) ** power if ok else 0.0 for s, ok in zip(positive, valid, strict=True)]
    return inclusion_probabilities(share, k, valid)


def mixed(weights: Numbers, chances: Sequence[Numbers]) -> list[float]:
    """``sum_m w_m p^m``."""
    return [math.fsum(w * p for w, p in zip(weights, column, strict=True)) for column in zip(*chances, strict=True)]


def effective_sample_size(w: Numbers) -> float:
    """``(sum w)^2 / sum w^2``, in fractions."""
    exact = [Fraction(x) for x in w]
    squares = sum((x * x for x in exact), Fraction(0))
    return float(sum(exact, Fraction(0)) ** 2 / squares) if squares else 0.0


# Rules that draw k


def rank_based(losses: Numbers, k: int, valid: Flags, pressure: float) -> list[float]:
    """``exp(-log(s_e) rank / n)``."""
    score = [0.0] * len(losses)
    order = ranked(losses, valid)
    for rank, i in enumerate(order):
        score[i] = math.exp(-math.log(pressure) * rank / len(order))
    return in_proportion(score, k, valid)


def uncertain(losses: Numbers, k: int, valid: Flags) -> list[float]:
    """``P (1 - P)``."""
    return in_proportion([math.exp(-max(0.0, x)) * -math.expm1(-max(0.0, x)) for x in losses], k, valid)


def capped(losses: Numbers, k: int, valid: Flags, top: float, cap: float) -> list[float]:
    """The largest losses, ``floor(top n)`` of them, held down to ``cap`` medians."""
    order = ranked(losses, valid)
    score = list(losses)
    for i in order[: math.floor(top * len(order))]:
        score[i] = min(losses[i], cap * median([losses[j] for j in order]))
    return in_proportion(score, k, valid)


def upper_confidence(
    losses: Numbers,
    visits: Sequence[int],
    ages: Numbers,
    k: int,
    valid: Flags,
    bonus: float,
    age_bonus: float,
) -> list[float]:
    """``losses / mean + c sqrt(log(1 + t) / (1 + visits)) + a age``."""
    rows = known(valid)
    mean = math.fsum(max(0.0, losses[i]) / len(rows) for i in rows) if rows else 0.0
    t = sum(visits[i] for i in rows)
    score = [0.0] * len(losses)
    for i in rows:
        loss = max(0.0, losses[i]) / mean if mean > 0 else 0.0
        score[i] = loss + bonus * math.sqrt(math.log(1 + t) / (1 + visits[i])) + age_bonus * ages[i]
    return in_proportion(score, k, valid)


def learning_progress(losses: Numbers, averages: Numbers, k: int, valid: Flags, floor: float) -> list[float]:
    """The drop below the average, with a share of uniform."""
    fall = in_proportion([max(0.0, a - x) for a, x in zip(averages, losses, strict=True)], k, valid)
    return mixed([1 - floor, floor], [fall, uniform(k, valid)]) if sum(valid) else [0.0] * len(losses)


# Rules as published


def percentile(loss: float, history: Numbers) -> float:
    """Percentile of kind "rank" over 100: the mean rank of the equal ones, or the share below where there is none."""
    below = sum(x < loss for x in history)
    same = [below + j + 1 for j in range(sum(x == loss for x in history))]
    return (sum(same) / len(same) if same else below) / max(1, len(history))


def selective_backprop(losses: Numbers, k: int, valid: Flags, history: Numbers | None) -> list[float]:
    """``CDF(losses)^(n / k - 1)``."""
    rows = known(valid)
    past = [losses[i] for i in rows] if history is None else history
    chances = [0.0] * len(losses)
    for i in rows:
        chances[i] = percentile(losses[i], past) ** max(0.0, len(rows) / k - 1) if k else 0.0
    return chances


def min_k_loss(losses: Numbers, k: int, valid: Flags) -> list[float]:
    """By counting: all members of the group but one come from the instances that rank higher."""
    order = ascending(losses, valid)
    n = len(order)
    chances = [0.0] * len(losses)
    sizes = [n // k + (1 if j < n % k else 0) for j in range(k)] if k else []
    for rank, i in enumerate(order):
        exact = Fraction(0)
        for s in [s for s in sizes if s]:
            exact += Fraction(s, n) * Fraction(math.comb(n - 1 - rank, s - 1), math.comb(n - 1, s - 1))
        chances[i] = float(exact)
    return chances


def min_k_loss_draw(losses: Numbers, k: int, rng: np.random.Generator) -> list[int]:
    """The procedure itself: shuffle, cut into k groups, keep the lowest loss of each."""
    groups = np.array_split(rng.permutation(len(losses)), k)
    return [min(group.tolist(), key=lambda i: (losses[i], i)) for group in groups if len(group)]


def variance_gain(norms: Numbers, valid: Flags) -> float:
    """``1 / sqrt(1 - |g - u|^2 / sum g^2)`` as printed, with the sums in fractions."""
    rows = known(valid)
    total = sum((Fraction(norms[i]) for i in rows), Fraction(0))
    if not total:
        return 1.0
    g = [Fraction(norms[i]) / total for i in rows]
    apart = sum(((x - Fraction(1, len(rows))) ** 2 for x in g), Fraction(0))
    return 1 / math.sqrt(1 - apart / sum(x * x for x in g))


def katharopoulos_fleuret(norms: Numbers, k: int, valid: Flags, scoring: float) -> list[float]:
    """In proportion to the norms where ``tau > (B + 3 b) / (3 b)``, else uniform."""
    size = sum(valid)
    if not k:
        return [0.0] * len(norms)
    pays = variance_gain(norms, valid) > (scoring * size + 3 * k) / (3 * k)
    return in_proportion(norms, k, valid) if pays else uniform(k, valid)


def infobatch(losses: Numbers, k: int, valid: Flags) -> list[float]:
    """``1 - r`` below the mean, which is exact, and 1 from there on."""
    rows = known(valid)
    mean = sum((Fraction(losses[i]) for i in rows), Fraction(0)) / max(1, len(rows))
    return [
        0.0 if not ok else k / len(rows) if Fraction(x) < mean else 1.0 for x, ok in zip(losses, valid, strict=True)
    ]


def kakurenbo(losses: Numbers, k: int, valid: Flags, confidence: float) -> list[float]:
    """Hide the n - k lowest, move back those of which the model is not sure."""
    order = ascending(losses, valid)
    hidden = [i for i in order[: max(0, len(order) - k)] if math.exp(-min(losses[i], 700.0)) >= confidence]
    return [1.0 if ok and i not in hidden else 0.0 for i, ok in enumerate(valid)]


def mastered(history: Numbers, scale: float, delta: float, checks: int) -> bool:
    """Whether the last ``checks`` second differences of an instance's losses are all small."""
    bends = [abs(history[t] - 2 * history[t - 1] + history[t - 2]) for t in range(2, len(history))]
    return len(bends) >= checks and all(b < delta * scale for b in bends[-checks:])
