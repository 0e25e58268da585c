"""One batch through the policy as a pure step: ``(state, signals, noise) -> (state, selection)``.

The step draws nothing, reads no value back to the host and has fixed shapes, so it runs on an accelerator without
waiting for it and compiles as one graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float, Int
from adaselection.registry import MethodInfo, checked_inclusion, checked_scores
from adaselection.types import Selection, Signals

Weighting = Literal["bounded", "paper", "fixed", "placebo", "variance", "progress"]
Curriculum = Literal["printed", "text", "scale_free"]
Choice = Literal["top_k", "quota", "draw"]
WEIGHTINGS: tuple[str, ...] = get_args(Weighting)
BY_RECORD = ("variance", "progress")
"""Weightings that judge the methods by what the record knows of a whole window."""
CURRICULA: tuple[str, ...] = get_args(Curriculum)
CHOICES: tuple[str, ...] = get_args(Choice)
Reduce = Callable[[Tensor], Tensor]
_SCALE_HALF_LIFE = 50.0


class PolicyState(NamedTuple):
    """What a policy remembers between batches; small tensors on the device of the losses."""

    log_weights: Float[Tensor, " m"]
    previous: Float[Tensor, " m"]
    scale: Float[Tensor, ""]
    step: Int[Tensor, ""]
    nonfinite: Int[Tensor, ""]
    alarm: Int[Tensor, ""]


class Noise(NamedTuple):
    """Random numbers of one batch, uniform in ``[0, 1)``: for the rows, their order, a start, and the methods."""

    rows: Float[Tensor, " b"]
    order: Float[Tensor, " b"]
    start: Float[Tensor, ""]
    gains: Float[Tensor, " m"]


@dataclass(frozen=True)
class Recipe:
    """Everything about a policy that never changes; `AdaSelection` documents the fields."""

    methods: tuple[MethodInfo, ...]
    rate: float
    beta: float
    weighting: Weighting
    loss_average: F.LossAverage
    half_life: float
    share: float
    importance: F.Importance | None
    choice: Choice
    weight_exponent: float
    curriculum: Curriculum | None
    curriculum_power: float
    curriculum_batches: int
    max_nonfinite: float


def initial_state(count: int, device: torch.device | str = "cpu") -> PolicyState:
    """State before the first batch: equal weights."""
    real = working_type(torch.device(device))

    def number(value: float, dtype: torch.dtype) -> Tensor:
        return torch.tensor(value, dtype=dtype, device=device)

    equal = torch.full((count,), 1.0 / count, dtype=real, device=device).log()
    zeros = torch.zeros(count, dtype=real, device=device)
    whole = torch.int64
    return PolicyState(equal, zeros, number(0.0, real), number(0, whole), number(0, whole), number(0, whole))


def working_type(device: torch.device) -> torch.dtype:
    """Scores and weights are float64, where a device has it: in float32 a softmax makes ties out of small numbers."""
    return torch.float32 if device.type == "mps" else torch.float64


def step(
    recipe: Recipe,
    state: PolicyState,
    signals: Signals,
    noise: Noise,
    k: int,
    reduce: Reduce | None = None,
    clean: bool = False,
) -> tuple[PolicyState, Selection]:
    """Update the weights from this batch's losses (eq. 3), then score the batch and choose (eqs. 2, 4, 5, 6).

    Args:
        recipe: the policy's constants.
        state: what it remembers.
        signals: losses of the batch and what else its methods need, shape ``[b]`` each.
        noise: the batch's random numbers.
        k: rows to keep, from 1 to ``b``.
        reduce: mean over the processes of a training, applied to the losses of the methods and the
            running scale, shape ``[m + 1]``.
        clean: the caller has seen that every signal is finite, which saves the masks; the result is the same. Only
            where reading values is free.

    Returns:
        The next state and the selection.
    """
    signals = _prepare_clean(signals, state, noise) if clean else _prepare(signals, state, noise)
    valid, losses = _known(signals.valid), signals.losses
    raw = torch.stack([checked_scores(info, signals).to(losses.dtype) for info in recipe.methods])
    order = F.rank_rows(raw, None if clean else valid)
    known = order if clean and math.isfinite(float(raw.sum())) else None
    current = F.method_losses(losses, order[:, :k], recipe.loss_average)
    scale = _known(signals.scale)
    if reduce is not None:
        agreed = reduce(torch.cat((current, scale.reshape(1))))
        current, scale = agreed[:-1], agreed[-1]
    log_weights, previous = next_weights(recipe, state, current, scale, noise)
    time, shares = state.step + 1, log_weights.exp()
    reward = _reward(recipe, losses, valid, time)
    alpha = None if recipe.importance is None else _importance(recipe, raw, valid, k, known)
    if alpha is not None:
        scores = F.combine(shares, alpha, reward)
    elif recipe.choice == "draw":  # by the rule's own chances
        scores = checked_inclusion(recipe.methods[0], signals, k).to(losses.dtype)
    else:  # by its raw score, so that no precision is lost
        scores = raw[0]
    if recipe.choice == "quota" and alpha is not None and reward is not None:
        order = F.rank_rows(alpha * reward, valid)
    scores = scores if clean else torch.where(valid, scores, -torch.inf)
    indices, chances = _choose(recipe, scores, order, shares, noise, None if clean else valid, k)
    nonfinite, alarm = (state.nonfinite, state.alarm) if clean else _bad_rows(recipe, state, valid, k)
    following = PolicyState(log_weights, previous, scale, time, nonfinite, alarm)
    weights = torch.ones(k, dtype=losses.dtype, device=losses.device)
    if chances is not None:
        weights = drawn_weights(recipe, signals, chances, indices)
    return following, Selection(indices, scores, weights, chances)


def drawn_weights(recipe: Recipe, signals: Signals, chances: Tensor, indices: Tensor) -> Float[Tensor, " k"]:
    """Sample weights of the drawn: the method's own where it is alone and has such, else Horvitz-Thompson's."""
    own = recipe.methods[0].weights if len(recipe.methods) == 1 else None
    if own is not None:
        return own(signals, chances)[indices].to(chances.dtype)
    return F.sample_weights(chances[indices], recipe.weight_exponent)


def _known(value: Tensor | None) -> Tensor:
    assert value is not None  # filled in by _prepare
    return value


def _prepare_clean(signals: Signals, state: PolicyState, noise: Noise) -> Signals:
    """What `_prepare` gives where every signal is finite."""
    real = state.previous.dtype
    losses, norms = signals.losses.to(real), signals.grad_norms
    norms = norms if norms is None else norms.to(real)
    scale = running_scale((losses.abs() / losses.shape[0]).sum(), state)
    valid = torch.ones_like(losses, dtype=torch.bool)
    return replace(signals, losses=losses, grad_norms=norms, noise=noise.rows.to(real), valid=valid, scale=scale)


def running_scale(size: Tensor, state: PolicyState) -> Tensor:
    """Running mean of the absolute loss."""
    return torch.where(state.step == 0, size, F.smooth(size, state.scale, _SCALE_HALF_LIFE))


def _bad_rows(recipe: Recipe, state: PolicyState, valid: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Counts of the rows that were not finite, and of the batches with too many of them."""
    bad = (~valid).sum()
    wrong = (bad > recipe.max_nonfinite * valid.shape[0]) | (valid.sum() < k)
    return state.nonfinite + bad, state.alarm + wrong


def _prepare(signals: Signals, state: PolicyState, noise: Noise) -> Signals:
    """Signals in the working type, with noise, validity, running scale, and the valid mean in place of bad losses."""
    real = state.previous.dtype
    losses = signals.losses.to(real)
    valid = losses.isfinite()
    norms = None
    if signals.grad_norms is not None:
        norms = signals.grad_norms.to(real)
        valid = valid & norms.isfinite()
        norms = torch.where(valid, norms, 0)
    count = valid.sum().clamp_min(1)
    # divided before they are summed: the sum of two large losses may be infinite
    mean = (torch.where(valid, losses, 0) / count).sum()
    losses = torch.where(valid, losses, mean)
    size = (torch.where(valid, losses.abs(), 0) / count).sum()
    scale = running_scale(size, state)
    return replace(signals, losses=losses, grad_norms=norms, noise=noise.rows.to(real), valid=valid, scale=scale)


def next_weights(
    recipe: Recipe, state: PolicyState, current: Tensor, scale: Tensor, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Eq. 3 in the recipe's form; the first batch leaves the weights equal."""
    first = state.step == 0
    if recipe.weighting == "fixed":
        return state.log_weights, current
    if recipe.weighting in BY_RECORD:
        change, remembered = F.relative_utility(current), current
    elif recipe.weighting == "paper":
        change, remembered = F.relative_change(current, state.previous), current
    else:
        remembered = F.smooth(current, state.previous, recipe.half_life)
        change = F.bounded_change(remembered, state.previous, scale)
    if recipe.weighting == "placebo":
        change = noise.gains.to(current.dtype)
    moved = F.update_log_weights(state.log_weights, change, recipe.beta)
    if recipe.weighting != "paper":
        moved = F.fixed_share(moved, recipe.share)
    return torch.where(first, state.log_weights, moved), torch.where(first, current, remembered)


def _importance(recipe: Recipe, raw: Tensor, valid: Tensor, k: int, order: Tensor | None) -> Tensor:
    """Eq. 2 for all methods."""
    return F.importance(raw, recipe.importance or "softmax_z", k, valid.expand_as(raw), order=order)


def _reward(recipe: Recipe, losses: Tensor, valid: Tensor, time: Tensor) -> Tensor | None:
    """Eq. 4 in the recipe's reading, or None."""
    if recipe.curriculum is None:
        return None
    if recipe.curriculum == "scale_free":
        return F.scale_free_reward(losses, (time - 1).to(losses.dtype) / recipe.curriculum_batches, valid=valid)
    reward = F.printed_reward if recipe.curriculum == "printed" else F.text_reward
    return reward(losses, time, recipe.curriculum_power, valid)


def _choose(
    recipe: Recipe, scores: Tensor, order: Tensor, weights: Tensor, noise: Noise, valid: Tensor | None, k: int
) -> tuple[Tensor, Tensor | None]:
    """Eq. 6: the rows kept, and their chances where the choice is a draw."""
    if recipe.choice == "top_k":
        return F.top_k(scores, k, valid), None
    if recipe.choice == "quota":
        return F.quota_select(order, F.quota_slots(weights, k), k), None
    chances = F.inclusion_probabilities(scores, k, valid)
    return F.systematic_draw(chances, k, noise.start.to(scores.dtype), noise.order.argsort()), chances
