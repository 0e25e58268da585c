"""What the gates did, in the terminal and in the report, and the verdict on recorded losses."""

import io

import pytest
from rich.console import Console

from adaselection.lab.gates import gate_caption, gate_lines, gate_table
from adaselection.lab.report import render_report
from adaselection.lab.summary import summarise
from adaselection.lab.verdict import verdict
from lab.records_factory import make
from lab.test_report import Page
from lab.test_summary import UNIFORM, runs, study

SHIFTED = {seed: value + 1 + seed / 100 for seed, value in UNIFORM.items()}


def trace(seed=0, *, wrong=None, **changes):
    plain = {
        "windows": 50, "selected": 40 + seed, "shut": 10 - seed, "left_out": 0.2 + seed / 10, "forced": 3,
        "effective": 1.0, "predicted_gain": 1.4, "realised_gain": 1.2 + seed / 10, "stopped": False,
        "overhead": 0.01, "steps_per_pass": 6, "visits": {"fewest": 1, "mean": 9.5, "most": 20},
    } | changes  # fmt: skip
    if wrong is not None:
        plain["visits"] |= {"mean_of_wrong": wrong, "mean_of_right": 12.0}
    return plain


def recorded(arm="recorded", seeds=2, **more):
    return [make(arm=arm, seed=seed, value=SHIFTED[seed], policy_trace=trace(seed, **more)) for seed in range(seeds)]


def shown(found, width=80):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(gate_table(found))
    return console.file.getvalue()


def test_a_line_holds_the_means_over_the_seeds():
    (line,) = gate_lines(study(runs("uniform_budget", UNIFORM), recorded(wrong=7.25)))
    assert (line.budget, line.arm, line.rate) == ("budget 50 %", "recorded", "0.3")
    assert (line.open, line.left_out) == ("81 %", "25 %")  # 40 and 41 of 50; 20 % and 30 %
    assert (line.expected, line.seen, line.overhead) == ("\u00d71.40", "\u00d71.25", "1 %")
    assert (line.wrong, line.right) == ("7.2", "12.0")


def test_what_is_not_known_is_a_dash():
    closed = trace(windows=0, selected=0, shut=0, predicted_gain=None, realised_gain=None, overhead=None)
    (line,) = gate_lines(study([make(arm="recorded", policy_trace=closed)]))
    assert (line.open, line.expected, line.seen, line.overhead) == ("\u2013",) * 4
    assert (line.wrong, line.right) == ("", "")
    crowd = make(arm="recorded", policy_trace=trace(), environment={"exclusive": False})
    assert gate_lines(study([crowd]))[0].overhead == "\u2013"


def test_runs_without_a_trace_have_no_line():
    found = study(runs("uniform_budget", UNIFORM), runs("adaselection", UNIFORM))
    assert gate_lines(found) == []
    assert gate_table(found) is None
    half = [make(arm="recorded", seed=0, policy_trace=trace()), make(arm="recorded", seed=1)]
    assert gate_lines(study(half)) == []


def test_a_stop_is_said():
    records = [make(arm="recorded", seed=s, policy_trace=trace(s, stopped=s == 1)) for s in range(2)]
    assert gate_lines(study(records))[0].detail == "said stop in 1 of 2 runs"


def test_the_members_that_windows_got_are_named_the_most_frequent_first():
    got = ({"uniform": 10, "hard": 5, "trusted": 35}, {"uniform": 45, "rare targets": 4, "hard": 1})
    records = [make(arm="recorded", seed=s, policy_trace=trace(s, verdicts=got[s])) for s in range(2)]
    lines = gate_lines(study(records))
    assert lines[0].detail == "trusted 35 %, hard 6 %"  # 70 and 0 %; 10 and 2 %
    assert "In brackets: the share" in gate_caption(lines)
    shut = gate_lines(study([make(arm="recorded", policy_trace=trace(verdicts={"uniform": 50}))]))
    assert shut[0].detail == ""
    assert "In brackets" not in gate_caption(shut)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("wrong", [None, 7.25])
def test_the_table_fits_and_has_visits_where_they_are_known(width, wrong):
    found = study(recorded(wrong=wrong), recorded("recorded_katharopoulos_fleuret", wrong=wrong))
    text = shown(found, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    (line,) = [line for line in text.splitlines() if line.startswith(" recorded ")]
    assert "81 %" in line
    assert "\u00d71.40 \u00d71.25" in line
    assert ("7.2 : 12.0" in line) == ("Visits" in gate_caption(gate_lines(found))) == (wrong is not None)


def test_the_report_says_what_the_gates_did_and_only_where_there_are_some():
    records = [*runs("uniform_budget", UNIFORM), *recorded(wrong=7.25)]
    page = Page(render_report(records))
    words = page.words.replace("\u00a0", " ")
    for part in ("What the gate did", "Windows open", "81 %", "\u00d71.25", "Visits, wrong", "7.2"):
        assert part in words
    assert "Visits, wrong" not in Page(render_report([*runs("uniform_budget", UNIFORM), *recorded()])).words
    assert "What the gate did" not in Page(render_report(runs("uniform_budget", UNIFORM))).words
    evil = [make(arm="recorded", policy_trace=trace(), config={"preset": "<script>"})]
    assert not Page(render_report(evil)).all("script")


def test_budgets_have_headings_of_their_own():
    records = [make(arm="recorded", budget=b, policy_trace=trace()) for b in (0.25, 0.5)]
    heads = [line.strip() for line in shown(study(records)).splitlines() if line.startswith(" budget")]
    assert heads == ["budget 25 %", "budget 50 %"]


def test_the_verdict_names_the_plane_where_it_must():
    uniform = runs("uniform_budget", UNIFORM)
    alone = verdict(study(uniform, recorded(seeds=3)))
    assert alone.outcome == "better"
    assert alone.sentence.startswith("AdaSelection on recorded losses beat uniform at the same budget")
    worse = runs("adaselection", {seed: value - 1 - seed / 100 for seed, value in UNIFORM.items()})
    both = verdict(study(uniform, recorded(seeds=3), worse))
    assert both.outcome == "mixed"
    assert both.tally == "recorded losses won; fresh losses lost"
    assert "; AdaSelection on fresh losses lost to uniform at the same budget" in both.sentence
    assert both.sentence.count("the best mean accuracy") == 1
    assert "Recorded losses won; fresh losses lost" in Page(render_report([*uniform, *recorded(seeds=3), *worse])).words
    same = verdict(study(uniform, recorded(seeds=3), runs("adaselection", SHIFTED)))
    assert (same.outcome, same.tally) == ("better", "recorded losses won; fresh losses won")


def test_the_default_on_recorded_losses_stands_before_other_arms():
    found = study(runs("big_loss", UNIFORM), recorded(seeds=3), runs("uniform_budget", UNIFORM))
    assert [row.arm for row in found.rows] == ["uniform_budget", "recorded", "big_loss"]
    assert len(summarise(recorded())) == 1
