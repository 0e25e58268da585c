"""The seven methods: raw scores, and which rows each keeps alone."""

import inspect
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference as ref
import reference_choice as choice
from adaselection import functional as F  # noqa: N812
from strategies import double, masked, tensor, values

READINGS = ("clamp", "nan_last", "abs", "cross_entropy", "scale_free")


def k_of(data: st.DataObject, most: int) -> int:
    return data.draw(st.integers(0, most), label="k")


@given(values(negative=True), st.data())
def test_the_rules_by_one_number_keep_the_reference_rows(losses: np.ndarray, data: st.DataObject) -> None:
    k = k_of(data, len(losses))
    given_ = tensor(losses)
    for score, name in ((F.big_loss, "big_loss"), (F.small_loss, "small_loss")):
        raw = ref.raw_scores(name, losses, noise=losses, grad_norms=losses)
        assert F.top_k(score(given_), k).tolist() == sorted(ref.kept_alone(raw, k))
    for same in (F.uniform(given_), F.grad_norm(given_)):
        assert torch.equal(same, given_)


def test_ties_go_by_position() -> None:
    losses = torch.tensor([1.0, 2.0, 1.0, 2.0, 2.0])
    assert F.top_k(F.big_loss(losses), 2).tolist() == [1, 3]
    assert F.top_k(F.small_loss(losses), 3).tolist() == [0, 1, 2]
    assert F.top_k(F.coreset_extremes(torch.ones(6)), 3).tolist() == [0, 1, 5]
    assert F.top_k(F.coreset_mean(torch.ones(6)), 2).tolist() == [0, 1]


@given(values(negative=True), st.data())
def test_coreset_extremes_keeps_the_two_halves(losses: np.ndarray, data: st.DataObject) -> None:
    k = k_of(data, len(losses))
    scores = F.coreset_extremes(tensor(losses))
    assert F.top_k(scores, k).tolist() == ref.extremes_kept(losses, k)
    assert len(set(scores.tolist())) == len(losses)


@given(masked(negative=True))
def test_coreset_extremes_scores(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    losses, valid = drawn
    for dtype in (torch.float64, torch.float32):
        scores = F.coreset_extremes(tensor(losses, dtype), tensor(valid))
        np.testing.assert_allclose(double(scores), ref.extremes_score(double(tensor(losses, dtype)), valid), rtol=1e-6)
        assert all(0 <= x <= 1 for x in scores.tolist())


@given(masked(negative=True), st.data())
def test_coreset_mean(drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    losses, valid = drawn
    expected = ref.raw_scores("coreset_mean", losses, noise=losses, grad_norms=losses, valid=valid)
    scores = F.coreset_mean(tensor(losses), tensor(valid))
    rounding = 1e-13 * np.abs(losses).max(initial=0)
    np.testing.assert_allclose(double(scores), expected, rtol=0, atol=rounding)
    if valid.all():
        assert torch.equal(scores, F.coreset_mean(tensor(losses))) or len(losses) == 0
        k = k_of(data, len(losses))
        assert choice.same_choice(F.top_k(scores, k).tolist(), expected.tolist(), k, 2 * rounding)


def test_coreset_mean_of_the_largest_numbers_is_finite() -> None:
    losses = torch.tensor([1.5e308, 1.7e308, 1.6e308, 1.2e308], dtype=torch.float64)
    assert F.top_k(F.coreset_mean(losses), 2).tolist() == [0, 2]  # the mean is 1.5e308


@pytest.mark.parametrize("reading", READINGS)
@given(losses=values(negative=True), scale=st.sampled_from([None, 0.5, 3.0]))
def test_adaboost_is_eq_1(reading: str, losses: np.ndarray, scale: float | None) -> None:
    expected = ref.adaboost(losses, reading, scale)
    np.testing.assert_allclose(double(F.adaboost(tensor(losses), reading, scale)), expected, rtol=1e-12)
    single = tensor(losses, torch.float32)
    expected = ref.adaboost(double(single), reading, scale)
    precision = 2e-3 if reading == "clamp" else 1e-5  # 1 - 1e-6 is not a float32
    got = F.adaboost(single, reading, scale)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(double(got), expected, rtol=precision, atol=1e-37)


def test_adaboost_where_the_printed_equation_has_no_value() -> None:
    losses = torch.tensor([0.5, 1.0, 2.302585, 7.0, 0.0], dtype=torch.float64)
    clamped = F.adaboost(losses, "clamp")
    assert clamped[1] == clamped[2] == clamped[3] == pytest.approx(7.254329)
    assert F.top_k(clamped, 2).tolist() == [1, 2]  # all above 1 tie: by position
    assert F.top_k(F.adaboost(losses, "nan_last"), 3).tolist() == [0, 1, 4]
    assert F.top_k(F.adaboost(losses, "abs"), 2).tolist() == [0, 1]  # nearest to a loss of 1
    assert F.adaboost(losses, "abs")[1] == math.inf


@pytest.mark.parametrize("reading", ["cross_entropy", "scale_free"])
@given(losses=values(scaled=False))
def test_the_sound_readings_of_adaboost_rank_as_big_loss(reading: str, losses: np.ndarray) -> None:
    given_ = tensor(losses)
    scores = F.adaboost(given_, reading)
    assert bool(scores.isfinite().all())
    in_order = scores[torch.argsort(given_, stable=True)]
    assert bool((in_order.diff() >= 0).all())


@given(values(), st.sampled_from([2.0**-60, 0.5, 2.0**70]))
def test_scale_free_adaboost_does_not_see_the_unit(losses: np.ndarray, unit: float) -> None:
    assert torch.equal(F.adaboost(tensor(losses), "scale_free"), F.adaboost(tensor(losses * unit), "scale_free"))


def test_artanh_identities_of_the_readings() -> None:
    losses = torch.tensor([0.1, 0.7, 2.3], dtype=torch.float64)
    error = 1 - torch.exp(-losses)
    torch.testing.assert_close(F.adaboost(losses, "cross_entropy"), torch.atanh(error))
    torch.testing.assert_close(F.adaboost(losses, "scale_free", 0.4), torch.atanh(losses / (losses + 0.4)))


def test_an_unknown_reading_is_named() -> None:
    with pytest.raises(ValueError, match=r"'odd' is unknown; take one of clamp, nan_last"):
        inspect.unwrap(F.adaboost)(torch.ones(2), "odd")  # behind the type check of the tests


@pytest.mark.parametrize("name", ["coreset_extremes", "coreset_mean"])
@given(losses=values(negative=True, scaled=False), data=st.data())
def test_order_of_the_rows_does_not_matter_but_for_ties(name: str, losses: np.ndarray, data: st.DataObject) -> None:
    if len(set(losses.tolist())) < len(losses):
        losses = losses + 10.0 * np.arange(len(losses))
    shuffled = np.array(data.draw(st.permutations(range(len(losses)))), dtype=np.int64)
    method = getattr(F, name)
    torch.testing.assert_close(method(tensor(losses))[tensor(shuffled)], method(tensor(losses[shuffled])))
