"""Axes: what is shown, what is left out of the range, and that it is marked."""

import re

import pytest

from adaselection.lab import plots
from adaselection.lab.axes import shown_range
from adaselection.lab.figures import figures
from adaselection.lab.summary import summarise
from lab.records_factory import make

GOOD = {"full": 97.0, "uniform_budget": 96.0, "recorded": 96.5, "recorded_trusted": 96.3, "big_loss": 95.2}


def study(values, budgets=(0.5,), **result):
    records = [
        make(arm=arm, seed=seed, value=value + seed / 4, budget=budget, result=result.get(arm, {}))
        for arm, value in values.items()
        for budget in budgets
        for seed in range(2)
    ]
    return summarise(records)[0]


def test_nothing_is_left_out_where_all_arms_are_near():
    assert shown_range(study(GOOD).rows) is None
    assert shown_range([]) is None
    assert shown_range(study({"recorded": 90.0, "small_loss": 20.0}).rows) is None
    assert shown_range(study({"full": 97.0}).rows) is None


@pytest.mark.parametrize("bad", [{"small_loss": 40.0}, {"small_loss": 40.0, "min_k_loss": 12.0}])
def test_arms_far_off_do_not_stretch_the_axis(bad):
    low, high = shown_range(study(GOOD | bad).rows)
    assert 90 < low < 95.2
    assert 97.25 < high < 98


def test_collapsed_arms_are_left_out_even_if_they_are_many():
    bad = {f"arm{i}": 10.0 for i in range(8)}
    found = study(GOOD | bad, **{arm: {"collapsed": True} for arm in bad})
    low, _ = shown_range(found.rows)
    assert low > 90


def test_full_training_and_the_opponent_are_always_shown():
    low, high = shown_range(study(GOOD | {"full": 120.0, "uniform_budget": 80.0, "small_loss": -400.0}).rows)
    assert low < 80
    assert high > 120


def test_an_axis_is_not_cut_for_little():
    assert shown_range(study(GOOD | {"small_loss": 92.5}).rows) is None


@pytest.mark.parametrize("budgets", [(0.5,), (0.25, 0.5)])
def test_what_is_left_out_is_marked_with_its_value_and_said(budgets):
    found = study(GOOD | {"small_loss": 12.0}, budgets)
    figure = figures(found)[0]
    assert len(re.findall(r">12\.1<", figure.svg)) == len(budgets)
    assert "Triangles at the edge" in figure.caption
    ticks = [float(text) for text in re.findall(r">(\d+(?:\.\d+)?)</text>", figure.svg)]
    assert not [tick for tick in ticks if 12.2 < tick < 90 and tick not in (25.0, 30.0, 35.0, 40.0, 45.0, 50.0)]
    plain = figures(study(GOOD, budgets))[0]
    assert "Triangles" not in plain.caption
    assert ">12.1<" not in plain.svg


def test_rates_are_cut_as_well():
    values = {"uniform_budget": 96.0, "recorded": 96.5, "recorded_trusted": 96.3, "small_loss": 12.0}
    records = [
        make(arm=arm, seed=seed, value=value + seed / 4, rate=rate)
        for arm, value in values.items()
        for rate in (0.1, 0.3)
        for seed in range(2)
        if arm != "uniform_budget" or rate == 0.1
    ]
    found = summarise(records)[0]
    svg = plots.metric_and_cost_against_rate(found.rows, found)
    assert svg.count(">12.1<") == 2
