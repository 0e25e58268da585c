"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from adaselection.errors import ArgumentError
from adaselection.lab.arms import PolicyOptions
from adaselection.lab.spec import RunSpec

Preset = Annotated[str, arg(help="paper, cpu or smoke")]
Threads = Annotated[int | None, arg(help="processor threads a run; OMP_NUM_THREADS, else all shared out, if left out")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `run`, `compare` and `tune` have in common."""

    preset: Preset = "cpu"
    label_noise: Annotated[float, arg(help="share of wrong training labels")] = 0.0
    methods: Annotated[str | None, arg(help="comma-separated candidates of the arm adaselection")] = None
    beta: Annotated[float | None, arg(help="of eq. 3, in [-1, 1]")] = None
    curriculum: Annotated[str | None, arg(help="printed, text or scale_free")] = None
    importance: Annotated[str | None, arg(help="softmax_z, softmax, indicator or rank")] = None
    weighting: Annotated[str | None, arg(help="bounded, paper, fixed or placebo")] = None
    choice: Annotated[str | None, arg(help="top_k, quota or draw")] = None
    data_dir: Annotated[Path | None, arg(help="where to look for data files first")] = None
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
            task, preset=self.preset, label_noise=self.label_noise, options=options, data_dir=self.data_dir, **more
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
        return [float(word) for word in words(text)]
    except ValueError:
        raise ArgumentError(f"--{name.replace('_', '-')} {text!r} is no comma-separated list of numbers.") from None


def set_threads(given: int | None, jobs: int = 1) -> None:
    """Pin the processor threads of each run: as given, else OMP_NUM_THREADS, else the cores over the jobs."""
    import torch

    if given is None and "OMP_NUM_THREADS" in os.environ:
        return
    torch.set_num_threads(given or max(1, (os.cpu_count() or 1) // jobs))
