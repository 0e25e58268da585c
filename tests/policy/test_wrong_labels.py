"""What changes where wrong labels are known to be there."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adaselection import AdaSelection, SelectiveLoader, SingleMethod
from adaselection.errors import ArgumentError, StateError
from adaselection.roots import cut
from adaselection.types import Signals
from core.conftest import unchecked
from core.recorded_parts import recorded
from policy.test_earned import SIZE, Losses, Stream, jitter, wrong

__all__ = ["unchecked"]


class Told(Stream):
    """A stream whose policy knows."""

    def __init__(self, losses: Losses, *, windows: int = 1, **options: Any) -> None:
        super().__init__(losses, **options)
        self.policy = AdaSelection(rate=self.policy.rate, wrong_labels=True)
        self.policy.use_records(windows)


def two_heights(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """A fifth is far above the crowd, which is learnt, and a tenth a little: with it by squares, apart by roots."""
    low = 0.05 + np.exp(-time)
    between = np.where(ids < 0.3 * SIZE, 1.5, low)
    return np.where(ids < 0.2 * SIZE, 4.0, between) * jitter(time, ids)


def left_out(stream: Stream, walk: int) -> set[int]:
    return set(stream.left_out[walk].tolist())


def test_the_cut_becomes_lower_after_ten_walks() -> None:
    stream, plain = Told(two_heights).run(24), Stream(two_heights).run(24)
    opened = stream.members.index("trusted")
    assert stream.members[opened:] == ["trusted"] * (23 - opened)
    between = set(range(int(0.2 * SIZE), int(0.3 * SIZE)))
    early, late = stream.left_out[9], stream.left_out[11:]
    assert len(between & set(early.tolist())) <= 2
    for out in late:
        assert len(between & set(out.tolist())) > 0.8 * len(between)  # but for those that are looked at again
        assert sum(out >= 0.3 * SIZE) <= 2  # what is left over of whole batches
    assert all(len(between & set(out.tolist())) <= 2 for out in plain.left_out)


def test_a_walk_may_have_several_windows() -> None:
    between = range(int(0.2 * SIZE), int(0.3 * SIZE))
    stream = Told(two_heights, windows=2).run(30)
    assert np.isin(between, np.concatenate(stream.left_out[:20])).sum() <= 2  # what is left over of whole batches
    assert np.isin(between, stream.left_out[-1]).mean() > 0.8


def test_numbers_are_cut_as_they_were() -> None:
    targets = np.random.default_rng(5).standard_normal(SIZE)
    stream, plain = Told(wrong(0.2, 40.0), targets=targets).run(20), Stream(wrong(0.2, 40.0), targets=targets).run(20)
    assert stream.policy.targets_numeric
    assert "trusted" in stream.members
    assert [out.tolist() for out in stream.left_out] == [out.tolist() for out in plain.left_out]


def test_the_lower_cut_by_hand() -> None:
    """Roots 0, 1, 2 and 10: the cut is between 2 and 10, as it is of the squares; of 0, 1, 4, 5 it is after 1."""
    for roots, edge in (([0.0, 1.0, 2.0, 10.0], 4.0), ([0.0, 1.0, 4.0, 5.0], 1.0)):
        signals = Signals(torch.tensor(roots).square())
        found = cut(signals)
        assert found["threshold"] == pytest.approx(edge)
        assert found["share"] == pytest.approx(sum(root**2 > edge for root in roots) / 4)


def test_a_saved_policy_goes_on_with_the_lower_cut() -> None:
    stream = Told(two_heights).run(14)
    state = stream.policy.state_dict()
    stream.run(4)
    again = Told(two_heights).run(14)
    again.policy = AdaSelection(rate=stream.policy.rate, wrong_labels=True)
    again.policy.use_records()
    again.policy.load_state_dict(state)
    again.run(4)
    assert [out.tolist() for out in again.left_out] == [out.tolist() for out in stream.left_out]


@pytest.mark.parametrize(("options", "walks"), [({}, 3.0), ({"wrong_labels": True}, 30.0)])
def test_what_is_left_out_waits_for_longer(options: dict[str, Any], walks: float) -> None:
    loader = recorded(40, 4, AdaSelection(rate=0.5, **options), shuffle=True)
    assert loader._passes.chooser.limits.longest_unseen == walks / 0.5
    own = recorded(40, 4, AdaSelection(rate=0.5, **options), shuffle=True, longest_unseen=9)
    assert own._passes.chooser.limits.longest_unseen == 9


def test_windows_of_a_walk_are_told() -> None:
    for rows, window, windows in ((400, 100, 4), (400, 150, 2), (400, 300, 1), (400, 400, 1)):
        policy = AdaSelection(rate=0.5, wrong_labels=True)
        loader = recorded(rows, 4, policy, shuffle=True, window=window)
        assert policy._gate.windows == windows
        planned: list[int] = []
        inner = loader._passes.walks.planner
        loader._passes.walks.planner = lambda batches, inner=inner, planned=planned: planned.append(1) or inner(batches)
        while loader.walk < 1:
            for batch in loader:
                loader.record(torch.ones(len(batch[0])))
                if loader.walk == 1:
                    break
        assert len(planned) == windows + 1  # those of the first walk, and one of the second
    recorded(40, 4, SingleMethod("uniform", 0.5), window=20)
    assert AdaSelection(rate=0.5)._gate.windows == SingleMethod("uniform", 0.5)._gate.windows == 1


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ArgumentError, match="wrong_labels must be True or False; got 'yes'"):
        AdaSelection(wrong_labels="yes")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"wrong_labels= is about the earned mixture, and methods"):
        AdaSelection(("big_loss", "uniform"), wrong_labels=True)
    with pytest.raises(ArgumentError, match=r"members= is about the earned mixture, and methods"):
        AdaSelection(("big_loss", "uniform"), members=("hard",), wrong_labels=True)
    policy, batches = AdaSelection(wrong_labels=True), [torch.zeros(4, 2)]
    with pytest.raises(ArgumentError, match=r"wrong_labels= is .* Wrap the DataLoader in RecordedLoader, or leave"):
        SelectiveLoader(batches, policy, model=nn.Identity(), score=lambda model, batch: batch[:, 0])
    policy.use_records()
    with pytest.raises(
        StateError, match="the policy state has wrong_labels=False, and this policy has wrong_labels=True"
    ):
        policy.load_state_dict(AdaSelection().state_dict())


def test_it_goes_with_members_and_says_so_in_its_settings() -> None:
    policy = AdaSelection(rate=0.5, wrong_labels=True, members=("trusted",))
    assert list(policy.weights) == ["uniform", "trusted"]
    policy.use_records()
    assert policy.settings["earned"]["known"] is True
    assert "wrong_labels" not in AdaSelection(rate=0.5).settings
    plain = AdaSelection(rate=0.5)
    plain.use_records()
    assert "known" not in plain.settings["earned"]  # as in the settings of older runs
    with pytest.raises(StateError, match="'wrong_labels': True"):
        recorded(40, 4, AdaSelection(rate=0.5)).load_state_dict(
            recorded(40, 4, AdaSelection(rate=0.5, wrong_labels=True)).state_dict()
        )


def test_negative_losses_are_cut_as_they_were() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return two_heights(time, ids, visits) - 0.1 * (ids > 0.9 * SIZE)

    stream, plain = Told(losses).run(20), Stream(losses).run(20)
    assert stream.members.count("trusted") > 12
    assert [out.tolist() for out in stream.left_out] == [out.tolist() for out in plain.left_out]


def test_the_cut_is_one_of_the_losses() -> None:
    """A root that is squared may be less than the loss, which would then be above."""
    low = 0.498046875
    assert low**0.5 * low**0.5 < low
    found = cut(Signals(torch.tensor([low] * 800 + [3.5] * 200)))
    assert found == {"threshold": low, "share": pytest.approx(0.2)}
