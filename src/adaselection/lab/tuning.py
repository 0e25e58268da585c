"""How learning rates were tuned: runs on a validation split, kept apart from every result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adaselection.lab.record import Record
from adaselection.lab.stats import mean

__all__ = ["Candidate", "Tuned", "tuning"]


@dataclass(frozen=True)
class Candidate:
    """One learning rate tried: its mean on the validation split (None if a run diverged) and the number of runs."""

    learning_rate: float
    mean: float | None
    runs: int


@dataclass(frozen=True)
class Tuned:
    """The trials of one arm. `chosen` is the best on the validation split, `used` what its test runs were given."""

    task: str
    preset: str
    regime: str
    label_noise: float
    arm: str
    rate: float | None
    budget: float
    metric: str
    unit: str
    higher_is_better: bool
    candidates: tuple[Candidate, ...]
    chosen: float | None
    used: tuple[float, ...]

    @property
    def remark(self) -> str:
        """What to know of the choice where it is at an end of what was tried, or tied; empty elsewhere."""
        tried = [candidate.learning_rate for candidate in self.candidates]
        if self.chosen is None:
            return ""
        if len(tried) == 1:
            return "the only one tried"
        if self.chosen in (tried[0], tried[-1]):
            end, more = ("lowest", "lower") if self.chosen == tried[0] else ("highest", "higher")
            return f"the {end} tried, so try {more} ones"
        best = next(candidate.mean for candidate in self.candidates if candidate.learning_rate == self.chosen)
        tied = [f"{c.learning_rate:g}" for c in self.candidates if c.mean == best and c.learning_rate != self.chosen]
        return f"tied with {', '.join(tied)}" if tied else ""


def tuning(records: Iterable[Record]) -> list[Tuned]:
    """Group the validation runs by task, preset, regime, label noise, budget, arm and rate.

    Args:
        records: Any records; those of the test split only say which learning rate was used.

    Returns:
        One entry an arm and setting, candidates by learning rate. A tie goes to the smaller learning rate.
    """
    trials: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    used: dict[tuple[Any, ...], set[float]] = defaultdict(set)
    for record in records:
        c = record.config
        arm = (c.task, c.preset, c.regime != "plain", c.regime, c.label_noise, c.arm)
        if c.split == "validation":
            trials[*arm, c.budget, c.rate].append(record)
        else:
            used[arm].add(c.learning_rate)
    ordered = sorted(trials.items(), key=lambda item: (*item[0][:-1], item[0][-1] or 0.0))
    return [_tuned(runs, tuple(sorted(used[key[:-2]]))) for key, runs in ordered]


def _tuned(runs: list[Record], used: tuple[float, ...]) -> Tuned:
    by_rate: dict[float, list[float | None]] = defaultdict(list)
    for run in runs:
        by_rate[run.config.learning_rate].append(run.result.value)
    candidates = []
    for learning_rate, values in sorted(by_rate.items()):
        finite = [value for value in values if value is not None]
        average = mean(finite) if len(finite) == len(values) else None
        candidates.append(Candidate(learning_rate, average, len(values)))
    c, result = runs[0].config, runs[0].result
    sign = 1 if result.higher_is_better else -1
    known = [(sign * found.mean, -found.learning_rate) for found in candidates if found.mean is not None]
    chosen = -max(known)[1] if known else None
    return Tuned(
        c.task, c.preset, c.regime, c.label_noise, c.arm, c.rate, c.budget, result.metric, result.unit,
        result.higher_is_better, tuple(candidates), chosen, used,
    )  # fmt: skip
