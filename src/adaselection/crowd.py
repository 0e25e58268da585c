"""How the recorded losses of a window lie: as one crowd, or in two groups."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from adaselection import functional as F  # noqa: N812
from adaselection.types import Signals


class Crowd(NamedTuple):
    """The losses of a window.

    Attributes:
        threshold: largest average loss of the lower group.
        apart: share of the variance of the average losses that is between the groups.
        share: of the instances in the upper group.
        lower: mean average loss of the lower group.
        mean: loss.
        tau: variance reduction of drawing in proportion to the loss; 1 where losses are negative.
        negative: share of the losses that are below 0.
        roots: as ``apart``, of the square roots; 0 where `roots.by_roots` did not look at these.
    """

    threshold: float
    apart: float
    share: float
    lower: float
    mean: float
    tau: float
    negative: float
    roots: float = 0.0


def crowd(signals: Signals) -> Crowd:
    """Look at a window, with signals of shape ``[b]``."""
    averages, losses = signals.smoothed, signals.losses.double()
    groups = F.two_groups(averages)
    lower = averages[averages <= groups.threshold].double().mean()
    level = torch.stack([*groups, lower, losses.mean(), losses.square().mean(), (losses < 0).double().mean()])
    threshold, apart, share, below, mean, square, negative = level.tolist()
    tau = math.sqrt(square) / mean if negative == 0 and mean > 0 else 1.0  # the `variance_gain` of the losses
    return Crowd(threshold, apart, share, below, mean, tau, negative)
