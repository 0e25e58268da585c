"""The example of Accelerate runs as it is, and is one line away from the script without selection."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import pytest

from integrations.example_lines import EXAMPLES, lines_with


def right(said: str) -> float:
    """The printed accuracy of a run whose learning rate fell to 0."""
    found = re.search(r"^([\d.]+) % right, learning rate 0.0000 at the end$", said, re.MULTILINE)
    assert found is not None, said
    return float(found[1])


def test_accelerate_digits(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "accelerate_digits.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert right(said) > 90
    assert re.search(r"^steps +160 \(20 a pass; 40 without selection\)$", said, re.MULTILINE)
    assert re.search(r"^kept +50.0 % \(rate 0.5\)$", said, re.MULTILINE)


def test_two_processes_under_torchrun_end_the_same_schedule() -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run")  # also there where an environment reuses another's torch
    run = (*torchrun, "--standalone", "--nproc-per-node", "2", str(EXAMPLES / "accelerate_digits.py"))
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert right(done.stdout) > 85
    assert re.search(r"^steps +80 \(10 a pass; 20 without selection\)$", done.stdout, re.MULTILINE)


def test_one_line_is_changed() -> None:
    assert len(lines_with("accelerate_digits.py", "AdaSelection", "PreparedSelectiveLoader")) == 1
