"""What the processes of a training bring together of a window, to judge it as one process with all rows would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from adaselection.types import Signals


@runtime_checkable
class Processes(Protocol):
    """Several processes that come to each of these calls together. Every answer is the same on all of them.

    Attributes:
        world: how many they are.
    """

    world: int

    def total(self, values: Tensor) -> Tensor:
        """Sum over the processes, of values of one shape."""

    def rows(self, values: Tensor) -> Tensor:
        """The rows of all, those of one process after those of another, however many each has: ``[n_i, ...]``."""

    def first(self, values: Tensor) -> Tensor:
        """The values of the first process, which others may have with another rounding."""


def pooled(signals: Signals, processes: Processes) -> Signals:
    """Losses of the windows of all processes, and their averages, as of one window."""
    losses, averages = processes.rows(torch.stack((signals.losses, signals.smoothed.to(signals.losses.dtype)), 1)).T
    return Signals(losses.contiguous(), averages=averages.contiguous())


def agreed(values: Iterable[float], processes: Processes | None) -> list[float]:
    """Numbers that each process worked out from the same rows, without what rounding makes different."""
    own = list(values)
    if processes is None:
        return own
    found: list[float] = processes.first(torch.tensor(own, dtype=torch.float64)).tolist()
    return found
