"""Who has the weight of the earned mixture, how it came to it, and why the one before lost it."""

from typing import Any

import pytest

from adaselection.errors import StateError
from adaselection.members import members_of
from adaselection.tenure import Opening, Tenure
from adaselection.thresholds import Evidence, Thresholds
from adaselection.verdicts import RARE
from evidence_examples import LEFT_OUT, MEMORIZED, OPPOSED, TAIL, TAUGHT

CALM = LEFT_OUT._replace(apart=0.6, stays=0.5)
GONE = LEFT_OUT._replace(stays=0.1)  # shuts what is open, and opens nothing


def after(*seen: Evidence, need: Thresholds | None = None) -> Tenure:
    """A tenure that judged these windows."""
    tenure = Tenure(need or Thresholds())
    for each in seen:
        tenure.judge(each)
    return tenure


@pytest.mark.parametrize(
    ("seen", "member", "way"),
    [
        (LEFT_OUT, "trusted", "stands apart"),
        (MEMORIZED, "trusted", "learnt by heart"),
        (OPPOSED, "uncertain", "not clear yet"),
        (TAIL, "hard", "few have most"),
        (TAUGHT, "hard", "get better while"),
    ],
)
def test_it_says_how_each_member_came_to_the_weight(seen: Evidence, member: str, way: str) -> None:
    tenure = after(CALM, CALM, seen)
    assert tenure.member == tenure.verdict == member
    opened = tenure.opened
    assert opened is not None
    assert opened[:1] + opened[2:3] == (member, 3)
    assert way in opened.way
    assert str(opened) == f"{member} in window 3: {opened.way}"
    assert all(each.met for each in opened.met)
    told = {each.name: each.value for each in opened.met}
    assert told["visits"] == seen.visits
    assert len(told) >= 7


def test_the_numbers_are_those_of_the_window_that_opened() -> None:
    tenure = after(LEFT_OUT, LEFT_OUT._replace(stays=0.5), LEFT_OUT._replace(stays=0.4))
    opened = tenure.opened
    assert opened is not None
    assert opened.window == 1
    assert {each.name: each.value for each in opened.met}["staying"] == LEFT_OUT.stays
    assert tenure.given_up == {}


def test_both_are_remembered_until_the_next_time() -> None:
    tenure = after(LEFT_OUT, GONE)
    assert tenure.member == "uniform"
    assert [each.name for each in tenure.given_up["trusted"]] == ["staying"]
    assert tenure.opened is not None
    assert tenure.opened.window == 1
    tenure.judge(TAIL)
    assert (tenure.opened.member, tenure.opened.window) == ("hard", 3)
    assert list(tenure.given_up) == ["trusted"]


def test_one_that_takes_over_opened_and_the_other_lacked_nothing() -> None:
    tenure = after(OPPOSED, LEFT_OUT._replace(share=0.4))
    assert tenure.opened is not None
    assert (tenure.opened.member, tenure.opened.window) == ("trusted", 2)
    assert tenure.given_up == {"uncertain": ()}


def test_rare_targets_are_a_verdict_and_no_member() -> None:
    tenure = after(LEFT_OUT._replace(explained=0.5))
    assert (tenure.member, tenure.verdict, tenure.opened) == ("uniform", RARE, None)


@pytest.mark.parametrize(
    "seen", [(), (CALM,), (LEFT_OUT,), (LEFT_OUT, GONE), (CALM, OPPOSED, LEFT_OUT), (CALM, MEMORIZED), (TAUGHT, CALM)]
)
def test_a_saved_one_says_the_same_and_goes_on(seen: tuple[Evidence, ...]) -> None:
    tenure, again = after(*seen), after()
    again.check(tenure.state_dict())
    again.load_state_dict(tenure.state_dict())
    for _ in range(2):
        assert again.opened == tenure.opened
        assert again.given_up == tenure.given_up
        assert (again.member, again.verdict) == (tenure.member, tenure.verdict)
        for each in (tenure, again):
            each.judge(GONE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"member": "hard", "verdict": "hard"}, "came is"),
        ({"member": "everything"}, "the weight is on member 'everything'"),
        ({"member": "uncertain"}, "the weight is on member 'uncertain'"),  # not one of those allowed
        ({"came": "nobody"}, "it came to member 'nobody'"),
        ({"gave": "nobody"}, "it was taken from member 'nobody'"),
        ({"gave": 2}, "gave is 2"),
        ({"verdict": "hard"}, "verdict is"),
        ({"verdict": RARE}, "verdict is"),
        ({"way": 2}, "way is 2"),
        ({"way": -1}, "way is -1"),
        ({"way": 0.5}, "way is 0.5"),
        ({"since": 3}, "since is 3"),
        ({"since": -1}, "since is -1"),
        ({"began": None}, "began is None"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    need = Thresholds(members=members_of(["trusted", "hard"]))
    tenure = after(CALM, LEFT_OUT, need=need)
    state = tenure.state_dict() | change
    with pytest.raises(StateError, match=said):
        Tenure(need).check(state)


def test_a_state_that_lacks_something_or_is_not_finite_is_refused() -> None:
    tenure = after(LEFT_OUT)
    state = tenure.state_dict()
    for name in state:
        with pytest.raises(StateError, match=f"lacks {name}"):
            tenure.check({key: value for key, value in state.items() if key != name})
    state["began"][0, 0] = float("inf")
    with pytest.raises(StateError, match="began"):
        tenure.check(state)


def test_an_opening_prints_without_its_conditions() -> None:
    assert str(Opening("hard", "few have most", 4, ())) == "hard in window 4: few have most"
