"""A policy that brings the evidence of another training."""

import warnings
from collections.abc import Callable

import pytest

from adaselection import AdaSelection, RecordedLoader, SingleMethod
from core.parts import stored
from core.recorded_parts import passes, recorded

WORDS = r"brings the evidence of another training.*Build a new policy.*records=former_loader\.records"
Resume = Callable[[RecordedLoader], RecordedLoader]


def trained(count: int = 6) -> RecordedLoader:
    """After three walks the gate was judged, and stayed shut."""
    loader = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    passes(loader, count)
    return loader


def test_folds_that_share_a_policy_are_told_once() -> None:
    policy = trained().policy
    loader = recorded(40, 4, policy, shuffle=True)
    with pytest.warns(UserWarning, match=WORDS) as said:
        iter(loader)
    assert [warning.filename for warning in said] == [__file__]
    passes(loader, 2)  # warnings are errors here


def test_an_open_gate_is_told_too() -> None:
    policy = trained().policy
    assert policy.lacking  # while it is shut
    opened = recorded(200, 4, AdaSelection(rate=0.5), shuffle=True)
    passes(opened, 12, lambda number, step: 8.0 + number % 3 / 10 if number % 4 == 0 else 2 / (1 + step / 10))
    assert opened.policy.opened is not None
    assert not opened.policy.lacking
    with pytest.warns(UserWarning, match=WORDS):
        iter(recorded(200, 4, opened.policy, shuffle=True))


def state_of_the_policy_after(loader: RecordedLoader) -> RecordedLoader:
    after = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    after.policy.load_state_dict(stored(loader.policy.state_dict()))
    return after


def both_states_after(loader: RecordedLoader) -> RecordedLoader:
    after = state_of_the_policy_after(loader)
    after.records.load_state_dict(stored(loader.records.state_dict()))
    return after


def policy_before_and_records_after(loader: RecordedLoader) -> RecordedLoader:
    policy = AdaSelection(rate=0.5)
    policy.load_state_dict(stored(loader.policy.state_dict()))
    after = recorded(40, 4, policy, shuffle=True)
    after.records.load_state_dict(stored(loader.records.state_dict()))
    return after


def policy_before_and_loader_after(loader: RecordedLoader) -> RecordedLoader:
    after = recorded(40, 4, loader.policy, shuffle=True)
    after.load_state_dict(stored(loader.state_dict()))
    return after


def records_handed_over(loader: RecordedLoader) -> RecordedLoader:
    return recorded(40, 4, loader.policy, shuffle=True, records=loader.records)


@pytest.mark.parametrize(
    "resume",
    [
        state_of_the_policy_after,
        both_states_after,
        policy_before_and_records_after,
        policy_before_and_loader_after,
        records_handed_over,
    ],
)
def test_a_training_that_is_gone_on_with_is_not_told(resume: Resume) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(passes(resume(trained()), 1)[0]) == 5


@pytest.mark.parametrize("policy", [AdaSelection(rate=0.5), SingleMethod("big_loss", 0.5)])
def test_what_was_not_judged_is_not_told(policy: AdaSelection | SingleMethod) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sizes = [[len(batches) for batches in passes(recorded(40, 4, policy), 1)] for _ in range(2)]
    assert sizes == [[5], [5]]
