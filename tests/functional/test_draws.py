"""Fixed-size draws: inclusion probabilities, the systematic draw, the weights that undo the bias."""

import math
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference_choice as choice
from adaselection import functional as F  # noqa: N812
from strategies import double, masked, tensor, values

UNIT = 64  # chances in whole parts of this are exact in floats, and so are their sums


@st.composite
def exact_chances(draw: st.DrawFn) -> tuple[list[Fraction], int]:
    """Chances in 64ths that sum to a whole number, some of them 0 and some 1."""
    parts = draw(st.lists(st.one_of(st.just(0), st.just(UNIT), st.integers(0, UNIT)), max_size=16))
    if sum(parts) % UNIT:
        parts.append(UNIT - sum(parts) % UNIT)
    return [Fraction(p, UNIT) for p in parts], sum(parts) // UNIT


def as_tensor(chances: list[Fraction], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor([float(p) for p in chances], dtype=dtype)


@given(masked(), st.data())
def test_inclusion_probabilities(drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    scores, valid = drawn
    k = data.draw(st.integers(0, int(valid.sum())))
    got = double(F.inclusion_probabilities(tensor(scores), k, tensor(valid)))
    expected = choice.inclusion_probabilities(scores.tolist(), k, valid.tolist())
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=0)
    assert got.sum() == pytest.approx(k, rel=1e-9)
    assert ((got >= 0) & (got <= 1)).all()
    if k:
        assert (got[valid] > 0).all()
    single = double(F.inclusion_probabilities(tensor(scores, torch.float32), k, tensor(valid)))
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=0)


@given(values(), st.data())
def test_inclusion_probabilities_of_all_rows(scores: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(scores)))
    given_ = tensor(scores)
    every = torch.ones(len(scores), dtype=torch.bool)
    got = F.inclusion_probabilities(given_, k)
    assert torch.equal(got, F.inclusion_probabilities(given_, k, every))
    assert torch.equal(got, F.inclusion_probabilities(given_ * 2.0**50, k))
    in_order = got[torch.argsort(given_, stable=True)]
    assert bool((in_order.diff() >= 0).all())
    if k == len(scores):
        assert got.tolist() == [pytest.approx(1.0, rel=1e-12)] * k


def test_a_bad_row_has_no_chance_even_with_a_bad_score() -> None:
    scores = torch.tensor([math.nan, 1.0, math.inf, 1.0])
    got = F.inclusion_probabilities(scores, 1, torch.tensor([False, True, False, True]))
    assert got.tolist() == [0, 0.5, 0, 0.5]


@given(exact_chances(), st.integers(0, 2 * UNIT - 1), st.data())
def test_systematic_draw_takes_the_reference_rows(
    drawn: tuple[list[Fraction], int], tick: int, data: st.DataObject
) -> None:
    chances, k = drawn
    order = data.draw(st.permutations(range(len(chances))))
    start = Fraction(tick, 2 * UNIT)
    for dtype in (torch.float64, torch.float32):
        rows = F.systematic_draw(as_tensor(chances, dtype), k, float(start), torch.tensor(order, dtype=torch.int64))
        assert rows.tolist() == choice.systematic_draw(chances, start, order)
    plain = F.systematic_draw(as_tensor(chances), k, float(start))
    assert plain.tolist() == choice.systematic_draw(chances, start, range(len(chances)))


@given(exact_chances())
def test_over_all_starts_each_row_is_drawn_as_often_as_it_should(drawn: tuple[list[Fraction], int]) -> None:
    chances, k = drawn
    counts = torch.zeros(len(chances))
    for tick in range(UNIT):
        counts[F.systematic_draw(as_tensor(chances), k, (tick + 0.5) / UNIT)] += 1
    assert counts.tolist() == [float(p * UNIT) for p in chances]


@given(masked(), st.floats(0, 1, exclude_max=True), st.data())
def test_exactly_k_different_valid_rows_always(
    drawn: tuple[np.ndarray, np.ndarray], start: float, data: st.DataObject
) -> None:
    scores, valid = drawn
    k = data.draw(st.integers(0, int(valid.sum())))
    order = torch.tensor(data.draw(st.permutations(range(len(scores)))), dtype=torch.int64)
    for dtype in (torch.float64, torch.float32):
        chances = F.inclusion_probabilities(tensor(scores, dtype), k, tensor(valid))
        rows = F.systematic_draw(chances, k, start, order).tolist()
        assert rows == sorted(set(rows))
        assert len(rows) == k
        assert valid[rows].all()
        sure = {i for i, p in enumerate(chances.tolist()) if p == 1}
        assert sure <= set(rows)


def test_exactly_k_at_the_edges_of_rounding() -> None:
    below_one = 1 - 2.0**-53
    for size, k in ((10, 3), (1000, 300), (7, 7), (4097, 1)):
        for dtype in (torch.float64, torch.float32):
            chances = torch.full((size,), k / size, dtype=dtype)
            for start in (0.0, below_one, 2.0**-24, 1 - 2.0**-24):
                rows = F.systematic_draw(chances, k, start)
                assert len(set(rows.tolist())) == k


def test_frequencies_of_random_draws_are_the_probabilities() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(24, generator=generator, dtype=torch.float64) ** 3
    chances = F.inclusion_probabilities(scores, 7)
    draws, counts = 4000, torch.zeros(24, dtype=torch.float64)
    for _ in range(draws):
        order = torch.rand(24, generator=generator).argsort()
        counts[F.systematic_draw(chances, 7, torch.rand((), generator=generator).double(), order)] += 1
    wrong = (counts / draws - chances).abs()
    assert bool((wrong <= 5 * (chances * (1 - chances) / draws).sqrt() + 1e-12).all())


@given(st.lists(st.floats(1e-9, 1), max_size=20), st.sampled_from([0.0, 0.5, 1.0]))
def test_sample_weights(chances: list[float], exponent: float) -> None:
    got = F.sample_weights(torch.tensor(chances, dtype=torch.float64), exponent)
    np.testing.assert_allclose(double(got), choice.sample_weights(chances, exponent), rtol=1e-9)
    if chances:
        assert got.mean().item() == pytest.approx(1)
        single = F.sample_weights(torch.tensor(chances, dtype=torch.float32), exponent)
        assert single.mean().item() == pytest.approx(1, rel=1e-5)


def test_weights_of_tiny_chances_are_numbers() -> None:
    got = F.sample_weights(torch.tensor([1e-300, 1e-300, 1.0], dtype=torch.float64))
    assert got.tolist() == [pytest.approx(1.5), pytest.approx(1.5), pytest.approx(1.5e-300)]


def test_weighted_draws_estimate_the_plain_mean() -> None:
    generator = torch.Generator().manual_seed(1)
    losses = torch.rand(40, generator=generator, dtype=torch.float64)
    chances = F.inclusion_probabilities(losses, 10)
    ratio = []
    for _ in range(1500):
        order = torch.rand(40, generator=generator).argsort()
        rows = F.systematic_draw(chances, 10, torch.rand((), generator=generator).double(), order)
        ratio.append((F.sample_weights(chances[rows]) * losses[rows]).mean().item())
    plain = (losses * chances / 10).sum().item()  # what a draw without weights estimates
    assert plain > 1.2 * losses.mean().item()
    assert np.mean(ratio) == pytest.approx(losses.mean().item(), rel=0.05)
