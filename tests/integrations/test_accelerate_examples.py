"""The example of Accelerate runs as it is, and is one line away from the script without selection."""

from __future__ import annotations

import re
import runpy

import pytest

from integrations.example_lines import EXAMPLES, lines_with


def test_accelerate_digits(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "accelerate_digits.py"), run_name="__main__")
    said = capsys.readouterr().out
    found = re.search(r"^([\d.]+) % right$", said, re.MULTILINE)
    assert found is not None
    assert float(found[1]) > 90
    assert re.search(r"^steps +160 \(20 a pass; 40 without selection\)$", said, re.MULTILINE)
    assert re.search(r"^kept +50.0 % \(rate 0.5\)$", said, re.MULTILINE)


def test_one_line_is_changed() -> None:
    assert len(lines_with("accelerate_digits.py", "AdaSelection", "PreparedSelectiveLoader")) == 1
