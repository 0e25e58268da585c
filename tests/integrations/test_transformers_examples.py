"""The example of the Trainer runs as it is, and is two lines away from the script without selection."""

from __future__ import annotations

import re
import runpy

import pytest

from integrations.example_lines import EXAMPLES, lines_with


def test_transformers_text(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "transformers_text.py"), run_name="__main__")
    said = capsys.readouterr().out
    found = re.findall(r"^(plain|selective) +([\d.]+) % right after (\d+) steps$", said, re.MULTILINE)
    assert [(name, steps) for name, _, steps in found] == [("plain", "320"), ("selective", "320")]
    plain, selective = (float(right) for _, right, _ in found)
    assert selective > plain + 2
    rare, often = (int(share) for share in re.findall(r"(\d+) % wrong among", said))
    assert rare > 80
    assert often < 20
    assert re.search(r"^a pass +8 steps \(rate 0.5\); a walk over all data 16$", said, re.MULTILINE)
    assert "selection_weight_uniform" in said
    assert "selection_kept" in said


def test_two_lines_are_changed() -> None:
    assert len(lines_with("transformers_text.py", "= SelectiveTrainer(", "selection=")) == 2
