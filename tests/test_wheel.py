"""The built wheel holds what it must, and runs from an empty folder with torch alone beside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import adaselection
from doc_blocks import PRELUDE, read_blocks


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy of the files that belong in it."""
    root = Path(__file__).resolve().parent.parent
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    shutil.copytree(root / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy / name)
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)], out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the unpacked wheel and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target)]
    run([*pip, str(wheel)], target)
    return target


def run(command: list[str], cwd: Path, **more: str) -> str:
    """Run a command in a folder and return what it printed; show everything if it fails."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONWARNINGS")}
    done = subprocess.run(command, cwd=cwd, env={**kept, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_types_the_template_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "adaselection/py.typed" in names
    assert "adaselection/lab/templates/report.html.j2" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"adaselection"}


def test_the_wheel_needs_torch_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    every = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    needs = [line for line in every if "extra ==" not in line]
    assert needs == ["Requires-Dist: torch>=2.6"]


def test_the_first_snippet_of_the_readme_runs_anywhere(installed: Path, tmp_path: Path, root: Path) -> None:
    snippet = read_blocks(root / "README.md", "python")[0].code
    place = "import adaselection; print(adaselection.__file__)"
    script = tmp_path / "snippet.py"
    script.write_text(f"{PRELUDE}\n{snippet}\n{place}\n", encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    printed = run([sys.executable, "-W", "error", str(script)], empty, PYTHONPATH=str(installed))
    assert printed.splitlines()[-1] == str(installed / "adaselection" / "__init__.py")
    assert list(empty.iterdir()) == []


def test_the_command_says_what_to_install_where_the_extra_is_missing(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'tyro' else find(name, *rest)\n"
        "from adaselection._entry import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'pip install ".[lab]"' in done.stderr
    assert "not installed here: tyro" in done.stderr


def test_the_command_says_its_version_without_the_extra(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util as u, sys\n"
        "u.find_spec = lambda name, *rest: None\n"
        "sys.argv = ['adaselection', '--version']\n"
        "from adaselection._entry import main\n"
        "sys.exit(main())\n"
    )
    printed = run([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(installed))
    assert printed.startswith(f"adaselection {adaselection.__version__}, torch ")
