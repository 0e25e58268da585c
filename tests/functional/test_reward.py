"""Eq. 4: as printed, as the text says, and free of scale."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

import reference_choice as choice
from adaselection import functional as F  # noqa: N812
from strategies import double, masked, tensor, values

POWERS = st.sampled_from([0.1, 0.5, 1.0])


@given(masked(negative=True), st.sampled_from([1, 2, 100, 100_000]), POWERS)
def test_printed_and_text(drawn: tuple[np.ndarray, np.ndarray], step: int, power: float) -> None:
    losses, valid = drawn
    for ours, theirs in (
        (F.printed_reward, choice.printed_reward),
        (F.text_reward, choice.text_reward),
    ):
        got = double(ours(tensor(losses), step, power, tensor(valid)))
        expected = theirs(losses, step, power, valid)
        # exp(-x) in floats is off by the rounding of x: where x is large only the limit is compared
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
        assert not got[~valid].any()
        assert got.sum() == pytest.approx(1.0 if valid.any() else 0.0)


@given(values(), POWERS)
def test_printed_in_float32(losses: np.ndarray, power: float) -> None:
    got = F.printed_reward(tensor(losses, torch.float32), 7, power)
    assert bool(got.isfinite().all())
    assert got.sum().item() == pytest.approx(1.0 if len(losses) else 0.0, rel=1e-5)
    assert bool((got[torch.argsort(tensor(losses, torch.float32), stable=True)].diff() <= 1e-7).all())


def test_no_loss_no_preference() -> None:
    assert F.printed_reward(torch.zeros(4), 10**6, 1.0).tolist() == [0.25] * 4


def test_the_step_may_be_a_tensor() -> None:
    losses = torch.tensor([0.1, 2.0, 3.0])
    assert torch.equal(F.printed_reward(losses, torch.tensor(9), 0.5), F.printed_reward(losses, 9, 0.5))


def spread(reward: torch.Tensor) -> float:
    return (reward.max() / reward.min()).item()


def test_printed_sharpens_with_time_and_text_fades() -> None:
    """The table of the sign contradiction: 128 Gamma(1) losses."""
    losses = tensor(np.random.default_rng(0).gamma(1.0, size=128))
    printed = [spread(F.printed_reward(losses, t, 0.5)) for t in (1, 100, 10_000)]
    text = [spread(F.text_reward(losses, t, 0.5)) for t in (1, 100, 10_000)]
    assert 1 < printed[0] < 1.05
    assert printed[0] < printed[1] < printed[2]
    assert printed[2] > 3
    assert printed[0] == pytest.approx(text[0])
    assert text[0] > text[1] > text[2] > 1
    shrunk = F.printed_reward(losses * 0.01, 1, 0.5)
    assert spread(shrunk) == pytest.approx(printed[0] ** 100)  # one over the unit of the loss


@given(masked(negative=True), st.sampled_from([0.0, 0.4, 1.0, 2.5]), st.sampled_from([0.5, 1.0]))
def test_scale_free(drawn: tuple[np.ndarray, np.ndarray], progress: float, strength: float) -> None:
    losses, valid = drawn
    got = F.scale_free_reward(tensor(losses), progress, strength, tensor(valid))
    expected = choice.scale_free_reward(losses, progress, strength, valid)
    np.testing.assert_allclose(double(got), expected, rtol=1e-9, atol=1e-300)
    unit = F.scale_free_reward(tensor(losses * 2.0**40), progress, strength, tensor(valid))
    assert torch.equal(got, unit)
    if progress >= 1 and valid.any():
        assert double(got)[valid].tolist() == [pytest.approx(1 / valid.sum(), rel=1e-12)] * int(valid.sum())


def test_scale_free_wants_easy_rows_first() -> None:
    losses = torch.tensor([3.0, 1.0, 2.0, 9.0])
    reward = F.scale_free_reward(losses, 0.0)
    assert reward.argsort(descending=True).tolist() == [1, 2, 0, 3]
