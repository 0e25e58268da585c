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
        commands: What makes it.
        packages: Versions by name.
        failed: The command that failed and the last thing that it said; None if all went well.
    """

    python: Path
    commands: tuple[str, ...]
    packages: dict[str, str] = field(default_factory=dict)
    failed: str | None = None


def make(folder: Path, environment: Environment, torch: str) -> Made:
    """Make an environment; one that was made, or could not be, by the same commands is left as it is.

    Args:
        folder: Of the environment.
        environment: What goes into it.
        torch: What pip installs as torch, first and alone; it may carry pip's options.

    Returns:
        The environment. An install that fails is told there, not raised.
    """
    python, stamp = folder / "bin" / "python", folder / "made.json"
    commands = tuple(f"pip install {words}" for words in (torch, *environment.commands))
    if stamp.exists() and (known := json.loads(stamp.read_text(encoding="utf-8")))["commands"] == list(commands):
        return Made(python, commands, known["packages"], known["failed"])
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    failed = next(filter(None, (_run(python, command) for command in commands)), None)
    made = Made(python, commands, _packages(python), failed)
    kept = {"commands": commands, "packages": made.packages, "failed": failed}
    stamp.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return made


def _run(python: Path, command: str) -> str | None:
    """Run a command of pip; what it said last if it failed."""
    words = [str(python), "-m", *shlex.split(command), "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if not done.returncode:
        return None
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return f"`{command}`: {last}"


def _packages(python: Path) -> dict[str, str]:
    words = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return {row["name"]: row["version"] for row in json.loads(listed)}
