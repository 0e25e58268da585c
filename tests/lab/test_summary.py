"""Rows, verdicts, tables: what may be averaged, the sign of a gain, and honest words."""

import pytest

from adaselection.lab.summary import Row, Study, summarise
from adaselection.lab.tables import terminal_table
from adaselection.lab.tuning import tuning
from adaselection.lab.verdict import outcome, verdict
from lab.records_factory import make

UNIFORM = {0: 90.0, 1: 92.0, 2: 94.0}


def runs(arm: str, values: dict[int, float], **parts: object) -> list:
    return [make(arm=arm, seed=seed, value=value, **parts) for seed, value in values.items()]


def study(*groups: list) -> Study:
    (found,) = summarise([record for group in groups for record in group])
    return found


def row(found: Study, arm: str) -> Row:
    (wanted,) = [row for row in found.rows if row.arm == arm]
    return wanted


def test_a_row_holds_mean_spread_difference_and_cost():
    found = study(runs("uniform_budget", UNIFORM), runs("adaselection", {0: 91.0, 1: 94.0, 2: 97.0}))
    ours, rival = row(found, "adaselection"), row(found, "uniform_budget")
    assert (ours.mean, ours.sd, ours.seeds) == (94.0, 3.0, 3)
    assert ours.difference.mean == 2.0
    assert ours.difference.ci_low == pytest.approx(-0.484138, abs=1e-6)
    assert ours.units_share == pytest.approx(0.5 * 0.996)
    assert (rival.difference, ours.opponent) == (None, "uniform_budget")
    assert ours.equivalent_uniform_rate == pytest.approx(0.3 + 1 / 3)
    assert (ours.scored, ours.trained) == (ours.records[0].counts.scored, ours.records[0].counts.trained)


def test_positive_is_better_whichever_way_the_metric_points():
    parts = {"task": "bike"}
    found = study(
        [make("bike", "uniform_budget", seed, value=value) for seed, value in {0: 0.5, 1: 0.6}.items()],
        [make("bike", "adaselection", seed, value=value) for seed, value in {0: 0.4, 1: 0.49}.items()],
    )
    assert found.task == parts["task"]
    assert row(found, "adaselection").difference.mean == pytest.approx(0.105)
    assert verdict(found).outcome == "better"
    assert "beat uniform" in verdict(found).sentence


def test_pairs_need_the_same_seed_and_the_same_data():
    other = runs("adaselection", {2: 80.0}, config={"data": "cd34" * 16})
    found = study(
        runs("uniform_budget", UNIFORM), runs("adaselection", {1: 93.0}), runs("adaselection", {7: 1.0}), other
    )
    by_data = {r.records[0].config.data[:4]: r for r in found.rows if r.arm == "adaselection"}
    assert by_data["ab12"].difference.n == 1
    assert by_data["cd34"].difference.n == 0
    assert any("never paired" in note for note in found.notes)


def test_a_generated_data_set_may_differ_from_seed_to_seed():
    parts = [{"config": {"data": letter * 64}} for letter in "abc"]
    records = [make(arm=arm, seed=s, **parts[s]) for arm in ("uniform_budget", "adaselection") for s in range(3)]
    found = study(records)
    assert [(r.arm, r.seeds) for r in found.rows] == [("uniform_budget", 3), ("adaselection", 3)]
    assert row(found, "adaselection").difference.n == 3


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"config": {"learning_rate": 0.3}}, ("learning rate 0.1", "learning rate 0.3")),
        ({"config": {"policy": {"name": "AdaSelection", "rate": 0.3, "beta": -1, "seed": 0}}}, ("beta=0.5", "beta=-1")),
        ({"environment": {"adaselection": "0.2.0"}}, ("version 0.1.0", "version 0.2.0")),
    ],
)
def test_different_settings_never_share_a_row(change, detail):
    found = study(runs("adaselection", {0: 90.0, 1: 91.0}), runs("adaselection", {2: 50.0, 3: 51.0}, **change))
    assert {(r.detail, r.mean) for r in found.rows} == {(detail[0], 90.5), (detail[1], 50.5)}


def test_seeds_inside_a_policy_do_not_part_a_cell():
    assert row(study(runs("adaselection", UNIFORM)), "adaselection").seeds == 3


def test_presets_and_label_noise_are_studies_of_their_own():
    found = summarise([make(), make(config={"preset": "paper"}), make(config={"label_noise": 0.3}), make("bike")])
    assert [s.title for s in found] == [
        "bike (cpu preset)", "digits (cpu preset)", "digits (cpu preset, 30 % label noise)", "digits (paper preset)",
    ]  # fmt: skip


def test_regimes_are_studies_of_their_own_plain_data_first():
    settings = [{}, {"regime": "duplicated"}, {"regime": "long_tail"}, {"label_noise": 0.3}]
    settings += [{"regime": "noise_switch", "label_noise": 0.3}, {"regime": "long_tail", "label_noise": 0.2}]
    found = summarise([make(config=setting) for setting in settings])
    assert [s.title for s in found] == [
        "digits (cpu preset)",
        "digits (cpu preset, 30 % label noise)",
        "digits (cpu preset, 5x duplicated data)",
        "digits (cpu preset, 100:1 long tail)",
        "digits (cpu preset, 100:1 long tail, 20 % label noise)",
        "digits (cpu preset, 30 % label noise from halfway on)",
    ]
    assert [s.regime for s in found] == ["plain"] * 2 + ["duplicated", "long_tail", "long_tail", "noise_switch"]


def test_the_worst_class_of_a_long_tail_is_noted():
    tail = {"config": {"regime": "long_tail"}}
    records = [make(arm="uniform_budget", seed=s, result={"worst_class": 30.0 + s}, **tail) for s in range(2)]
    records += [make(seed=s, result={"worst_class": 40.0 + s}, **tail) for s in range(2)]
    found = study(records)
    assert (row(found, "uniform_budget").worst_class, row(found, "adaselection").worst_class) == (30.5, 40.5)
    assert (
        "Worst class, mean over the seeds: uniform_budget and budget 0.5: 30.5 %; "
        "adaselection at rate 0.3 and budget 0.5: 40.5 %."
    ) in found.notes
    part = study(records, [make(seed=2, **tail)])
    assert row(part, "adaselection").worst_class is None
    assert not any("adaselection" in note for note in part.notes if note.startswith("Worst class"))
    assert study([make(result={"worst_class": 9.0})]).notes == ()


def test_the_harder_of_two_opponents_counts():
    weak = runs("uniform_budget", {0: 10.0, 1: 20.0}, config={"learning_rate": 9.0})
    found = study(weak, runs("uniform_budget", UNIFORM), runs("adaselection", UNIFORM))
    assert row(found, "adaselection").difference.mean == 0.0
    assert row(found, "adaselection").opponent == "uniform_budget (learning rate 0.1)"
    assert any("compared with the best" in note for note in found.notes)


def test_seconds_need_the_machine_alone_and_one_machine():
    alone, crowd = runs("adaselection", {0: 90.0}), runs("adaselection", {1: 90.0}, environment={"exclusive": False})
    other = runs("adaselection", {1: 90.0}, environment={"cpu": "another"})
    assert row(study(alone), "adaselection").seconds == pytest.approx(alone[0].seconds.total)
    for found in (study(alone, crowd), study(alone, other)):
        assert row(found, "adaselection").seconds is None
        assert row(found, "adaselection").timed_equivalent_uniform_rate is None
        assert row(found, "adaselection").equivalent_uniform_rate is not None


def test_tuning_runs_enter_no_result():
    tuned = [
        make(arm="adaselection", value=value, config={"split": "validation", "learning_rate": learning_rate})
        for learning_rate, value in ((0.03, 88.0), (0.1, 91.0), (0.3, float("nan")))
    ]
    assert summarise(tuned) == []
    results = runs("adaselection", UNIFORM)
    assert row(study(results, tuned), "adaselection").seeds == 3
    (entry,) = tuning(results + tuned)
    assert (entry.arm, entry.chosen, entry.used) == ("adaselection", 0.1, (0.1,))
    assert [(c.learning_rate, c.mean, c.runs) for c in entry.candidates] == [
        (0.03, 88.0, 1),
        (0.1, 91.0, 1),
        (0.3, None, 1),
    ]


def test_trials_of_another_regime_are_apart():
    records = [
        make(value=value, config={"split": "validation", "regime": regime, "learning_rate": learning_rate})
        for regime, learning_rate, value in (
            ("plain", 0.1, 90.0), ("plain", 0.3, 80.0), ("duplicated", 0.1, 80.0), ("duplicated", 0.3, 85.0),
        )
    ]  # fmt: skip
    used = make(config={"regime": "duplicated", "learning_rate": 0.2})
    assert [(t.regime, t.chosen, t.used) for t in tuning([used, *records])] == [
        ("plain", 0.1, ()), ("duplicated", 0.3, (0.2,)),
    ]  # fmt: skip


def test_the_best_learning_rate_of_an_error_is_the_lowest():
    records = [
        make("bike", value=v, config={"split": "validation", "learning_rate": lr}) for lr, v in ((0.1, 2.0), (0.3, 1.0))
    ]
    assert tuning(records)[0].chosen == 0.3


@pytest.mark.parametrize(
    ("values", "word", "text"),
    [
        ({0: 91.0, 1: 93.1, 2: 95.0}, "better", "beat uniform at the same budget (50 % of full training) by 1.03"),
        ({0: 89.0, 1: 90.9, 2: 93.0}, "worse", "lost to uniform at the same budget (50 % of full training) by 1.03"),
        ({0: 91.0, 1: 91.0, 2: 94.5}, "same", "cannot be told from uniform at the same budget (50 % of full"),
    ],
)  # fmt: skip
def test_the_verdict_of_one_setting(values, word, text):
    full = runs("full", {0: 98.0, 1: 98.0})
    found = verdict(study(runs("uniform_budget", UNIFORM), runs("adaselection", values), full))
    assert found.outcome == word
    assert found.sentence.startswith(f"AdaSelection {text}")
    assert "95 % CI" in found.sentence
    assert "3 seeds" in found.sentence
    assert found.sentence.endswith("full training reached 98.00 %.")
    best = "AdaSelection (rate 0.3)" if word != "worse" else "uniform"
    assert f"% by {best};" in found.sentence


def test_a_shut_gate_gives_what_uniform_gives():
    found = verdict(study(runs("uniform_budget", UNIFORM), runs("recorded", UNIFORM)))
    assert found.outcome == "equal"
    assert "gave the very scores of uniform at the same budget (50 % of full training, 3 seeds)" in found.sentence


@pytest.mark.parametrize(
    ("windows", "selected", "reason"),
    [
        (0, 0, ": the runs end in their first walk over the data, in which nothing can be left out"),
        (4, 0, ": the gate stayed shut"),
        (4, 1, ""),
        (None, None, ""),
    ],
)
def test_why_nothing_was_left_out_is_said_where_it_is_known(windows, selected, reason):
    trace = None if windows is None else {"windows": windows, "selected": selected}
    ours = runs("recorded", UNIFORM, policy_trace=trace)
    found = verdict(study(runs("uniform_budget", UNIFORM), ours))
    assert f"(50 % of full training, 3 seeds){reason};" in found.sentence


@pytest.mark.parametrize("width", [80, 130])
@pytest.mark.parametrize("alone", [True, False])
def test_the_caption_explains_the_columns_that_are_there(width, alone):
    found = study(runs("uniform_budget", UNIFORM, environment={"exclusive": alone}))
    table = terminal_table(found, width)
    heads, caption = " ".join(str(column.header) for column in table.columns), str(table.caption)
    assert ("cost" in heads) == ("Budget and cost" in caption) == (width == 130)
    assert ("time" in heads) == ("No seconds" not in caption) == alone


def test_the_verdict_names_the_interval():
    found = verdict(study(runs("uniform_budget", UNIFORM), runs("adaselection", {0: 91.0, 1: 93.1, 2: 95.0})))
    assert "by 1.03 points (95 % CI 0.89 to 1.18, 3 seeds)" in found.sentence


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (runs("uniform_budget", UNIFORM), "it has no runs here"),
        (runs("adaselection", UNIFORM), "uniform at the same budget, the arm uniform_budget, was not run"),
        (runs("uniform_budget", UNIFORM) + runs("adaselection", {0: 95.0}), "1 seed in common with uniform"),
        (
            runs("uniform_budget", UNIFORM) + runs("adaselection", {0: 95.0, 1: float("nan")}),
            "1 of its 2 runs diverged",
        ),
        (runs("uniform_budget", {0: float("inf")}) + runs("adaselection", {0: 95.0}), "has no usable mean"),
    ],
)
def test_where_nothing_can_be_said_the_verdict_says_so(records, text):
    found = verdict(study(records))
    assert found.outcome == "unknown"
    assert text in found.sentence
    assert "best" not in found.sentence


def test_several_settings_are_counted_and_none_is_picked():
    records = [make(arm="uniform_budget", seed=s, value=v, budget=b) for b in (0.25, 0.5) for s, v in UNIFORM.items()]
    for budget, shift in ((0.25, 1.0), (0.5, -1.0)):
        records += [make(seed=s, value=v + shift + s / 100, budget=budget) for s, v in UNIFORM.items()]
    records += [make(seed=s, value=v, budget=0.5, rate=0.1) for s, v in UNIFORM.items()]
    found = verdict(study(records))
    assert (found.outcome, found.tally) == ("mixed", "1 won, 1 lost, 1 equal")
    assert "AdaSelection met uniform at the same budget in 3 settings: 1 won, 1 lost, 1 equal" in found.sentence
    assert "mean differences \u22120.99 to +1.01 points, 3 seeds" in found.sentence


def test_the_best_mean_is_of_the_arms_with_the_most_seeds():
    rest = runs("uniform_budget", UNIFORM), runs("adaselection", {0: 91.0, 1: 93.1, 2: 95.0})
    found = verdict(study(*rest, runs("big_loss", {0: 99.0})))
    assert "the best mean accuracy was 93.03 % by AdaSelection" in found.sentence
    found = verdict(study(*rest, runs("big_loss", dict.fromkeys(UNIFORM, 99.0))))
    assert "the best mean accuracy was 99.00 % by big_loss" in found.sentence


def test_collapsed_and_diverged_runs_are_counted():
    found = study(
        runs("big_loss", UNIFORM, result={"collapsed": True}), runs("adaselection", {0: float("nan"), 1: 90.0})
    )
    assert row(found, "big_loss").collapsed == 3
    assert (row(found, "adaselection").diverged, row(found, "adaselection").mean) == (1, None)
    assert outcome(row(found, "adaselection")) == "unknown"
    assert any(note.startswith("3 of 5 runs collapsed") for note in found.notes)
    assert any(note.startswith("1 of 5 runs diverged") for note in found.notes)
