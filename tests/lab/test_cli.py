"""The commands as people type them: their flags, what they print and what they write."""

import re

import pytest

from adaselection import methods
from adaselection.lab.arms import arms
from adaselection.lab.cli import main
from adaselection.lab.groups import groups
from adaselection.lab.instances import instances_path, read_instances
from adaselection.lab.store import RecordStore
from adaselection.lab.tasks import TASKS
from lab.smoke import SHORT, compare

COMMON = {"--preset", "--label-noise", "--methods", "--beta", "--curriculum", "--importance", "--weighting", "--choice"}
COMMON |= {"--help", "--regime", "--data-dir", "--threads", "--out", "--irreducible"}
FLAGS = {
    "tasks": {"--help"},
    "methods": {"--help"},
    "run": COMMON | {"--method", "--rate", "--budget", "--seed", "--learning-rate", "--split", "--instances"},
    "compare": COMMON
    | {"--arms", "--rates", "--rate", "--budgets", "--budget", "--seeds", "--learning-rate", "--jobs"},
    "tune": COMMON | {"--learning-rates", "--arms", "--rate", "--budget", "--seeds", "--jobs"},
    "report": {"--help", "--output"},
    "profile": {"--help", "--preset", "--data-dir", "--threads", "--repeats"},
    "inspect": {"--help", "--folder", "--top", "--output", "--data-dir"},
    "holdout": {"--help", "--preset", "--regime", "--label-noise", "--split", "--seed", "--seeds", "--model"}
    | {"--epochs", "--learning-rate", "--folds", "--data-dir", "--threads", "--out"},
    "paper": {"--help", "--preset", "--tasks", "--rows", "--seeds", "--jobs", "--backend", "--scheduler", "--slice"}
    | {"--minutes", "--pack", "--merge", "--report", "--data-dir", "--threads", "--out"},
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
    paper, made_for_records, *rest = (part.splitlines() for part in re.split(r"\n *\n", text))
    assert [line.split()[0] for line in paper[2:] if not line.startswith(" ")] == list(methods())
    later = [name for name in methods("recorded") if name not in methods()]
    assert [line.split()[0] for line in made_for_records[2:] if not line.startswith(" ")] == later
    heads = [line.split()[0] for part in rest for line in part if line.strip() and not line.startswith(" ")]
    assert heads[2:] == list(groups())
    words = set(re.findall(r"\w+", "\n".join(line for part in rest for line in part)))
    assert set(arms()) <= words
    assert narrowest(text) <= width
    assert "…" not in text


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
    line, *account, path = capsys.readouterr().out.splitlines()
    (record,) = RecordStore(out).read_all()[0]
    counts = record.counts
    assert account[0].startswith(
        f"  {counts.steps:,} steps, {counts.scored:,} rows scored, {counts.trained:,} trained on"
    )
    assert account[1].startswith("  seconds: load ")
    assert path == str(out / "digits" / f"{record.run_id}.json")
    assert line.startswith("digits/smoke adaselection rate 0.5 budget 1 seed 3: accuracy ")
    assert f" {record.result.value:.2f} %" in line
    assert (record.config.arm, record.config.rate, record.config.seed) == ("adaselection", 0.5, 3)
    assert main(words) == 0
    again, *account_again, path_again = capsys.readouterr().out.splitlines()
    assert account_again == account
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
    assert " ".join(runs.split()).startswith("Learning rates: 0.1 for full, uniform_budget, uniform_rate, ")
    assert len(re.findall(r"^digits/smoke ", runs, re.MULTILINE)) == 10
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
    *table, first, second = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split()[0] for line in table] == ["big_loss", "uniform_budget"]
    assert [line.split()[-1] for line in table] == ["0.1", "0.1"]
    assert first == "big_loss: 0.1 is the highest tried, so try higher ones."
    assert second.startswith("uniform_budget: 0.1 is ")
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


RECORDING = ["run", "digits", *SHORT, "--method", "recorded_proportional", "--budget", "3", "--label-noise", "0.3"]


def test_a_run_keeps_its_instances_and_inspect_shows_them(width, out, tmp_path, capsys):
    words = [*RECORDING, "--instances", "--out", str(out)]
    assert main(words) == 0
    (record,) = RecordStore(out).read_all()[0]
    path = instances_path(out / "digits" / f"{record.run_id}.json")
    found = read_instances(path)
    trace = record.policy_trace["visits"]
    assert int(found.signals.visits.sum()) == record.counts.trained
    assert (int(found.signals.visits.min()), int(found.signals.visits.max())) == (trace["fewest"], trace["most"])
    assert found.signals.kind == "cross_entropy"
    assert int(found.extra["wrong"].sum()) == round(0.3 * len(found))
    assert float(found.signals.ages.min()) == 0
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert main(["inspect", record.run_id[:6], "--folder", str(out), "-o", str(page), "--top", "4"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == str(page.resolve())
    assert max(map(len, text.splitlines()[:-1])) <= width
    assert "Suspected mislabelled" in text
    assert page.read_text(encoding="utf-8").count("<img") >= 8


def test_instances_are_made_later_without_touching_the_record(out, capsys):
    assert main([*RECORDING, "--out", str(out)]) == 0
    (path,) = (out / "digits").glob("*.json")
    before = path.read_bytes()
    assert not instances_path(path).exists()
    assert main([*RECORDING, "--instances", "--out", str(out)]) == 0
    assert path.read_bytes() == before
    made = instances_path(path).read_bytes()
    capsys.readouterr()
    assert main([*RECORDING, "--instances", "--out", str(out)]) == 0
    assert "(had its record)" in capsys.readouterr().out
    instances_path(path).unlink()
    assert main([*RECORDING, "--instances", "--out", str(out)]) == 0
    assert instances_path(path).read_bytes() == made
    assert RecordStore(out).read_all()[1] == []


def test_compare_takes_a_group_and_says_what_its_gates_did(width, out, capsys):
    assert compare(out, "--arms", "baselines,recorded_policies", "--seeds", "1", "--budgets", "2") == 0
    arms_run = {record.config.arm for record in RecordStore(out).read_all()[0]}
    known = groups()
    assert arms_run == {*known["baselines"].members, *known["recorded_policies"].members}
    text = capsys.readouterr().out
    assert narrowest(text.partition("digits (smoke preset)")[2]) <= width
    gates = text.partition("What the gate did")[2]
    assert "100 %" in next(line for line in gates.splitlines() if line.startswith(" recorded_placebo"))
    assert "visits" not in gates.splitlines()[2]
    assert "…" not in text


def test_holdout_writes_what_rho_loss_reads(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["holdout", "digits", *SHORT, "--label-noise", "0.2", "--seeds", "2"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "It is not charged to the runs that use them." in text
    assert re.search(r"Cost: [\d.]+ s, 5,18\d units of mlp_small \(67 % of a full run's count\)", text)
    assert "on wrong targets" in text
    files = sorted(path.name for path in (tmp_path / "irreducible").iterdir())
    assert files == ["digits-smoke-noise0.2-seed0.npz", "digits-smoke-noise0.2-seed1.npz"]
    assert main(words) == 0
    assert capsys.readouterr().out.count("(was there)") == 2
    compared = ["--arms", "uniform_budget,recorded_rho_loss", "--seeds", "2", "--label-noise", "0.2"]
    assert compare(out, *compared, "--irreducible", "irreducible", "--budgets", "3") == 0
    records = [r for r in RecordStore(out).read_all()[0] if r.config.arm == "recorded_rho_loss"]
    assert len(records) == 2
    assert all(r.config.policy["irreducible"]["model"] == "mlp_small" for r in records)
    capsys.readouterr()
    assert main([*records[0].command.split()[1:], "--out", str(out)]) == 0
    assert "(had its record)" in capsys.readouterr().out
