"""The examples run as they are, and show what they say."""

import difflib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from integrations.example_lines import EXAMPLES, lines_with

# What a changed line of each script holds: the wrapper's call, and what goes with it.
CHANGED = {
    "plain_loop.py": ("adaselection",),
    "fresh_loop.py": ("= SelectiveLoader(",),
    "recorded_loop.py": ("= RecordedLoader(", "loader.record("),
    "lightning_digits.py": ("return SelectiveLoader(",),
    "transformers_text.py": ("= SelectiveTrainer(", "selection="),
    "accelerate_digits.py": ("= PreparedSelectiveLoader(",),
    "ddp_digits.py": ("= SelectiveLoader(",),
    "streaming_digits.py": ("= SelectiveLoader(",),
}


def said_right(name: str) -> list[float]:
    """The shares of right answers that the page gives for a script, in %."""
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| \[{re.escape(name)}\].*$", page, re.MULTILINE)
    return [float(value) for value in re.findall(r"([\d.]+) %(?= right| and)", row)]


def test_the_recorded_loop_prints_both_accuracies_and_the_report() -> None:
    script = EXAMPLES / "recorded_loop.py"
    done = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=True)
    plain, recorded = (float(value) for value in re.findall(r"loop +([\d.]+) % right", done.stdout))
    assert [plain, recorded] == pytest.approx(said_right("recorded_loop.py"), abs=1)
    assert recorded > plain + 3
    gate = r"^gate +open in (\d+) of \d+ windows: trusted \1 \(left out what looks wrong\)$"
    assert re.search(gate, done.stdout, re.MULTILINE)
    assert re.search(r"^methods now +uniform 0.00, trusted 1.00, hard 0.00, uncertain 0.00$", done.stdout, re.MULTILINE)
    assert done.stderr == ""


def test_the_fresh_loop_is_the_plain_one_with_one_new_line() -> None:
    plain, fresh = ((EXAMPLES / f"{name}_loop.py").read_text().splitlines() for name in ("plain", "fresh"))
    changed = [line for line in difflib.ndiff(plain[5:], fresh[5:]) if line[0] in "+-" and line[2:].strip()]
    assert [line.split("(")[0].strip("+ ") for line in changed] == [
        "from adaselection import AdaSelection, SelectiveLoader", "loader = SelectiveLoader", "print",
    ]  # fmt: skip
    for name in ("plain", "fresh"):
        printed = said(str(EXAMPLES / f"{name}_loop.py"))  # plain_loop.py and fresh_loop.py
        ((steps, right),) = re.findall(r"^20 passes, (\d+) steps: ([\d.]+) % right$", printed, re.MULTILINE)
        assert int(steps) == {"plain": 400, "fresh": 100}[name]
        assert [float(right)] == pytest.approx(said_right(f"{name}_loop.py"), abs=1)
    assert "costs as much as" in printed


def said(*command: str) -> str:
    """What an example prints, with all warnings errors."""
    words = [sys.executable, "-W", "error", *command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ddp_under_torchrun() -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run")  # also there where an environment reuses another's torch
    run = (*torchrun, "--standalone", "--nproc-per-node", "2", str(EXAMPLES / "ddp_digits.py"))
    done = subprocess.run([*run, "--scope", "global", "--passes", "5"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (right,) = re.findall(r"^2 processes, scope global: ([\d.]+) % right$", done.stdout, re.MULTILINE)
    assert float(right) > 85
    assert re.search(r"^samples +3200 loaded, 3200 scored, 1600 trained on$", done.stdout, re.MULTILINE)
    assert "exchange" in done.stdout
    assert "Warning" not in done.stderr


def test_streaming_from_tar_shards() -> None:
    printed = said(str(EXAMPLES / "streaming_digits.py"))
    (right,) = re.findall(r"^9 shards, 4 passes: ([\d.]+) % right$", printed, re.MULTILINE)
    assert float(right) > 85
    assert re.search(r"^samples +5120 loaded, 5120 scored, 2560 trained on$", printed, re.MULTILINE)


def test_the_example_reads_each_picture_once(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES / "streaming_digits.py"))
    x = torch.arange(20 * 64).reshape(20, 64).remainder(17).to(torch.uint8)
    shards = example["write_shards"](tmp_path, x, torch.arange(20), rows=6)
    for world in (1, 2):
        rows = [row for rank in range(world) for row in example["Shards"](shards, rank, world)]
        assert sorted(int(y) for _, y in rows) == list(range(20))
        assert all(torch.equal(pixels, x[int(y)] / 8 - 1) for pixels, y in rows)


def test_a_method_of_your_own_trains_on_fewer_wrong_labels() -> None:
    shares = re.findall(
        r"^(\d+) % wrong labels among the rows trained on \((\w+)", said(str(EXAMPLES / "own_method.py")), re.MULTILINE
    )
    assert [name for _, name in shares] == ["big_loss", "near_median"]
    assert int(shares[1][0]) < int(shares[0][0]) - 5


@pytest.mark.parametrize("name", CHANGED)
def test_the_page_of_the_examples_counts_the_changed_lines(name: str) -> None:
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    (said,) = re.findall(rf"^\| \[{re.escape(name)}\]\([^)]+\) \| [^|]+ \| (\d+) \|", page, re.MULTILINE)
    assert len(lines_with(name, *CHANGED[name])) == int(said)
    assert page.count("| [") == len(CHANGED)


def test_every_example_is_run_by_a_test() -> None:
    tests = Path(__file__).resolve().parents[1]
    texts = [path.read_text(encoding="utf-8") for path in tests.glob("*/test_*example*.py")]
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert "recorded_loop.py" in names
    assert {name for name in names if not any(name in text for text in texts)} == set()
