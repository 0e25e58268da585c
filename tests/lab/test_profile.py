"""What selection can gain here: the arithmetic, the words, and a real measurement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaselection.lab.profile import RATES, Clock, Profile, measure
from lab.smoke import spec


def profile(load=1.0, forward=3.0, step=10.0, select=1.0):
    return Profile("digits/cpu", 64, 1, load, forward, step, select, steps=200)


def test_costs_are_those_of_the_cost_model():
    found = profile()
    assert found.ratio == pytest.approx(0.3)
    assert found.break_even == pytest.approx(0.6)
    assert found.relative_cost(0.3) == pytest.approx((1 + 3 + 1 + 3) / 11)
    assert found.relative_cost(1.0) == pytest.approx(15 / 11)


@given(*[st.floats(0.01, 100)] * 4)
def test_at_break_even_a_pass_costs_what_it_costs_without_selection(load, forward, step, select):
    found = profile(load, forward, step, select)
    if found.break_even > 0:
        assert found.relative_cost(found.break_even) == pytest.approx(1)
    else:
        assert found.relative_cost(0.0) >= 1 - 1e-9
    costs = [found.relative_cost(rate) for rate in RATES]
    assert costs == sorted(costs)


def test_the_words_name_the_break_even_and_what_uniform_gets():
    words = profile().words()
    assert words.startswith("Scoring a batch takes 30% of a training step here.")
    assert "only at rates below 0.60: at rate 0.3 a pass takes 73% of the time" in words
    assert "at rate 0.1 55%" in words
    assert "plain training gets 0.73 epochs" in words


@pytest.mark.parametrize("parts", [{"forward": 9.0}, {"select": 7.0}, {"forward": 30.0}])
def test_the_words_say_so_when_it_cannot_pay(parts):
    found = profile(**parts)
    share = (found.forward + found.select) / found.step
    assert found.break_even == 0.0
    assert found.words() == (
        f"Scoring a batch and choosing its rows takes {share:.0%} of a training step here, so selection with a "
        "scoring pass cannot pay at any rate. Train for fewer epochs instead."
    )


def test_a_measurement_has_every_part_and_the_steps_of_a_full_run():
    found = measure(spec(), repeats=3)
    assert (found.task, found.batch_size, found.threads, found.steps) == ("digits/smoke", 64, 1, 2 * 21)
    assert all(0 < value < 1000 for value in (found.load, found.forward, found.step, found.select))


def test_a_measurement_leaves_out_its_warm_up(monkeypatch):
    times = {}

    class Noted(Clock):
        def __init__(self):
            super().__init__()
            times["clock"] = self

    monkeypatch.setattr("adaselection.lab.profile.Clock", Noted)
    measure(spec(task="regression"), repeats=4)
    assert {name: len(values) for name, values in times["clock"].times.items()} == dict.fromkeys(
        ("load", "forward", "select", "step"), 4
    )
