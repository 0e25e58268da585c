"""The report of a recorded loader as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adaselection.condition import Condition
from adaselection.meter import PHASES
from adaselection.verdicts import RARE, shortness

if TYPE_CHECKING:
    from adaselection.recorded_report import RecordedReport

_SHUT = ("uniform", RARE)
_DID = {
    "trusted": "left out what looks wrong",
    "hard": "drew high losses more often",
    "uncertain": "drew what it was unsure of more often",
}


def table(report: RecordedReport) -> str:
    """All that a recorded loader's report says, a line each: its name, and a text.

    Below what every run has stand, where there is something to say: how the gate opened, which member was given
    up, which is nearest, what was taken for targets; and after the costs, what to look at.
    """
    overhead = report.overhead
    rows = [
        (
            "trained on",
            f"{report.trained} instances in {report.steps} steps; {_percent(report.left_out)} left out, unloaded",
        ),
        ("a pass", f"{report.steps_per_pass} steps ({_asked(report)}); a walk over all data {report.steps_per_walk}"),
        ("so far", f"the work of {report.epochs:.1f} plain epochs"),
        ("gate", _gate(report)),
        ("methods now", ", ".join(f"{name} {share:.2f}" for name, share in report.weights.items()) or "-"),
        ("seconds", ", ".join(f"{name} {report.seconds[name]:.2f}" for name in PHASES if name != "score")),
        ("selection costs", "-" if overhead is None else f"{100 * overhead:.2f} % of loading and training"),
    ]
    if (report.predicted_gain, report.realised_gain) != (None, None):
        gain = f"expected {_times(report.predicted_gain)}, seen {_times(report.realised_gain)}"
        rows.insert(4, ("gain an instance", gain))
    opened = None if report.opened is None else str(report.opened)
    given_up, nearest, targets = _given_up(report), _nearest(report), _targets(report)
    told = {"opened": opened, "given up": given_up, "nearest": nearest, "targets": targets}
    rows[4:4] = [(name, text) for name, text in told.items() if text]
    if report.fixed_order and report.selected:
        rows.append(("order", "never changes, so little tells what is learnt from others; use shuffle=True"))
    if rare := report.verdicts.get(RARE, 0):
        rows.append((RARE, f"kept in {rare} windows, where what looked wrong was a matter of targets"))
    if report.effective is not None and report.effective < 0.995:
        rows.append(("effective size", f"{_percent(report.effective)} of the instances drawn, as weights differ"))
    if report.forced:
        rows.append(("by force", f"{report.forced} instances, unseen for too long"))
    if report.stopped:
        rows.append(("stop", "losses of what is seen again fall no more; a hint: only stop=True ends the training"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _asked(report: RecordedReport) -> str:
    """The rate, and what of it is lost to whole steps where that is more than a tenth."""
    asked = report.rate * report.steps_per_walk
    lost = report.steps_per_pass < 0.9 * asked
    return f"rate {report.rate:g}" + (f" would be {asked:.1f}" if lost else "")


def _nearest(report: RecordedReport) -> str | None:
    """The member whose conditions the last window was nearest to meeting, and those that it did not meet."""
    if report.fixed_order or not report.lacking:
        return None
    member, lacked = min(report.lacking.items(), key=lambda item: shortness(item[1]))
    return f"{member}, but for {_listed(lacked) or 'a whole walk before'}"


def _given_up(report: RecordedReport) -> str | None:
    """The member that lost the weight last, and why."""
    return next((f"{name}, for {_listed(why) or 'another member'}" for name, why in report.given_up.items()), None)


def _targets(report: RecordedReport) -> str | None:
    """Whether the batches said what each row is, and what that was taken for; None while nobody looked."""
    if report.targets_numeric is None:
        none = "none found: rare classes may look wrong, and numbers are judged as classes are; hand in"
        return f"{none} record(losses, targets=y)" if report.targets_found is False else None
    found = "found in the batches, taken for"
    if not report.targets_numeric:
        return f"{found} classes"
    scale = "" if report.selected else "; if they are not yet, scale them to mean 0 and spread 1, which the gate needs"
    return f"{found} numbers{scale}"


def _gate(report: RecordedReport) -> str:
    if not report.windows:
        every = "rate 1" if report.rate == 1 else "nothing to judge yet: the first walk"
        return f"{every} takes every instance"
    if not report.selected:
        why = ": the order never changes, so it cannot judge; use shuffle=True" if report.fixed_order else ""
        return f"shut in all {report.windows} windows{why or ': trained as the plain loader would'}"
    if not report.verdicts:
        return f"none; chose from {report.selected} of {report.windows} windows"
    opened = {name: count for name, count in report.verdicts.items() if name not in _SHUT}
    by = ", ".join(f"{name} {count} ({_DID[name]})" for name, count in opened.items())
    return f"open in {report.selected} of {report.windows} windows: {by}"


def _listed(conditions: Sequence[Condition]) -> str:
    return "; ".join(map(str, conditions))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _times(value: float | None) -> str:
    return "-" if value is None else f"x {value:.2f}"
