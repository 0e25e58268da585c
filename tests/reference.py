"""Every equation again, slow and plain: NumPy float64, one row at a time, nothing of the library imported.

Written from the paper's equations and their readings, not from the code that it judges. Names follow the
equations: losses ``l``, raw scores ``u``, importance ``alpha``, weights ``w``, reward ``r``, score ``s``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

Array = np.ndarray


# Eq. 1 and the seven methods: raw scores, larger is more wanted


def artanh(x: float) -> float:
    """``1/2 log((1 + x) / (1 - x))`` as printed; without a value above 1."""
    if abs(x) > 1:
        return math.nan
    if abs(x) == 1:
        return math.copysign(math.inf, x)
    return 0.5 * (math.log1p(x) - math.log1p(-x))


def adaboost_weight(loss: float, reading: str, typical: float) -> float:
    """Eq. 1 of one row."""
    if reading == "clamp":
        return artanh(min(max(loss, 0.0), 1 - 1e-6))
    if reading == "nan_last":
        return artanh(loss)
    if reading == "abs":  # 1/2 log |(1 + l) / (1 - l)|, and (l + 1) / (l - 1) = 1 + 2 / (l - 1) above 1
        return artanh(loss) if abs(loss) <= 1 else math.copysign(0.5 * math.log1p(2 / (abs(loss) - 1)), loss)
    loss = max(loss, 0.0)
    if reading == "cross_entropy":  # p = exp(-l) is the probability of the label: 1/2 log((2 - p) / p)
        return 0.5 * (math.log1p(-math.expm1(-loss)) + loss)
    if reading == "scale_free":
        return 0.5 * math.log1p(2 * loss / (typical if typical > 0 else 1.0))
    raise AssertionError(reading)


def adaboost(losses: Array, reading: str, scale: float | None = None) -> Array:
    """Eq. 1."""
    typical = float(np.mean(np.abs(losses))) if scale is None and len(losses) else (scale or 0.0)
    return np.array([adaboost_weight(float(x), reading, typical) for x in losses], dtype=np.float64)


def descending(scores: Sequence[float]) -> list[int]:
    """Rows from the highest score to the lowest, equal ones by position; NaN counts as minus infinity."""
    known = [-math.inf if math.isnan(x) else float(x) for x in scores]
    return sorted(range(len(known)), key=lambda i: (-known[i], i))


def extremes_kept(losses: Sequence[float], k: int) -> list[int]:
    """Coresets 1: the half with the highest losses and the half with the lowest; an odd one more is high."""
    order = descending(losses)
    high, low = -(-k // 2), k // 2
    return sorted(order[:high] + order[len(order) - low :])


def extremes_score(losses: Array, valid: Array) -> Array:
    """Distance of the rank from the middle rank, in units of ``1 / (2 b)``; upper ranks a little ahead."""
    b = len(losses)
    scores = np.zeros(b)
    order = [i for i in descending(losses) if valid[i]] if b else []
    middle = (len(order) - 1) / 2
    for rank, i in enumerate(order):
        scores[i] = (4 * abs(rank - middle) + (1 if rank < middle else 0)) / (2 * b)
    return scores


def raw_scores(
    method: str,
    losses: Array,
    *,
    noise: Array,
    grad_norms: Array,
    reading: str = "clamp",
    scale: float | None = None,
    valid: Array | None = None,
) -> Array:
    """``u_i^m`` of a built-in method."""
    valid = np.ones(len(losses), bool) if valid is None else valid
    if method == "coreset_mean":
        mean = float(np.mean(losses[valid])) if valid.any() else 0.0
        return np.array([-abs(x - mean) for x in losses])
    table = {
        "uniform": lambda: noise,
        "big_loss": lambda: losses,
        "small_loss": lambda: -losses,
        "grad_norm": lambda: grad_norms,
        "adaboost": lambda: adaboost(losses, reading, scale),
        "coreset_extremes": lambda: extremes_score(losses, valid),
    }
    return np.asarray(table[method](), dtype=np.float64)


def kept_alone(u: Sequence[float], k: int, valid: Sequence[bool] | None = None) -> list[int]:
    """The k rows that a method keeps when it is alone, best first; rows that are not valid come last."""
    if valid is None:
        return descending(u)[:k]
    known = [-math.inf if math.isnan(x) else float(x) for x in u]
    return sorted(range(len(known)), key=lambda i: (not valid[i], -known[i], i))[:k]


# Eq. 2: importance


def median(values: Sequence[float]) -> float:
    """Middle value, or the mean of the middle two, rounded once."""
    ordered = sorted(values)
    n = len(ordered)
    low, high = ordered[(n - 1) // 2], ordered[n // 2]
    return float((Fraction(low) + Fraction(high)) / 2)


def robust_z(values: Array, valid: Array) -> Array:
    """Distance from the median in units of 1.4826 MAD, or of 1.2533 mean deviations where MAD is 0."""
    z = np.zeros(len(values))
    limit = float(np.finfo(np.float64).max) / 4
    known = [float(x) for x, ok in zip(values, valid, strict=True) if ok]
    if not known:
        return z
    middle = median(known)
    width = 1.4826 * median([abs(x - middle) for x in known])
    if width == 0:
        width = 1.2533 * sum(abs(x - middle) / len(known) for x in known)
    for i, ok in enumerate(valid):
        if ok and width > 0:
            z[i] = min(limit, max(-limit, (float(values[i]) - middle) / width))
    return z


def softmax(exponents: Array, valid: Array) -> Array:
    """``exp(e_i) / sum_j exp(e_j)`` over the valid rows; 0 elsewhere."""
    out = np.zeros(len(exponents))
    if valid.any():
        top = max(e for e, ok in zip(exponents, valid, strict=True) if ok)
        for i, ok in enumerate(valid):
            out[i] = math.exp(exponents[i] - top) if ok else 0.0
        out /= math.fsum(out)
    return out


def importance(u: Array, reading: str, k: int = 1, valid: Array | None = None) -> Array:
    """``alpha_i^m`` of one method."""
    valid = ~np.isnan(u) if valid is None else valid & ~np.isnan(u)
    limit = np.finfo(np.float64).max / 4
    finite = np.clip(np.where(valid, u, 0.0), -limit, limit)
    if reading == "softmax":
        return softmax(finite, valid)
    if reading == "softmax_z":
        return softmax(robust_z(finite, valid), valid)
    out = np.zeros(len(u))
    order = [i for i in descending(finite) if valid[i]]
    n = len(order)
    for place, i in enumerate(order):
        if reading == "rank":
            out[i] = 2 * (n - place) / (n * (n + 1))
        else:
            out[i] = 1 / min(k, n) if place < k else 0.0
    return out


# Eq. 3: weights of the methods


def method_loss(losses: Array, kept: Sequence[int], average: str) -> float:
    """``l_t^m``: mean loss of the rows that the method keeps, or of all rows."""
    rows = [float(losses[i]) for i in kept] if average == "kept" else [float(x) for x in losses]
    return math.fsum(x / len(rows) for x in rows) if rows else 0.0


def paper_weights(history: Sequence[Sequence[float]], beta: float) -> list[Decimal]:
    """Eq. 3 as printed: the product of ``exp(beta |l_t - l_{t-1}| / l_{t-1})``, in 60 digits, as it grows."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**15, -(10**15)
        count = len(history[0])
        w = [Decimal(1) / count] * count
        for before, now in itertools.pairwise(history):
            for m in range(count):
                old, new = Decimal(before[m]), Decimal(now[m])
                w[m] = w[m] * (Decimal(beta) * abs(new - old) / abs(old)).exp()
        return w


def normalised(w: Sequence[Decimal]) -> list[float]:
    """Weights over their sum."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**15, -(10**15)
        total = sum(w, Decimal(0))
        return [float(x / total) for x in w]


def bounded_step(
    w: Sequence[float],
    mean: Sequence[float],
    now: Sequence[float],
    scale: float,
    beta: float,
    half_life: float,
    share: float,
) -> tuple[list[float], list[float]]:
    """One step of the sound eq. 3: smoothed losses, gains in [0, 1], a fixed share; weights and means."""
    keep = 0.5 ** (1 / half_life)
    after = [keep * old + (1 - keep) * new for old, new in zip(mean, now, strict=True)]
    gains = [
        min(1.0, abs(new - old) / (abs(old) + 1e-3 * scale)) if new != old else 0.0
        for old, new in zip(mean, after, strict=True)
    ]
    moved = [x * math.exp(beta * gain) for x, gain in zip(w, gains, strict=True)]
    total = math.fsum(moved)
    return [(1 - share) * x / total + share / len(w) for x in moved], after
