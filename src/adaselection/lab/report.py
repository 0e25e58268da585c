"""The report: one HTML file that needs nothing else, on a phone, on a wide screen and on paper."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaselection.lab import wording
from adaselection.lab.figures import figures
from adaselection.lab.gates import by_gate_budget, gate_caption, gate_lines
from adaselection.lab.record import Record
from adaselection.lab.store import Damage, RecordStore, StoreError, write_atomically
from adaselection.lab.summary import OPPONENT, Row, Study, summarise
from adaselection.lab.tables import by_budget
from adaselection.lab.tasks import setting_in_words
from adaselection.lab.tuning import Tuned, tuning
from adaselection.lab.verdict import outcome, verdict

if TYPE_CHECKING:
    import jinja2

__all__ = ["environments", "readable", "render_report", "template", "write_html", "write_report"]

_TAGS = {
    "better": "Beat uniform",
    "equal": "Equal to uniform",
    "same": "Undecided",
    "worse": "Lost to uniform",
    "unknown": "Not known yet",
}
_NAN = "none: a run diverged"
_FAR = 4.0  # times the median interval: what reaches further has an arrow
_ARROWS = {True: "M112 4 L120 9 L112 14 Z", False: "M8 4 L0 9 L8 14 Z"}


def write_report(folder: str | Path, output: str | Path) -> Path:
    """Write the report on every record under a folder.

    Args:
        folder: Results folder, read at any depth. Damaged records are named in the report and left where they are.
        output: The HTML file to write, whole or not at all. Its folder is created where missing.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: If `folder` is missing.
        StoreError: If the file cannot be written.
    """
    return write_html(output, render_report(*readable(RecordStore(folder, writable=False))))


def render_report(records: Sequence[Record], damages: Sequence[Damage] = ()) -> str:
    """Return the report as HTML. The same records give the same text.

    Args:
        records: Any records, tuning runs among them.
        damages: Files to name as unreadable.
    """
    results = [record for record in records if record.config.split == "test"]
    days = sorted({record.finished[:10] for record in records})
    return template("report.html.j2").render(
        studies=[_study(study, place) for place, study in enumerate(summarise(records))],
        results=len(results),
        tasks=len({record.config.task for record in results}),
        days=days,
        tuned=[_tuned(entry) for entry in tuning(records)],
        environments=environments(records),
        damages=damages,
        plural=wording.plural,
    )


def template(name: str) -> jinja2.Template:
    """Return one of the lab's page templates: everything is escaped, and `tight` keeps numbers with their units."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("adaselection.lab"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["tight"] = _tight
    return environment.get_template(name)


def write_html(output: str | Path, html: str) -> Path:
    """Write a page, whole or not at all; its folder is created where missing.

    Raises:
        StoreError: If it cannot be written.
    """
    path = Path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(path.parent, error) from error
    write_atomically(path, html)
    return path


def readable(store: RecordStore) -> tuple[list[Record], list[Damage]]:
    """Read a store; the paths of damaged files are those below its folder."""
    records, damages = store.read_all()
    return records, [Damage(_relative(d.path, store.folder), d.reason) for d in damages]


def _study(study: Study, place: int) -> dict[str, Any]:
    judged = verdict(study)
    limit = _limit(study.rows)
    unit = wording.difference_unit(study.unit)
    metric = wording.capital(wording.metric(study.metric))
    return {
        "id": f"study-{place}", "task": study.task, "preset": study.preset, "title": study.title,
        "setting": setting_in_words(study.regime, study.label_noise),
        "metric": f"{metric} ({study.unit})" if study.unit else metric, "metric_name": metric,
        "direction": "higher is better" if study.higher_is_better else "lower is better",
        "gain": f"Gain on uniform ({unit})" if unit else "Gain on uniform",
        "tag": judged.tally.capitalize() or _TAGS[judged.outcome], "outcome": judged.outcome,
        "sentence": judged.sentence, "notes": study.notes,
        "timed": any(row.seconds is not None for row in study.rows),
        "groups": [(name, [_row(row, study, limit) for row in rows]) for name, rows in by_budget(study)],
        "gate": _gate(study), "figures": figures(study), "runs": len(study.records),
        "seeds": ", ".join(map(str, sorted({record.config.seed for record in study.records}))),
    }  # fmt: skip


def _gate(study: Study) -> dict[str, Any] | None:
    """What the gates of a study did, for the template; None where no arm chose from recorded losses."""
    lines = gate_lines(study)
    if not lines:
        return None
    visits = any(line.wrong for line in lines)
    return {"caption": gate_caption(lines), "groups": list(by_gate_budget(lines)), "visits": visits}


def _row(row: Row, study: Study, limit: float) -> dict[str, Any]:
    places = wording.decimals(study)
    measured = [run.measured for run in row.records]
    ratios = [m.forward_step_ratio for m in measured if m.forward_step_ratio is not None and row.seconds is not None]
    bounds = [m.speedup_bound for m in measured if m.speedup_bound is not None and row.seconds is not None]
    return {
        "arm": row.arm, "detail": row.detail, "rate": wording.rate(row.rate), "opponent": row.arm == OPPONENT,
        "mean": f"{row.diverged} of {row.seeds} diverged" if row.diverged else wording.number(row.mean, places),
        "sd": "" if row.sd is None else wording.number(row.sd, places),
        "gain": wording.signed(row.difference.mean, places) if row.difference else wording.DASH,
        "interval": wording.interval(row.difference, places), "pairs": row.difference.n if row.difference else 0,
        "outcome": outcome(row), "forest": _forest(row, limit),
        "seeds": row.seeds, "cost": wording.share(row.units_share), "seconds": wording.seconds(row.seconds),
        "scored": wording.count(row.scored), "trained": wording.count(row.trained), "steps": wording.count(row.steps),
        "passes": f"{row.passes:.3g}", "equal": wording.rate(row.equivalent_uniform_rate),
        "timed_equal": wording.rate(row.timed_equivalent_uniform_rate),
        "ratio": wording.rate(sum(ratios) / len(ratios) if ratios else None),
        "bound": f"{sum(bounds) / len(bounds):.2g}\u00d7" if bounds else wording.DASH,
        "collapsed": row.collapsed, "learning_rate": f"{row.learning_rate:g}",
        "commands": [run.command for run in row.records],
    }  # fmt: skip


def _limit(rows: Sequence[Row]) -> float:
    """The end of the line that intervals are drawn on: that of the widest, unless it is far from the common ones."""
    found = (row.difference for row in rows)
    ends = [max(abs(d.ci_low), abs(d.ci_high)) for d in found if d and d.ci_low is not None and d.ci_high is not None]
    ends = [end for end in ends if end]
    return min(max(ends), _FAR * statistics.median(ends)) if ends else 1.0


def _forest(row: Row, limit: float) -> dict[str, float | str] | None:
    """Place the interval on a line from -limit to limit that is 120 wide with 0 in its middle.

    A mean beyond the limit has an arrow in place of its point.
    """
    d = row.difference
    if d is None or d.mean is None or d.ci_low is None or d.ci_high is None:
        return None
    low, middle, high = (round(60 + 54 * min(max(value / limit, -1), 1), 1) for value in (d.ci_low, d.mean, d.ci_high))
    arrow = _ARROWS[d.mean > 0] if abs(d.mean) > limit else ""
    return {"low": low, "middle": middle, "high": high, "beyond": arrow}


def _tuned(entry: Tuned) -> dict[str, Any]:
    tried = []
    for candidate in entry.candidates:
        value = _NAN if candidate.mean is None else f"{candidate.mean:.4g}" + (f" {entry.unit}" if entry.unit else "")
        tried.append((f"{candidate.learning_rate:g}", value, candidate.runs, candidate.learning_rate == entry.chosen))
    setting = setting_in_words(entry.regime, entry.label_noise)
    return {
        "task": f"{entry.task} ({entry.preset}{', ' if setting else ''}{setting})",
        "arm": entry.arm, "rate": wording.rate(entry.rate), "budget": wording.share(entry.budget),
        "metric": wording.metric(entry.metric), "candidates": tried,
        "chosen": wording.DASH if entry.chosen is None else f"{entry.chosen:g}", "remark": entry.remark,
        "used": ", ".join(f"{value:g}" for value in entry.used) or wording.DASH,
        "differs": bool(entry.used) and entry.used != (entry.chosen,),
    }  # fmt: skip


def environments(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One entry a kind of machine and set of versions, most runs first."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        e = record.environment
        groups[e.cpu, e.cores, e.threads, e.device, e.platform, e.python, e.torch, e.adaselection].append(record)
    names = ("cpu", "cores", "threads", "device", "platform", "python", "torch", "adaselection")
    entries = []
    for key, runs in sorted(groups.items(), key=lambda item: (-len(item[1]), str(item[0]))):
        alone = Counter(run.environment.exclusive for run in runs)[True]
        entries.append(dict(zip(names, key, strict=True)) | {"runs": len(runs), "alone": alone})
    return entries


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _tight(text: str) -> str:
    """Keep numbers and their units on one line."""
    return re.sub(r"(?<=\d) (?=%|points|seeds?\b)", "\u00a0", text).replace("95\u00a0% CI ", "95\u00a0%\u00a0CI\u00a0")
