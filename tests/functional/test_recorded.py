"""Rules of the recorded plane that draw exactly k: the chance of every instance, and which are certain."""

import math
from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference_recorded as ref
from adaselection import functional as F  # noqa: N812
from strategies import double, masked, tensor, values

Drawn = tuple[np.ndarray, np.ndarray]


def drawable(data: st.DataObject, valid: np.ndarray) -> int:
    return data.draw(st.integers(0, int(valid.sum())), label="k")


def sums_to(got: np.ndarray, k: int, valid: np.ndarray) -> None:
    """What holds for each rule here."""
    assert got.sum() == pytest.approx(k, rel=1e-9)
    assert ((got >= 0) & (got <= 1)).all()
    assert (got[~valid] == 0).all()


@given(masked(negative=True), st.sampled_from([0.0, 1.0, 2.0]), st.data())
def test_proportional(drawn: Drawn, power: float, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    got = double(F.proportional(tensor(losses), k, tensor(valid), power=power))
    np.testing.assert_allclose(got, ref.in_proportion(losses.tolist(), k, valid.tolist(), power), rtol=1e-9)
    sums_to(got, k, valid)


def test_proportional_by_hand() -> None:
    losses = torch.tensor([1.0, 3.0, 4.0, -2.0], dtype=torch.float64)
    assert F.proportional(losses, 1).tolist() == pytest.approx([1 / 8, 3 / 8, 1 / 2, 0], abs=1e-8)
    assert F.proportional(losses, 2).tolist() == pytest.approx([1 / 4, 3 / 4, 1, 0], abs=1e-8)
    assert F.proportional(torch.zeros(4), 2).tolist() == [0.5] * 4


@given(masked(negative=True), st.sampled_from([1.0, 2.0, 100.0, 1e8]), st.data())
def test_rank_based(drawn: Drawn, pressure: float, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    got = double(F.rank_based(tensor(losses), k, tensor(valid), pressure=pressure))
    np.testing.assert_allclose(got, ref.rank_based(losses.tolist(), k, valid.tolist(), pressure), rtol=1e-8)
    sums_to(got, k, valid)


@given(values(negative=True), st.sampled_from([0.5, 2.0]))
def test_ranks_do_not_see_the_scale(losses: np.ndarray, unit: float) -> None:
    k = len(losses) // 2
    assert torch.equal(F.rank_based(tensor(losses), k), F.rank_based(tensor(losses * unit), k))


def test_the_pressure_is_the_ratio_of_the_ends() -> None:
    chances = F.rank_based(torch.arange(101.0, dtype=torch.float64), 1, pressure=50.0)
    assert float(chances[-1] / chances[0]) == pytest.approx(50 ** (100 / 101))
    raw = F.log_rank_weight(torch.tensor([5.0, 7.0], dtype=torch.float64), pressure=100.0)
    assert raw.tolist() == [pytest.approx(-math.log(100) / 2), 0]


@given(masked(), st.data())
def test_uncertain(drawn: Drawn, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    got = double(F.uncertain(tensor(losses), k, tensor(valid)))
    np.testing.assert_allclose(got, ref.uncertain(losses.tolist(), k, valid.tolist()), rtol=1e-8)
    sums_to(got, k, valid)


def test_uncertain_wants_the_middle() -> None:
    losses = torch.tensor([0.01, math.log(2), 9.0], dtype=torch.float64)
    chances = F.uncertain(losses, 1)
    assert F.uncertainty(losses)[1].item() == pytest.approx(0.25)
    assert chances.argmax().item() == 1
    assert F.uncertainty(torch.tensor([0.0, 1e30])).tolist() == [0, 0]


@given(masked(), st.sampled_from([(0.25, 0.3), (0.0, 0.3), (0.5, 2.0), (1.0, 0.0)]), st.data())
def test_capped(drawn: Drawn, settings: tuple[float, float], data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    top, cap = settings
    got = double(F.capped(tensor(losses), k, tensor(valid), top=top, cap=cap))
    np.testing.assert_allclose(got, ref.capped(losses.tolist(), k, valid.tolist(), top, cap), rtol=1e-9)
    sums_to(got, k, valid)
    if top == 0:
        np.testing.assert_allclose(got, double(F.proportional(tensor(losses), k, tensor(valid))), rtol=1e-12)


def test_capped_holds_the_largest_quarter_down() -> None:
    losses = torch.tensor([9.0, 1.0, 2.0, 3.0, 1.0, 8.0, 2.0, 2.0], dtype=torch.float64)
    held = F.capped_losses(losses).tolist()
    assert held == [pytest.approx(0.6), 1, 2, 3, 1, pytest.approx(0.6), 2, 2]


@given(masked(), st.data())
def test_upper_confidence(drawn: Drawn, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    size = len(losses)
    visits = np.array(data.draw(st.lists(st.integers(0, 65535), min_size=size, max_size=size)), dtype=np.int64)
    ages = np.array(data.draw(st.lists(st.integers(0, 40).map(float), min_size=size, max_size=size)), dtype=float)
    bonus, age_bonus = data.draw(st.sampled_from([(0.0, 0.0), (0.2, 0.1), (3.0, 0.0)]))
    got = double(
        F.upper_confidence(
            tensor(losses), tensor(visits), tensor(ages), k, tensor(valid), bonus=bonus, age_bonus=age_bonus
        )
    )
    expected = ref.upper_confidence(
        losses.tolist(), visits.tolist(), ages.tolist(), k, valid.tolist(), bonus, age_bonus
    )
    np.testing.assert_allclose(got, expected, rtol=1e-8)
    sums_to(got, k, valid)


def test_upper_confidence_prefers_the_unseen_and_the_old() -> None:
    losses = torch.ones(4, dtype=torch.float64)
    visits, ages = torch.tensor([9, 1, 9, 9]), torch.tensor([0.0, 0.0, 12.0, 0.0], dtype=torch.float64)
    chances = F.upper_confidence(losses, visits, ages, 1)
    assert chances[0] == chances[3]
    assert chances[1] > chances[0]
    assert chances[2] > chances[0]


@given(masked(), st.sampled_from([0.0, 0.2, 1.0]), st.data())
def test_learning_progress(drawn: Drawn, floor: float, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    averages = data.draw(values(size=len(losses)))
    got = double(F.learning_progress(tensor(losses), tensor(averages), k, tensor(valid), floor=floor))
    expected = ref.learning_progress(losses.tolist(), averages.tolist(), k, valid.tolist(), floor)
    np.testing.assert_allclose(got, expected, rtol=1e-8)
    sums_to(got, k, valid)


def test_learning_progress_by_hand() -> None:
    losses = torch.tensor([1.0, 1.0, 3.0], dtype=torch.float64)
    averages = torch.tensor([2.0, 1.5, 1.0], dtype=torch.float64)
    assert F.learning_progress(losses, averages, 1, floor=0.0).tolist() == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-8)
    assert F.learning_progress(losses, losses, 1).tolist() == pytest.approx([1 / 3] * 3)


@given(masked(), st.data())
def test_rho_loss(drawn: Drawn, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    irreducible = data.draw(values(size=len(losses)))
    got = F.rho_loss(tensor(losses), tensor(irreducible), k, tensor(valid))
    assert got.tolist() == ref.top_k((losses - irreducible).tolist(), k, valid.tolist())


def test_rho_loss_leaves_out_what_cannot_be_learnt() -> None:
    losses, irreducible = torch.tensor([5.0, 2.0, 0.1]), torch.tensor([4.9, 0.5, 0.1])
    assert F.rho_loss(losses, irreducible, 1).tolist() == [0, 1, 0]


RULES: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "proportional": F.proportional,
    "rank_based": F.rank_based,
    "uncertain": F.uncertain,
    "capped": F.capped,
    "learning_progress": lambda x, k: F.learning_progress(x, x.roll(1), k),
    "rho_loss": lambda x, k: F.rho_loss(x, x.roll(1), k),
    "upper_confidence": lambda x, k: F.upper_confidence(x, torch.ones_like(x).long(), torch.zeros_like(x), k),
    "min_k_loss": F.min_k_loss,
    "katharopoulos_fleuret": F.katharopoulos_fleuret,
}


@pytest.mark.parametrize("name", RULES)
def test_a_large_window_in_single_precision_sums_to_k(name: str) -> None:
    losses = torch.rand(20_000, generator=torch.Generator().manual_seed(5)).square() * 3
    for k in (1, 6_000, 20_000):
        got = RULES[name](losses, k)
        assert got.dtype == torch.float32
        assert got.double().sum().item() == pytest.approx(k, rel=1e-3)
        assert bool(((got >= 0) & (got <= 1)).all())


@pytest.mark.parametrize("name", RULES)
def test_no_instance_and_no_place(name: str) -> None:
    assert RULES[name](torch.zeros(0), 0).tolist() == []
    assert RULES[name](torch.rand(3), 0).tolist() == [0, 0, 0]
    assert RULES[name](torch.rand(1), 1).tolist() == pytest.approx([1])
