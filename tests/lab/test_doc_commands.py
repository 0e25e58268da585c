"""Every ``adaselection`` command of the documents is one that the command line accepts."""

import json
import runpy
from pathlib import Path

import pytest

from doc_blocks import commands, commands_in, read_blocks

ROOT = Path(__file__).resolve().parent.parent.parent
SHELLS = ("bash", "sh", "shell", "console")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = [
    pytest.param(words, id=f"{block.name} {' '.join(words[:2])}")
    for path in DOCUMENTS
    for block in read_blocks(path, *SHELLS)
    for words in commands(block)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_documented_command_is_accepted(words: list[str]) -> None:
    from adaselection.lab.cli import parse

    assert parse(words) is not None


def test_the_study_is_made_of_commands_that_are_accepted() -> None:
    from adaselection.lab.cli import parse
    from adaselection.lab.judging.settings import SEEDS

    study = runpy.run_path(str(ROOT / "tools" / "recorded_study.py"))
    words = [[*line, "--out", "runs", "--jobs", "2"] for part in study["PARTS"] for line in study["commands"](part)]
    assert {line[1] for line in words} == set(SEEDS)
    assert all(parse(line) is not None for line in words)


def option(words: list[str], name: str, otherwise: str) -> str:
    return words[words.index(name) + 1] if name in words else otherwise


def test_every_run_that_the_tables_judge_by_is_one_of_the_study() -> None:
    study = runpy.run_path(str(ROOT / "tools" / "recorded_study.py"))
    made = set()
    for words in (words for part in study["PARTS"] for words in study["commands"](part) if words[0] == "compare"):
        setting = (words[1], option(words, "--preset", "cpu"), option(words, "--regime", "plain"),
                   float(option(words, "--label-noise", "0")))  # fmt: skip
        rate = option(words, "--learning-rate", "")  # without one it is the tuned one, or the preset's
        for arm in option(words, "--arms", "").split(","):
            for budget in option(words, "--budgets", "").split(","):
                made.add((*setting, arm, 1.0 if arm == "full" else float(budget), float(rate) if rate else None))
    found = set()
    for path in (ROOT / "results" / "recorded").glob("*/*.json"):
        config = json.loads(path.read_text(encoding="utf-8"))["config"]
        if config["split"] == "test":
            setting = (config["task"], config["preset"], config.get("regime", "plain"), config["label_noise"])
            key = (*setting, config["arm"], config["budget"])
            found.add((*key, None if (*key, None) in made else config["learning_rate"]))
    assert found
    assert found <= made


def test_a_wrong_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from adaselection.lab.cli import parse

    with pytest.raises(SystemExit) as stopped:
        parse(["run", "digits", "--no-such-flag", "1"])
    assert stopped.value.code == 2
    assert "no-such-flag" in capsys.readouterr().err


def test_the_demo_runs_every_method_and_its_commands_are_accepted() -> None:
    from adaselection import methods
    from adaselection.lab.cli import parse

    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (arms,) = (line.partition(":= ")[2] for line in text.splitlines() if line.startswith("ARMS := "))
    assert arms.split(",") == ["full", "uniform_budget", "recorded", "adaselection", *methods()]
    recipe = text.partition("\ndemo:")[2].partition("\n\n")[0]
    plain = recipe.replace("@$(BIN)/", "").replace("$(ARMS)", arms).replace("$(JOBS)", "2")
    found = commands_in(plain)
    assert [words[0] for words in found] == ["compare", "report"]
    assert all(parse(words) is not None for words in found)


def test_the_readme_names_the_commands() -> None:
    named = {words[0] for path in DOCUMENTS for b in read_blocks(path, *SHELLS) for words in commands(b)}
    assert {"compare", "report"} <= named
