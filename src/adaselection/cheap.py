"""The ways to score for less than a forward pass, as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from adaselection import checks
from adaselection.errors import ArgumentError
from adaselection.records import RecordedLosses
from adaselection.reusing import IdsOf
from adaselection.shrinking import Shrink, smaller_pictures


@dataclass(frozen=True, eq=False)
class CheapScores:
    """How to score for less than a plain forward pass; any of the ways together.

    With all arguments left alone, plain scores are watched: see `SelectiveLoader.observe`. On the CPU all is bit for
    bit the same when a training is killed and resumed; a proxy that changes is for you to save.

    Attributes:
        autocast: type to score in, such as ``torch.bfloat16``; the loader's own if None. Saves nothing on processors
            that compute no faster in it.
        shrink: a factor for pictures ``[b, c, h, w]``, such as 2 for half the height and width; or a function from a
            batch to a smaller one with the same rows, such as ``short_sequences(length)``.
        proxy: a smaller model that scores in the place of the one that trains, on its own device. It is left as it
            was; to train it is up to you.
        reuse: passes that a score serves: 1 scores every row in every pass.
        ambiguous: with ``reuse``: share of the rows with a usable score that are scored anew all the same, those with
            recorded losses nearest to where the choice is made. The sure ones keep their recorded loss.
        threshold: where the choice is made, as the share of rows with smaller losses; ``1 - rate`` if None, which is
            right for rules that keep the hardest rows.
        ids: with ``reuse``: gives the number of each row's instance, int64 of shape ``[b]``, for loaders that are no
            `DataLoader` over a map-style data set; ``store`` is needed then.
        store: with ``reuse``: a fresh `RecordedLosses` for the scores, of your own size or kind of ids, such as
            ``RecordedLosses(slots=2**20)`` for streams; with a method that needs gradient norms, with
            ``columns={"grad_norms": torch.bfloat16}``.
        measure_every: windows between two that are also scored plainly, to measure cost and correlation; the time goes
            to a phase of its own, ``measure``. 0 for never.

    Raises:
        ArgumentError: an argument that cannot work.
    """

    autocast: torch.dtype | None = None
    shrink: float | Shrink | None = None
    proxy: nn.Module | None = None
    reuse: int = 1
    ambiguous: float = 0.0
    threshold: float | None = None
    ids: IdsOf | None = None
    store: RecordedLosses | None = None
    measure_every: int = 200

    def __post_init__(self) -> None:
        checks.count("reuse", self.reuse, 1)
        checks.float_type("autocast", self.autocast)
        checks.within("ambiguous", self.ambiguous, 0, 1)
        checks.count("measure_every", self.measure_every, 0)
        if self.threshold is not None:
            checks.within("threshold", self.threshold, 0, 1)
        if self.store is not None and not isinstance(self.store, RecordedLosses):
            raise ArgumentError(f"store must be a RecordedLosses; got {type(self.store).__name__}.")
        if self.proxy is not None and not isinstance(self.proxy, nn.Module):
            raise ArgumentError(f"proxy must be a torch.nn.Module; got {type(self.proxy).__name__}.")
        if self.ids is not None and not callable(self.ids):
            raise ArgumentError(f"ids must be a function from a batch to an int64 tensor; got {self.ids!r}.")
        self.shrinking()
        if self.reuse == 1 and (self.ambiguous or self.ids or self.store is not None or self.threshold is not None):
            raise ArgumentError(
                "ambiguous, threshold, ids and store are about scores of earlier passes, and with reuse=1 none is "
                "used. Pass reuse=3, for example: the passes that a score serves."
            )
        if self.ids is not None and self.store is None:
            raise ArgumentError(
                "ids= needs a place for the scores of these ids. Pass store=RecordedLosses(size) for ids from 0 to "
                "size - 1, or store=RecordedLosses(slots=2**20) for any."
            )

    def shrinking(self) -> Shrink | None:
        """The function that makes a batch smaller; None to leave it as it is."""
        if self.shrink is None or callable(self.shrink):
            return self.shrink
        return smaller_pictures(self.shrink)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments as plain values; functions and models by whether they are there."""
        shrink: Any = self.shrink
        return {
            "autocast": None if self.autocast is None else str(self.autocast),
            "shrink": "a function" if callable(shrink) else shrink,
            "proxy": self.proxy is not None,
            "reuse": self.reuse,
            "ambiguous": self.ambiguous,
            "threshold": self.threshold,
            "measure_every": self.measure_every,
        }
