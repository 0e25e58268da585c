"""How the losses of a window lie."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import reference_evidence as slow
from adaselection import Signals
from adaselection.crowd import Crowd, crowd

NUMBERS = st.lists(st.integers(0, 40).map(lambda number: number / 8), min_size=1, max_size=12)


def seen_of(losses: Tensor) -> Crowd:
    return crowd(Signals(losses))


@given(losses=NUMBERS, averages=st.data())
def test_a_crowd_is_what_a_slow_reference_sees(losses: list[float], averages: st.DataObject) -> None:
    smooth = averages.draw(st.lists(st.sampled_from(losses), min_size=len(losses), max_size=len(losses)))
    signals = Signals(torch.tensor(losses), averages=torch.tensor(smooth))
    seen = crowd(signals)
    _, apart, _ = slow.two_groups(smooth)
    assert seen.threshold in smooth  # of equally good cuts any
    low = [value for value in smooth if value <= seen.threshold]
    mean = sum(losses) / len(losses)
    tau = (sum(loss * loss for loss in losses) / len(losses)) ** 0.5 / mean if mean else 1.0
    expected = (seen.threshold, apart, 1 - len(low) / len(smooth), sum(low) / len(low), mean, tau, 0.0, 0.0)
    assert seen == pytest.approx(expected)


def test_losses_below_zero_have_no_tail() -> None:
    seen = seen_of(torch.tensor([-1.0, 0.0, 0.0, 9.0]))
    assert (seen.tau, seen.negative) == (1.0, 0.25)
