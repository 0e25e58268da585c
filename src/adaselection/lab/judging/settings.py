"""What is judged, and against what: the tasks, settings, budgets, seeds and limits that were fixed beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adaselection.lab.summary import Study
from adaselection.lab.tasks import TASKS, setting_in_words

__all__ = [
    "BUDGETS",
    "CHALLENGER",
    "PRESET",
    "SEEDS",
    "Kind",
    "Limits",
    "kind",
    "limits",
    "missing",
    "outliers_in_plain",
    "required",
    "shares",
]

CHALLENGER = "recorded"
PRESET = "cpu"
BUDGETS = (0.1, 0.2, 0.3, 0.5)
SEEDS = {"digits": 20, "mnist": 5, "cifar10": 5, "cifar100": 5, "wikitext2": 5, "regression": 20, "bike": 20}
"""Least number of paired seeds, by task."""
_NOISE = (0.2, 0.4)
Kind = Literal["clean", "noisy", "other"]


@dataclass(frozen=True)
class Limits:
    """How far below uniform a mean, and the lower end of a task's pooled interval, may lie."""

    mean: float
    pooled: float


def limits(study: Study) -> Limits:
    """Return the limits: in points for a percentage, else in percent of uniform's mean."""
    return Limits(-0.1, -0.3) if study.unit == "%" else Limits(-1.0, -1.0)


def outliers_in_plain(task: str) -> bool:
    """Say whether a task's plain data have outliers, so that there is a regime without them."""
    known = TASKS.get(task)
    return known is not None and "clean" in known.regimes


def kind(study: Study) -> Kind:
    """Say what a study's training data are: clean, noisy (20 to 40 % wrong labels, or outliers), or something else."""
    if study.regime == "outliers" or (study.regime == "plain" and outliers_in_plain(study.task)):
        return "noisy"
    if study.regime == "plain" and study.label_noise:
        return "noisy" if _NOISE[0] <= study.label_noise <= _NOISE[1] else "other"
    return "clean" if study.regime in ("plain", "clean") and not study.label_noise else "other"


def required(task: str) -> tuple[tuple[str, float | None], ...]:
    """Return the settings that a task must be judged in: regime and share of label noise, None for any above 0."""
    known = TASKS[task]
    regimes: list[tuple[str, float | None]] = [("plain", 0.0)]
    if known.kind == "classification":
        regimes += [("plain", share) for share in _NOISE]
    for regime in known.regimes:
        if regime != "plain":
            regimes.append((regime, None if regime == "noise_switch" else 0.0))
    return tuple(regimes)


def missing(studies: Sequence[Study], tasks: Sequence[str] = tuple(SEEDS)) -> list[str]:
    """Say which settings have no runs at all at the judged preset, one line a task."""
    found = {(s.task, s.regime, share) for s in studies if s.preset == PRESET for share in shares(s)}
    lines = []
    for task in tasks:
        absent = [pair for pair in required(task) if (task, *pair) not in found]
        if len(absent) == len(required(task)):
            lines.append(f"{task}: no runs.")
        elif absent:
            names = (setting_in_words(regime, share or 0.0) or "plain data" for regime, share in absent)
            lines.append(f"{task}: no runs with {'; '.join(names)}.")
    return lines


def shares(study: Study) -> tuple[float | None, ...]:
    """Return the shares of label noise of `required` that a study has: its own, and any above 0."""
    return (study.label_noise, None) if study.label_noise else (study.label_noise,)
