"""Rules as published, with a count, a switch or a state of their own; random procedures are repeated many times."""

import math

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


def as_often(counts: np.ndarray, chances: np.ndarray, draws: int) -> bool:
    """Whether the frequencies are the chances, within five standard errors."""
    error = np.sqrt(chances * (1 - chances) / draws)
    return bool((np.abs(counts / draws - chances) <= 5 * error + 1e-9).all())


# Selective-Backprop


@given(masked(), st.booleans(), st.data())
def test_selective_backprop(drawn: Drawn, own: bool, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    history = data.draw(values()) if own else None
    past = None if history is None else tensor(history)
    got = double(F.selective_backprop(tensor(losses), k, tensor(valid), history=past))
    expected = ref.selective_backprop(losses.tolist(), k, valid.tolist(), None if history is None else history.tolist())
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-300)
    assert ((got >= 0) & (got <= 1)).all()
    assert (got[~valid] == 0).all()


def test_selective_backprop_by_hand() -> None:
    losses = torch.tensor([1.0, 4.0, 2.0, 3.0], dtype=torch.float64)
    assert F.selective_backprop(losses, 2).tolist() == [0.25, 1, 0.5, 0.75]  # beta 1: the CDF itself
    assert F.selective_backprop(losses, 1).tolist() == [0.25**3, 1, 0.5**3, 0.75**3]
    assert F.selective_backprop(losses, 4).tolist() == [1] * 4
    past = torch.tensor([0.0, 2.0, 2.0, 9.0], dtype=torch.float64)
    assert F.loss_percentile(losses, history=past).tolist() == [0.25, 0.75, 0.625, 0.75]


def test_selective_backprop_keeps_the_share_that_it_aims_at() -> None:
    losses = torch.rand(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for k in (400, 1200, 2000, 4000):
        chances = F.selective_backprop(losses, k)
        assert chances.sum().item() == pytest.approx(k, rel=0.01)
        assert chances[losses.argmax()] == 1


def test_selective_backprop_against_the_procedure() -> None:
    rng = np.random.default_rng(1)
    losses = rng.random(25)
    chances = double(F.selective_backprop(tensor(losses), 8))
    counts, draws = np.zeros(25), 4000
    for _ in range(draws):
        counts += rng.random(25) < [ref.percentile(x, losses) ** (25 / 8 - 1) for x in losses]
    assert as_often(counts, chances, draws)


# Min-k-loss


@given(masked(negative=True), st.data())
def test_min_k_loss(drawn: Drawn, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    got = double(F.min_k_loss(tensor(losses), k, tensor(valid)))
    np.testing.assert_allclose(got, ref.min_k_loss(losses.tolist(), k, valid.tolist()), rtol=1e-9, atol=1e-12)
    assert got.sum() == pytest.approx(k, rel=1e-9)
    assert ((got >= 0) & (got <= 1)).all()


def test_min_k_loss_by_hand() -> None:
    losses = torch.tensor([3.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    # pairs: the lowest always wins, the next in 2 of 3 cases, the third in 1 of 3, the highest never
    assert F.min_k_loss(losses, 2).tolist() == pytest.approx([1 / 3, 1, 2 / 3, 0])
    assert F.min_k_loss(losses, 1).tolist() == [0, 1, 0, 0]
    assert F.min_k_loss(losses, 4).tolist() == [1] * 4
    assert F.min_k_loss(torch.ones(4, dtype=torch.float64), 1).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(("size", "k"), [(12, 4), (13, 4), (10, 7), (9, 1)])
def test_min_k_loss_against_the_procedure(size: int, k: int) -> None:
    rng = np.random.default_rng(size)
    losses = rng.integers(0, 6, size).astype(float)  # with ties
    chances = double(F.min_k_loss(tensor(losses), k))
    counts, draws = np.zeros(size), 4000
    for _ in range(draws):
        rows = ref.min_k_loss_draw(losses.tolist(), k, rng)
        assert len(set(rows)) == k
        counts[rows] += 1
    assert as_often(counts, np.clip(chances, 0, 1), draws)


# Katharopoulos & Fleuret


@given(masked())
def test_variance_gain(drawn: Drawn) -> None:
    norms, valid = drawn
    got = F.variance_gain(tensor(norms), tensor(valid)).item()
    assert got == pytest.approx(ref.variance_gain(norms.tolist(), valid.tolist()), rel=1e-9)
    if valid.all():
        assert F.variance_gain(tensor(norms)).item() == got
        assert 1 <= got <= math.sqrt(max(1, len(norms))) * (1 + 1e-12)


def test_variance_gain_is_the_reduction_of_the_standard_deviation() -> None:
    norms = torch.tensor([1.0, 1.0, 1.0, 9.0], dtype=torch.float64)
    assert F.variance_gain(norms).item() == pytest.approx(math.sqrt(21) / 3)
    assert F.variance_gain(torch.ones(9)).item() == 1
    # second moment of (g_i / (n p_i)) norm_i: uniform over proportional draws is tau squared
    uniform = (norms**2).mean()
    proportional = ((norms / 4) ** 2 / (norms / norms.sum())).sum()
    assert F.variance_gain(norms).item() ** 2 == pytest.approx(float(uniform / proportional))


def test_switch_is_the_published_threshold() -> None:
    gain = torch.tensor(2.0, dtype=torch.float64)
    assert not F.switch(gain, 96, 32).item()  # (96 + 96) / 96 = 2 is not below
    assert F.switch(gain, 95, 32).item()
    assert F.switch(torch.tensor(1.01), 96, 32, scoring=0.0).item()
    assert not F.switch(torch.tensor(1.0), 96, 32, scoring=0.0).item()


@given(masked(), st.sampled_from([0.0, 0.3, 1.0]), st.data())
def test_katharopoulos_fleuret(drawn: Drawn, scoring: float, data: st.DataObject) -> None:
    norms, valid = drawn
    k = drawable(data, valid)
    tau, threshold = ref.variance_gain(norms.tolist(), valid.tolist()), (scoring * valid.sum() + 3 * k) / (3 * k or 1)
    if abs(tau - threshold) < 1e-9:  # rounding decides: whichever it is, the chances sum to k
        got = F.katharopoulos_fleuret(tensor(norms), k, tensor(valid), scoring=scoring)
        assert got.sum().item() == pytest.approx(k)
        return
    got = double(F.katharopoulos_fleuret(tensor(norms), k, tensor(valid), scoring=scoring))
    expected = ref.katharopoulos_fleuret(norms.tolist(), k, valid.tolist(), scoring)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_katharopoulos_fleuret_switches_on_a_smoothed_gain() -> None:
    norms = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert F.katharopoulos_fleuret(norms, 1).tolist() == [0.25] * 4
    on = F.katharopoulos_fleuret(norms, 1, gain=torch.tensor(2.4, dtype=torch.float64))
    assert on.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


# InfoBatch


@given(masked(), st.data())
def test_infobatch(drawn: Drawn, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    got = double(F.infobatch(tensor(losses), k, tensor(valid)))
    expected = np.array(ref.infobatch(losses.tolist(), k, valid.tolist()))
    middle = losses[valid].mean() if valid.any() else 0.0
    clear = np.abs(losses - middle) > 1e-9 * np.abs(losses).max(initial=0)  # of a loss at the mean, rounding decides
    np.testing.assert_allclose(got[clear], expected[clear], rtol=1e-12)
    if valid.any() and len(set(losses[valid].tolist())) == 1:
        assert (got[valid] == 1).all()  # equal losses are not below their mean
    assert got.sum() >= k - 1e-9


def test_infobatch_prunes_and_rescales() -> None:
    losses = torch.tensor([1.0, 2.0, 3.0, 10.0], dtype=torch.float64)
    chances = F.infobatch(losses, 1)
    assert chances.tolist() == [0.25, 0.25, 0.25, 1]
    assert F.infobatch_weights(chances).tolist() == [4, 4, 4, 1]
    assert F.infobatch_weights(torch.tensor([0.0, 1.0])).tolist() == [0, 1]


def test_infobatch_keeps_the_sum_of_the_losses() -> None:
    rng = np.random.default_rng(2)
    losses = rng.exponential(size=40)
    chances = double(F.infobatch(tensor(losses), 20))
    weight = double(F.infobatch_weights(tensor(chances)))
    counts, sums, draws = np.zeros(40), [], 4000
    mean = losses.mean()
    for _ in range(draws):  # the procedure: every loss below the mean is pruned with probability r
        kept = (losses >= mean) | (rng.random(40) >= 0.5)
        counts += kept
        sums.append((losses * weight)[kept].sum())
    assert as_often(counts, chances, draws)
    assert abs(np.mean(sums) - losses.sum()) < 5 * np.std(sums) / math.sqrt(draws)


# Hiding


@given(masked(), st.sampled_from([0.5, 0.7, 1.0]), st.data())
def test_kakurenbo(drawn: Drawn, confidence: float, data: st.DataObject) -> None:
    losses, valid = drawn
    k = drawable(data, valid)
    got = F.kakurenbo(tensor(losses), k, tensor(valid), confidence=confidence)
    expected = ref.kakurenbo(losses.tolist(), k, valid.tolist(), confidence)
    sure = np.abs(np.exp(-losses) - confidence) > 1e-12
    sure |= losses == 0
    assert double(got)[sure].tolist() == np.array(expected)[sure].tolist()
    assert got.sum().item() >= k


def test_kakurenbo_moves_the_unsure_back() -> None:
    losses = torch.tensor([0.1, 0.35, 0.36, 2.0, 0.2])  # exp(-0.35) is above 0.7, exp(-0.36) is below
    assert F.kakurenbo(losses, 1).tolist() == [0, 0, 1, 1, 0]
    assert F.kakurenbo(losses, 4).tolist() == [0, 1, 1, 1, 1]
    assert F.kakurenbo(losses, 5).tolist() == [1] * 5


# Early stopping of an instance


def walked(histories: list[list[float]], scale: float, delta: float) -> torch.Tensor:
    """The column after the update was called at every visit."""
    size, double_ = len(histories), torch.float64
    last, previous = torch.zeros(size, dtype=double_), torch.zeros(size, dtype=double_)
    calm, visits = torch.zeros(size, dtype=torch.int8), torch.zeros(size, dtype=torch.int64)
    for now in (torch.tensor(column, dtype=double_) for column in zip(*histories, strict=True)):
        previous, calm = F.calm_update(now, last, previous, calm, visits, scale, delta=delta)
        last, visits = now, visits + 1
    assert calm.dtype == torch.int8
    return calm


LOSS = st.integers(0, 8).map(lambda x: x / 8)  # exact, so that no second difference is rounded


@given(st.lists(st.lists(LOSS, min_size=7, max_size=7), max_size=6), st.sampled_from([0.1, 0.3, 2.0]))
def test_early_stopping(histories: list[list[float]], delta: float) -> None:
    calm = walked(histories, 1.0, delta)
    got = F.early_stopping(torch.rand(len(histories)), calm)
    assert got.tolist() == [0.0 if ref.mastered(h, 1.0, delta, 3) else 1.0 for h in histories]


def test_early_stopping_by_hand() -> None:
    straight = [[1.0, 0.9, 0.8, 0.7, 0.6], [1.0, 0.9, 0.8, 0.7, 0.3], [0.0, 0.0, 0.0, 0.0, 0.0]]
    calm = walked(straight, 1.0, 0.01)
    assert calm.tolist() == [3, 0, 3]
    assert walked([h[:4] for h in straight], 1.0, 0.01).tolist() == [2, 2, 2]  # three checks need five visits
    valid = torch.tensor([True, True, False])
    assert F.early_stopping(torch.rand(3), calm, valid).tolist() == [0, 1, 0]
    assert F.early_stopping(torch.rand(3), calm, skip=0.5).tolist() == [0.5, 1, 0.5]
    assert F.early_stopping(torch.rand(3), calm, checks=4).tolist() == [1, 1, 1]


def test_calm_does_not_wrap_around() -> None:
    column = torch.tensor([126, 127], dtype=torch.int8)
    same = torch.ones(2)
    _, after = F.calm_update(same, same, same, column, torch.tensor([200, 200]), 1.0)
    assert after.tolist() == [127, 127]


def test_rules_with_their_own_count_have_no_instance_and_no_place() -> None:
    none, some = torch.zeros(0), torch.tensor([0.1, 0.2, 3.0])
    assert (
        F.infobatch(none, 0).tolist() == F.kakurenbo(none, 0).tolist() == F.selective_backprop(none, 0).tolist() == []
    )
    assert F.selective_backprop(some, 0).tolist() == [0, 0, 0]
    assert F.infobatch(some, 0).tolist() == [0, 0, 1]
    assert F.kakurenbo(some, 0).tolist() == [0, 0, 1]
    one = torch.tensor([0.4])
    assert F.infobatch(one, 1).tolist() == F.kakurenbo(one, 1).tolist() == F.selective_backprop(one, 1).tolist() == [1]
