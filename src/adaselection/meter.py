"""What a training costs: samples and seconds by phase, and what that could have bought otherwise.

Cost model, in units of one sample's forward pass: scoring costs 1, training 3 (forward 1, backward 2). Full training
costs 3 a sample; selection with a scoring pass costs ``1 + 3 * rate``; uniform subsampling ``3 * rate``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from adaselection import kinds

FORWARD_UNITS = 1.0
STEP_UNITS = 3.0
PHASES = ("load", "score", "select", "train")
COUNTS = ("loaded", "scored", "trained", "steps")


@dataclass(frozen=True)
class Report:
    """What a loader did and what it cost; `str()` is a table.

    Attributes:
        loaded, scored, trained: samples loaded, scored without gradient, and handed out to be trained on.
        steps: batches handed out; with one optimizer step each, the optimizer steps.
        seconds: of each phase: load, score, select, train. Train is the time that your loop spent between batches.
        rate: the rate asked for; ``kept`` is what came of it.
        weights: weight of each method now.
        steps_per_pass: batches of a pass with the loader, and ``steps_per_pass_without`` without it.
        nonfinite: NaN or infinite losses met.
        score_correlation: running rank correlation of the losses that rows were scored with and those that training
            then found, over the rows of each batch trained on; None without cheap scores that are observed. Rows kept
            for their high losses are alike, which makes it lower than over all rows.
        window_correlation: the same with plain scores over all rows of the windows that were measured.
        score_cost: measured seconds of judging a row over those of a plain scoring pass, rows whose score was used
            again included. ``scored`` counts rows scored anew, whatever each cost, and so do ``units``: they say what
            cheap scores save by using scores again, and not what each saves by being cheap.
    """

    loaded: int
    scored: int
    trained: int
    steps: int
    seconds: dict[str, float]
    rate: float
    weights: dict[str, float] = field(default_factory=dict)
    steps_per_pass: int | None = None
    steps_per_pass_without: int | None = None
    nonfinite: int = 0
    score_correlation: float | None = None
    window_correlation: float | None = None
    score_cost: float | None = None

    @property
    def kept(self) -> float | None:
        """Share of the loaded samples that was trained on."""
        return self.trained / self.loaded if self.loaded else None

    @property
    def forward_step_ratio(self) -> float | None:
        """Measured seconds of scoring a sample over those of training one; None before both were seen."""
        if not self.scored or not self.trained or not self.seconds["train"]:
            return None
        return (self.seconds["score"] / self.scored) / (self.seconds["train"] / self.trained)

    @property
    def speedup_bound(self) -> float | None:
        """How much faster a pass over the data can at best be with this ratio and rate: ``1 / (ratio + rate)``."""
        ratio = self.forward_step_ratio
        return None if ratio is None else 1 / (ratio + self.rate)

    @property
    def equivalent_uniform_rate(self) -> float | None:
        """Rate at which uniform subsampling would have cost the same seconds; None before a sample was trained on."""
        if not self.loaded or not self.trained or not self.seconds["train"]:
            return None
        load = self.seconds["load"] / self.loaded
        step = self.seconds["train"] / self.trained
        return sum(self.seconds.values()) / (self.loaded * (load + step))

    @property
    def unit_equivalent_uniform_rate(self) -> float | None:
        """The same in counted work instead of seconds: ``(scored + 3 trained) / (3 loaded)``."""
        return self.units / (STEP_UNITS * self.loaded) if self.loaded else None

    @property
    def units(self) -> float:
        """Work in forward passes of one sample: 1 for scoring it, 3 for training on it."""
        return FORWARD_UNITS * self.scored + STEP_UNITS * self.trained

    def as_dict(self) -> dict[str, Any]:
        """All attributes and derived figures as plain values."""
        derived = (
            "kept",
            "forward_step_ratio",
            "speedup_bound",
            "equivalent_uniform_rate",
            "unit_equivalent_uniform_rate",
            "units",
        )
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}

    def __str__(self) -> str:
        """The report as a table of plain text."""
        total = sum(self.seconds.values())
        rows = [
            ("samples", f"{self.loaded} loaded, {self.scored} scored, {self.trained} trained on"),
            ("kept", f"{_percent(self.kept)} (rate {self.rate:g})"),
            ("steps", f"{self.steps}{self._per_pass()}"),
            ("seconds", f"{total:.2f}: " + ", ".join(f"{name} {spent:.2f}" for name, spent in self.seconds.items())),
            ("methods", ", ".join(f"{name} {share:.2f}" for name, share in self.weights.items()) or "-"),
            ("forward : step", self._ratio()),
            ("costs as much as", _costs(self.equivalent_uniform_rate, "seconds")),
            ("", _costs(self.unit_equivalent_uniform_rate, "counted work")),
        ]
        if (self.score_correlation, self.window_correlation, self.score_cost) != (None, None, None):
            rows.append(("cheap scores", self._scores()))
        if self.nonfinite:
            rows.append(("not finite", f"{self.nonfinite} losses, none of them kept"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _per_pass(self) -> str:
        if self.steps_per_pass is None:
            return ""
        return f" ({self.steps_per_pass} a pass; {self.steps_per_pass_without} without selection)"

    def _scores(self) -> str:
        return (
            f"cost {_number(self.score_cost)} of a plain scoring pass; rank correlation with the true losses "
            f"{_number(self.score_correlation)} (rows kept), {_number(self.window_correlation)} (all rows)"
        )

    def _ratio(self) -> str:
        bound = self.speedup_bound
        if bound is None:
            return "- (nothing was scored)"
        if bound >= 1 and (self.equivalent_uniform_rate or 0.0) > 1:
            return f"{self.forward_step_ratio:.2f}: choosing took longer than what it saved"
        gain = f"a pass can be at most {bound:.2f} times as fast"
        warning = "" if bound >= 1.1 else "; selection cannot pay at this rate"
        return f"{self.forward_step_ratio:.2f}: {gain}{warning}"


class Meter:
    """Counts and clocks of one loader."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        self.seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the time inside to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.charge(name, time.perf_counter() - start)

    def charge(self, name: str, seconds: float) -> None:
        """Add seconds to a phase, one of `PHASES` or a new one."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def handed_out(self, rows: int) -> None:
        """Count a batch that was loaded and goes to the training loop."""
        counts = self.counts
        counts["loaded"] += rows
        counts["trained"] += rows
        counts["steps"] += 1

    def count(self, **more: int) -> None:
        """Add to the counts."""
        for name, value in more.items():
            self.counts[name] += value

    def report(self, rate: float, **facts: Any) -> Report:
        """The `Report` of what was seen so far."""
        counts = self.counts
        return Report(
            loaded=counts["loaded"],
            scored=counts["scored"],
            trained=counts["trained"],
            steps=counts["steps"],
            seconds=dict(self.seconds),
            rate=rate,
            **facts,
        )

    def state_dict(self) -> dict[str, Any]:
        """Counts and seconds."""
        return {"counts": dict(self.counts), "seconds": dict(self.seconds)}

    @staticmethod
    def check(state: Any) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is none.
        """
        own = Meter().state_dict()
        kinds.check(own, state, "meter")
        kinds.entries(state["seconds"], (int, float), "meter", "seconds")
        kinds.numbers(own["seconds"], state["seconds"], own["seconds"], "meter")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is damaged. The meter is then as it was.
        """
        self.check(state)
        self.counts = {name: int(state["counts"][name]) for name in COUNTS}
        self.seconds = {name: float(spent) for name, spent in state["seconds"].items()}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _costs(rate: float | None, what: str) -> str:
    """What the same cost would have bought; no subsampling has a rate above 1."""
    if rate is None or rate <= 1:
        return f"uniform subsampling at rate {_number(rate)} ({what})"
    return f"{rate:.2f} times a plain pass ({what}): selection does not pay here"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
