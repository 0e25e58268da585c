"""The ladder of policies: from uniform over random weights to the default, each rung beside uniform and the placebo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from adaselection.lab import stats
from adaselection.lab.judging.pairing import Compared, compare, rival_of
from adaselection.lab.judging.settings import CHALLENGER
from adaselection.lab.record import Record
from adaselection.lab.stats import PairedDifference
from adaselection.lab.summary import OPPONENT, Row, Study

__all__ = ["PLACEBO", "RUNGS", "Placed", "Rung", "Standing", "best_single", "is_single", "standings"]

PLACEBO = "recorded_placebo"
_NOT_SINGLE = frozenset(
    {"recorded_uniform", "recorded_paper", "recorded_bounded", PLACEBO, "recorded_infobatch_annealed"}
)
Word = Literal["reference", "keep", "drop", "not to be judged"]


@dataclass(frozen=True)
class Rung:
    """One rung: its name, what it tries, and which rows are it."""

    name: str
    title: str
    has: Callable[[Row], bool]


def _named(arm: str) -> Callable[[Row], bool]:
    return lambda row: row.arm == arm


def is_single(row: Row) -> bool:
    """Say whether a row is one recorded method alone, other than uniform."""
    policy = row.records[0].config.policy or {}
    return row.arm.startswith("recorded_") and row.arm not in _NOT_SINGLE and "methods" not in policy


RUNGS = (
    Rung("E0", "uniform, schedule fitted to the budget", _named(OPPONENT)),
    Rung("E0b", "uniform draws of the same size", _named("recorded_uniform")),
    Rung("E1", "eq. 3 as the paper has it", _named("recorded_paper")),
    Rung("E2", "eq. 3 bounded, with a fixed share", _named("recorded_bounded")),
    Rung("E3", "placebo: random gains", _named(PLACEBO)),
    Rung("E4", "the best single method", lambda row: False),
    Rung("E5", "variance of the gradient as reward", _named("recorded_variance")),
    Rung("E6", "progress of what is drawn, per second, as reward", _named("recorded_progress")),
    Rung("E7, exponent 0", "half uniform, half by loss, biased", _named("recorded_biased")),
    Rung("E7, exponent 1/2", "the same, half unbiased by weights", _named("recorded_half_biased")),
    Rung("E7, exponent 1", "the same, unbiased by weights", _named("recorded_unbiased")),
    Rung("E8", "the default: earned weights behind a gate", _named(CHALLENGER)),
    Rung("E8, ungated", "what the default's gate opens to, without the gate", _named("recorded_trusted")),
    Rung("E9", "the default, and whole walks at the end", _named("recorded_annealed")),
    Rung("E10", "InfoBatch", _named("recorded_infobatch")),
    Rung("E10, annealed", "InfoBatch as published: whole walks at the end", _named("recorded_infobatch_annealed")),
)
"""Every rung. E4 is chosen among the rows, see `best_single`."""


@dataclass(frozen=True)
class Placed:
    """A row on its rung, beside uniform and the placebo at the same budget and rate."""

    row: Row
    note: str
    on_uniform: Compared
    on_placebo: Compared


@dataclass(frozen=True)
class Standing:
    """One rung of a study at one rate, over all budgets.

    Attributes:
        rung: Name of the rung; empty for a single method that is on none.
        title: What it tries.
        rate: Sampling rate, None for uniform.
        placed: Its rows, one a budget, or more where settings differ.
    """

    rung: str
    title: str
    rate: float | None
    placed: tuple[Placed, ...]

    @property
    def on_uniform(self) -> PairedDifference:
        """The difference from uniform, pooled over the budgets with the seeds as clusters."""
        return stats.pooled_difference([one.on_uniform.differences for one in self.placed])

    @property
    def on_placebo(self) -> PairedDifference:
        """The difference from the placebo, likewise."""
        return stats.pooled_difference([one.on_placebo.differences for one in self.placed])

    @property
    def word(self) -> Word:
        """Keep what beats the placebo by its interval, drop what does not."""
        if self.rung in ("E0", "E3"):
            return "reference"
        low = self.on_placebo.ci_low
        return "not to be judged" if low is None else "keep" if low > 0 else "drop"


def standings(study: Study, trials: Iterable[Record] = ()) -> list[Standing]:
    """Place every row of a study on its rungs.

    Args:
        study: The study.
        trials: Runs on a validation split, by which the best single method is chosen; others are ignored.
    """
    trials = [record for record in trials if _fits(record, study)]
    found: list[Standing] = []
    taken: set[int] = set()
    for rung in RUNGS:
        rows = [(row, "") for row in study.rows if rung.has(row)]
        taken |= {id(row) for row, _ in rows}
        if rung.name == "E4":
            rows = _best_singles(study, trials)
        found += _by_rate(study, rung.name, rung.title, rows)
    for arm in dict.fromkeys(row.arm for row in study.rows if is_single(row) and id(row) not in taken):
        found += _by_rate(study, "", "a single method", [(row, "") for row in study.rows if row.arm == arm])
    return found


def best_single(study: Study, budget: float, rate: float | None, trials: Sequence[Record]) -> tuple[Row, str] | None:
    """Return the best single method at one budget and rate, and how it was chosen.

    It is chosen by the mean on validation runs of the same budget and rate, else of the same rate, each method at its
    best learning rate. With such runs of fewer than two methods it is the best mean of the very runs shown, and the
    note says so.
    """
    rows = {row.arm: row for row in _preferred(study, budget, rate)}
    sign = 1.0 if study.higher_is_better else -1.0
    if not rows:
        return None
    for pool in ([t for t in trials if t.config.budget == budget], list(trials)):
        scores = _validated([t for t in pool if t.config.rate == rate and t.config.arm in rows], sign)
        if len(scores) > 1:
            return rows[max(scores, key=scores.__getitem__)], "chosen on validation"
    return max(rows.values(), key=lambda row: sign * (row.mean or 0.0)), "in hindsight on the same runs"


def _preferred(study: Study, budget: float, rate: float | None) -> list[Row]:
    """Single methods with a mean; the better of several rows of one arm comes last, and so counts."""
    rows = [r for r in study.rows if is_single(r) and (r.budget, r.rate) == (budget, rate) and r.mean is not None]
    return sorted(rows, key=lambda row: (row.mean or 0.0) * (1 if study.higher_is_better else -1))


def _validated(trials: Sequence[Record], sign: float) -> dict[str, float]:
    """Return, for each method, its mean at its best learning rate and budget."""
    cells: dict[tuple[str, float, float], list[float | None]] = {}
    for trial in trials:
        config = trial.config
        cells.setdefault((config.arm, config.learning_rate, config.budget), []).append(trial.result.value)
    scores: dict[str, float] = {}
    for (arm, *_), values in cells.items():
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            scores[arm] = max(scores.get(arm, float("-inf")), sign * (stats.mean(known) or 0.0))
    return scores


def _best_singles(study: Study, trials: Sequence[Record]) -> list[tuple[Row, str]]:
    places = dict.fromkeys((row.budget, row.rate) for row in study.rows if is_single(row))
    found = (best_single(study, budget, rate, trials) for budget, rate in places)
    return [one for one in found if one is not None]


def _by_rate(study: Study, name: str, title: str, rows: Sequence[tuple[Row, str]]) -> list[Standing]:
    result = []
    for rate in dict.fromkeys(row.rate for row, _ in rows):
        mine = sorted(((row, note) for row, note in rows if row.rate == rate), key=lambda one: one[0].budget)
        result.append(Standing(name, title, rate, tuple(_placed(study, row, note) for row, note in mine)))
    return result


def _placed(study: Study, row: Row, note: str) -> Placed:
    on_uniform = compare(study, row, rival_of(study, row))
    return Placed(row, note, on_uniform, compare(study, row, rival_of(study, row, PLACEBO)))


def _fits(record: Record, study: Study) -> bool:
    c = record.config
    setting = (study.task, study.preset, study.regime, study.label_noise)
    return c.split == "validation" and (c.task, c.preset, c.regime, c.label_noise) == setting
