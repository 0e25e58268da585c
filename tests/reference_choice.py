"""The second half of `reference`: rewards (eq. 4), scores and choices (eqs. 5, 6), draws, gradient norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import torch

from reference import Array, descending, robust_z, softmax

# Eq. 4: curriculum reward


def printed_reward(losses: Array, t: int, power: float, valid: Array) -> Array:
    """``exp(-t^power l_i / sum_j l_j^2)`` over its sum, in exact fractions up to the exponential."""
    known = [Fraction(float(x)) if ok else Fraction(0) for x, ok in zip(losses, valid, strict=True)]
    squares = sum((x * x for x in known), Fraction(0))
    if squares == 0:
        return softmax(np.zeros(len(losses)), valid)
    exponents = [-Fraction(float(t) ** power) * x / squares for x in known]
    top = max((e for e, ok in zip(exponents, valid, strict=True) if ok), default=Fraction(0))
    below = [float(max(e - top, Fraction(-10_000))) for e in exponents]  # exp(-10000) is 0 in float64
    return softmax(np.array(below), valid)


def text_reward(losses: Array, t: int, power: float, valid: Array) -> Array:
    """The same with ``t^-power``: starts with a preference, ends fair."""
    return printed_reward(losses, t, -power, valid)


def scale_free_reward(losses: Array, progress: float, strength: float, valid: Array) -> Array:
    """``softmax(-strength (1 - progress)_+ z_i)``."""
    return softmax(-strength * max(0.0, 1 - progress) * robust_z(losses, valid), valid)


# Eqs. 5 and 6: score and choice


def combine(weights: Sequence[float], alpha: Sequence[Array], reward: Array | None) -> Array:
    """``s_i = r_i sum_m w_m alpha_i^m``."""
    b = len(alpha[0])
    out = np.zeros(b)
    for i in range(b):
        out[i] = math.fsum(w * a[i] for w, a in zip(weights, alpha, strict=True))
        out[i] *= 1.0 if reward is None else reward[i]
    return out


def top_k(scores: Sequence[float], k: int) -> list[int]:
    """The k highest scores, equal ones by position, in the order of the batch."""
    return sorted(descending(scores)[:k])


def same_choice(rows: Sequence[int], scores: Sequence[float], k: int, width: float | None = None) -> bool:
    """Whether these are k rows of the highest scores, up to rounding (``width``) of the score at the edge."""
    if len(set(rows)) != k or list(rows) != sorted(rows):
        return False
    edge = sorted(scores, reverse=True)[k - 1] if k else math.inf
    if width is None:
        width = 1e-9 * abs(edge) if math.isfinite(edge) else 0.0
    sure = {i for i, s in enumerate(scores) if s > edge + width}
    possible = {i for i, s in enumerate(scores) if s >= edge - width}
    return sure <= set(rows) <= possible


def quota_slots(weights: Sequence[Fraction], k: int) -> list[int]:
    """Largest remainder: whole parts first, the rest to the largest fractions, equal ones by position."""
    total = sum(weights, Fraction(0))
    exact = [w * k / total for w in weights]
    slots = [math.floor(x) for x in exact]
    by_rest = sorted(range(len(exact)), key=lambda m: (-(exact[m] - slots[m]), m))
    for m in by_rest[: k - sum(slots)]:
        slots[m] += 1
    return slots


def quota_fill(orders: Sequence[Sequence[int]], slots: Sequence[int]) -> list[int]:
    """Each method in turn takes the rows that it wants most of those still free."""
    taken: set[int] = set()
    for order, count in zip(orders, slots, strict=True):
        for row in [i for i in order if i not in taken][:count]:
            taken.add(row)
    return sorted(taken)


# Draws


def inclusion_probabilities(scores: Sequence[float], k: int, valid: Sequence[bool]) -> list[float]:
    """Water-filling: scale by c to the sum k, fix at 1 what passes 1, scale the rest again until none does."""
    rows = [i for i, ok in enumerate(valid) if ok]
    top = max((scores[i] for i in rows), default=0.0)
    share = {i: max(scores[i] / top, 1e-9) if top > 0 else 1.0 for i in rows}
    sure: set[int] = set()
    while True:
        rest = [i for i in rows if i not in sure]
        total = math.fsum(share[i] for i in rest)
        c = (k - len(sure)) / total if total > 0 else 0.0
        over = {i for i in rest if share[i] * c > 1}
        if not over:
            break
        sure |= over
    chances = [0.0] * len(scores)
    for i in rows:
        chances[i] = 1.0 if i in sure else share[i] * c
    return chances


def systematic_draw(chances: Sequence[Fraction], start: Fraction, order: Sequence[int]) -> list[int]:
    """Walk the rows; keep one wherever ``start + the sum so far`` passes a whole number. Exact fractions."""
    kept = []
    reach = start
    for row in order:
        before, reach = reach, reach + chances[row]
        if math.floor(reach) > math.floor(before):
            kept.append(row)
    return sorted(kept)


def sample_weights(chances: Sequence[float], exponent: float) -> list[float]:
    """``p^-exponent``, scaled to mean 1."""
    raw = [p**-exponent for p in chances]
    return [x * len(raw) / math.fsum(raw) for x in raw]


# Gradient norms


def grad_norms(loss_of_row: Callable[[torch.Tensor, int], torch.Tensor], outputs: torch.Tensor) -> list[float]:
    """Norm of each row's own gradient at the model's output, by one backward pass a row."""
    norms = []
    for i in range(outputs.shape[0]):
        row = outputs[i : i + 1].detach().clone().requires_grad_(True)
        loss = loss_of_row(row, i)
        if not loss.requires_grad:
            norms.append(0.0)
            continue
        (gradient,) = torch.autograd.grad(loss, row)
        norms.append(math.sqrt(math.fsum(float(g) ** 2 for g in gradient.flatten())))
    return norms
