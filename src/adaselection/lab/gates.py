"""What the gate of each arm on recorded losses did, from the policy traces of its runs: one line a row of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaselection.lab import wording
from adaselection.lab.stats import mean
from adaselection.lab.summary import Row, Study

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["GateLine", "by_gate_budget", "gate_caption", "gate_lines", "gate_table"]

_CAPTION = (
    "Means over the seeds. Open: share of the windows, after the first walk over the data, in which something could be "
    "left out; arms without a gate are always open. Left out: share of the instances that passed by, unloaded. Gain: "
    "worth of an instance that was kept over one at random, as the gate expected it and as the losses then showed; "
    "\u00d71 is none."
)
_WHOLE = {"uniform", "rare targets"}  # verdicts that leave nothing out
_MEMBERS = " In brackets: the share of the windows that each member got."
_OVERHEAD = " Overhead: seconds of selection over those of loading and training."
_FIRST = " A dash for open: the runs end in their first walk."
_VISITS = " Visits: how often a row with a wrong and one with a right target was trained on; no arm knows which it is."


@dataclass(frozen=True)
class GateLine:
    """One arm at one setting, in words.

    Attributes:
        budget: Share of the full run's work.
        arm: Its name.
        detail: What tells it from others of its arm, its members, and whether it said that nothing more is learnt.
        members: Shares of the windows that they got, with which anything can be left out.
        rate: Sampling rate.
        open: Share of windows that were chosen from.
        left_out: Share of the instances that were not loaded.
        expected: Gain that the gate predicted.
        seen: Gain that was realised.
        overhead: Of selection.
        wrong: Visits of a row with a wrong target; empty where none is known to be wrong.
        right: The same for a right one.
    """

    budget: str
    arm: str
    detail: str
    members: str
    rate: str
    open: str
    left_out: str
    expected: str
    seen: str
    overhead: str
    wrong: str
    right: str


def gate_lines(study: Study) -> list[GateLine]:
    """Return a line for every row whose runs all have a trace; none where no arm chose from recorded losses."""
    found = ((row, [run.policy_trace for run in row.records if run.policy_trace is not None]) for row in study.rows)
    return [_line(row, traces) for row, traces in found if traces and len(traces) == row.seeds]


def gate_caption(lines: Sequence[GateLine]) -> str:
    """Return what the columns mean."""
    parts = (
        (_CAPTION, True),
        (_MEMBERS, any(line.members for line in lines)),
        (_FIRST, any(line.open == wording.DASH for line in lines)),
        (_OVERHEAD, any(line.overhead != wording.DASH for line in lines)),
        (" Other dashes: not known.", any(wording.DASH in (line.expected, line.seen) for line in lines)),
        (_VISITS, any(line.wrong for line in lines)),
    )
    return "".join(part for part, needed in parts if needed)


def gate_table(study: Study) -> Table | None:
    """Build the table for the terminal, or None where there is nothing to show."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    lines = gate_lines(study)
    if not lines:
        return None
    visits = any(line.wrong for line in lines)
    table = Table(box=SIMPLE_HEAD, title=Text("What the gate did"), title_justify="left", pad_edge=False)
    table.padding, table.title_style = (0, 1, 0, 0), "bold"
    table.caption, table.caption_justify = Text(gate_caption(lines)), "left"
    table.add_column("arm", overflow="fold", min_width=12)
    timed = any(line.overhead != wording.DASH for line in lines)
    heads = ["rate", "windows\nopen", "left\nout", "gain exp.\nand seen"]
    heads += (["over-\nhead"] if timed else []) + (["visits\nwrong:right"] if visits else [])
    for head in heads:
        table.add_column(Text(head), justify="right", no_wrap=True)
    for budget, rows in by_gate_budget(lines):
        table.add_row(Text(budget, style="bold"))
        for line in rows:
            name = f"{line.arm} ({line.detail})" if line.detail else line.arm
            cells = [line.rate, line.open, line.left_out, f"{line.expected} {line.seen}"]
            cells += ([line.overhead] if timed else []) + ([_visits(line)] if visits else [])
            table.add_row(Text(name), *cells)
        table.add_section()
    return table


def by_gate_budget(lines: Sequence[GateLine]) -> Iterator[tuple[str, list[GateLine]]]:
    """The lines of each budget."""
    for budget in dict.fromkeys(line.budget for line in lines):
        yield budget, [line for line in lines if line.budget == budget]


def _visits(line: GateLine) -> str:
    return f"{line.wrong} : {line.right}" if line.wrong else wording.DASH


def _line(row: Row, traces: Sequence[Mapping[str, Any]]) -> GateLine:
    members = _members(traces)
    shares = [trace["selected"] / trace["windows"] for trace in traces if trace.get("windows")]
    return GateLine(
        budget=f"budget {wording.share(row.budget)}",
        arm=row.arm,
        detail="; ".join(part for part in (row.detail, members, _stop(traces)) if part),
        members=members,
        rate=wording.rate(row.rate),
        open=wording.share(mean(shares)),
        left_out=wording.share(_mean(traces, "left_out")),
        expected=_times(_mean(traces, "predicted_gain")),
        seen=_times(_mean(traces, "realised_gain")),
        overhead=wording.share(None if row.seconds is None else _mean(traces, "overhead")),
        wrong=_count(_mean(traces, "visits", "mean_of_wrong")),
        right=_count(_mean(traces, "visits", "mean_of_right")),
    )


def _mean(traces: Sequence[Mapping[str, Any]], *keys: str) -> float | None:
    """Mean of a number over the runs that have it."""
    values = []
    for trace in traces:
        value: Any = trace
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            values.append(float(value))
    return mean(values)


def _members(traces: Sequence[Mapping[str, Any]]) -> str:
    """Share of the windows that each member got with which anything can be left out, the largest first."""
    shares: dict[str, float] = {}
    for trace in traces:
        for member in (trace.get("verdicts") or {}).keys() - _WHOLE:
            shares[member] = shares.get(member, 0.0) + trace["verdicts"][member] / trace["windows"] / len(traces)
    by_share = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{member} {wording.share(share)}" for member, share in by_share)


def _stop(traces: Sequence[Mapping[str, Any]]) -> str:
    stopped = sum(bool(trace.get("stopped")) for trace in traces)
    return f"said stop in {stopped} of {len(traces)} runs" if stopped else ""


def _times(value: float | None) -> str:
    return wording.DASH if value is None else f"\u00d7{value:.2f}"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
