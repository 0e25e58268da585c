"""Make the environments: one for each peer, by pip and by names of packages only."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from arms import Environment


@dataclass(frozen=True)
class Made:
    """An environment, or why there is none.

    Attributes:
        python: Its interpreter.
        commands: What was run to make it.
        packages: Versions by name.
        failed: The command that failed and the last thing that it said; None if all went well.
    """

    python: Path
    commands: tuple[str, ...]
    packages: dict[str, str] = field(default_factory=dict)
    failed: str | None = None


def make(folder: Path, environment: Environment, torch: str) -> Made:
    """Make an environment, or complete it; what is there already is left as it is.

    Args:
        folder: Of the environment.
        environment: What goes into it.
        torch: What pip installs as torch, first and alone; it may carry pip's options.

    Returns:
        The environment. An install that fails is told there, not raised.
    """
    python, commands = folder / "bin" / "python", (torch, *environment.commands)
    said = tuple(f"pip install {words}" for words in commands)
    steps = [[str(python), "-m", "pip", "install", "--quiet", *shlex.split(words)] for words in commands]
    if not python.exists():
        steps.insert(0, [sys.executable, "-m", "venv", str(folder)])
        said = ("python -m venv NAME", *said)
    for words, text in zip(steps, said, strict=True):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            return Made(python, said, failed=f"{text}: {reason}")
    return Made(python, tuple(f"pip install {words}" for words in commands), _packages(python))


def _packages(python: Path) -> dict[str, str]:
    words = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return {row["name"]: row["version"] for row in json.loads(listed)}
