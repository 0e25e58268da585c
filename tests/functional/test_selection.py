"""Eqs. 5 and 6: score, top-k, quota."""

import math
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference as ref
import reference_choice as choice
from adaselection import functional as F  # noqa: N812
from strategies import SIZES, double, tensor, values, weights

AWKWARD = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 2.0, -1e30, 1e-30])


@given(st.lists(AWKWARD, max_size=20), st.data())
def test_top_k_keeps_the_reference_rows(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(scores)))
    for dtype in (torch.float64, torch.float32):
        given_ = torch.tensor(scores, dtype=dtype)
        assert F.top_k(given_, k).tolist() == choice.top_k(scores, k)
        assert F.rank_rows(given_).tolist() == ref.descending(scores)


@given(values(negative=True), st.data())
def test_top_k_follows_the_rows(scores: np.ndarray, data: st.DataObject) -> None:
    scores = np.unique(scores)
    k = data.draw(st.integers(0, len(scores)))
    shuffled = np.array(data.draw(st.permutations(range(len(scores)))), dtype=np.int64)
    moved = F.top_k(tensor(scores[shuffled]), k).tolist()
    assert sorted(shuffled[moved].tolist()) == F.top_k(tensor(scores), k).tolist()


def test_ties_go_by_position_in_a_long_batch() -> None:
    scores = torch.zeros(5000)
    scores[1::2] = 1.0
    assert F.top_k(scores, 2600).tolist() == sorted([*range(1, 5000, 2), *range(0, 200, 2)])


@pytest.mark.parametrize(
    ("size", "rate", "kept"),
    [(0, 0.3, 0), (1, 0.01, 1), (128, 0.1, 13), (128, 1, 128), (5, 0.5, 2), (7, 0.5, 4), (10, 0.25, 2)],
)
def test_kept_per_batch(size: int, rate: float, kept: int) -> None:
    assert F.kept_per_batch(size, float(rate)) == kept


@given(st.integers(1, 5), SIZES, st.booleans(), st.data())
def test_combine(methods: int, size: int, rewarded: bool, data: st.DataObject) -> None:
    w = data.draw(weights(methods))
    alpha = np.stack([data.draw(values(size)) for _ in range(methods)])
    reward = data.draw(values(size, scaled=False)) if rewarded else None
    got = F.combine(tensor(w), tensor(alpha), None if reward is None else tensor(reward))
    np.testing.assert_allclose(double(got), choice.combine(w.tolist(), list(alpha), reward), rtol=1e-12)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=7).filter(any), st.integers(0, 50))
def test_quota_slots_are_the_largest_remainders(parts: list[int], k: int) -> None:
    expected = choice.quota_slots([Fraction(p) for p in parts], k)
    total = sum(parts)
    for divided in ([p / total for p in parts], [math.exp(math.log(p / total)) if p else 0.0 for p in parts]):
        slots = F.quota_slots(torch.tensor(divided, dtype=torch.float64), k)
        assert slots.tolist() == expected
    single = F.quota_slots(torch.tensor([p / total for p in parts], dtype=torch.float32), k)
    assert single.sum().item() == k
    assert max(abs(a - Fraction(p * k, total)) for a, p in zip(single.tolist(), parts, strict=True)) <= 1


def test_quota_remainders_that_only_rounding_tells_apart_tie() -> None:
    slots = F.quota_slots(torch.tensor([0.05, 0.15, 0.8], dtype=torch.float64), 8)
    assert slots.tolist() == [1, 1, 6]  # 0.4, 1.2, 6.4: the first of the two 0.4


@given(st.integers(1, 4), st.integers(1, 20), st.data())
def test_quota_fill(methods: int, size: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, size))
    orders = [data.draw(st.permutations(range(size))) for _ in range(methods)]
    slots = F.quota_slots(tensor(data.draw(weights(methods))), k)
    rows = F.quota_select(torch.tensor(orders), slots, k).tolist()
    assert rows == choice.quota_fill(orders, slots.tolist())
    assert len(rows) == k


def test_quota_fill_passes_over_rows_already_taken() -> None:
    order = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 4, 3, 2], [4, 3, 2, 1, 0]])
    assert F.quota_select(order, torch.tensor([2, 1, 1]), 4).tolist() == [0, 1, 3, 4]
