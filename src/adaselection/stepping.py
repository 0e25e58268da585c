"""The state of a policy and its random numbers, carried through pure steps."""

from __future__ import annotations

from collections.abc import Callable

import torch

from adaselection.step import Noise, PolicyState, Recipe, initial_state
from adaselection.types import Selection, Signals


class Stepping:
    """A recipe, its state and a random generator of its own.

    Args:
        recipe: the policy's constants.
        seed: of the generator.
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self._recipe = recipe
        self._generator = torch.Generator().manual_seed(seed)
        self._state = initial_state(len(recipe.methods))

    def _through(self, go: Callable[[Noise], tuple[PolicyState, Selection]], signals: Signals) -> Selection:
        """Do one step with random numbers of its own; nothing has changed if it fails."""
        self._follow(signals.losses.device)
        before = self._generator.get_state()
        try:
            with torch.no_grad():
                state, selection = go(self._draw(signals.losses.shape[0]))
        except BaseException:
            self._generator.set_state(before)
            raise
        self._state = state
        return selection

    def _draw(self, size: int) -> Noise:
        """Random numbers of one batch, from the policy's own generator on the CPU: the same on every device."""
        count = len(self._recipe.methods)
        device = self._state.step.device
        drawn = torch.rand(2 * size + 1 + count, generator=self._generator, dtype=torch.float32)
        drawn = drawn.to(device, non_blocking=True)
        return Noise(drawn[:size], drawn[size : 2 * size], drawn[2 * size], drawn[2 * size + 1 :])

    def _follow(self, device: torch.device) -> None:
        """Move the state to where the losses are."""
        if self._state.step.device != device:
            real = initial_state(1, device).previous.dtype
            moved = (v.to(device, real if v.is_floating_point() else v.dtype) for v in self._state)
            self._state = PolicyState(*moved)
