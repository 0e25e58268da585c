"""The import linter holds the layers, and would notice if they broke."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the import linter on the package under ``folder/src``."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    env = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_imports_point_down_and_the_core_needs_torch_alone() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("functional/methods.py", "import matplotlib", "The core imports torch and nothing else"),
        ("policy.py", "import numpy", "The core imports torch and nothing else"),
        ("types.py", "import adaselection.policy", "Imports point down only"),
        ("loaders.py", "import adaselection.lab.store", "Imports point down only"),
        ("lab/store.py", "from adaselection.policy import AdaSelection", "The lab uses public names only"),
        ("lab/store.py", "import adaselection.functional.methods", "The lab uses public names only"),
        ("lab/store.py", "import torchvision", "No torchvision anywhere, and no framework in the lab"),
    ],
)
def test_a_broken_rule_is_noticed(tmp_path: Path, module: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "src" / "adaselection" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in " ".join(done.stdout.split())
