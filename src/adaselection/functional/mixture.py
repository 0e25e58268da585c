"""Two groups in one column of numbers: a mixture of two normal distributions, fitted to a histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adaselection._shapes import Float

_BINS = 2048  # the fit costs the same for any number of values
_ROUNDS = 200
_STARTS = (0.5, 0.8, 0.95)  # share of the values that begin in the lower group
_NARROWEST = 0.05  # least standard deviation of a group over that of all values


@dataclass(frozen=True)
class TwoGroups:
    """A fitted mixture, the group of the smaller mean first.

    Attributes:
        shares: of the two groups, float64, shape ``[2]``, sum 1.
        means: of the two groups.
        spreads: standard deviations of the two groups.
        gain: by how much the Bayesian information criterion of one normal distribution is worse, per value.
    """

    shares: Float[Tensor, 2]
    means: Float[Tensor, 2]
    spreads: Float[Tensor, 2]
    gain: float

    @property
    def separation(self) -> float:
        """Ashman's D: distance of the means in spreads; below 2 there are no two groups to speak of."""
        low, high = self.means.tolist()
        return float(math.sqrt(2.0) * (high - low) / self.spreads.square().sum().sqrt().item())

    @property
    def valley(self) -> float:
        """Lowest density between the means over the lower density of the two means; 1 where there is no valley."""
        low, high = self.means.tolist()
        density = self._log(torch.linspace(low, high, 257, dtype=torch.float64)).logsumexp(0).exp()
        return (density.min() / torch.minimum(density[0], density[-1])).item()

    def upper(self, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Probability that a value is of the upper group; never falls as values rise.

        Two normal distributions of unequal spread cross twice, so beyond the point where their ratio turns, the
        ratio of that point is taken.
        """
        low, high = (0.5 / self.spreads.square()).tolist()
        bend = low - high  # of the log-odds, a parabola in the value
        x = values.detach().double()
        if bend != 0:
            turn = (low * self.means[0].item() - high * self.means[1].item()) / bend
            x = x.clamp(max=turn) if bend < 0 else x.clamp(min=turn)
        return self._log(x).softmax(0)[1]

    def _log(self, x: Float[Tensor, " n"]) -> Float[Tensor, "two n"]:
        return self.shares.to(x.device).log()[:, None] + _log_normal(
            x, self.means.to(x.device), self.spreads.to(x.device)
        )


def two_groups(values: Float[Tensor, " n"]) -> TwoGroups | None:
    """Fit a mixture of two normal distributions by expectation maximisation, from several starts.

    Deterministic: the starts are shares of the sorted values. The idea of telling clean from wrong labels by a
    two-component mixture of losses is that of Arazo et al., "Unsupervised Label Noise Modeling and Loss Correction",
    ICML 2019, and of DivideMix (Li et al., ICLR 2020).

    Args:
        values: finite numbers, shape ``[n]``.

    Returns:
        The best of the fits, or None where there are fewer than two different values.
    """
    if values.numel() < 2 or bool((values == values[0]).all()):
        return None
    x, counts = _histogram(values.detach().double())
    total = counts.sum()
    mean = (counts * x).sum() / total
    spread = ((counts * (x - mean).square()).sum() / total).sqrt()
    one = (counts * _log_normal(x, mean[None], spread[None])[0]).sum()
    below = (counts.cumsum(0) - counts / 2) / total
    fits = [_fit(x, counts, below >= start, spread * _NARROWEST) for start in _STARTS]
    likelihood, groups = max(fits, key=lambda fit: fit[0])
    order = groups[1].argsort()
    gain = (2 * (likelihood - one.item()) - 3 * math.log(total.item())) / total.item()
    shares, means, spreads = (part[order].cpu() for part in groups)
    return TwoGroups(shares, means, spreads, gain)


def _histogram(values: Float[Tensor, " n"]) -> tuple[Float[Tensor, " bins"], Float[Tensor, " bins"]]:
    """Middles and counts of the bins that hold anything."""
    low, high = values.min(), values.max()
    places = ((values - low) / (high - low) * _BINS).long().clamp_(max=_BINS - 1)
    counts = torch.bincount(places, minlength=_BINS).double()
    sums = torch.zeros_like(counts).index_add_(0, places, values)
    held = counts > 0
    return sums[held] / counts[held], counts[held]


def _fit(
    x: Float[Tensor, " bins"], counts: Float[Tensor, " bins"], upper: Tensor, least: Tensor
) -> tuple[float, tuple[Tensor, Tensor, Tensor]]:
    """One fit from a hard split: its log-likelihood, and shares, means and spreads."""
    groups = torch.stack((~upper, upper)).double() * 0.98 + 0.01
    for _ in range(_ROUNDS):
        held = groups * counts
        sizes = held.sum(1)
        shares, means = sizes / counts.sum(), (held @ x) / sizes
        spreads = ((held * (x - means[:, None]).square()).sum(1) / sizes).sqrt().maximum(least)
        joint = shares.log()[:, None] + _log_normal(x, means, spreads)
        groups = joint.softmax(0)
    return (counts * joint.logsumexp(0)).sum().item(), (shares, means, spreads)


def _log_normal(
    x: Float[Tensor, " n"], means: Float[Tensor, " g"], spreads: Float[Tensor, " g"]
) -> Float[Tensor, "g n"]:
    z = (x[None] - means[:, None]) / spreads[:, None]
    return -0.5 * z.square() - spreads.log()[:, None] - 0.5 * math.log(2 * math.pi)
