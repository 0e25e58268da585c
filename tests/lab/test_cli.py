"""The commands as people type them: their flags, what they print and what they write."""

import re

import pytest

from adaselection import methods
from adaselection.lab.arms import arms
from adaselection.lab.cli import main
from adaselection.lab.store import RecordStore
from adaselection.lab.tasks import TASKS
from lab.smoke import SHORT, compare

COMMON = {"--preset", "--label-noise", "--methods", "--beta", "--curriculum", "--importance", "--weighting", "--choice"}
COMMON |= {"--help", "--regime", "--data-dir", "--threads", "--out"}
FLAGS = {
    "tasks": {"--help"},
    "methods": {"--help"},
    "run": COMMON | {"--method", "--rate", "--budget", "--seed", "--learning-rate", "--split"},
    "compare": COMMON | {"--arms", "--rates", "--budgets", "--seeds", "--learning-rate", "--jobs"},
    "tune": COMMON | {"--learning-rates", "--arms", "--rate", "--budget", "--seeds", "--jobs"},
    "report": {"--help", "--output"},
    "profile": {"--help", "--preset", "--data-dir", "--threads", "--repeats"},
}


@pytest.fixture(params=[80, 140])
def width(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results"


def narrowest(text):
    return max(map(len, text.splitlines()))


def test_tasks_lists_every_task(width, capsys):
    assert main(["tasks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["task", "what", "it", "is", "metric", "presets"]
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == list(TASKS)
    assert max(map(len, lines)) <= width


def test_methods_lists_every_method_and_every_arm(width, capsys):
    assert main(["methods"]) == 0
    text = capsys.readouterr().out
    first, second = (part.splitlines() for part in text.split("\n\n"))
    assert [line.split()[0] for line in first[1:] if not line.startswith(" ")] == list(methods())
    assert [line.split()[0] for line in second[1:] if not line.startswith(" ")] == list(arms())
    assert narrowest(text) <= width


@pytest.mark.parametrize("command", FLAGS)
def test_the_flags_of_every_command_are_these(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    options = text[text.index(" options ") :]  # the box of options
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", options)) == FLAGS[command]
    assert "None" not in text


def test_help_names_every_command(capsys):
    for words in (["--help"], ["-h"]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0
        text = capsys.readouterr().out
        assert all(f"• {name} " in text for name in FLAGS)


def test_run_writes_one_record_and_says_so_when_it_is_there_already(out, capsys):
    words = ["run", "digits", *SHORT, "--rate", "0.5", "--seed", "3", "--out", str(out)]
    assert main(words) == 0
    line, path = capsys.readouterr().out.splitlines()
    (record,) = RecordStore(out).read_all()[0]
    assert path == str(out / "digits" / f"{record.run_id}.json")
    assert line.startswith("digits/smoke adaselection rate 0.5 budget 1 seed 3: accuracy ")
    assert f" {record.result.value:.2f} %  " in line
    assert (record.config.arm, record.config.rate, record.config.seed) == ("adaselection", 0.5, 3)
    assert main(words) == 0
    again, path_again = capsys.readouterr().out.splitlines()
    assert again.endswith(" %  (had its record)")
    assert path_again == path
    assert len(RecordStore(out).read_all()[0]) == 1


def test_the_command_in_a_record_finds_that_record(out, capsys):
    options = ["--methods", "big_loss,grad_norm", "--beta", "-0.5", "--label-noise", "0.1"]
    assert main(["run", "digits", *SHORT, *options, "--out", str(out)]) == 0
    (record,) = RecordStore(out).read_all()[0]
    capsys.readouterr()
    assert main([*record.command.split()[1:], "--out", str(out)]) == 0
    assert "(had its record)" in capsys.readouterr().out


def test_compare_ends_with_a_table_of_every_arm_and_a_verdict(width, out, capsys):
    chosen = ["full", "uniform_budget", "uniform_rate", "adaselection", "big_loss"]
    assert compare(out, "--arms", ",".join(chosen), "--seeds", "2") == 0
    text = capsys.readouterr().out
    runs, table = text.split("digits (smoke preset)")
    assert len(runs.splitlines()) == 10
    rows = re.findall(r"^ (\w+) +(?:\u2013|0\.3) ", table, re.MULTILINE)
    assert sorted(rows) == sorted(chosen)
    sentence = " ".join(text.split("\n\n")[-1].split())
    assert sentence.startswith("AdaSelection ")
    assert "uniform at the same budget (50 % of full training)" in sentence
    assert sentence.endswith(" %.")
    assert narrowest(text.partition("digits (smoke preset)")[2]) <= width
    assert "…" not in text
    assert ("steps" in table) == (width == 140)


def test_tune_names_the_best_learning_rate_and_compare_takes_it(out, capsys):
    words = ["--arms", "uniform_budget,big_loss", "--out", str(out)]
    assert main(["tune", "digits", *SHORT, "--learning-rates", "0.000001,0.1", *words]) == 0
    table = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split()[0] for line in table] == ["big_loss", "uniform_budget"]
    assert [line.split()[-1] for line in table] == ["0.1", "0.1"]
    trials = RecordStore(out).read_all()[0]
    assert {(r.config.split, r.config.seed) for r in trials} == {("validation", 1000)}
    assert compare(out, "--arms", "uniform_budget,big_loss", "--seeds", "1") == 0
    assert compare(out, "--arms", "uniform_budget", "--seeds", "1", "--learning-rate", "0.05") == 0
    tested = [r.config for r in RecordStore(out).read_all()[0] if r.config.split == "test"]
    rates = sorted((c.arm, c.learning_rate) for c in tested)
    assert rates == [("big_loss", 0.1), ("uniform_budget", 0.05), ("uniform_budget", 0.1)]


def test_tuning_picks_another_rate_than_the_presets_where_that_is_better(out, capsys):
    words = [*SHORT, "--arms", "uniform_budget", "--out", str(out)]
    assert main(["tune", "digits", "--learning-rates", "0.0001,0.2", *words]) == 0
    assert main(["compare", "digits", *words, "--seeds", "1"]) == 0
    (tested,) = [r for r in RecordStore(out).read_all()[0] if r.config.split == "test"]
    assert tested.config.learning_rate == 0.2


def test_report_writes_a_file_and_prints_its_path(out, tmp_path, capsys):
    assert compare(out, "--arms", "uniform_budget,adaselection", "--seeds", "2") == 0
    capsys.readouterr()
    page = tmp_path / "new" / "page.html"
    assert main(["report", str(out), "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"{page.resolve()}\n"
    assert "AdaSelection" in page.read_text(encoding="utf-8")


def test_profile_says_what_selection_costs_here(capsys):
    assert main(["profile", "digits", *SHORT, "--repeats", "3"]) == 0
    text = capsys.readouterr().out
    for part in ("load 64 rows", "score them", "select", "train on them", "equivalent uniform rate", "digits/smoke, 1"):
        assert part in text
    rates = [line.split()[0] for line in text.splitlines() if line.startswith(("0.", "all"))]
    assert rates == ["0.1", "0.2", "0.3", "0.4", "0.5", "all"]
