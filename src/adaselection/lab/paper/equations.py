"""Eq. 3 and eq. 4 by themselves: what they do to losses that no training moves. Pure and seeded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from adaselection import functional

__all__ = ["METHODS", "LogWeights", "lock_in", "log_weights", "losses_of_batches", "reward_ratio"]

METHODS = ("big_loss", "small_loss", "uniform")
BATCH, RATE = 128, 0.2


@dataclass(frozen=True)
class LogWeights:
    """What eq. 3 makes of the candidates' weights, batch by batch.

    Attributes:
        summed: ``log w`` as the printed product leaves it, never normalised, shape ``[t, m]``.
        shares: The same weights divided by their sum, shape ``[t, m]``.
    """

    summed: Tensor
    shares: Tensor


@cache
def losses_of_batches(batches: int, seed: int = 0) -> Tensor:
    """Draw losses that no training moves: exponential with mean 1, shape ``[batches, BATCH]``, float64."""
    source = torch.Generator().manual_seed(seed)
    return -torch.rand(batches, BATCH, generator=source, dtype=torch.float64).clamp_min(1e-12).log()


@cache
def log_weights(beta: float, batches: int = 1_000, seed: int = 0) -> LogWeights:
    """Let eq. 3 run over batches that differ by chance alone, with the candidates `METHODS` at rate `RATE`.

    Args:
        beta: Of eq. 3, in [-1, 1].
        batches: Number t of batches.
        seed: Of the losses and of uniform's choice.

    Returns:
        Log-weights and shares after each batch, shape ``[t, m]`` each.
    """
    source = torch.Generator().manual_seed(seed + 1)
    kept, summed, shares = round(BATCH * RATE), [], []
    total = torch.zeros(len(METHODS), dtype=torch.float64)
    normal = torch.full_like(total, -math.log(len(METHODS)))
    previous = None
    for losses in losses_of_batches(batches, seed):
        order = losses.argsort()
        rows = torch.stack([order[-kept:], order[:kept], torch.randperm(BATCH, generator=source)[:kept]])
        current = functional.method_losses(losses, rows)
        if previous is not None:
            change = functional.relative_change(current, previous)
            total = total + beta * change
            normal = functional.update_log_weights(normal, change, beta)
        previous = current
        summed.append(total)
        shares.append(normal.exp())
    return LogWeights(torch.stack(summed), torch.stack(shares))


def lock_in(beta: float, share: float = 0.9, batches: int = 1_000, seed: int = 0) -> tuple[str, int] | None:
    """Return which candidate holds at least `share` of the weight to the end, and from which batch on; else None.

    >>> lock_in(-0.5)[0]
    'big_loss'
    """
    above = log_weights(beta, batches, seed).shares >= share
    winner = int(above[-1].to(torch.int8).argmax())
    if not above[-1, winner]:
        return None
    below = (~above[:, winner]).nonzero()
    return METHODS[winner], int(below[-1]) + 2 if len(below) else 1


def reward_ratio(step: int, power: float, scale: float = 1.0, seed: int = 0) -> float:
    """Return how much more eq. 4 gives the row with the smallest loss than the row with the largest.

    Args:
        step: Number of the batch t, from 1.
        power: Exponent of t: above 0 as printed, below 0 as the text describes.
        scale: What the losses (exponential, mean 1) are multiplied by.
        seed: Of the losses.

    Returns:
        ``max r / min r``, at least 1; infinity where the smallest reward underflows.
    """
    reward = functional.printed_reward(scale * losses_of_batches(1, seed)[0], step, power)
    return float(reward.max() / reward.min())
