"""What each member of the earned mixture takes for evidence, one condition at a time."""

import math
from collections.abc import Callable
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from adaselection import functional as F  # noqa: N812
from adaselection.condition import Condition
from adaselection.conditions import ASKED
from adaselection.thresholds import Evidence, Thresholds
from adaselection.verdicts import RARE, lacking, lacks, ruling, stands
from evidence_examples import LEFT_OUT, MEMORIZED, OPPOSED, OUTLIERS, ROOTED, TAIL, TAUGHT

NEED = Thresholds()
wrong, doubtful, learnable = (partial(stands, member) for member in ("trusted", "uncertain", "hard"))


def test_the_examples_speak_for_one_member_each() -> None:
    for seen, expected in (
        (LEFT_OUT, wrong),
        (MEMORIZED, wrong),
        (OPPOSED, doubtful),
        (TAIL, learnable),
        (TAUGHT, learnable),
    ):
        found = [rule for rule in (wrong, doubtful, learnable) if rule(seen, NEED, now=False)]
        assert found == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apart", 0.75),
        ("share", 0.019),
        ("lower", 0.5),
        ("upper", 1.1),
        ("visits", 19),
        ("stays", 0.7),
        ("learnt", 0.02),
        ("explained", 0.4),
        ("emptied", 0.8),
    ],
)
def test_each_condition_of_what_is_left_out_is_needed(name: str, value: float) -> None:
    assert not wrong(LEFT_OUT._replace(**{name: value}), NEED, now=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visits", 1999),
        ("risen", 1.11),
        ("common", 0.21),
        ("numbers", 0.5),
        ("negative", 0.001),
        ("explained", 0.03),
        ("emptied", 0.8),
        ("apart", 0.6),
        ("share", 0.019),
        ("upper", 1.1),
        ("lower", 0.8),
        ("stays", 0.6),
        ("learnt", -0.04),
    ],
)
def test_each_condition_of_what_is_memorized_is_needed(name: str, value: float) -> None:
    assert not wrong(MEMORIZED._replace(**{name: value}), NEED, now=False)


def test_what_is_hard_in_some_classes_more_is_not_called_a_matter_of_the_targets() -> None:
    assert ruling(MEMORIZED, NEED, now="uniform") == "trusted"
    assert ruling(MEMORIZED._replace(explained=0.05), NEED, now="uniform") == "uniform"
    assert ruling(MEMORIZED._replace(explained=0.4), NEED, now="uniform") == RARE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share", 0.34),
        ("risen", 1.11),
        ("upper", 1.1),
        ("visits", 99),
        ("stays", 0.5),
        ("stays", 0.9),
        ("learnt", 0.07),
        ("lower", 0.6),
        ("explained", 0.4),
    ],
)
def test_each_condition_of_doubt_is_needed(name: str, value: float) -> None:
    """The last: the others are better by 0.4, so that these must be worse by more than 0.2."""
    assert not doubtful(OPPOSED._replace(**{name: value}), NEED, now=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("finds", 1.49), ("mean", 0.019), ("tau", 3.0), ("apart", 0.75), ("visits", 19), ("stays", 0.2), ("learnt", -0.1)],
)
def test_each_condition_of_what_is_learnt_is_needed(name: str, value: float) -> None:
    assert not learnable(TAIL._replace(**{name: value}), NEED, now=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visits", 99),
        ("numbers", 1.0),
        ("numbers", 0.5),
        ("finds", 1.04),
        ("mean", 0.59),
        ("apart", 0.7),
        ("upper", 1.1),
        ("lower", 0.8),
        ("stays", 0.65),
        ("learnt", 0.07),
        ("explained", 0.4),
        ("before", 0.0),
    ],
)
def test_each_condition_of_what_others_teach_is_needed(name: str, value: float) -> None:
    """The learnt part is that less its error, and one window alone is not enough."""
    assert not learnable(TAUGHT._replace(**{name: value}), NEED, now=False)


def test_what_others_teach_may_fade_once_the_hard_are_drawn() -> None:
    late = TAUGHT._replace(learnt=-0.1, stays=0.7, mean=0.11, apart=0.74, upper=1.19, finds=1.0)
    assert not learnable(late, NEED, now=False)
    assert learnable(late, NEED, now=True)
    for change in (
        {"stays": 0.75},
        {"mean": 0.099},
        {"apart": 0.75},
        {"upper": 1.2},
        {"numbers": math.nan},
        {"before": 0.0},
    ):
        assert not learnable(late._replace(**change), NEED, now=True), change


@pytest.mark.parametrize(("seen", "member"), [(LEFT_OUT, "trusted"), (MEMORIZED, "trusted"), (OPPOSED, "uncertain")])
def test_a_whole_walk_shows_the_targets_before_what_was_hard_is_taken_for_wrong(seen: Evidence, member: str) -> None:
    assert ruling(seen, NEED, now="uniform") == member
    assert ruling(seen, NEED, now="hard") == "uniform"
    assert ruling(TAUGHT, NEED, now="hard") == "hard"


@pytest.mark.parametrize("name", ["norm", "logistic", "laplace"])
def test_nothing_is_hard_in_squared_errors_of_a_usual_shape(name: str) -> None:
    errors = getattr(stats, name).ppf((np.arange(100_000) + 0.5) / 100_000)
    told = TAIL._replace(tau=float(F.variance_gain(torch.from_numpy(errors**2))))
    assert told.tau > 1.7
    assert not learnable(told, NEED, now=False)
    assert learnable(TAIL._replace(tau=3.01), NEED, now=False)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 100])
@pytest.mark.parametrize("imbalance", [1.5, 3, 5, 10, 100])
def test_a_model_that_knows_how_common_classes_are_gives_no_doubt(count: int, imbalance: float) -> None:
    """Its losses are the logarithms of their shares, and all stay where they are."""
    weights = torch.tensor([imbalance ** (-place / (count - 1)) for place in range(count)], dtype=torch.float64)
    shares = weights / weights.sum()
    losses = (-shares.log()).repeat_interleave((10_000 * shares).round().long())
    split = F.two_groups(losses)
    level = losses.mean()
    upper = losses > split.threshold
    told = OPPOSED._replace(
        apart=float(split.separation), share=float(split.share), lower=float(losses[~upper].mean() / level),
        upper=float(losses[upper].mean() / level), stays=1.0, learnt=0.0,
    )  # fmt: skip
    assert not doubtful(told, NEED, now=False)


def test_negative_losses_are_not_doubted() -> None:
    for now in (False, True):
        assert doubtful(OPPOSED, NEED, now=now)
        assert not doubtful(OPPOSED._replace(negative=0.001), NEED, now=now)


def test_once_open_it_takes_more_to_shut() -> None:
    weak = OPPOSED._replace(apart=0.9, upper=0.5, stays=0.45, learnt=0.05)
    assert not any(rule(weak, NEED, now=False) for rule in (wrong, doubtful, learnable))
    assert wrong(weak, NEED, now=True)
    assert not wrong(weak._replace(stays=0.35), NEED, now=True)
    assert doubtful(weak, NEED, now=True)
    assert not doubtful(weak._replace(share=0.34), NEED, now=True)
    assert not doubtful(weak._replace(stays=0.39), NEED, now=True)  # 0.34 without what is learnt
    assert doubtful(weak._replace(stays=0.39, learnt=math.nan), NEED, now=True)
    for learnt in (-9.0, math.nan):  # others make it worse, or nothing is known of that
        assert not doubtful(weak._replace(stays=0.34, learnt=learnt), NEED, now=True)
    few = TAIL._replace(tau=2.1, apart=0.9, stays=0.29, learnt=-1.0)
    assert not learnable(few, NEED, now=False)
    assert learnable(few, NEED, now=True)
    assert not learnable(few._replace(stays=0.31), NEED, now=True)
    assert not learnable(few._replace(tau=2.0), NEED, now=True)


@pytest.mark.parametrize(("rule", "seen"), [(wrong, LEFT_OUT), (doubtful, OPPOSED)])
def test_too_few_visits_change_nothing(rule: Callable[..., bool], seen: Evidence) -> None:
    few = seen._replace(visits=19, stays=0.0)
    assert rule(few, NEED, now=True)
    assert not rule(few, NEED, now=False)
    assert not rule(few._replace(share=0.0), NEED, now=True)  # there is no upper group any more


NEEDED: list[tuple[Callable[..., bool], Evidence, tuple[str, ...]]] = [
    (wrong, LEFT_OUT, ("apart", "share", "lower", "upper", "visits", "stays", "learnt", "error")),
    (
        wrong,
        MEMORIZED,
        ("apart", "share", "lower", "upper", "visits", "common", "stays", "learnt", "error", "explained"),
    ),
    (doubtful, OPPOSED, ("share", "risen", "lower", "upper", "visits", "stays", "learnt", "error")),
    (learnable, TAIL, ("apart", "mean", "tau", "finds", "visits", "stays", "learnt", "error")),
    (learnable, TAUGHT, ("apart", "mean", "lower", "upper", "finds", "visits", "stays", "learnt", "error")),
]


@pytest.mark.parametrize(("rule", "seen", "names"), NEEDED)
def test_what_is_not_known_opens_nothing(rule: Callable[..., bool], seen: Evidence, names: tuple[str, ...]) -> None:
    assert rule(seen, NEED, now=False)
    for name in names:
        assert not rule(seen._replace(**{name: math.nan}), NEED, now=False), name


@pytest.mark.parametrize(
    ("member", "seen", "change", "said"),
    [
        ("trusted", MEMORIZED, {"learnt": 0.03}, ["learnt from others 0.05 (asks < -0.02)"]),
        ("trusted", LEFT_OUT, {"apart": 0.7}, ["separation 0.7 (asks > 0.75)"]),
        ("trusted", LEFT_OUT, {"learnt": 0.02}, ["learnt from others 0.07 (asks < 0.07)"]),
        ("trusted", MEMORIZED, {"explained": 0.05}, ["explained by targets 0.05 (asks < 0.03)"]),
        ("trusted", MEMORIZED, {"common": 0.25}, ["share of the largest class 0.25 (asks <= 0.2)"]),
        ("trusted", ROOTED, {"roots": 0.71}, []),
        ("trusted", ROOTED, {"roots": 0.69}, ["separation of the roots 0.69 (asks > 0.7)"]),
        ("trusted", OUTLIERS, {"tau": 1.34164}, ["tau 1.342 (asks > 1.75)"]),
        ("trusted", OUTLIERS, {"upper": 2.5}, ["loss of the upper group 2.5 (asks > 3)"]),
        ("trusted", OUTLIERS, {"tau": 1.34164, "upper": 2.5, "numbers": 0.5}, []),
        ("uncertain", OPPOSED, {"lower": 0.4}, ["growing apart 0.4 (asks > 0.45)"]),
        ("uncertain", OPPOSED, {"stays": 0.95}, ["staying 0.95 (asks < 0.9)"]),
        ("uncertain", OPPOSED, {"negative": 0.25}, ["losses below 0 0.25 (asks <= 0)"]),
        ("hard", TAIL, {"tau": 2.45391}, ["tau 2.454 (asks > 3)"]),
        ("hard", TAIL, {"learnt": math.nan}, ["learnt from others nan (asks > 0)"]),
        ("hard", TAUGHT, {"learnt": 0.05}, ["learnt from others 0.03 (asks > 0.05)"]),
        ("hard", TAUGHT, {"numbers": math.nan}, ["targets that are numbers nan (asks <= 0)"]),
        ("hard", TAUGHT, {"before": 0.0}, ["windows of that kind before 0 (asks >= 1)"]),
    ],
)  # fmt: skip
def test_it_says_what_a_member_lacks(member: str, seen: Evidence, change: dict[str, float], said: list[str]) -> None:
    assert lacking(seen, NEED)[member] == ()
    assert list(map(str, lacking(seen._replace(**change), NEED)[member])) == said


@pytest.mark.parametrize(
    ("value", "sign", "bound", "short"),
    [
        (3.5, ">", 3.0, 0.0),
        (3.0, ">=", 3.0, 0.0),
        (3.0, ">", 3.0, 0.0),  # not as asked, and not off by anything
        (1.5, ">", 3.0, 0.5),
        (0.3, "<", 0.2, 0.5),
        (9.0, "<", 0.2, 1.0),
        (-0.25, ">", 0.0, 0.25),
        (0.05, "<", -0.02, 0.07),  # next to 0
        (0.045, ">", 0.05, 0.005),
        (0.045, ">", 0.06, 0.25),
        (0.1, "<=", 0.0, 0.1),
        (math.nan, ">", 0.0, 1.0),
        (math.inf, "<", 1.0, 1.0),
    ],
)
def test_how_far_a_number_is_from_what_is_asked(value: float, sign: str, bound: float, short: float) -> None:
    assert Condition("tau", value, sign, bound).short == pytest.approx(short)


def test_a_number_next_to_the_bound_says_on_which_side_it_is() -> None:
    assert str(Condition("tau", 2.99996, ">", 3.0)) == "tau 2.99996 (asks > 3)"
    assert str(Condition("tau", 3.0, ">", 3.0)) == "tau 3 (asks > 3)"
    assert str(Condition("tau", 2.45391, ">", 3.0)) == "tau 2.454 (asks > 3)"


@given(seen=st.tuples(*[st.one_of(st.just(math.nan), st.floats(-1, 2), st.floats(0, 200))] * len(Evidence._fields)))
def test_a_member_opens_where_it_lacks_nothing(seen: tuple[float, ...]) -> None:
    told = Evidence(*seen)
    found = lacking(told, NEED)
    assert set(found) == set(ASKED)
    assert all(stands(member, told, NEED, now=False) == (not found[member]) for member in ASKED)
    assert all(stands(member, told, NEED, now=True) == (not lacks(member, told, NEED, now=True)) for member in ASKED)


@given(data=st.data())
@pytest.mark.parametrize(("rule", "seen", "names"), NEEDED)
def test_what_opens_stays_open_on_the_same_evidence(
    rule: Callable[..., bool], seen: Evidence, names: tuple[str, ...], data: st.DataObject
) -> None:
    factors = data.draw(st.tuples(*[st.floats(0.9, 1.1)] * len(names)))
    near = seen._replace(**{name: getattr(seen, name) * by for name, by in zip(names, factors, strict=True)})
    assert rule(near, NEED, now=True) or not rule(near, NEED, now=False)


def test_every_threshold_decides_something() -> None:
    """But for `audit`, a chance, `common` and `known`, not of the evidence, and `members`, which are named."""
    strict = {
        "apart": 0.95, "stays": 0.95, "lost": 0.95, "learnt": 0.0, "least": 0.5, "visits": 60,
        "reduces": 3.9, "moves": 0.05, "finds": 2.5, "left": 0.5, "doubtful": 0.7, "slowly": 0.05, "many": 0.5,
        "explained": 0.05, "scattered": 0.005, "emptied": 0.25, "rooted": 0.9, "tailed": 3.5, "far": 5.0, "taught": 0.2,
    }  # fmt: skip
    assert {field.name for field in fields(Thresholds)} == {*strict, "members", "audit", "common", "known"}
    cases = [
        (rule, seen, now)
        for rule, examples in (
            (wrong, (LEFT_OUT, MEMORIZED, OUTLIERS, ROOTED)),
            (doubtful, (OPPOSED,)),
            (learnable, (TAIL, TAUGHT)),
        )
        for seen in examples
        for now in (False, True)
    ]
    for name, value in strict.items():
        need = Thresholds(**{name: value})
        assert any(rule(seen, NEED, now=now) != rule(seen, need, now=now) for rule, seen, now in cases), name
