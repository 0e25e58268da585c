"""The example of the Trainer runs as it is, and is two lines away from the script without selection."""

from __future__ import annotations

import re
import runpy

import pytest

from integrations.example_lines import EXAMPLES, lines_with


def test_transformers_text(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "transformers_text.py"), run_name="__main__")
    said = capsys.readouterr().out
    found = re.search(r"^([\d.]+) % right$", said, re.MULTILINE)
    assert found is not None
    assert float(found[1]) > 55
    assert re.search(r"^a pass +8 steps \(rate 0.5\); a walk over all data 16$", said, re.MULTILINE)
    assert "selection_weight_uniform" in said
    assert "selection_kept" in said


def test_two_lines_are_changed() -> None:
    assert len(lines_with("transformers_text.py", "SelectiveTrainer", "AdaSelection", "selection=")) == 2
