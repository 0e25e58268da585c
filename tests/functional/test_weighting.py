"""Eq. 3: the paper's product in log space, and the bounded form with its fixed share."""

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference as ref
from adaselection import functional as F  # noqa: N812
from strategies import double, tensor, values

METHODS = 3
BETAS = st.sampled_from([-1.0, -0.5, 0.0, 0.3, 1.0])


@st.composite
def histories(draw: st.DrawFn, low: float = 1e-3) -> np.ndarray:
    """Losses of the methods over some batches, shape [t, m], at one scale."""
    steps = draw(st.integers(1, 12))
    one = st.floats(low, 1.0)
    rows = draw(st.lists(st.lists(one, min_size=METHODS, max_size=METHODS), min_size=steps, max_size=steps))
    return np.array(rows) * draw(st.sampled_from([1e-30, 1.0, 1e30]))


def equal() -> torch.Tensor:
    return torch.full((METHODS,), 1 / METHODS, dtype=torch.float64).log()


def run_paper(history: np.ndarray, beta: float) -> torch.Tensor:
    log_weights = equal()
    for before, now in itertools.pairwise(history):
        change = F.relative_change(tensor(now), tensor(before))
        log_weights = F.update_log_weights(log_weights, change, beta)
    return log_weights


@given(values(negative=True), st.data())
def test_method_losses(losses: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(losses)))
    kept = [ref.kept_alone(u, k) for u in (losses, -losses)]
    rows = torch.tensor(kept, dtype=torch.int64).reshape(2, k)
    tiny = 1e-14 * np.abs(losses).max(initial=0)
    for average in ("kept", "batch"):
        got = double(F.method_losses(tensor(losses), rows, average))
        expected = [ref.method_loss(losses, one, average) for one in kept]
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=tiny)


def test_method_losses_do_not_overflow() -> None:
    losses = torch.full((4,), 1.7e308, dtype=torch.float64)
    kept = torch.tensor([[0, 1, 2]])
    assert F.method_losses(losses, kept).item() == pytest.approx(1.7e308)
    assert F.method_losses(losses, kept, "batch").item() == pytest.approx(1.7e308)


@given(histories(), BETAS)
def test_log_space_is_the_printed_product(history: np.ndarray, beta: float) -> None:
    expected = ref.normalised(ref.paper_weights(history.tolist(), beta))
    got = run_paper(history, beta)
    np.testing.assert_allclose(double(got.exp()), expected, rtol=1e-9, atol=1e-300)
    assert torch.logsumexp(got, 0).item() == pytest.approx(0, abs=1e-12)


def test_log_space_ranks_as_the_product_where_floats_overflow() -> None:
    generator = np.random.default_rng(0)
    history = np.exp(generator.normal(size=(700, METHODS)) * [0.3, 1.0, 0.6])
    product = ref.paper_weights(history.tolist(), 1.0)
    with np.errstate(over="ignore"):
        change = np.abs(np.diff(history, axis=0)) / history[:-1]
        plain = np.prod(np.exp(change), axis=0) / METHODS
    assert np.isinf(plain).any()  # the letter of the paper has no answer here
    got = run_paper(history, 1.0)
    assert bool(got.isfinite().all())
    logs = [float(w.ln() - max(product).ln()) for w in product]
    np.testing.assert_allclose(double(got - got.max()), logs, rtol=1e-9)
    alpha = generator.dirichlet(np.ones(8), size=METHODS)
    exact = [
        float(sum((w / max(product)) * ref.Decimal(a) for w, a in zip(product, row, strict=True))) for row in alpha.T
    ]
    scores = F.combine(got.exp(), tensor(alpha))
    assert F.rank_rows(scores).tolist() == ref.descending(exact)


@given(histories(), BETAS)
def test_the_mean_of_all_rows_leaves_weights_equal_for_ever(history: np.ndarray, beta: float) -> None:
    kept = torch.tensor([[0], [1], [2]])
    log_weights, previous = equal(), None
    for losses in history:
        current = F.method_losses(tensor(losses), kept, "batch")
        if previous is not None:
            log_weights = F.update_log_weights(log_weights, F.relative_change(current, previous), beta)
        previous = current
    assert log_weights.exp().tolist() == [pytest.approx(1 / METHODS, rel=1e-12)] * METHODS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_relative_change_of_nothing_and_from_nothing(dtype: torch.dtype) -> None:
    before = torch.tensor([0.0, 0.0, 2.0, -2.0, 1e-30], dtype=dtype)
    now = torch.tensor([0.0, 1.0, 3.0, -1.0, 1e30], dtype=dtype)
    change = F.relative_change(now, before)
    assert change[[0, 2, 3]].tolist() == [0, 0.5, 0.5]
    assert bool(change.isfinite().all())
    assert bool((change[[1, 4]] > 1e30).all())
    log_weights = torch.zeros(5, dtype=dtype)
    for _ in range(8):
        log_weights = F.update_log_weights(log_weights, change, 1.0)
        assert not bool(log_weights.isnan().any())
        assert log_weights.exp().sum().item() == pytest.approx(1)


@given(histories(low=0.0), BETAS, st.sampled_from([1.0, 5.0, 50.0]), st.sampled_from([0.0, 0.01, 0.5]))
def test_the_bounded_form(history: np.ndarray, beta: float, half_life: float, share: float) -> None:
    weights, log_weights = [1 / METHODS] * METHODS, equal()
    mean, smoothed = history[0].tolist(), tensor(history[0])
    scale = float(np.abs(history).mean())
    for now in history[1:]:
        weights, mean = ref.bounded_step(weights, mean, now.tolist(), scale, beta, half_life, share)
        after = F.smooth(tensor(now), smoothed, half_life)
        change = F.bounded_change(after, smoothed, torch.tensor(scale, dtype=torch.float64))
        assert bool(((change >= 0) & (change <= 1)).all())
        log_weights = F.fixed_share(F.update_log_weights(log_weights, change, beta), share)
        smoothed = after
    np.testing.assert_allclose(double(log_weights.exp()), weights, rtol=1e-8)
    assert log_weights.exp().min().item() >= share / METHODS * (1 - 1e-12) or len(history) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounded_change_is_bounded_for_every_loss(dtype: torch.dtype) -> None:
    most = torch.finfo(dtype).max
    before = torch.tensor([0.0, 0.0, 1e-30, most, -most, -1.0], dtype=dtype)
    now = torch.tensor([0.0, 1.0, 1e30, -most, most, -1.0], dtype=dtype)
    for scale in (0.0, 1e-30, 1.0, 1e30):
        change = F.bounded_change(now, before, torch.tensor(scale, dtype=dtype))
        assert bool(((change >= 0) & (change <= 1)).all())
        assert change[[0, 5]].tolist() == [0, 0]


@given(st.lists(st.floats(-700, 0), min_size=1, max_size=6), st.sampled_from([0.0, 1e-6, 0.01, 0.3, 1.0]))
def test_fixed_share(logs: list[float], share: float) -> None:
    log_weights = torch.log_softmax(torch.tensor(logs, dtype=torch.float64), 0)
    shared = F.fixed_share(log_weights, share)
    expected = (1 - share) * log_weights.exp() + share / len(logs)
    torch.testing.assert_close(shared.exp(), expected, rtol=1e-10, atol=0.0)
    assert shared.exp().sum().item() == pytest.approx(1)


def test_smooth_halves_what_is_left_in_a_half_life() -> None:
    value = torch.ones(1, dtype=torch.float64)
    for _ in range(10):
        value = F.smooth(torch.zeros(1, dtype=torch.float64), value, 10)
    assert value.item() == pytest.approx(0.5)


def test_a_buried_method_returns_with_a_share_and_not_without() -> None:
    buried = torch.log_softmax(torch.tensor([0.0, -500.0], dtype=torch.float64), 0)
    gain = torch.tensor([0.0, 1.0], dtype=torch.float64)
    plain, shared = buried, buried
    for _ in range(30):
        plain = F.update_log_weights(plain, gain, 0.5)
        shared = F.fixed_share(F.update_log_weights(shared, gain, 0.5), 0.01)
    assert math.exp(plain[1].item()) < 1e-100
    assert math.exp(shared[1].item()) > 0.9
