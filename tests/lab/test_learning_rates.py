"""Which learning rate a run gets, and that people are told where it is from."""

from dataclasses import replace

import pytest

from adaselection.lab.grid import grid
from adaselection.lab.learning_rates import in_words, with_tuned
from adaselection.lab.tuning import tuning
from lab.records_factory import make
from lab.smoke import spec


def trial(arm, learning_rate, value, *, seed=0, rate=0.3, regime="plain", budget=0.5):
    config = {"split": "validation", "preset": "smoke", "learning_rate": learning_rate, "regime": regime}
    return make(arm=arm, seed=seed, rate=rate, budget=budget, config=config, result={"value": value})


def test_every_arm_gets_the_learning_rate_that_its_own_trials_chose():
    records = [trial("adaselection", lr, value) for lr, value in ((0.1, 90.0), (0.3, 93.0), (0.5, 91.0))]
    records += [trial("adaselection", 0.3, 90.0, seed=1), trial("adaselection", 0.5, 95.0, seed=1)]
    records += [trial("uniform_budget", lr, value) for lr, value in ((0.1, 90.0), (0.3, None), (0.5, 89.0))]
    records += [make(arm="big_loss", value=99.0, config={"preset": "smoke", "learning_rate": 0.7})]  # no trial
    specs = grid(spec(), ("adaselection", "uniform_budget", "big_loss"), [0.3], [0.5], [0])
    assert [s.learning_rate for s in with_tuned(specs, tuning(records))] == [0.5, 0.1, None]
    given = [replace(each, learning_rate=0.2) for each in specs]
    assert with_tuned(given, tuning(records)) == given
    assert (
        with_tuned(grid(spec(preset="cpu"), ["adaselection"], [0.3], [0.5], [0]), tuning(records))[0].learning_rate
        is None
    )


def test_trials_at_the_same_budget_and_rate_count_first():
    records = [trial("adaselection", 0.1, 90.0), trial("adaselection", 0.5, 80.0)]
    records += [trial("adaselection", 0.1, 80.0, rate=0.1), trial("adaselection", 0.5, 90.0, rate=0.1)]
    specs = grid(spec(), ["adaselection"], [0.1, 0.2, 0.3], [0.5], [0])
    assert [s.learning_rate for s in with_tuned(specs, tuning(records))] == [0.5, 0.5, 0.1]


def test_trials_of_the_same_regime_count_first_and_those_of_another_where_there_are_none():
    records = [trial("adaselection", 0.1, 90.0), trial("adaselection", 0.5, 80.0)]
    records += [trial("adaselection", lr, value, regime="duplicated") for lr, value in ((0.1, 80.0), (0.5, 90.0))]
    specs = [spec(regime=regime, rate=0.3, budget=0.5) for regime in ("plain", "duplicated", "long_tail")]
    assert [s.learning_rate for s in with_tuned(specs, tuning(records))] == [0.1, 0.5, 0.1]


def test_of_trials_at_other_budgets_the_nearest_count():
    records = [
        trial("uniform_budget", lr, value, rate=None, budget=budget)
        for budget, best in ((0.1, 0.5), (0.4, 0.1), (1.0, 0.02))
        for lr, value in ((0.02, 90.0 + (best == 0.02)), (0.1, 90.0 + (best == 0.1)), (0.5, 90.0 + (best == 0.5)))
    ]
    specs = grid(spec(), ["uniform_budget"], [0.3], [0.1, 0.15, 0.25, 0.5, 0.8, 1.0], [0])
    assert [s.learning_rate for s in with_tuned(specs, tuning(records))] == [0.5, 0.5, 0.1, 0.1, 0.02, 0.02]
    words = in_words(specs, tuning(records))
    assert "0.5 for uniform_budget (tuned: the highest tried, so try higher ones)" in words
    assert "0.1 for uniform_budget (tuned at budget 40 %)" in words
    assert "0.02 for uniform_budget (tuned at budget 100 %: the lowest tried, so try lower ones)" in words


def test_arms_without_trials_are_said_to_be_untuned():
    specs = grid(spec(), ["uniform_budget", "adaselection"], [0.3], [0.5], [0, 1])
    preset = specs[0].config("").learning_rate
    assert in_words(specs, []) == (
        f"Learning rates: {preset:g} for uniform_budget, adaselection (the preset's, not tuned). "
        "`adaselection tune` tries others on a validation split."
    )
    records = [trial("adaselection", lr, value) for lr, value in ((0.1, 90.0), (0.3, 93.0), (0.5, 91.0))]
    assert in_words(specs, tuning(records)) == (
        f"Learning rates: {preset:g} for uniform_budget (the preset's, not tuned); 0.3 for adaselection (tuned). "
        "What is not tuned is at a disadvantage: tune it too, or give all arms one --learning-rate."
    )
    assert in_words([replace(each, learning_rate=0.2) for each in specs], tuning(records)) == ""


def test_trials_on_other_data_are_named_as_such():
    records = [trial("adaselection", lr, 90.0 + lr, regime="duplicated", rate=0.1) for lr in (0.1, 0.3, 0.2)]
    specs = grid(spec(), ["adaselection"], [0.3], [0.5], [0])
    assert "(tuned on other data at rate 0.1: the highest tried" in in_words(specs, tuning(records))


@pytest.mark.parametrize(
    ("means", "remark"),
    [
        ({0.1: 90.0}, "the only one tried"),
        ({0.1: 91.0, 0.2: 90.0}, "the lowest tried, so try lower ones"),
        ({0.1: 90.0, 0.2: 91.0}, "the highest tried, so try higher ones"),
        ({0.1: 90.0, 0.2: 91.0, 0.3: 90.0}, ""),
        ({0.1: 90.0, 0.2: 91.0, 0.3: 91.0}, "tied with 0.3"),
        ({0.1: None, 0.2: None}, ""),
    ],
)
def test_a_choice_at_an_end_of_what_was_tried_is_remarked(means, remark):
    (entry,) = tuning([trial("adaselection", lr, value) for lr, value in means.items()])
    assert entry.remark == remark
