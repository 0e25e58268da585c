"""What a recorded loader did, what it cost, and what its gate expected and got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from adaselection.base import Policy
from adaselection.chooser import Tally
from adaselection.condition import Condition
from adaselection.meter import PHASES, STEP_UNITS, Meter
from adaselection.verdicts import RARE, shortness

_SHUT = ("uniform", RARE)
_DID = {
    "trusted": "left out what looks wrong",
    "hard": "drew high losses more often",
    "uncertain": "drew what it was unsure of more often",
}


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
        overhead = self.overhead
        rows = [
            (
                "trained on",
                f"{self.trained} instances in {self.steps} steps; {_percent(self.left_out)} left out, unloaded",
            ),
            ("a pass", f"{self.steps_per_pass} steps ({self._asked()}); a walk over all data {self.steps_per_walk}"),
            ("so far", f"the work of {self.epochs:.1f} plain epochs"),
            ("gate", self._gate()),
            ("methods now", ", ".join(f"{name} {share:.2f}" for name, share in self.weights.items()) or "-"),
            ("seconds", ", ".join(f"{name} {self.seconds[name]:.2f}" for name in PHASES if name != "score")),
            ("selection costs", "-" if overhead is None else f"{100 * overhead:.2f} % of loading and training"),
        ]
        if (self.predicted_gain, self.realised_gain) != (None, None):
            gain = f"expected {_times(self.predicted_gain)}, seen {_times(self.realised_gain)}"
            rows.insert(4, ("gain an instance", gain))
        told = {"given up": self._given_up(), "nearest": self._nearest(), "targets": self._targets()}
        rows[4:4] = [(name, text) for name, text in told.items() if text]
        if self.fixed_order and self.selected:
            rows.append(("order", "never changes, so little tells what is learnt from others; use shuffle=True"))
        if rare := self.verdicts.get(RARE, 0):
            rows.append((RARE, f"kept in {rare} windows, where what looked wrong was a matter of targets"))
        if self.effective is not None and self.effective < 0.995:
            rows.append(("effective size", f"{_percent(self.effective)} of the instances drawn, as weights differ"))
        if self.forced:
            rows.append(("by force", f"{self.forced} instances, unseen for too long"))
        if self.stopped:
            rows.append(("stop", "losses of what is seen again fall no more; a hint: only stop=True ends the training"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _asked(self) -> str:
        """The rate, and what of it is lost to whole steps where that is more than a tenth."""
        asked = self.rate * self.steps_per_walk
        lost = self.steps_per_pass < 0.9 * asked
        return f"rate {self.rate:g}" + (f" would be {asked:.1f}" if lost else "")

    def _nearest(self) -> str | None:
        """The member whose conditions the last window was nearest to meeting, and those that it did not meet."""
        if self.fixed_order or not self.lacking:
            return None
        member, lacked = min(self.lacking.items(), key=lambda item: shortness(item[1]))
        return f"{member}, but for {_listed(lacked) or 'a whole walk before'}"

    def _given_up(self) -> str | None:
        """The member that lost the weight last, and why."""
        return next((f"{name}, for {_listed(why) or 'another member'}" for name, why in self.given_up.items()), None)

    def _targets(self) -> str | None:
        """Whether the batches said what each row is, and what that was taken for; None while nobody looked."""
        if self.targets_numeric is None:
            none = "none found: rare classes may look wrong, and numbers are judged as classes are; hand in"
            return f"{none} record(losses, targets=y)" if self.targets_found is False else None
        found = "found in the batches, taken for"
        if not self.targets_numeric:
            return f"{found} classes"
        scale = "" if self.selected else "; the gate can judge them if they are scaled to mean 0 and spread 1"
        return f"{found} numbers{scale}"

    def _gate(self) -> str:
        if not self.windows:
            every = "rate 1" if self.rate == 1 else "nothing to judge yet: the first walk"
            return f"{every} takes every instance"
        if not self.selected:
            why = ": the order never changes, so it cannot judge; use shuffle=True" if self.fixed_order else ""
            return f"shut in all {self.windows} windows{why or ': trained as the plain loader would'}"
        if not self.verdicts:
            return f"none; chose from {self.selected} of {self.windows} windows"
        opened = {name: count for name, count in self.verdicts.items() if name not in _SHUT}
        by = ", ".join(f"{name} {count} ({_DID[name]})" for name, count in opened.items())
        return f"open in {self.selected} of {self.windows} windows: {by}"


def _listed(conditions: Sequence[Condition]) -> str:
    return "; ".join(map(str, conditions))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _times(value: float | None) -> str:
    return "-" if value is None else f"x {value:.2f}"
