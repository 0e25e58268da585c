"""Short runs for the tests of the lab: digits, two epochs of a small network, under a tenth of a second each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adaselection.lab.cli import main
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import Splits, Task, get_task

SOURCE = Path(__file__).resolve().parents[2] / "src"
ROWS, BATCH, EPOCHS = 1297, 64, 2
FULL = 3 * ROWS * EPOCHS
SHORT = ["--preset", "smoke"]


def spec(**changes: Any) -> RunSpec:
    return RunSpec(**{"task": "digits", "preset": "smoke", **changes})


def compare(out: Path, *words: str) -> int:
    return main(["compare", "digits", *SHORT, "--out", str(out), *words])


def watch_task(monkeypatch: pytest.MonkeyPatch, name: str = "digits", **changes: Callable[..., Any]) -> None:
    """Give a task other functions for the time of a test."""
    changed = replace(get_task(name), **changes)
    monkeypatch.setattr(RunSpec, "get_task", lambda self: changed if self.task == name else get_task(self.task))


def loads(seen: list[Splits], task: Task) -> Callable[..., Splits]:
    """The task's `load`, which also notes what it gave."""

    def load(*arguments: Any) -> Splits:
        seen.append(task.load(*arguments))
        return seen[-1]

    return load
