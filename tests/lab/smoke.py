"""Short runs for the tests of the lab: digits, two epochs of a small network, under a tenth of a second each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adaselection.lab.cli import main
from adaselection.lab.holdout import HoldoutSpec, train_holdout
from adaselection.lab.irreducible import Origin
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import Splits, Task, get_task

SOURCE = Path(__file__).resolve().parents[2] / "src"
ROWS, BATCH, EPOCHS = 1297, 64, 2
FULL = 3 * ROWS * EPOCHS
SHORT = ["--preset", "smoke"]


def spec(**changes: Any) -> RunSpec:
    return RunSpec(**{"task": "digits", "preset": "smoke", **changes})


KINDS = (  # an arm of every kind; the others differ from one of these by their rule alone
    "full",
    "uniform_budget",
    "uniform_rate",
    "adaselection",
    "adaselection_paper",
    "placebo",
    "big_loss",
    "grad_norm",
    "recorded",  # its mixture is earned, and a gate may leave it at whole walks
    "recorded_annealed",
    "recorded_placebo",  # a mixture of fixed count
    "recorded_proportional",  # a method of fixed count
    "recorded_grad_norm",  # reads a further column, from the outputs
    "recorded_early_stopping",  # writes further columns, and sets its own count
    "recorded_infobatch",  # sets its own count, and weights the losses
    "recorded_rho_loss",  # reads a column that is filled before training
)


def irreducible(folder: Path, **changes: Any) -> Path:
    """Make the irreducible losses of a short run, and return their folder."""
    rows = {"regime": "plain", "label_noise": 0.0, "split": "test", "seed": 0, **changes}
    origin = Origin(task="digits", preset="smoke", **rows)
    train_holdout(HoldoutSpec(origin))[0].write(folder)
    return folder


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
