"""Rewards from the record, against loops and against the derivative that they stand for."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference_recorded as rules
from adaselection import AdaSelection, SelectiveLoader, Signals
from adaselection import functional as F  # noqa: N812
from adaselection.errors import ArgumentError
from strategies import double, tensor

NAMES = ("uniform", "proportional", "uncertain")


def slow_variance(losses: list[float], chances: list[float], inclusions: list[list[float]]) -> list[float]:
    top = max(map(abs, losses)) or 1.0
    return [
        sum(pi * (x / top / p) ** 2 for x, p, pi in zip(losses, chances, row, strict=True) if p > 0)
        for row in inclusions
    ]


def slow_progress(losses: list[float], averages: list[float], inclusions: list[list[float]]) -> list[float]:
    found = []
    for row in inclusions:
        fall = sum(pi * (a - x) for x, a, pi in zip(losses, averages, row, strict=True))
        found.append(fall / sum(row) if sum(row) else 0.0)
    return found


def slow_relative(utility: list[float]) -> list[float]:
    size, middle = sum(map(abs, utility)) / len(utility), sum(utility) / len(utility)
    return [max(-1.0, min(1.0, (u - middle) / size)) if size else 0.0 for u in utility]


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=12),
    st.lists(st.just(0.0) | st.floats(1e-3, 1), min_size=3, max_size=3),
    st.integers(0, 2**31),
)
def test_utilities_are_those_of_the_loops(pairs: list[tuple[float, float]], raw: list[float], seed: int) -> None:
    losses, averages = map(list, zip(*pairs, strict=True))
    inclusions = np.random.default_rng(seed).uniform(size=(3, len(losses)))
    inclusions[0, ::2] = 0.0
    weights = np.array([0.0, *raw[1:]])  # so that some chances are 0
    chances = weights @ inclusions
    found = F.variance_utility(tensor(np.array(losses)), tensor(chances), tensor(inclusions))
    np.testing.assert_allclose(double(found), slow_variance(losses, chances.tolist(), inclusions.tolist()), rtol=1e-9)
    fall = F.progress_utility(tensor(np.array(losses)), tensor(np.array(averages)), tensor(inclusions))
    slow = slow_progress(losses, averages, inclusions.tolist())
    np.testing.assert_allclose(double(fall), slow, rtol=1e-9, atol=1e-9 * max(*losses, *averages, 1.0))
    if float(fall.abs().max()) > 1e-300:  # below, the mean is held at the smallest normal number
        np.testing.assert_allclose(double(F.relative_utility(fall)), slow_relative(double(fall).tolist()), atol=1e-9)


def test_the_variance_utility_is_the_derivative_of_the_variance() -> None:
    generator = np.random.default_rng(0)
    losses, inclusions = generator.gamma(1.5, size=30), generator.uniform(size=(3, 30))
    weights = tensor(np.array([0.5, 0.2, 0.3])).requires_grad_()
    scaled = tensor(losses / losses.max())
    (scaled.square() / (weights @ tensor(inclusions))).sum().backward()
    chances = weights.detach() @ tensor(inclusions)
    assert weights.grad is not None
    torch.testing.assert_close(F.variance_utility(tensor(losses), chances, tensor(inclusions)), -weights.grad)


def test_a_chance_near_0_gives_a_finite_utility() -> None:
    chances = tensor(np.array([1e-300, 1.0]))
    found = F.variance_utility(tensor(np.array([1.0, 2.0])), chances, chances.expand(2, 2))
    assert bool(found.isfinite().all())
    assert bool(F.relative_utility(found).isfinite().all())


@pytest.mark.parametrize("utility", [[0.0, 0.0], [3.0], [1e300, -1e300, 0.0], [5e-324, 0.0]])
def test_gains_are_bounded(utility: list[float]) -> None:
    gains = F.relative_utility(tensor(np.array(utility)))
    assert bool(gains.isfinite().all())
    assert float(gains.abs().max()) <= 1.0


@pytest.mark.parametrize("weighting", ["variance", "progress"])
def test_weights_follow_the_utility_of_each_method(weighting: str) -> None:
    policy = AdaSelection(NAMES, 0.4, weighting=weighting, beta=0.5, share=0.1)
    generator, weights = np.random.default_rng(1), [1 / 3] * 3
    for window in range(5):
        losses, averages = generator.gamma(0.7, size=40), generator.gamma(0.7, size=40)
        known = [True] * 40
        each = [
            rules.uniform(16, known),
            rules.in_proportion(losses.tolist(), 16, known),
            rules.in_proportion([math.exp(-x) * (1 - math.exp(-x)) for x in losses], 16, known),
        ]
        if weighting == "variance":
            utility = slow_variance(losses.tolist(), rules.mixed(weights, each), each)
        else:
            utility = slow_progress(losses.tolist(), averages.tolist(), each)
        if window:  # the first leaves the weights equal
            moved = [w * math.exp(0.5 * r) for w, r in zip(weights, slow_relative(utility), strict=True)]
            weights = [0.9 * w / sum(moved) + 0.1 / 3 for w in moved]
        got = policy.choose(Signals(tensor(losses), averages=tensor(averages)), 16)
        np.testing.assert_allclose(list(policy.weights.values()), weights, rtol=1e-6)
        assert got.inclusion_probabilities is not None
        np.testing.assert_allclose(double(got.inclusion_probabilities), rules.mixed(weights, each), rtol=1e-6)


def test_variance_pays_for_heavy_tails_and_progress_for_what_falls() -> None:
    losses = tensor(np.array([0.01] * 35 + [5.0] * 5))
    by_variance = AdaSelection(("uniform", "proportional"), 0.25, weighting="variance")
    by_progress = AdaSelection(("uniform", "proportional"), 0.25, weighting="progress")
    for _ in range(20):
        by_variance.choose(Signals(losses), 10)
        by_progress.choose(Signals(losses, averages=losses - 0.1 * losses), 10)  # the larger, the more it rose
    assert by_variance.weights["proportional"] > 0.6
    assert by_progress.weights["uniform"] > 0.9


@pytest.mark.parametrize("weighting", ["variance", "progress"])
def test_fresh_losses_are_refused(weighting: str) -> None:
    policy = AdaSelection(weighting=weighting)
    before = policy.state_dict()
    with pytest.raises(ArgumentError, match=r"with RecordedLoader, or pass weighting=.bounded"):
        policy.select(torch.rand(8))
    with pytest.raises(ArgumentError, match="with RecordedLoader"):
        SelectiveLoader([torch.rand(8, 2)], policy, model=torch.nn.Identity(), score=lambda model, batch: batch.sum(1))
    with pytest.raises(ArgumentError, match="Leave out choice"):
        AdaSelection(weighting=weighting, choice="top_k")
    assert repr(policy.state_dict()) == repr(before)
