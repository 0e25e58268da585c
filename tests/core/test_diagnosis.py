"""The diagnosis against slow references, on groups made up and on the edges."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection import RecordedLosses, Signals, diagnosis
from adaselection.errors import ArgumentError
from adaselection.functional.mixture import two_groups


def slow_mixture(values, start=0.8, rounds=400):
    """Shares, means and spreads of two normal distributions by plain expectation maximisation, value by value."""
    x = np.sort(np.asarray(values, dtype=np.float64))
    group = np.where(np.arange(len(x)) >= start * len(x), 0.99, 0.01)
    for _ in range(rounds):
        sizes = np.array([(1 - group).sum(), group.sum()])
        means = np.array([((1 - group) * x).sum(), (group * x).sum()]) / sizes
        spreads = np.sqrt(
            np.array([((1 - group) * (x - means[0]) ** 2).sum(), (group * (x - means[1]) ** 2).sum()]) / sizes
        )
        dense = [
            sizes[j] / len(x) * np.exp(-0.5 * ((x - means[j]) / spreads[j]) ** 2) / spreads[j] / math.sqrt(2 * math.pi)
            for j in (0, 1)
        ]
        group = dense[1] / (dense[0] + dense[1])
    return sizes / len(x), means, spreads


def noisy_losses(n=2000, share=0.2, low=0.3, high=3.5, seed=0):
    """Losses of a model that has learned the right labels and not the wrong ones, and which are wrong."""
    draw = torch.Generator().manual_seed(seed)
    wrong = torch.zeros(n, dtype=torch.bool)
    wrong[torch.randperm(n, generator=draw)[: round(share * n)]] = True
    spread = 0.4 * torch.randn(n, generator=draw)
    return torch.where(wrong, high * (0.5 * spread).exp(), low * (1.5 * spread).exp()), wrong


def often(losses, times=5):
    return torch.full((len(losses),), times)


def test_coverage_counts_what_was_trained_on_lately():
    ages = torch.tensor([0.0, 1.0, 1.5, 3.0, 0.0])
    visits = torch.tensor([1, 2, 3, 4, 0])
    for within in (0.0, 1.0, 2.0, 3.0):
        slow = sum(v > 0 and a <= within for a, v in zip(ages.tolist(), visits.tolist(), strict=True)) / 5
        assert diagnosis.coverage(ages, visits, within) == pytest.approx(slow)
    assert diagnosis.coverage(ages, torch.zeros(5, dtype=torch.int64), 9.0) == 0.0
    assert diagnosis.coverage(torch.empty(0), torch.empty(0, dtype=torch.int64)) is None


@given(st.lists(st.tuples(st.integers(-2, 4), st.integers(0, 9)), min_size=1, max_size=60))
def test_class_exposure_is_the_mean_visits_of_a_class_over_the_mean_of_all(rows):
    targets, visits = (torch.tensor(column) for column in zip(*rows, strict=True))
    found = diagnosis.class_exposure(targets, visits)
    mean = sum(v for _, v in rows) / len(rows)
    if mean == 0:
        assert found is None
        return
    slow = {}
    for label in sorted({t for t, _ in rows}):
        own = [v for t, v in rows if t == label]
        slow[label] = sum(own) / len(own) / mean
    assert found.classes.tolist() == list(slow)
    assert found.relative.tolist() == pytest.approx(list(slow.values()))
    assert set(found.starved) == {label for label, value in slow.items() if value < 0.5 - 1e-12} | (
        set(found.starved) & {label for label, value in slow.items() if abs(value - 0.5) < 1e-9}
    )
    assert [slow[label] for label in found.starved] == sorted(slow[label] for label in found.starved)


def test_the_starved_classes_are_named():
    found = diagnosis.class_exposure(torch.tensor([7, 7, 3, 3, 1]), torch.tensor([4, 4, 1, 0, 0]))
    assert found.starved == (1, 3)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.45])
def test_the_mixture_is_that_of_the_slow_one(share):
    losses, _ = noisy_losses(1500, share)
    values = (losses.double() + 0.1).log()
    found = two_groups(values)
    shares, means, spreads = slow_mixture(values.numpy(), start=1 - share)
    assert found.shares.tolist() == pytest.approx(shares.tolist(), abs=2e-3)
    assert found.means.tolist() == pytest.approx(means.tolist(), abs=5e-3)
    assert found.spreads.tolist() == pytest.approx(spreads.tolist(), abs=5e-3)


def test_upper_is_the_posterior_between_the_means_and_never_falls():
    losses, _ = noisy_losses(1500, 0.2)
    groups = two_groups(losses.double().log())
    x = torch.linspace(-6, 6, 500, dtype=torch.float64)
    upper = groups.upper(x)
    assert bool((upper.diff() >= 0).all())
    shares, means, spreads = (part.tolist() for part in (groups.shares, groups.means, groups.spreads))
    for value in np.linspace(means[0], means[1], 20):
        dense = [shares[j] / spreads[j] * math.exp(-0.5 * ((value - means[j]) / spreads[j]) ** 2) for j in (0, 1)]
        own = groups.upper(torch.tensor([value], dtype=torch.float64)).item()
        assert own == pytest.approx(dense[1] / sum(dense), abs=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4])
def test_wrong_labels_are_found_where_they_stand_apart(share):
    losses, wrong = noisy_losses(4000, share)
    found = diagnosis.suspected_noise(losses.bfloat16(), often(losses), kind="cross_entropy")
    assert found.share == pytest.approx(share, abs=0.03)
    suspected = found.suspicion > 0.5
    assert (suspected & wrong).sum() >= 0.97 * wrong.sum()
    assert (suspected & wrong).sum() >= 0.95 * suspected.sum()


def test_outliers_of_a_regression_are_found_in_any_unit():
    draw = torch.Generator().manual_seed(3)
    error = torch.randn(3000, generator=draw)
    error[:150] += 20.0
    for unit in (1e-4, 1.0, 1e6):
        found = diagnosis.suspected_noise(unit * error.square(), often(error), kind="squared_error")
        assert found.share == pytest.approx(0.05, abs=0.01)
        assert (found.suspicion > 0.5).nonzero().flatten().tolist() == list(range(150))
    assert diagnosis.suspected_noise(error[150:].square(), often(error[150:]), kind="squared_error").share is None


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        (torch.rand(500, generator=torch.Generator().manual_seed(0)) + 1.5, "one group"),  # hardly trained
        (noisy_losses(1000, low=0.001, high=0.05)[0], "harder, not wrong"),  # memorised
        (noisy_losses(1000, share=0.7)[0], "not learned them yet"),
        (torch.full((200,), 2.0), "one group"),
        (torch.zeros(200), "one group"),
        (torch.ones(49), "too few visits"),
        (torch.empty(0), "too few visits"),
        (torch.tensor([1.0]), "too few visits"),
    ],
)
def test_weak_evidence_gives_no_share_and_no_suspects(losses, says):
    found = diagnosis.suspected_noise(losses, often(losses), kind="cross_entropy")
    if says == "harder, not wrong":
        assert "harder, not wrong" in found.reason or "one group" in found.reason
    else:
        assert says in found.reason
    assert found.share is None
    assert found.suspicion.tolist() == [0.0] * len(losses)


def test_instances_of_few_visits_are_not_judged():
    losses, wrong = noisy_losses(1000)
    visits = often(losses)
    visits[:300] = 1
    found = diagnosis.suspected_noise(losses, visits, kind="cross_entropy")
    assert found.suspicion[:300].sum() == 0
    assert found.share == pytest.approx(wrong[300:].double().mean().item(), abs=0.03)
    visits[:600] = 1
    found = diagnosis.suspected_noise(losses, visits, kind="cross_entropy")
    assert found.share is None
    assert "400 of 1000 instances were trained on 2 times or more" in found.reason


@given(
    st.lists(st.floats(width=32), max_size=150),
    st.sampled_from(["cross_entropy", "squared_error", "other"]),
)
def test_any_losses_give_an_answer(values, kind):
    losses = torch.tensor(values)
    found = diagnosis.suspected_noise(losses, often(losses), kind=kind)
    assert found.suspicion.shape == losses.shape
    assert bool(((found.suspicion >= 0) & (found.suspicion <= 1)).all())
    assert bool((found.suspicion[~losses.isfinite()] == 0).all())
    assert found.share is None or 0 <= found.share < 0.75


def test_the_order_of_the_instances_does_not_matter_and_more_loss_is_more_suspicion():
    losses, _ = noisy_losses(1200)
    order = torch.randperm(1200)
    one = diagnosis.suspected_noise(losses, often(losses), kind="cross_entropy")
    other = diagnosis.suspected_noise(losses[order], often(losses), kind="cross_entropy")
    torch.testing.assert_close(one.suspicion[order], other.suspicion, rtol=1e-9, atol=1e-9)
    assert bool((one.suspicion[losses.argsort()].diff() >= 0).all())


def test_collapse_is_entropy_over_its_maximum_and_the_commonest_answer():
    weights = [0.7, 0.2, 0.1, 0.0]
    slow = -sum(w * math.log(w) for w in weights if w) / math.log(4)
    assert diagnosis.collapse(torch.tensor(weights) * 3).entropy == pytest.approx(slow, rel=1e-6)
    assert diagnosis.collapse(torch.ones(5)).entropy == pytest.approx(1.0)
    assert diagnosis.collapse(torch.tensor([0.0, 1.0])).entropy == 0.0
    assert diagnosis.collapse(torch.tensor([2.0])).entropy is None
    assert diagnosis.collapse(None, torch.tensor([3, 1, 3, 3])).majority == 0.75
    assert diagnosis.collapse(None, torch.empty(0, dtype=torch.int64)) == diagnosis.Collapse(None, None)
    for bad in ([-1.0, 2.0], [0.0, 0.0], [math.nan, 1.0], []):
        with pytest.raises(ArgumentError, match="weights"):
            diagnosis.collapse(torch.tensor(bad))


FLAT = [2.3 * math.exp(-i / 10) + 0.1 for i in range(100)]


@pytest.mark.parametrize(
    ("curve", "recorded", "held_out", "sign", "says"),
    [
        (FLAT, None, [], None, "levelled off"),
        (FLAT, 0.01, [0.15, 0.12], None, "levelled off"),
        (FLAT, 0.01, [0.6, 0.4, 0.5], "overfitting", "up from 0.4"),
        (FLAT, 0.01, [1.1], "overfitting", "held-out loss is 1.1"),
        (FLAT, 0.9, [0.6, 0.4, 0.5], None, "levelled off"),
        ([3 - 0.02 * i for i in range(100)], None, [], "underfitting", "last fifth"),
        ([2.3 - 0.001 * i for i in range(100)], None, [], "underfitting", "only"),
        ([2.0, 1.0], None, [], None, "too short"),
        ([math.nan] * 50, None, [math.inf], None, "curve of 0 points"),
        ([0.0] * 50, 0.0, [0.0], None, "levelled off"),
    ],
)
def test_signs_of_fit(curve, recorded, held_out, sign, says):
    losses = None if recorded is None else torch.full((40,), recorded)
    found = diagnosis.fit_signs(curve, recorded=losses, held_out=held_out)
    assert found.sign == sign
    assert says in found.reason


def test_diagnose_asks_everything_and_prints_a_plain_table():
    losses, _ = noisy_losses(1000)
    visits = often(losses)
    visits[:4] = 0
    visits[4:104] = 1
    targets = torch.ones(1000, dtype=torch.int64)
    targets[:104] = 3
    ages = torch.zeros(1000)
    ages[200:300] = 8.0
    signals = Signals(losses=losses, averages=losses, visits=visits, ages=ages, kind="cross_entropy")
    found = diagnosis.diagnose(
        signals, targets=targets, weights=torch.tensor([0.5, 0.5]), curve=FLAT, held_out=[0.4], pass_length=2.0
    )
    assert found.coverage == pytest.approx(0.896)
    assert (found.never, found.exposure.starved, found.collapse.entropy) == (4, (3,), pytest.approx(1.0))
    assert found.noise.share == pytest.approx(0.2, abs=0.03)
    lines = str(found).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "coverage", "class exposure", "suspected label noise", "weight entropy", "majority prediction", "fit",
    ]  # fmt: skip
    assert "89.6 %" in lines[0]
    assert "4 of 1000 never" in lines[0]
    assert lines[1].endswith("starved (under half of even): 3")
    assert "unknown" in lines[4]
    assert "no sign of over- or underfitting" in lines[5]
    starts = {line.index(row[1], 20) for line, row in zip(lines, found.rows(), strict=True)}
    assert len(starts) == 1


@pytest.mark.parametrize(("recent", "warned"), [(600, False), (400, True)])
def test_a_share_from_old_losses_comes_with_a_caution(recent, warned):
    losses, _ = noisy_losses(1000)
    ages = torch.where(torch.arange(1000) < recent, 0.0, 9.0)
    found = diagnosis.diagnose(Signals(losses=losses, visits=often(losses), ages=ages, kind="cross_entropy"))
    assert found.noise.share is not None
    assert ("losses are old" in str(found)) == warned


def test_the_kind_of_the_losses_may_be_said_as_a_record_does_not_know_it():
    """A model that is not far yet: 1.2 and 3 are apart, but no outliers of losses of unknown kind."""
    losses, wrong = noisy_losses(2000, low=1.2, high=3.0)
    losses = torch.where(wrong, losses, 1.2 * (losses / 1.2).sqrt())
    record = RecordedLosses(2000)
    for number in range(3):
        record.update(torch.arange(2000), losses, now=number)
    signals = record.read(torch.arange(2000), now=2)
    unknown = diagnosis.diagnose(signals)
    assert (unknown.kind, unknown.noise.share) == ("other", None)
    assert unknown.noise.reason.startswith("unknown: two groups")
    assert 'pass kind="cross_entropy"' in unknown.noise.reason
    found = diagnosis.diagnose(signals, kind="cross_entropy")
    assert found.noise.share == pytest.approx(0.2, abs=0.03)
    assert "suspected label noise  2" in str(found)
    assert str(found) == str(diagnosis.diagnose(replace(signals, kind="cross_entropy")))
    assert str(diagnosis.diagnose(replace(signals, kind="cross_entropy"), kind="other")) == str(unknown)
    assert "harder, not wrong" in diagnosis.diagnose(signals, kind="squared_error").noise.reason


@pytest.mark.parametrize("losses", [noisy_losses(1000, low=0.5, high=2.0)[0], torch.ones(200), torch.rand(500) + 1])
def test_losses_of_unknown_kind_are_never_said_not_to_be_wrong(losses):
    found = diagnosis.suspected_noise(losses, often(losses))
    assert found.share is None
    assert "not wrong" not in found.reason
    assert found.reason.endswith('pass kind="cross_entropy" if that is what these losses are')
    of_known_kind = diagnosis.suspected_noise(losses, often(losses), kind="squared_error").reason
    assert "pass kind" not in of_known_kind


def test_diagnose_leaves_what_has_no_record_alone_and_takes_numbers_as_targets():
    losses, _ = noisy_losses(1000)
    valid = torch.ones(1000, dtype=torch.bool)
    valid[:600] = False
    signals = Signals(losses=losses, visits=often(losses), ages=torch.zeros(1000), valid=valid)
    found = diagnosis.diagnose(signals, targets=torch.rand(1000))
    assert found.exposure is None
    assert "400 of 1000" in found.noise.reason
    assert "suspected outliers" in str(found)
    empty = Signals(losses=torch.empty(0), visits=torch.empty(0, dtype=torch.int64), ages=torch.empty(0))
    assert diagnosis.diagnose(empty).coverage is None


def test_errors_say_what_to_give():
    one = torch.ones(3)
    with pytest.raises(ArgumentError, match=r"RecordedLosses\.read"):
        diagnosis.diagnose(Signals(losses=one))
    told = Signals(losses=one, visits=torch.ones(3, dtype=torch.int64), ages=one)
    unchecked = getattr(diagnosis.diagnose, "__wrapped__", diagnosis.diagnose)  # without the types that tests check
    with pytest.raises(ArgumentError, match=r"kind='crossentropy' is unknown\. Did you mean 'cross_entropy'"):
        unchecked(told, kind="crossentropy")
    with pytest.raises(ArgumentError, match="one number per instance"):
        diagnosis.coverage(one, torch.ones(4, dtype=torch.int64))
    with pytest.raises(ArgumentError, match="at least 0"):
        diagnosis.coverage(one, torch.ones(3, dtype=torch.int64), -1.0)
    with pytest.raises(ArgumentError, match="Give integers"):
        diagnosis.class_exposure(one, torch.ones(3, dtype=torch.int64))
    with pytest.raises(ArgumentError, match="argmax"):
        diagnosis.collapse(None, one)
