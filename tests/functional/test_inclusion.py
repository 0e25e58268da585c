"""Chances over a window: indicators, proportions, mixtures, floors, forced draws, and the weights of a draw."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference_choice as choice
import reference_recorded as ref
from adaselection import functional as F  # noqa: N812
from strategies import double, masked, tensor, values, weights


def drawable(data: st.DataObject, valid: np.ndarray) -> int:
    return data.draw(st.integers(0, int(valid.sum())), label="k")


def chances_of(data: st.DataObject, size: int, k: int, valid: np.ndarray) -> np.ndarray:
    """Any chances that sum to k."""
    scores = data.draw(values(size=size, scaled=False))
    return np.array(choice.inclusion_probabilities(scores.tolist(), k, valid.tolist()))


@given(masked(negative=True), st.data())
def test_top_k_is_an_indicator(drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    scores, valid = drawn
    k = drawable(data, valid)
    got = F.top_k_inclusion(tensor(scores), k, tensor(valid))
    assert got.tolist() == ref.top_k(scores.tolist(), k, valid.tolist())
    assert got.nonzero().flatten().tolist() == F.top_k(tensor(scores), k, tensor(valid)).tolist()
    if valid.all():
        assert torch.equal(got, F.top_k_inclusion(tensor(scores), k))


def test_top_k_with_ties_and_nan() -> None:
    assert F.top_k_inclusion(torch.tensor([1.0, 2.0, 1.0, 2.0, 2.0]), 2).tolist() == [0, 1, 0, 1, 0]
    assert F.top_k_inclusion(torch.tensor([math.nan, -3.0, math.inf]), 2).tolist() == [0, 1, 1]
    assert F.top_k_inclusion(torch.tensor([3.0, 1.0]), 2, torch.tensor([False, True])).tolist() == [0, 1]


@given(masked(negative=True), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.data())
def test_in_proportion(drawn: tuple[np.ndarray, np.ndarray], power: float, data: st.DataObject) -> None:
    scores, valid = drawn
    k = drawable(data, valid)
    got = double(F.proportional_inclusion(tensor(scores), k, power, tensor(valid)))
    np.testing.assert_allclose(got, ref.in_proportion(scores.tolist(), k, valid.tolist(), power), rtol=1e-9, atol=0)
    assert got.sum() == pytest.approx(k, rel=1e-9)
    if k and power == 0:
        np.testing.assert_allclose(got, ref.uniform(k, valid.tolist()), rtol=1e-12)
    if valid.all():
        plain = double(F.proportional_inclusion(tensor(scores), k, power))
        np.testing.assert_array_equal(plain, got)


@given(masked(), st.data())
def test_uniform(drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    scores, valid = drawn
    k = drawable(data, valid)
    got = double(F.uniform_inclusion(tensor(scores), k, tensor(valid)))
    np.testing.assert_allclose(got, ref.uniform(k, valid.tolist()) if valid.any() else 0 * scores, rtol=1e-12)


@given(st.integers(1, 4), masked(scaled=False), st.data())
def test_a_mixture_sums_to_k(count: int, drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    _, valid = drawn
    k = drawable(data, valid)
    shares = data.draw(weights(count))
    rows = np.stack([chances_of(data, len(valid), k, valid) for _ in range(count)])
    got = double(F.mix(tensor(shares), tensor(rows)))
    np.testing.assert_allclose(got, ref.mixed(shares.tolist(), rows.tolist()), rtol=1e-12, atol=1e-15)
    assert got.sum() == pytest.approx(k, abs=1e-9)
    assert ((got >= 0) & (got <= 1)).all()


@given(masked(scaled=False), st.floats(0, 1), st.data())
def test_a_floor_bounds_the_weights(drawn: tuple[np.ndarray, np.ndarray], share: float, data: st.DataObject) -> None:
    _, valid = drawn
    k = drawable(data, valid)
    chances = chances_of(data, len(valid), k, valid)
    got = double(F.with_floor(tensor(chances), share, k, tensor(valid)))
    assert got.sum() == pytest.approx(k, abs=1e-9)
    if k:
        expected = ref.mixed([1 - share, share], [chances.tolist(), ref.uniform(k, valid.tolist())])
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-300)
        assert (got[valid] >= share * k / valid.sum() * (1 - 1e-9)).all()
        assert (double(F.unbiased_weights(tensor(got))) * share <= 1 + 1e-9).all()


@given(masked(scaled=False), st.data())
def test_scaled_to_k(drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    chances, valid = np.clip(drawn[0], 0, 1), drawn[1]
    k = drawable(data, valid)
    got = double(F.scaled(tensor(chances), k, tensor(valid)))
    np.testing.assert_allclose(got, choice.inclusion_probabilities(chances.tolist(), k, valid.tolist()), rtol=1e-9)


def test_hidden_rows_are_drawn_only_where_the_others_do_not_fill_the_places() -> None:
    chances = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    assert F.scaled(chances, 2).tolist() == pytest.approx([1, 0, 1, 0], abs=1e-8)
    assert F.scaled(chances, 3).tolist() == pytest.approx([1, 0.5, 1, 0.5])


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20))
def test_unbiased_weights_by_expectation(chances: list[float]) -> None:
    p = torch.tensor(chances, dtype=torch.float64)
    weight = F.unbiased_weights(p)
    mean = p.sum() / len(chances)
    torch.testing.assert_close(p * weight, mean.expand_as(p))  # each row counts the same in expectation
    assert float((p * weight).sum()) == pytest.approx(float(p.sum()))


def test_unbiased_weights_of_rows_without_a_chance() -> None:
    assert F.unbiased_weights(torch.tensor([0.0, 0.5, 1.0])).tolist() == [0, 1.5, 0.75]
    assert F.unbiased_weights(torch.zeros(2)).tolist() == [0, 0]
    assert F.unbiased_weights(torch.zeros(0)).tolist() == []


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_sure_rows_and_draws_of_others_estimate_the_mean_of_all(sure: int, k: int, more: int) -> None:
    """By expectation: each of the others comes with its chance, and counts what its weight says."""
    others = k + more
    chances = torch.arange(1, others + 1, dtype=torch.float64)
    chances = chances * k / chances.sum() if k else torch.zeros(others, dtype=torch.float64)
    if bool((chances > 1).any()) or not sure + k:
        return
    weights = F.with_sure(F.unbiased_weights(chances)[: k if k else 0], sure, others)
    assert weights.shape == (sure + k,)
    values = torch.arange(1.0, sure + others + 1, dtype=torch.float64)
    share = (sure + k) / (sure + others)
    assert weights[:sure].tolist() == pytest.approx([share] * sure)
    expected = (weights[:sure] * values[:sure]).sum()
    if k:
        each = F.unbiased_weights(chances) * weights[sure] / F.unbiased_weights(chances)[0]
        expected = expected + (chances * each * values[sure:]).sum()
        assert float(expected) / (sure + k) == pytest.approx(float(values.mean()))


def test_unbiased_weights_estimate_the_plain_sum() -> None:
    generator = torch.Generator().manual_seed(3)
    losses = torch.rand(30, generator=generator, dtype=torch.float64)
    chances = F.with_floor(F.proportional_inclusion(losses, 8), 0.2, 8)
    weight, found = F.unbiased_weights(chances), []
    for _ in range(3000):
        order = torch.rand(30, generator=generator).argsort()
        rows = F.systematic_draw(chances, 8, torch.rand((), generator=generator).double(), order)
        found.append(float((weight * losses)[rows].sum()) / 8)
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found) - losses.mean().item()) < 5 * error


@given(values())
def test_effective_sample_size(weight: np.ndarray) -> None:
    got = F.effective_sample_size(tensor(weight)).item()
    assert got == pytest.approx(ref.effective_sample_size(weight.tolist()), rel=1e-9)
    assert 0 <= got <= len(weight) * (1 + 1e-12)


def test_effective_sample_size_by_hand() -> None:
    assert F.effective_sample_size(torch.ones(7)).item() == pytest.approx(7)
    assert F.effective_sample_size(torch.tensor([1.0, 0.0, 0.0])).item() == 1
    assert F.effective_sample_size(torch.zeros(3)).item() == 0
    assert F.effective_sample_size(torch.tensor([1e300, 1e300], dtype=torch.float64)).item() == 2
