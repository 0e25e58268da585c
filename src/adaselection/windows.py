"""One window of recorded instances through the policy as a pure step: a mixture of inclusion probabilities, drawn."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.errors import ArgumentError
from adaselection.registry import MethodInfo, checked_inclusion
from adaselection.step import BY_RECORD, Noise, PolicyState, Recipe, Reduce, drawn_weights, next_weights, running_scale
from adaselection.types import Selection, Signals


def window_step(
    recipe: Recipe, state: PolicyState, signals: Signals, noise: Noise, k: int, reduce: Reduce | None = None
) -> tuple[PolicyState, Selection]:
    """Update the weights from the recorded losses (eq. 3), mix the methods' inclusion probabilities and draw.

    The score of eq. 5 is the mixture ``p = sum_m w_m pi^m`` itself, so the chance of every instance is known. A method
    that sets its own count keeps it where it is alone, and is scaled to ``k`` in a mixture.

    Args:
        recipe: the policy's constants.
        state: what it remembers.
        signals: of a window's instances that have a record, shape ``[b]`` each.
        noise: the window's random numbers.
        k: instances to draw, at most ``b``.
        reduce: mean over the processes of a training, as in `adaselection.step.step`.

    Returns:
        The next state and the selection; its ``inclusion_probabilities`` are those of the draw.
    """
    real = state.previous.dtype
    signals = _prepared(signals, state, noise, real)
    scale = signals.scale
    assert scale is not None  # filled in just now
    inclusions = torch.stack([_inclusion(info, signals, k, len(recipe.methods) > 1) for info in recipe.methods])
    current = _judged(recipe, state, signals, inclusions)
    if reduce is not None:
        agreed = reduce(torch.cat((current, scale.reshape(1))))
        current, scale = agreed[:-1], agreed[-1]
    log_weights, previous = next_weights(recipe, state, current, scale, noise)
    chances = F.mix(log_weights.exp(), inclusions)
    count = k
    if len(recipe.methods) == 1 and recipe.methods[0].own_count:
        count = max(1, round(float(chances.sum())))
        chances = chances if float(chances.sum()) > 0 else F.uniform_inclusion(chances, count)
    indices = F.systematic_draw(chances, count, noise.start.to(real), noise.order.argsort())
    weights = drawn_weights(recipe, signals, chances, indices)
    following = state._replace(log_weights=log_weights, previous=previous, scale=scale, step=state.step + 1)
    return following, Selection(indices, chances, weights, chances)


def refuse_fresh(recipe: Recipe) -> None:
    """Refuse to choose from fresh losses with a weighting that judges by the record.

    Raises:
        ArgumentError: it is one.
    """
    if recipe.weighting in BY_RECORD:
        raise ArgumentError(
            f"weighting={recipe.weighting!r} judges the methods by what a record knows of many instances. Use the "
            'policy with RecordedLoader, or pass weighting="bounded".'
        )


def drawn(chances: Float[Tensor, " b"], noise: Noise) -> Selection:
    """Draw as many as the chances sum to, rounded, at least one; all weights are equal."""
    count = max(1, round(float(chances.sum())))
    indices = F.systematic_draw(chances, count, noise.start.to(chances.dtype), noise.order.argsort())
    return Selection(indices, chances, torch.ones_like(chances[indices]), chances)


def _prepared(signals: Signals, state: PolicyState, noise: Noise, real: torch.dtype) -> Signals:
    """Signals in the working type, with noise and the running scale of the losses."""
    losses = signals.losses.to(real)
    scale = running_scale((losses.abs() / max(1, losses.shape[0])).sum(), state)
    valid = torch.ones_like(losses, dtype=torch.bool)
    return replace(signals, losses=losses, noise=noise.rows.to(real), valid=valid, scale=scale)


def _judged(recipe: Recipe, state: PolicyState, signals: Signals, inclusions: Tensor) -> Float[Tensor, " m"]:
    """What the weights of the methods follow: the mean loss that each would draw, or its utility."""
    losses = signals.losses
    if recipe.weighting == "variance":
        return F.variance_utility(losses, F.mix(state.log_weights.exp(), inclusions), inclusions)
    if recipe.weighting == "progress":
        averages = signals.smoothed.to(losses.dtype)
        return F.progress_utility(losses, averages, inclusions)
    return (inclusions * losses).sum(1) / inclusions.sum(1).clamp_min(torch.finfo(losses.dtype).tiny)


def _inclusion(info: MethodInfo, signals: Signals, k: int, mixed: bool) -> Float[Tensor, " b"]:
    """A method's inclusion probabilities; scaled to ``k`` where it sets its own count and is one of several."""
    chances = checked_inclusion(info, signals, k).to(signals.losses.dtype)
    return F.scaled(chances, k, signals.valid) if mixed and info.own_count else chances
