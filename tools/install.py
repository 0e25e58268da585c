#!/usr/bin/env python3
"""Build an environment of the Makefile: torch first and alone, then one extra of this project.

usage: install.py --stamp .venv/.lab --torch "torch==2.13.0"

The stamp names the folder and the extra, and keeps a copy of the pyproject.toml it was made from. The rules:

1. Where the interpreter that runs this already has torch 2.6 or newer, the environment reuses it.
2. Otherwise pip installs exactly what --torch says, with nothing beside it.
3. Everything else is installed under the constraint that torch stays as it is, so no pip run can swap a CPU
   build for one that brings the CUDA tool-kit.

Needs the standard library alone.
"""

import argparse
import shlex
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_TORCH = (2, 6)
BACKEND = "hatchling>=1.27"


def main() -> None:
    """Build or refresh the environment that the stamp belongs to."""
    parser = argparse.ArgumentParser(description="Build an environment of the Makefile.")
    parser.add_argument("--stamp", type=Path, required=True)
    parser.add_argument("--torch", default="torch")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        found = f"{sys.executable} is Python {sys.version.split()[0]}"
        sys.exit(f"install.py: {found}; name one of 3.11 or newer by PYTHON=path")
    stamp: Path = arguments.stamp
    wanted = Path("pyproject.toml").read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        stamp.touch()  # a checkout renewed the date of pyproject.toml and nothing else
        return
    folder, extra = stamp.parent, stamp.name.lstrip(".")
    python = folder / "bin" / "python"
    if not works(python):
        venv.create(folder, with_pip=True, clear=True, symlinks=True)
        if extra != "test":  # the core's own environment never borrows: it must hold no extras
            reuse_torch(folder)
    constraint = install_torch(python, arguments.torch, folder)
    pip(python, "-c", str(constraint), BACKEND, "editables>=0.5")
    pip(python, "-c", str(constraint), "--no-build-isolation", "-e", f".[{extra}]")
    stamp.write_text(wanted, encoding="utf-8")


def works(python: Path) -> bool:
    """Return whether the environment's interpreter starts and has pip."""
    check = [str(python), "-c", "import pip"]
    return python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0


def reuse_torch(folder: Path) -> None:
    """Let the environment see the packages of the running interpreter, if a fit torch is among them."""
    try:
        found = version("torch")
    except PackageNotFoundError:
        return
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_TORCH:
        return
    sites = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    target = next(folder.glob("lib/python*/site-packages"))
    (target / "_torch_of_the_interpreter.pth").write_text("\n".join(sites) + "\n", encoding="utf-8")
    say(f"reusing torch {found} of {sys.executable}")


def install_torch(python: Path, requirement: str, folder: Path) -> Path:
    """Install torch if the environment has none, and return a constraints file that holds it where it is."""
    ask = [str(python), "-c", "from importlib.metadata import version; print(version('torch'))"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    if answer.returncode:
        pip(python, *shlex.split(requirement))
        answer = subprocess.run(ask, capture_output=True, text=True, check=True)
    constraint = folder / "constraints.txt"
    constraint.write_text(f"torch=={answer.stdout.strip()}\n", encoding="utf-8")
    return constraint


def pip(python: Path, *arguments: str) -> None:
    """Run pip install in the environment; stop with pip's own message if it fails."""
    say("pip install " + " ".join(arguments))
    done = subprocess.run([str(python), "-m", "pip", "install", "-q", *arguments], check=False)
    if done.returncode:
        sys.exit(f"install.py: pip install {' '.join(arguments)} failed; the message above says why")


def say(text: str) -> None:
    """Write one line of progress to standard error."""
    print(f"install: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
