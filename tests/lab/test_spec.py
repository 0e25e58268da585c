"""What a run is: refused where it cannot be, named by what decides it, and done again by its own command."""

import pytest

from adaselection.lab.arms import PolicyOptions
from adaselection.lab.cli import parse
from adaselection.lab.commands import Run
from adaselection.lab.record import run_id
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import LoadOptions
from lab.smoke import spec

MIXED = PolicyOptions(methods=("big_loss", "uniform"), beta=-0.25, curriculum="text")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "digit"}, "unknown task 'digit'. Did you mean 'digits'?"),
        ({"preset": "smok"}, "unknown preset of digits 'smok'. Did you mean 'smoke'?"),
        ({"method": "adaselction"}, "unknown arm 'adaselction'. Did you mean 'adaselection'?"),
        ({"rate": 0.0}, "rate"),
        ({"rate": 2.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"budget": 0.0}, r"budget 0 is outside \(0, 10\]"),
        ({"budget": float("nan")}, "budget nan"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**63}, "seed"),
        ({"learning_rate": 0.0}, "learning rate 0 must be above 0"),
        ({"learning_rate": float("inf")}, "learning rate inf"),
        ({"label_noise": 1.0}, r"label_noise is 1.0: .* \[0, 1\)"),
        ({"label_noise": -0.1}, "label_noise is -0.1"),
        (
            {"task": "regression", "label_noise": 0.1},
            "no labels to make wrong, .* --regime plain, which has outliers",
        ),
        ({"task": "bike", "label_noise": 0.1}, "has no labels to make wrong, .* Use --regime outliers"),
        ({"regime": "long_tial"}, "unknown regime 'long_tial'. Did you mean 'long_tail'?"),
        ({"regime": "outliers"}, "digits has no regime outliers .* Choose one of: plain, duplicated, long_tail"),
        ({"task": "bike", "regime": "long_tail"}, "bike has no regime long_tail"),
        ({"regime": "noise_switch"}, "there is none: say how much, as in --label-noise 0.3"),
        ({"options": PolicyOptions(beta=3.0)}, "beta"),
        ({"options": PolicyOptions(methods=("big_los",))}, "big_loss"),
        ({"options": PolicyOptions(methods=())}, "method"),
        ({"options": PolicyOptions(methods=("uniform", "uniform"))}, "uniform"),
        ({"method": "big_loss", "options": PolicyOptions(beta=0.1)}, "--beta: only arms that mix methods"),
        ({"method": "full", "options": MIXED}, "--methods, --beta, --curriculum: only arms that mix"),
    ],
)
def test_what_cannot_be_run_is_refused_when_it_is_described(changes, words):
    with pytest.raises(ValueError, match=words) as caught:
        spec(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "asked",
    [
        spec(),
        spec(method="full", budget=0.2),
        spec(method="uniform_budget", budget=1 / 3, learning_rate=0.1 + 0.2),
        spec(method="uniform", rate=0.123456789, seed=12),
        spec(method="big_loss", label_noise=0.07, split="validation", preset="cpu"),
        spec(options=MIXED, budget=2.0),
        spec(options=PolicyOptions(importance="rank", weighting="fixed", choice="top_k")),
        spec(method="adaselection_paper", learning_rate=1e-7),
        RunSpec("regression"),
        RunSpec("regression", regime="clean"),
        RunSpec("bike", regime="outliers", method="big_loss"),
        spec(regime="noise_switch", label_noise=0.4),
    ],
)
def test_the_command_of_a_record_is_the_same_run(asked):
    program, *words = asked.command().split()
    assert program == "adaselection"
    command = parse(words)
    assert isinstance(command, Run)
    again = command.spec(
        command.task,
        method=command.method,
        rate=command.rate,
        budget=command.budget,
        seed=command.seed,
        learning_rate=command.learning_rate,
        split=command.split,
    )
    assert run_id(again.config("data")) == run_id(asked.config("data"))
    assert again.command() == asked.command()


def test_round_numbers_stay_short_in_a_command():
    assert spec(seed=3, budget=1).command() == (
        "adaselection run digits --preset smoke --method adaselection --rate 0.3 --budget 1 --seed 3 "
        "--learning-rate 0.1"
    )


def test_the_name_of_a_run_depends_on_what_decides_it_and_on_nothing_else(tmp_path):
    base = run_id(spec().config("data"))
    same = [spec(data_dir=tmp_path), spec(regime="plain"), spec(learning_rate=0.1), spec(rate=0.3)]
    assert {run_id(each.config("data")) for each in same} == {base}
    other = [spec(seed=1), spec(rate=0.2), spec(budget=0.5), spec(learning_rate=0.2), spec(label_noise=0.1)]
    other += [spec(regime="duplicated"), spec(regime="long_tail"), spec(regime="noise_switch", label_noise=0.1)]
    other += [spec(split="validation"), spec(preset="cpu"), spec(method="placebo"), spec(options=MIXED)]
    names = {run_id(each.config("data")) for each in other} | {run_id(spec().config("other data"))}
    assert len(names) == len(other) + 1
    assert base not in names


def test_arms_that_do_not_select_have_no_rate_and_full_no_budget_of_its_own():
    config = spec(method="uniform_budget", rate=0.7, budget=0.25).config("data")
    assert (config.rate, config.policy, config.budget) == (None, None, 0.25)
    assert spec(method="full", budget=0.25).config("data").budget == 1.0
    assert "seed" not in spec(seed=4).config("data").policy


def test_what_a_run_asks_of_its_data_is_all_that_it_says(tmp_path):
    asked = spec(seed=4, label_noise=0.2, regime="noise_switch", split="validation", data_dir=tmp_path)
    assert asked.load_options() == LoadOptions(4, 0.2, tmp_path, hold_out=True, regime="noise_switch")
    assert spec().load_options() == LoadOptions()
    assert asked.config("data").regime == "noise_switch"
    assert "--regime noise_switch --label-noise 0.2" in asked.command()
    assert "--regime" not in spec().command()
