"""The examples run as they are, and show what they say."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_recorded_loop_prints_both_accuracies_and_the_report() -> None:
    script = EXAMPLES / "recorded_loop.py"
    done = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=True)
    plain, recorded = (float(value) for value in re.findall(r"loop +([\d.]+) % right", done.stdout))
    assert plain > 75
    assert recorded > plain + 3
    assert re.search(r"^gate +open in \d+ of \d+ windows$", done.stdout, re.MULTILINE)
    assert re.search(r"^methods +uniform 0.00, trusted 1.00$", done.stdout, re.MULTILINE)
    assert done.stderr == ""


def test_every_example_is_run_by_a_test() -> None:
    tests = Path(__file__).resolve().parents[1]
    texts = [path.read_text(encoding="utf-8") for path in tests.glob("*/test_*examples.py")]
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert "recorded_loop.py" in names
    assert {name for name in names if not any(name in text for text in texts)} == set()
