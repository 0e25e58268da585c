"""What a choice was expected to be worth, and what it was."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection import kinds
from adaselection._shapes import Bool, Float

_WRONG_IS = 3.0  # mean loss of the upper group in the unit of `doubts`, where P is 5 %
_TINY = sys.float_info.min
_NAMES = ("windows", "expected", "chosen", "chosen_worth", "stand_for", "stand_for_worth")


def how_often(upper: Bool[Tensor, " k"], share: float, otherwise: float) -> float:
    """How often the upper group of a window was drawn, by chance or by force, where all of the lower group was.

    Args:
        upper: which of those drawn are of it, shape ``[k]``.
        share: of the window that is of it.
        otherwise: what to take where one of the groups is not there.
    """
    seen = float(upper.double().mean())
    if not (0 < share < 1 and 0 < seen < 1):
        return otherwise
    return min(1.0, seen / (1 - seen) * (1 - share) / share)


def doubts(losses: Float[Tensor, " b"], upper: float) -> Float[Tensor, " b"]:
    """P (1 - P) where the mean of ``-log P`` at visits of the upper group is 3, on any scale of losses.

    Args:
        losses: shape ``[b]``.
        upper: that mean of the losses.
    """
    return F.uncertainty(losses * (_WRONG_IS / max(upper, _TINY)))


def stood_for(losses: Float[Tensor, " k"], rate: float, *, drawn: bool) -> tuple[Tensor, Tensor]:
    """Chances under ``hard``, over that of one at random, and what each instance stands for: of its draws, and of all.

    Args:
        losses: by the record, over the mean, shape ``[k]``.
        rate: share that ``hard`` draws.
        drawn: whether they were drawn so; else by a whole walk.

    Returns:
        Shapes ``[k]`` and ``[2, k]``.
    """
    often = ((1 + losses) / 2).clamp(0.5, 1 / rate)
    ones = torch.ones_like(often)
    return often, torch.stack((ones, 1 / often) if drawn else (often, ones))


class Worth:
    """Worth of a chosen instance over one at random: expected when it is chosen, and seen when it is trained on.

    For ``trusted`` an instance is worth 1 in the lower group and 0 in the upper, for ``hard`` its loss, and for
    ``uncertain`` P (1 - P): by the record, and by the losses when training came to those chosen.
    """

    def __init__(self) -> None:
        self._sums = dict.fromkeys(_NAMES, 0.0)

    def expect(self, chances: Float[Tensor, " b"], worth: Float[Tensor, " b"]) -> None:
        """Take one window's chances and what its instances are worth by the record, each of shape ``[b]``."""
        chosen, anyone = float((chances * worth).sum() / chances.sum()), float(worth.mean())
        self._sums["windows"] += 1
        self._sums["expected"] += chosen / anyone if anyone > 0 else 1.0

    def see(self, worth: Float[Tensor, " k"], chances: Float[Tensor, " k"]) -> None:
        """Take what chosen instances turned out to be worth, and the chances that they had, each of shape ``[k]``.

        Each stands for one over its chance of all instances (Horvitz and Thompson 1952).
        """
        for name, value in (
            ("chosen", worth.new_ones(worth.shape)),
            ("chosen_worth", worth),
            ("stand_for", 1 / chances),
            ("stand_for_worth", worth / chances),
        ):
            self._sums[name] += float(value.sum())

    @property
    def gains(self) -> tuple[float | None, float | None]:
        """Expected, averaged over the windows, and seen; None where there is nothing to tell from."""
        sums = self._sums
        expected = sums["expected"] / sums["windows"] if sums["windows"] else None
        if not sums["chosen"] or not sums["stand_for_worth"]:
            return expected, None
        seen = sums["chosen_worth"] / sums["chosen"] / (sums["stand_for_worth"] / sums["stand_for"])
        return expected, seen

    def state_dict(self) -> dict[str, float]:
        """The sums."""
        return dict(self._sums)

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is not.
        """
        kinds.check(self.state_dict(), state, "evidence")
        kinds.numbers(self.state_dict(), state, _NAMES, "evidence")

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from `state_dict`, which `check` has seen."""
        self._sums = {name: float(state[name]) for name in _NAMES}
