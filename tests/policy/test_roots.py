"""When the groups of the square roots of the losses count."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import reference_evidence as slow
from adaselection import AdaSelection, RecordedLoader, Signals
from adaselection.conditions import WRONG
from adaselection.crowd import Crowd, crowd
from adaselection.roots import by_roots
from adaselection.thresholds import Thresholds

NEED = Thresholds()
NUMBERS = st.lists(st.integers(0, 40).map(lambda number: number / 8), min_size=1, max_size=12)
PLACES = (np.arange(20_000) + 0.5) / 20_000


def seen_of(losses: Tensor) -> Crowd:
    return crowd(Signals(losses))


def rooted(losses: Tensor, level: float = 0.0, need: Thresholds = NEED, **more: Any) -> Crowd:
    """What counts where every loss of the upper group is above the level."""
    return by_roots(seen_of(losses), Signals(losses), need, level, **more)


@given(errors=NUMBERS)
def test_the_groups_of_the_roots_are_those_of_a_slow_reference(errors: list[float]) -> None:
    """Losses are the squares, so that their roots are exact."""
    need = Thresholds(tailed=0.0, apart=1.0, rooted=-1.0)
    losses = torch.tensor(errors, dtype=torch.float64).square()
    _, apart, _ = slow.two_groups(errors)
    found = rooted(losses, -1.0, need)
    assert found.threshold in losses.tolist()  # of equally good cuts any
    low = [error * error for error in errors if error * error <= found.threshold]
    high = [error * error for error in errors if error * error > found.threshold]
    expected = (len(high) / len(errors), sum(low) / len(low), apart)
    assert (found.share, found.lower, found.roots) == pytest.approx(expected)
    above = sum(high) / len(high) if high else 0.0
    assert rooted(losses, above / WRONG * 1.001 + 1e-9, need) == seen_of(
        losses
    )  # the upper group is no worse than at first


@pytest.mark.parametrize("name", ["norm", "logistic", "laplace", "t3", "t5"])
def test_one_crowd_of_errors_stays_one(name: str) -> None:
    shape = stats.t(int(name[1])) if name[0] == "t" else getattr(stats, name)
    losses = torch.from_numpy(shape.ppf(PLACES) ** 2)
    found = rooted(losses, need=Thresholds(tailed=0.0))
    assert 0.4 < found.roots < 0.68
    assert found._replace(roots=0.0) == seen_of(losses)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_outliers_of_every_size_are_a_group_of_the_errors_and_none_of_their_squares(share: float) -> None:
    """Normal errors, some of ten times the spread: half of the outliers are in the upper group, and hardly another."""
    draws = np.random.default_rng(0)
    outlier = draws.random(20_000) < share
    errors = draws.standard_normal(20_000) * np.where(outlier, 10, 1)
    losses = torch.from_numpy(errors**2)
    seen, found = seen_of(losses), rooted(losses)
    assert seen.apart < 0.72
    assert found.roots > 0.75
    upper = losses.numpy() > found.threshold
    assert 0.4 < upper[outlier].mean() < 0.6
    assert upper[~outlier].mean() == 0
    assert found.share == pytest.approx(upper.mean())


@pytest.mark.parametrize(("tau", "apart", "looks"), [(1.75, 0.7, False), (1.76, 0.75, True), (1.76, 0.76, False)])
def test_roots_count_where_the_tail_is_long_and_the_losses_themselves_are_no_two_groups(
    tau: float, apart: float, looks: bool
) -> None:
    losses = torch.tensor([1.0] * 9 + [400.0])
    seen = Crowd(1.0, apart, 0.1, 1.0, 40.9, tau, 0.0)
    assert (by_roots(seen, Signals(losses), NEED, 1.0).roots > 0) == looks


def test_wide_outliers_of_a_regression_are_left_out() -> None:
    """A fifth of the targets are off by normal errors of twice the signal's spread; judged on clean rows."""
    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((2600, 8))
    signal = np.tanh(inputs @ draws.standard_normal((8, 16)) * 0.5) @ draws.standard_normal(16)
    signal /= signal.std()
    outlier = draws.random(2600) < 0.2
    noisy = signal + 0.1 * draws.standard_normal(2600) * np.where(outlier, 20, 1)
    x, clean, y = (torch.from_numpy(part).float() for part in (inputs, signal, noisy))
    found = []
    for policy in (None, AdaSelection(rate=0.3)):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0)
        )
        plain = DataLoader(TensorDataset(x[:2000], y[:2000]), 50, shuffle=True)
        loader = plain if policy is None else RecordedLoader(plain, policy)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1200)
        while schedule.last_epoch < 1200:
            for a, b in loader:
                losses = (model(a) - b).square()
                loss = loader.record(losses) if isinstance(loader, RecordedLoader) else losses.mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            found.append(float((model(x[2000:]) - clean[2000:]).square().mean()))
    assert found[1] < 0.7 * found[0]
    assert isinstance(loader, RecordedLoader)
    assert loader.report().verdicts["trusted"] > 5
    visits = loader.records.read(torch.arange(2000), now=2**31).visits
    assert visits is not None
    large = torch.from_numpy(np.abs(noisy - signal)[:2000] > 2)
    assert float(visits[large].double().mean()) < 0.7 * float(visits[~large].double().mean())
