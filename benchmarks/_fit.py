"""The training that the benchmarks on other data and other models share: so many steps, with or without the library."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import Policy, RecordedLoader
from adaselection.lab import stats

WARM = 0.2  # share of the steps in which the learning rate rises


def fit(
    optimizer: torch.optim.Optimizer,
    rate: float,
    plain: DataLoader[Any],
    policy: Policy | None,
    row_losses: Callable[..., Tensor],
    steps: int,
    anneal: float = 0.0,
) -> RecordedLoader | None:
    """Train for so many steps of a one-cycle schedule; ``row_losses`` takes the parts of a batch.

    With ``anneal`` the last share of them walks over all data.

    Returns:
        The recorded loader; None if no policy is given and the plain loader was used.
    """
    loader = None
    if policy is not None:
        passes = math.ceil(steps / (policy.rate * len(plain)))
        loader = RecordedLoader(plain, policy, passes=passes, anneal=anneal)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, max(2, steps + 1), pct_start=WARM, cycle_momentum=False
    )
    done = 0
    while done < steps:
        for batch in plain if loader is None else loader:
            losses = row_losses(*batch)
            loss = losses.mean() if loader is None else loader.record(losses)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == steps:
                break
    return loader


def gained(ours: Sequence[float], plain: Sequence[float], unit: float) -> dict[str, Any]:
    """Mean of the paired differences in a unit, and its 95 % interval."""
    found = stats.mean_interval([unit * (one - other) for one, other in zip(ours, plain, strict=True)])
    return {"difference": found.mean, "ci": [found.ci_low, found.ci_high]}


def wrong_labels(labels: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """The labels with a share of them of another class."""
    chance = torch.Generator().manual_seed(1000 + seed)
    wrong = torch.rand(len(labels), generator=chance) < share
    return torch.where(wrong, (labels + torch.randint(1, classes, labels.shape, generator=chance)) % classes, labels)


def best_of(tried: Mapping[float, Sequence[float]], larger: bool) -> float:
    """The learning rate with the best mean score; one with a run that diverged is none."""
    known = {rate: sum(scores) / len(scores) for rate, scores in tried.items() if all(map(math.isfinite, scores))}
    return (max if larger else min)(known, key=lambda rate: known[rate])


def perceptron(width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers of 64."""
    return nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))
