"""docs/results says what the records of the recorded plane say."""

import importlib.util
import re
import subprocess
import sys

import pytest

from adaselection.lab.judging import pages
from adaselection.lab.judging.settings import SEEDS
from adaselection.lab.store import RecordStore
from lab.records_factory import make

NAMES = ["gate.md", "ladder.md", "never_lose.md", "seconds.md", "speed.md", "uncertain.md"]
SHUT = {"windows": 9, "selected": 0, "shut": 9, "left_out": 0.0, "predicted_gain": None, "realised_gain": None}
OPEN = SHUT | {"selected": 6, "shut": 3, "left_out": 0.25, "predicted_gain": 1.3, "realised_gain": 1.2}
GAIN = {0.0: 0.0, 0.2: 2.5}


@pytest.fixture(scope="module")
def tool(root):
    found = importlib.util.spec_from_file_location("results_tool", root / "tools" / "results.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def few_timed(tool, tmp_path, monkeypatch):
    """The tool with a few timed runs in the place of the thousand committed ones."""
    store = RecordStore(tmp_path / "timed")
    for record in study():
        store.write(record)
    monkeypatch.setattr(tool, "TIMED", store.folder)
    return tool


def study(noise=0.0, *, seeds=3, shut=True, exclusive=True):
    """Full training, uniform, the default and two rungs at two budgets; made up."""
    parts = {"config": {"label_noise": noise}, "environment": {"exclusive": exclusive}}
    records = []
    for seed in range(seeds):
        base = 95.0 + seed / 10
        records.append(make("digits", "full", seed, value=base, **parts))
        for budget, lag in ((0.1, 3.0), (0.5, 0.8)):
            gains = {"uniform_budget": 0.0, "recorded": GAIN[noise] + (0 if shut else seed / 50),
                     "recorded_placebo": -0.5, "recorded_trusted": 0.2 + seed / 50,
                     "recorded_uncertain": (0.15 if noise else -0.3) - seed / 50}  # fmt: skip
            for arm, gain in gains.items():
                trace = {"policy_trace": SHUT if shut else OPEN} if arm == "recorded" else {}
                records.append(make("digits", arm, seed, value=base - lag + gain, budget=budget, **parts, **trace))
    return records


def section(text, title):
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found


def line(text, start):
    (found,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_pages_say_what_the_committed_records_say(root):
    """In a process of its own: without the checks of shapes and types it takes a fraction of the time."""
    command = [sys.executable, str(root / "tools" / "results.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_every_table_is_whole(tool):
    records = study() + study(0.2, shut=False)
    for text in pages(records, timed=records).values():
        widths = [row.count("|") for row in text.splitlines() if row.startswith("|")]
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        assert tables
        assert all(len({row.count("|") for row in table.splitlines()}) == 1 for table in tables)
        assert len(widths) == sum(len(table.splitlines()) for table in tables)
        assert "None" not in text
        assert "nan" not in text


def test_without_records_nothing_is_claimed():
    texts = pages([])
    assert sorted(texts) == NAMES
    assert all("| " not in text for text in texts.values())
    assert "No runs of `recorded` yet." in texts["never_lose.md"]
    for name in ("never_lose.md", "speed.md", "ladder.md"):
        assert section(texts[name], "Missing").count("no runs.") == len(SEEDS)


def test_never_lose_shows_cells_verdicts_and_what_is_missing():
    text = pages(study() + study(0.2, shut=False))["never_lose.md"]
    found = section(text, "digits (cpu preset)")
    cell = line(found, "| plain data | 10 %")
    assert cell[2] == cell[3] == "92.10 ± 0.10"
    assert cell[4] == "0.00 [0.00, 0.00]"
    assert cell[-2:] == ["3", "holds, equal: the gate never opened"]
    assert line(found, "| 20 % label noise | 50 %")[-1] == "holds, won"
    assert line(found, "| plain data | 30 %")[2:4] == ["missing", "missing"]
    assert "Measured with Example CPU at 2.5 GHz (2 cores, 1 thread)" in found
    assert "seeds 0, 1, 2." in found
    summary = line(section(text, "By task"), "| digits (cpu)")
    assert summary[2:10] == ["4 of 4", "2 (2)", "0", "0", "0 (0)", "2", "0", "20"]
    assert summary[-2:] == ["3 (of 20 wanted)", "holds so far"]
    assert "40 % label noise" in section(text, "Missing")


def test_a_shut_gate_that_is_not_equal_to_uniform_stands_out():
    records = study()
    odd = make("digits", "recorded", 3, value=96.0, policy_trace=SHUT)
    text = pages([*records, odd, make("digits", "uniform_budget", 3, value=95.0)])["never_lose.md"]
    assert "**though the gate never opened**" in text


def test_what_full_training_under_wrong_labels_gains_counts_with_the_others():
    whole = [
        make("digits", arm, seed, value=value + seed / 10, budget=1.0, config={"label_noise": 0.2})
        for seed in range(3)
        for arm, value in (("recorded", 98.0), ("uniform_budget", 90.0))
    ]
    gains = line(section(pages([*study(0.2, shut=False), *whole])["speed.md"], "Label noise and outliers"), "| digits")
    assert gains[6].startswith("+3.00 [")  # over the full run, which is better than uniform here
    assert gains[8] == "at 3 of 3 budgets"


def test_speed_is_in_seconds_only_where_they_count():
    text = pages(study(0.2, shut=False))["speed.md"]
    cells = line(section(text, "Digits (cpu preset, 20 % label noise)"), "| `recorded` |")
    assert cells[2] == "10 %, 50 %"
    assert float(cells[5]) > 0
    assert cells[8] == "seconds"
    crowd = pages(study(0.2, shut=False, exclusive=False))["speed.md"]
    cells = line(section(crowd, "Digits (cpu preset, 20 % label noise)"), "| `recorded` |")
    assert (cells[5], cells[8]) == ("\u2013", "units")
    gains = line(section(crowd, "Label noise and outliers"), "| digits")
    assert gains[2].startswith("+2.52 [")
    assert gains[3] == gains[6] == "missing"
    assert gains[8] == "at 2 of 2 budgets"


def test_what_does_not_arrive_stays_in_the_table():
    text = pages(study())["speed.md"]
    cells = line(section(text, "Digits (cpu preset)"), "| `recorded` |")
    assert cells[4] == "not reached by 50 %"
    assert "[never reached]" in cells[6]
    assert line(section(text, "Clean data"), "| digits")[3] in ("**no**", "not to be told")


def test_the_ladder_names_rungs_without_runs_and_judges_the_others():
    text = pages(study() + study(0.2, shut=False))["ladder.md"]
    found = section(text, "Digits (cpu preset, 20 % label noise)")
    assert line(found, "| E8 | `recorded` | 0.3 | 10 %, 50 %")[-1] == "keep"
    fourth = line(found, "| E4 | `recorded_trusted` (in hindsight on the same runs) | 0.3 | 10 %, 50 %")
    assert fourth[-1] == "keep"
    assert "Rungs without a run: E0b" in text
    summary = line(section(text, "By data"), "| E8 |")
    assert summary[2:] == ["1 of 1", "1 of 1"]
    assert line(section(text, "By data"), "| E5 |")[2:] == ["missing", "missing"]


def test_the_gate_page_has_what_it_expected_and_got():
    text = pages(study() + study(0.2, shut=False))["gate.md"]
    found = section(text, "digits (cpu preset)")
    assert line(found, "| plain data | 0.3 | 10 %")[3:8] == ["0 of 3", "0 %", "0 %", "\u2013", "\u2013"]
    assert line(found, "| 20 % label noise | 0.3 | 50 %")[3:8] == ["3 of 3", "67 %", "25 %", "1.30", "1.20"]
    words = section(text, "Does it know?")
    assert "in 2 of 4 cells" in words
    assert "2 are equal to uniform in every seed" in words
    assert "no rank correlation (n = 2" in words
    assert "Spearman's rank correlation +" in words


def test_the_page_of_the_rule_for_wrong_labels_has_what_it_gains_and_what_it_costs():
    text = pages(study() + study(0.2, shut=False))["uncertain.md"]
    assert line(section(text, "By data"), "| plain data |")[2:] == ["0", "0", "2", "\u22120.32 to \u22120.32"]
    assert line(section(text, "By data"), "| 20 % label noise |")[2:] == ["2", "0", "0", "+0.13 to +0.13"]
    found = section(text, "digits (cpu preset)")
    cells = line(found, "| 20 % label noise | 50 %")
    assert cells[3].startswith("94.30")
    assert cells[4].startswith("+0.13 [")
    assert cells[5:7] == ["3", "won"]
    assert cells[7].startswith("+2.52 [")
    assert line(found, "| plain data | 10 %")[6] == "lost"


def test_the_page_of_seconds_judges_every_cell_and_says_which_were_timed():
    text = pages(study() + study(0.2, shut=False), timed=study())["seconds.md"]
    summary = line(section(text, "By task"), "| digits |")
    assert summary[4:6] == ["2 of 4", "4 of 4"]
    assert summary[-1] == "holds"
    timed = line(section(text, "digits"), "| plain data | 50 %")
    other = line(section(text, "digits"), "| 20 % label noise | 50 %")
    assert (timed[3], other[3]) == ("3", "0")
    assert timed[2] == other[2]  # three seeds tell no more than none


def test_the_command_writes_once_and_its_check_fails_when_records_change(few_timed, tmp_path, capsys):
    tool = few_timed
    store, docs = RecordStore(tmp_path / "recorded"), tmp_path / "docs"
    for record in study():
        store.write(record)
    where = ["--results", str(store.folder), "--docs", str(docs)]
    assert tool.main([*where, "--check"]) == 1
    assert not docs.exists()
    assert tool.main(where) == 0
    assert sorted(path.name for path in docs.iterdir()) == NAMES
    assert capsys.readouterr().out.count("updated ") == len(NAMES)
    assert tool.main([*where, "--check"]) == 0
    assert tool.main(where) == 0
    assert capsys.readouterr().out == ""
    store.write(make("digits", "recorded", 3, budget=0.1))
    assert tool.main([*where, "--check"]) == 1
    assert "run python tools/results.py" in capsys.readouterr().err


def test_the_check_fails_for_an_edited_page_a_stray_page_and_a_damaged_record(few_timed, tmp_path):
    tool = few_timed
    folder, docs = tmp_path / "recorded", tmp_path / "docs"
    where = ["--results", str(folder), "--docs", str(docs)]
    assert tool.main(where) == 0
    assert tool.main([*where, "--check"]) == 0
    (docs / "gate.md").write_text("It never loses.\n", encoding="utf-8")
    assert tool.main([*where, "--check"]) == 1
    assert tool.main(where) == 0
    (docs / "old.md").write_text("", encoding="utf-8")
    assert tool.main([*where, "--check"]) == 1
    (docs / "old.md").unlink()
    (folder / "digits").mkdir(parents=True)
    (folder / "digits" / "x.json").write_text("{", encoding="utf-8")
    assert tool.main([*where, "--check"]) == 1
