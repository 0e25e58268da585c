"""Which learning rate each run of a comparison gets, and where it is from: its trials or the preset."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from adaselection.lab import wording
from adaselection.lab.spec import RunSpec
from adaselection.lab.tuning import Tuned

__all__ = ["in_words", "with_tuned"]


def with_tuned(specs: Iterable[RunSpec], chosen: Sequence[Tuned]) -> list[RunSpec]:
    """Give every run without a learning rate the one that validation runs chose for its arm, if there are any.

    Trials on the same kind of data count first, then those at the same rate, then those at the nearest budget.
    """
    found = ((spec, _trials(spec, chosen)) for spec in specs)
    return [spec if trials is None else replace(spec, learning_rate=trials.chosen) for spec, trials in found]


def in_words(specs: Sequence[RunSpec], chosen: Sequence[Tuned]) -> str:
    """Say which arm trains at which learning rate, and where that is from; empty where the user gave it.

    Args:
        specs: The runs as the user asked for them, before `with_tuned`.
        chosen: What the trials chose.
    """
    if all(spec.learning_rate is not None for spec in specs):
        return ""
    arms: dict[tuple[float, str], dict[str, None]] = {}
    for spec in specs:
        trials = _trials(spec, chosen)
        rate = spec.config("").learning_rate if trials is None else trials.chosen
        source = "the preset's, not tuned" if trials is None else _source(spec, trials)
        arms.setdefault((rate or 0.0, source), {})[spec.method] = None
    parts = [f"{rate:g} for {', '.join(names)} ({source})" for (rate, source), names in arms.items()]
    advice = "" if chosen else ". `adaselection tune` tries others on a validation split"
    if len({"not tuned" in source for _, source in arms}) > 1:
        advice = ". What is not tuned is at a disadvantage: tune it too, or give all arms one --learning-rate"
    return f"Learning rates: {'; '.join(parts)}{advice}."


def _trials(spec: RunSpec, chosen: Sequence[Tuned]) -> Tuned | None:
    """The trials that a run takes its learning rate from; None where it has one, or where there are no such trials."""
    config = spec.config("")
    mine = (config.task, config.preset, config.arm)
    fits = [entry for entry in chosen if (entry.task, entry.preset, entry.arm) == mine and entry.chosen is not None]
    if spec.learning_rate is not None or not fits:
        return None
    return min(
        fits,
        key=lambda entry: (
            entry.regime != config.regime,
            entry.label_noise != config.label_noise,
            entry.rate != config.rate,
            abs(math.log(entry.budget / config.budget)),
        ),
    )


def _source(spec: RunSpec, trials: Tuned) -> str:
    """How a learning rate was tuned, with what to know of it."""
    config = spec.config("")
    words = ["tuned"]
    if (trials.regime, trials.label_noise) != (config.regime, config.label_noise):
        words.append("on other data")
    if trials.rate != config.rate:
        words.append(f"at rate {wording.rate(trials.rate)}")
    if trials.budget != config.budget:
        words.append(f"at budget {wording.share(trials.budget)}")
    return " ".join(words) + (f": {trials.remark}" if trials.remark else "")
