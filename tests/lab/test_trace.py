"""What a run leaves behind: a bounded curve, and a histogram whose bins runs of several seeds share."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from adaselection import AdaSelection, Policy, Selection, SelectiveLoader, Signals, SingleMethod
from adaselection.lab.trace import BINS, POINTS, Trace, _round_up


def loader(policy: Policy) -> SelectiveLoader:
    score = lambda model, rows: rows[:, 0]  # noqa: E731
    return SelectiveLoader([torch.zeros(4, 1)], policy, model=nn.Linear(1, 1), score=score, surplus="carry")


MIXTURE, ALONE, PLAIN = (
    loader(policy) for policy in (AdaSelection(rate=0.5), SingleMethod("big_loss", rate=0.5), AdaSelection(rate=1))
)


def selection(kept: list[int], rows: int) -> Selection:
    return Selection(torch.tensor(kept), torch.zeros(rows), torch.ones(len(kept)))


def traced(windows: list[torch.Tensor], kept: int, steps: int = 4) -> dict:
    """A trace of a run of which every window was met in the last quarter."""
    trace = Trace()
    trace.plan(steps)
    trace.step(steps - 1, 1.0, ALONE)
    for losses in windows:
        rows = losses.argsort(descending=True)[:kept].sort().values.tolist()
        trace.selected(Signals(losses), selection(rows, len(losses)))
    return trace.as_dict(1.0)


@settings(max_examples=30)
@given(steps=st.integers(1, 3000))
@example(1)
@example(100)
@example(101)
@example(199)
@example(200)
def test_curve_and_weights_have_at_most_100_points_and_end_with_the_run(steps):
    trace = Trace()
    trace.plan(steps)
    for step in range(1, steps + 1):
        trace.step(step, float(step), MIXTURE)
    found = trace.as_dict(2.5)
    at = [point["step"] for point in found["curve"]]
    assert min(steps, POINTS // 2) <= len(at) <= POINTS
    assert at == sorted(set(at))
    assert at[-1] == steps
    assert found["weights"]["steps"] == at
    assert all(math.isclose(sum(row), 1, rel_tol=1e-5) for row in found["weights"]["values"])
    starts = [0, *at[:-1]]
    for start, point in zip(starts, found["curve"], strict=True):
        assert point["train_loss"] == pytest.approx((start + 1 + point["step"]) / 2, rel=1e-5)
        assert point["units"] == 2.5 * point["step"]


@pytest.mark.parametrize(("wrapped", "there"), [(MIXTURE, True), (ALONE, False), (PLAIN, False)])
def test_only_a_mixture_that_selects_has_weights(wrapped, there):
    trace = Trace()
    trace.plan(1)
    trace.step(1, 0.5, wrapped)
    assert (trace.as_dict(1.0)["weights"] is not None) is there


def test_a_run_that_ended_before_its_first_step_has_an_empty_trace():
    trace = Trace()
    trace.plan(10)
    assert trace.as_dict(0.0) == {"curve": [], "weights": None, "losses": None}


def test_losses_are_those_of_the_last_quarter():
    trace = Trace()
    trace.plan(8)
    for step in range(1, 8):
        trace.selected(Signals(torch.full((4,), float(step))), selection([0], 4))
        trace.step(step, 1.0, ALONE)
    losses = trace.as_dict(1.0)["losses"]
    assert (sum(losses["seen"]), sum(losses["kept"])) == (4, 1)  # of the window after step 6


def test_bins_count_what_was_seen_and_kept():
    found = traced([torch.tensor([0.0, 0.05, 0.5, 0.95]), torch.tensor([0.95, 0.0, 0.0, 0.94])], 2)["losses"]
    assert found["edges"] == pytest.approx(np.linspace(0, 1, BINS + 1), abs=1e-6)
    assert found["seen"] == [3, 1, *[0] * 13, 1, *[0] * 12, 3, 0]
    assert found["kept"] == [*[0] * 15, 1, *[0] * 12, 3, 0]


@settings(max_examples=50)
@given(
    windows=st.lists(st.lists(st.floats(0, 1e6, width=32), min_size=4, max_size=8), min_size=1, max_size=5),
    bad=st.sampled_from([None, math.nan, math.inf]),
)
def test_no_bin_keeps_more_than_it_saw_and_all_finite_losses_are_counted(windows, bad):
    rows = [torch.tensor(window) for window in windows]
    if bad is not None:
        rows[0][0] = bad
    found = traced(rows, 2)["losses"]
    finite = [value for window in rows if bool(window.any()) for value in window.tolist() if math.isfinite(value)]
    if found is None:
        assert np.quantile(np.float32(finite), 0.99) == 0 if finite else True
        return
    assert sum(found["seen"]) == len(finite)
    assert all(0 <= kept <= seen for seen, kept in zip(found["seen"], found["kept"], strict=True))
    assert found["edges"] == sorted(found["edges"])
    top = found["edges"][-1]
    assert top / 10 ** math.floor(math.log10(top)) == pytest.approx(1, abs=1e-9) or round(top, 12) in (
        pytest.approx(first * 10 ** math.floor(math.log10(top))) for first in (2, 5)
    )


def test_runs_of_several_seeds_share_their_bins():
    draws = [torch.randn(5000, generator=torch.Generator().manual_seed(seed)).abs() for seed in range(5)]
    edges = [traced([draw], 10)["losses"]["edges"] for draw in draws]
    assert all(other == edges[0] for other in edges)
    assert (str(edges[0][0]), edges[0][-1]) == ("0.0", 5.0)


def test_losses_below_zero_have_bins_too():
    found = traced([torch.tensor([-3.0, -1.0, 2.0, 4.0])], 1)["losses"]
    assert (found["edges"][0], found["edges"][-1]) == (-5.0, 5.0)
    assert sum(found["seen"]) == 4


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_losses_without_a_spread_have_no_histogram(value):
    assert traced([torch.full((4,), value)], 2)["losses"] is None


@given(st.floats(1e-30, 1e30))
@example(1.0)
@example(1e-3)
@example(5.0)
@example(math.nextafter(1.0, 2))
@example(math.nextafter(1.0, 0))
def test_the_next_round_number_is_not_below_and_not_far_above(value):
    found = _round_up(value)
    assert value <= found < 2.5000001 * value
    assert f"{found:.0e}"[0] in "125"
    assert float(f"{found:.0e}") == pytest.approx(found, rel=1e-12)
