"""Eq. 2: importance in its four readings, and the robust z-score under it."""

import inspect
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

import reference as ref
from adaselection import functional as F  # noqa: N812
from strategies import double, masked, tensor, values

READINGS = ("softmax", "softmax_z", "indicator", "rank")


@pytest.mark.parametrize("reading", READINGS)
@given(drawn=masked(negative=True), k=st.integers(1, 9))
def test_importance_is_the_reference(reading: str, drawn: tuple[np.ndarray, np.ndarray], k: int) -> None:
    scores, valid = drawn
    both = np.stack([scores, -scores])
    expected = np.stack([ref.importance(row, reading, k, valid) for row in both])
    got = F.importance(tensor(both), reading, k, tensor(np.stack([valid, valid])))
    np.testing.assert_allclose(double(got), expected, rtol=1e-9, atol=1e-300)
    assert not double(got)[:, ~valid].any()
    if valid.any():
        np.testing.assert_allclose(double(got).sum(1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("reading", READINGS)
@given(scores=values(negative=True), k=st.integers(1, 9))
def test_importance_in_float32(reading: str, scores: np.ndarray, k: int) -> None:
    single = tensor(scores, torch.float32).unsqueeze(0)
    got = F.importance(single, reading, k)
    assert got.dtype == torch.float32
    expected = ref.importance(double(single)[0], reading, k)
    # A z-score's rounding is relative to the numbers, not to their spread; only the well spread are compared.
    rounding = np.abs(double(single)).max(initial=0.0) * 1e-5 if reading == "softmax" else 1e-5
    if reading != "softmax_z" or np.abs(ref.robust_z(scores, np.ones(len(scores), bool))).max(initial=0) < 50:
        np.testing.assert_allclose(double(got)[0], expected, rtol=max(1e-4, min(rounding, 0.1)), atol=1e-5)


@given(values(negative=True), st.sampled_from([2.0**-80, 0.5, 8.0, 2.0**60]))
def test_softmax_z_does_not_see_the_unit(scores: np.ndarray, unit: float) -> None:
    one = F.importance(tensor(scores)[None], "softmax_z")
    assert torch.equal(one, F.importance(tensor(scores * unit)[None], "softmax_z"))


def test_softmax_sees_the_unit() -> None:
    scores = torch.tensor([[0.0, 1.0, 2.0]])
    assert not torch.allclose(F.importance(scores, "softmax"), F.importance(10 * scores, "softmax"))


@pytest.mark.parametrize("reading", READINGS)
@given(scores=values(negative=True, scaled=False), data=st.data())
def test_importance_follows_the_rows(reading: str, scores: np.ndarray, data: st.DataObject) -> None:
    scores = np.unique(scores)
    shuffled = np.array(data.draw(st.permutations(range(len(scores)))), dtype=np.int64)
    one = F.importance(tensor(scores)[None], reading, 3)[:, tensor(shuffled)]
    torch.testing.assert_close(one, F.importance(tensor(scores[shuffled])[None], reading, 3))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_equal_scores(size: int) -> None:
    flat = torch.full((1, size), 3.0, dtype=torch.float64)
    for reading in ("softmax", "softmax_z"):
        assert F.importance(flat, reading).tolist() == [[pytest.approx(1 / size)] * size]
    assert F.importance(flat, "indicator", 1)[0].tolist() == [1.0] + [0.0] * (size - 1)
    assert F.importance(flat, "rank")[0].argsort(descending=True).tolist() == list(range(size))


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_infinite_and_far_scores_give_numbers(reading: str, dtype: torch.dtype) -> None:
    rows = [
        [math.inf, 0.1, 0.2, 0.3],  # the AdaBoost weight of a loss of exactly 1
        [math.inf, math.inf, -math.inf, 0.1],
        [1e30, 1e-30, 2e-30, 3e-30],
        [torch.finfo(dtype).max, -torch.finfo(dtype).max, 0.0, 0.0],
    ]
    alpha = F.importance(torch.tensor(rows, dtype=dtype), reading, 2)
    assert bool(alpha.isfinite().all())
    torch.testing.assert_close(alpha.sum(1), torch.ones(4, dtype=dtype))
    assert alpha.argmax(1).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("reading", READINGS)
def test_nan_scores_count_for_nothing(reading: str) -> None:
    alpha = F.importance(torch.tensor([[math.nan, 2.0, math.nan, 1.0], [math.nan] * 4]), reading, 1)
    assert alpha[0, [0, 2]].tolist() == [0, 0]
    assert alpha[0].argmax() == 1
    assert alpha.sum(1).tolist() == [pytest.approx(1), 0]


@pytest.mark.parametrize("reading", READINGS)
def test_a_bad_row_never_stands_before_a_valid_one(reading: str) -> None:
    scores = torch.tensor([[5.0, 4.0, -math.inf]])
    alpha = F.importance(scores, reading, 1, torch.tensor([[False, False, True]]))
    assert alpha.tolist() == [[0, 0, 1]]


def test_an_unknown_reading_is_named() -> None:
    with pytest.raises(ValueError, match="importance 'odd' is unknown; take one of softmax"):
        inspect.unwrap(F.importance)(torch.ones(1, 2), "odd")


@given(masked(negative=True))
@example((np.array([1e30, -8.75e29]), np.array([True, True])))  # their mean is far smaller than they are
def test_robust_z(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, valid = drawn
    got = double(F.robust_z(tensor(scores), tensor(valid)))
    np.testing.assert_allclose(got, ref.robust_z(scores, valid), rtol=1e-9, atol=1e-12)
    if len(scores) and valid.any():
        middle = F.masked_median(tensor(scores), tensor(valid)).item()
        assert middle == pytest.approx(ref.median(scores[valid].tolist()), rel=1e-15)


def test_robust_z_where_most_are_equal() -> None:
    scores = torch.tensor([0.0, 0.0, 0.0, 4.0], dtype=torch.float64)
    everything = torch.ones(4, dtype=torch.bool)
    assert F.robust_z(scores, everything).tolist() == [0, 0, 0, pytest.approx(1 / 1.2533 * 4)]
    assert F.robust_z(torch.ones(4), everything).tolist() == [0] * 4


def test_the_median_of_nothing_is_infinite() -> None:
    assert F.masked_median(torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool)).tolist() == [[math.inf]] * 2
