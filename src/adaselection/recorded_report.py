"""What a recorded loader did, what it cost, and what its gate expected and got."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from adaselection.base import Policy
from adaselection.chooser import Tally
from adaselection.condition import Condition
from adaselection.meter import STEP_UNITS, Meter
from adaselection.report_text import table
from adaselection.tenure import Opening


@dataclass(frozen=True)
class RecordedReport:
    """What a `RecordedLoader` did so far; `str()` is a table.

    Attributes:
        trained: instances loaded and handed out to be trained on; nothing else is loaded, and nothing is scored.
        steps: batches handed out.
        seconds: of each phase; ``select`` is everything that selection costs, ``score`` is 0.
        rate: the rate asked for.
        steps_per_pass: batches of a pass, and ``steps_per_walk`` of a walk over all data.
        windows: planned by the policy: ``selected`` chosen from, ``shut`` taken whole because the gate was shut.
        left_out: share of the instances that passed by and were not loaded.
        forced: drawn by force, because they had no record or were unseen for too long.
        effective: effective sample size of the draws over their size; below 1 where weights differ.
        weights: weight of each method now.
        predicted_gain: what the gate expected of an instance that it chose, over one taken at random; 1 is no gain.
        realised_gain: the same from the losses that training then saw; None before the gate opened.
        stopped: the stop indicator.
        fixed_order: every walk has the same order, so that the gate cannot tell what is learnt from others.
        verdicts: windows by what the gate made of them: the member that they got, or ``"rare targets"`` where targets
            alone kept it shut. Empty without a gate: a method that was named chooses from every window.
        targets_found: whether the batches say what each row is, by which the gate tells rare classes from wrong labels;
            None before it looked, and without a gate.
        targets_numeric: whether these were taken for numbers, of which other evidence is asked than of classes; None
            while that is not known.
        lacking: while the gate is shut, by member of the default's mixture the conditions that the last window did not
            meet: name, value, sign and bound of each.
        opened: how the member that came to the weight last did: ``member``, ``way`` in words, ``window``, the first of
            all being 1, and the conditions ``met`` then. None before the gate opened, and without one.
        given_up: the member that lost the weight last, and the conditions to keep it that it lacked then; none of these
            where it lacked none and another took over. Empty while none has lost it.
    """

    trained: int
    steps: int
    seconds: dict[str, float]
    rate: float
    steps_per_pass: int
    steps_per_walk: int
    windows: int
    selected: int
    shut: int
    left_out: float
    forced: int
    effective: float | None
    weights: dict[str, float] = field(default_factory=dict)
    predicted_gain: float | None = None
    realised_gain: float | None = None
    stopped: bool = False
    fixed_order: bool = False
    verdicts: dict[str, int] = field(default_factory=dict)
    targets_found: bool | None = None
    targets_numeric: bool | None = None
    lacking: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    opened: Opening | None = None
    given_up: dict[str, tuple[Condition, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, meter: Meter, policy: Policy, tally: Tally, per_pass: int, per_walk: int, fixed_order: bool
    ) -> RecordedReport:
        """Put the report together."""
        counts = meter.counts
        passed_by = tally.offered - tally.drawn
        predicted, realised = policy.gains
        return cls(
            trained=counts["trained"],
            steps=counts["steps"],
            seconds=dict(meter.seconds),
            rate=policy.rate,
            steps_per_pass=per_pass,
            steps_per_walk=per_walk,
            windows=tally.windows,
            selected=tally.selected,
            shut=tally.shut,
            left_out=passed_by / max(1, passed_by + counts["trained"]),
            forced=tally.forced,
            effective=tally.effective / tally.drawn if tally.drawn else None,
            weights=policy.weights,
            predicted_gain=predicted,
            realised_gain=realised,
            stopped=policy.idle,
            fixed_order=fixed_order and policy.verdict is not None,
            verdicts=dict(tally.verdicts),
            targets_found=policy.targets_found,
            targets_numeric=policy.targets_numeric,
            lacking=policy.lacking,
            opened=policy.opened,
            given_up=policy.given_up,
        )

    @property
    def epochs(self) -> float:
        """Steps so far over those of a walk over all data: plain epochs of the same work."""
        return self.steps / self.steps_per_walk

    @property
    def units(self) -> float:
        """Work in forward passes of one instance: 3 for training on it, nothing else."""
        return STEP_UNITS * self.trained

    @property
    def loaded(self) -> int:
        """Instances loaded: those that were trained on."""
        return self.trained

    @property
    def scored(self) -> int:
        """Instances scored without a gradient: none."""
        return 0

    @property
    def kept(self) -> float:
        """Share of the instances that passed by and were trained on."""
        return 1.0 - self.left_out

    @property
    def forward_step_ratio(self) -> None:
        """Nothing is scored."""
        return None

    @property
    def speedup_bound(self) -> None:
        """Nothing is scored, so the only bound is what can be left out."""
        return None

    @property
    def equivalent_uniform_rate(self) -> float | None:
        """Seconds over those of loading and training alone: 1 and the overhead."""
        return None if self.overhead is None else 1.0 + self.overhead

    @property
    def unit_equivalent_uniform_rate(self) -> float:
        """The same in counted work: 1, for selection does none."""
        return 1.0

    @property
    def overhead(self) -> float | None:
        """Seconds of selection over those of training and loading; None before there were any."""
        rest = self.seconds["train"] + self.seconds["load"]
        return self.seconds["select"] / rest if rest else None

    def as_dict(self) -> dict[str, Any]:
        """All attributes and derived figures as plain values."""
        return {**asdict(self), "units": self.units, "overhead": self.overhead}

    def __str__(self) -> str:
        """The report as a table of plain text."""
        return table(self)
