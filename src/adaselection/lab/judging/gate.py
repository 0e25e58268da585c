"""The page of the gate: how often it opened, what it expected and got, and what that was worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adaselection.lab import stats, wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.pairing import Compared, compare, rival_of
from adaselection.lab.judging.settings import CHALLENGER
from adaselection.lab.record import Record
from adaselection.lab.stats import RankCorrelation
from adaselection.lab.summary import Row, Study

__all__ = ["GateCell", "gate_cells", "is_before", "number_of", "page", "shut_throughout"]

_INTRO = f"""\
What the gate of `{CHALLENGER}` did. Opened: share of the runs in which it opened at all, and of their windows in \
which it was open. Predicted gain: worth of a chosen instance over one taken at random, as the gate expected it \
when it opened; realised: the same from the losses that training then saw; 1 is no gain. Both are means over the \
runs in which it opened. Visits: how often an instance with a wrong label (or a moved target) was trained on, over \
the same for a right one. The gain on uniform is paired by seed against uniform at the same budget; positive is \
better.

† ran before the default had the member `uncertain`. The realised gains of `trusted` are too high there where \
instances were drawn by force, as each of the upper group counted for twenty; nothing is decided by them.

`hard` opened above a `tau` of 2 before, and of 3 now, and has a second way, whose bound records call `taught`. What \
it opens in ran again; to the other runs it makes no difference, and their records say 2 or nothing. Two exceptions: \
the clean runs of the gpu preset had the second way when its bound was no setting yet, and those with wrong labels ran \
before it."""
_LATEST = "uncertain"


@dataclass(frozen=True)
class GateCell:
    """What the gate did in the runs of one cell.

    Attributes:
        compared: The cell, against uniform.
        traced: Runs that say what their gate did.
        opened: Those in which it opened.
        windows: Share of the planned windows in which it was open, over all traced runs.
        predicted: Mean of the predicted gain over the runs in which it opened; None where it never did.
        realised: Mean of the realised gain, likewise.
        left_out: Mean share of the instances that were passed by.
        overhead: Mean seconds of selection over those of loading and training; None where seconds do not count.
        visits: Visits to wrong instances over those to right ones, mean over the runs that know; None without any.
    """

    compared: Compared
    traced: int
    opened: int
    windows: float | None
    predicted: float | None
    realised: float | None
    left_out: float | None
    overhead: float | None
    visits: float | None


def number_of(record: Record, *keys: str) -> float | None:
    """Return a number from a run's policy trace, or None where it has none under these keys."""
    found: object = record.policy_trace
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def shut_throughout(row: Row) -> bool:
    """Say whether every run of a row says that its gate never opened."""
    return all(number_of(run, "selected") == 0 for run in row.records)


def is_before(row: Row) -> bool:
    """Say whether a row ran before the default had all of its members."""
    earned = (row.records[0].config.policy or {}).get("earned")
    return isinstance(earned, Mapping) and _LATEST not in earned.get("members", ())


def gate_cells(studies: Iterable[Study]) -> list[GateCell]:
    """Gather what the gate did for every cell of the challenger with a trace."""
    rows = ((study, row) for study in studies for row in study.rows if row.arm == CHALLENGER)
    return [
        _cell(compare(study, row, rival_of(study, row)))
        for study, row in rows
        if any(number_of(run, "selected") is not None for run in row.records)
    ]


def _cell(compared: Compared) -> GateCell:
    runs = [run for run in compared.row.records if number_of(run, "selected") is not None]
    opened = [run for run in runs if number_of(run, "selected")]
    windows = sum(number_of(run, "windows") or 0.0 for run in runs)
    timed = compared.row.seconds is not None
    return GateCell(
        compared, len(runs), len(opened),
        sum(number_of(run, "selected") or 0.0 for run in runs) / windows if windows else None,
        _mean(number_of(run, "predicted_gain") for run in opened),
        _mean(number_of(run, "realised_gain") for run in opened),
        _mean(number_of(run, "left_out") for run in runs),
        _mean(number_of(run, "overhead") for run in runs) if timed else None,
        _mean(_visits(run) for run in runs),
    )  # fmt: skip


def _visits(run: Record) -> float | None:
    wrong, right = number_of(run, "visits", "mean_of_wrong"), number_of(run, "visits", "mean_of_right")
    return None if wrong is None or not right else wrong / right


def _mean(values: Iterable[float | None]) -> float | None:
    return stats.mean([value for value in values if value is not None])


def page(studies: Sequence[Study]) -> str:
    """Return the page."""
    found = gate_cells(studies)
    parts = ["# The gate", _INTRO]
    if not found:
        parts.append(f"No runs of `{CHALLENGER}` with a trace of its gate yet.")
    else:
        parts += ["## Does it know?", _calibration(found)]
    for task, preset in dict.fromkeys((c.compared.study.task, c.compared.study.preset) for c in found):
        mine = [c for c in found if (c.compared.study.task, c.compared.study.preset) == (task, preset)]
        headers = ("data", "rate", "budget", "runs opened", "windows open", "left out", "predicted gain",
                   "realised gain", "visits, wrong / right", "overhead",
                   f"gain on uniform ({md.difference_unit(mine[0].compared.study)}) [95 % CI]", "seeds")  # fmt: skip
        parts += [f"## {task} ({preset} preset)", md.table(headers, map(_line, mine))]
        parts.append(md.measured(mine[0].compared.study, [cell.compared.row for cell in mine]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _calibration(found: Sequence[GateCell]) -> str:
    open_cells = [cell for cell in found if cell.opened]
    realised = [(c.predicted, c.realised) for c in open_cells if c.predicted is not None and c.realised is not None]
    gains = [(c.predicted or 1.0, c.compared.difference.mean or 0.0) for c in found if c.compared.difference.n]
    ours = [c.compared for c in open_cells]
    tally = {word: sum(c.outcome == word for c in ours) for word in ("won", "tied", "undecided", "lost")}
    closed = [c.compared for c in found if not c.opened]
    equal = sum(c.outcome == "equal" for c in closed)
    return md.bullets(
        [
            f"The gate opened in at least one run in {len(open_cells)} of {wording.plural(len(found), 'cell')}. "
            f"Against uniform at the same budget those have {tally['won']} won, {tally['lost']} lost, "
            f"{tally['tied']} tied and {tally['undecided']} undecided.",
            f"It never opened in {len(closed)}, of which {equal} are equal to uniform in every seed.",
            f"Predicted against realised gain, over the cells in which it opened: {_rank(realised)}.",
            f"Predicted gain (1 where it never opened) against the gain on uniform, over all cells: {_rank(gains)}.",
        ]
    )


def _rank(pairs: Sequence[tuple[float, float]]) -> str:
    found: RankCorrelation = stats.rank_correlation(pairs)
    if found.rho is None or found.p is None:
        return f"no rank correlation (n = {found.n}: it needs three cells that differ)"
    return f"Spearman's rank correlation {wording.signed(found.rho, 2)} (p = {found.p:.2g}, n = {found.n})"


def _line(cell: GateCell) -> tuple[str, ...]:
    row, places = cell.compared.row, 2
    return (
        md.setting(cell.compared.study) + (f" ({row.detail})" if row.detail else "") + (" †" if is_before(row) else ""),
        wording.rate(row.rate), wording.share(row.budget), f"{cell.opened} of {cell.traced}",
        wording.share(cell.windows), wording.share(cell.left_out), wording.number(cell.predicted, places),
        wording.number(cell.realised, places), wording.number(cell.visits, places),
        wording.DASH if cell.overhead is None else f"{100 * cell.overhead:.2f} %",
        md.difference(cell.compared.difference), str(cell.compared.difference.n),
    )  # fmt: skip
