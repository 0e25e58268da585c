"""ruff and mypy in strict mode find nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("words", ["ruff check --output-format concise .", "ruff format --check .", "mypy"])
def test_the_tool_finds_nothing(words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_reads_a_shape_as_a_tensor(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(
        "from torch import Tensor\n"
        "from adaselection._shapes import Float\n"
        'def f(x: Float[Tensor, "m b"]) -> Float[Tensor, " b"]: return x.sum(0)\n'
        'def g(x: Float[Tensor, " b"]) -> int: return x\n'
    )
    command = [sys.executable, "-m", "mypy", "--strict", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.count("error:") == 1
    assert 'page.py:4: error: Incompatible return value type (got "Tensor", expected "int")' in done.stdout
