"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from adaselection.errors import ArgumentError
from adaselection.lab.arms import PolicyOptions
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import REGIMES


def flag(metavar: str, text: str, **more: Any) -> object:
    """How a flag looks in the help: a default of None goes without saying."""
    return arg(metavar=metavar, help=text, help_behavior_hint=_default, **more)


def _default(value: str) -> str:
    return "" if value == "None" else f"(default: {value})"


TaskName = Positional[Annotated[str, flag("TASK", "a row of `adaselection tasks`")]]
Preset = Annotated[str, flag("NAME", "paper, cpu, gpu, brief or smoke")]
Noise = Annotated[float, flag("SHARE", "share of wrong training labels")]
Regime = Annotated[str, flag("NAME", f"what the training data are like: {', '.join(REGIMES)}")]
Threads = Annotated[int | None, flag("N", "processor threads of a run; else OMP_NUM_THREADS, else an equal share")]
Jobs = Annotated[int, flag("N", "runs at the same time; seconds only count with 1")]
Folder = Annotated[Path, flag("DIR", "folder of the records")]
DataDir = Annotated[Path | None, flag("DIR", "where to look for data files first")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `run`, `compare` and `tune` have in common."""

    preset: Preset = "cpu"
    regime: Regime = "plain"
    label_noise: Noise = 0.0
    methods: Annotated[str | None, flag("A,B,C", "candidates of the arms adaselection and recorded")] = None
    beta: Annotated[float | None, flag("X", "of eq. 3, in [-1, 1]")] = None
    curriculum: Annotated[str | None, flag("NAME", "printed, text or scale_free")] = None
    importance: Annotated[str | None, flag("NAME", "softmax_z, softmax, indicator or rank")] = None
    weighting: Annotated[str | None, flag("NAME", "bounded, paper, fixed, placebo, variance, progress")] = None
    choice: Annotated[str | None, flag("NAME", "top_k, quota or draw")] = None
    irreducible: Annotated[Path | None, flag("FILE", "of `holdout`, or their folder, for recorded_rho_loss")] = None
    data_dir: DataDir = None
    threads: Threads = None

    def spec(self, task: str, **more: Any) -> RunSpec:
        """A run with these options.

        Raises:
            ValueError: An unknown name, or a value out of its range.
        """
        options = PolicyOptions(
            methods=None if self.methods is None else words(self.methods),
            beta=self.beta,
            curriculum=self.curriculum,
            importance=self.importance,
            weighting=self.weighting,
            choice=self.choice,
        )
        return RunSpec(
            task,
            preset=self.preset,
            regime=self.regime,
            label_noise=self.label_noise,
            options=options,
            data_dir=self.data_dir,
            **more,
        )


def words(text: str) -> tuple[str, ...]:
    """Split a comma-separated list; empty entries are left out."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(name: str, text: str) -> Sequence[float]:
    """Split a comma-separated list of numbers.

    Raises:
        ArgumentError: An entry is none.
    """
    try:
        found = [float(word) for word in words(text)]
    except ValueError:
        found = []
    if not found:
        raise ArgumentError(f"--{name.replace('_', '-')} {text!r} is no comma-separated list of numbers.")
    return found


def at_least_one(name: str, value: int) -> int:
    """Check a count.

    Raises:
        ArgumentError: It is below 1.
    """
    if value < 1:
        raise ArgumentError(f"--{name} {value} must be at least 1.")
    return value


def set_threads(given: int | None, jobs: int = 1) -> None:
    """Pin the processor threads of each run: as given, else OMP_NUM_THREADS, else the cores over the jobs.

    Raises:
        ArgumentError: Threads or jobs below 1.
    """
    import torch

    at_least_one("jobs", jobs)
    if given is not None:
        at_least_one("threads", given)
    if given is None and "OMP_NUM_THREADS" in os.environ:
        return
    torch.set_num_threads(given or max(1, (os.cpu_count() or 1) // jobs))
