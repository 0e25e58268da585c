"""Write docs/results/peers.md from benchmarks/records/peers.json, the record of benchmarks/peers/run.py.

Run ``python tools/peers.py`` after the record has changed. ``--check`` writes nothing and fails where the page is not
what the record gives. A test holds that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from adaselection.lab import stats, wording
from adaselection.lab.judging.markdown import bullets, difference, table
from adaselection.lab.machine import QUIET
from adaselection.lab.store import write_atomically

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benchmarks" / "records" / "peers.json"
PAGE = ROOT / "docs" / "results" / "peers.md"
NOTES = ROOT / "benchmarks" / "peers" / "notes.md"
COMMAND = "python tools/peers.py"
OPPONENT, OURS = "uniform_budget", "adaselection_recorded"
HEADERS = (
    "arm", "whose code", "accuracy (%)", "gain on uniform [95 % CI]", "seconds", "processor", "forwarded",
    "back-propagated", "lines", "learning rate", "seeds",
)  # fmt: skip
MASKED = 0.9  # share of back-propagated rows with a gradient, below which the page says so
Row = Mapping[str, Any]


def page(record: Row, notes: str) -> str:
    """Return the page.

    Args:
        record: As ``run.py`` wrote it.
        notes: What was met on the way, written by hand.
    """
    results = record["results"]
    noises = sorted({row["noise"] for row in results["runs"]})
    parts = [
        f"<!-- Written by `{COMMAND}` from benchmarks/records/peers.json. Do not edit by hand. -->",
        "# Peers side by side",
        _introduction(record),
        *(part for noise in noises for part in _section(results, noise)),
        "## What each needed to run",
        _environments(results),
        notes.strip(),
        "## How it was measured",
        _measured(record),
    ]
    return "\n\n".join(parts) + "\n"


def by_seed(results: Row, arm: str, noise: float) -> dict[int, Row]:
    """Return the runs of an arm by seed."""
    return {row["seed"]: row for row in results["runs"] if (row["arm"], row["noise"]) == (arm, noise)}


def ratio(ours: Mapping[int, Row], theirs: Mapping[int, Row], clock: str) -> float | None:
    """Return the median over the seeds of one arm's seconds over another's in the same seed; None without a pair.

    Seconds of the clock count only where every run of both had the machine to itself.
    """
    rows = [*ours.values(), *theirs.values()]
    if clock == "seconds" and any(row["others_busy"] is None or row["others_busy"] >= QUIET for row in rows):
        return None
    found = [ours[seed][clock] / theirs[seed][clock] for seed in sorted(ours.keys() & theirs.keys())]
    return median(found) if found else None


def _introduction(record: Row) -> str:
    task, budget = record["results"]["task"], record["settings"]["budget"]
    return (
        "The packages for data selection that pip installs and that train on a CPU, next to this library and to plain "
        f"training for fewer epochs (`{OPPONENT}`), on {task['task']} ({task['preset']} preset): same rows, seeds, "
        "initial weights, network, optimizer, learning-rate schedule over the budget, and as many trials for the "
        f"learning rate. Every arm but `full` may use {100 * budget:g} % of the full run's work: a forward pass of a "
        "row costs 1 unit, a backward pass 2. Rules without a package are this library's own implementation, and the "
        "table says so. The trials for the learning rate are few and coarse, so that differences of some tenths of a "
        "point between arms with different rates say little of the rules."
    )


def _section(results: Row, noise: float) -> list[str]:
    data = f"{100 * noise:g} % label noise" if noise else "plain data"
    title = f"{results['task']['task'].capitalize()}, {data}"
    rows = [_row(results, arm, noise) for arm in results["arms"]]
    return [f"## {title}", table(HEADERS, rows, left=2), _verdict(results, noise)]


def _row(results: Row, arm: Row, noise: float) -> list[str]:
    name, runs = arm["name"], by_seed(results, arm["name"], noise)
    head, lines = [f"`{name}`", arm["kind"]], str(wording.DASH if arm["lines"] is None else arm["lines"])
    if not runs:
        reason = results["failures"].get(name, "no run")
        reason = f"did not run: {results['failures'].get(name, 'no reason is known')}"
        return [*head, reason, *[wording.DASH] * (len(HEADERS) - 3)]
    rival = by_seed(results, OPPONENT, noise)
    values = [row["accuracy"] for row in runs.values()]
    score = f"{wording.number(stats.mean(values), 2)} ± {wording.number(stats.standard_deviation(values), 2)}"
    forwarded = [row["scored"] + row["trained"] for row in runs.values()]
    rates = sorted({f"{row['learning_rate']:g}" for row in runs.values()})
    return [
        *head,
        score,
        wording.DASH if name == OPPONENT else difference(gain(runs, rival)),
        *(_times(ratio(runs, rival, clock)) for clock in ("seconds", "processor")),
        f"{median(forwarded):,.0f}",
        f"{median(row['backward'] for row in runs.values()):,.0f}",
        lines,
        ", ".join(rates),
        str(len(runs)),
    ]


def gain(runs: Mapping[int, Row], rival: Mapping[int, Row]) -> stats.PairedDifference:
    """Return the accuracy gained on a rival, in points, paired by seed."""
    ours, theirs = ({seed: row["accuracy"] for seed, row in side.items()} for side in (runs, rival))
    return stats.paired_difference(ours, theirs)


def _times(value: float | None) -> str:
    return wording.DASH if value is None else f"{value:.2f}"


def _verdict(results: Row, noise: float) -> str:
    """Say who won, lost or cannot be told from uniform, and which packages this library's default won against."""
    runs = {arm["name"]: by_seed(results, arm["name"], noise) for arm in results["arms"]}
    others = [name for name in runs if name not in (OPPONENT, "full") and runs[name]]
    words = [f"Against `{OPPONENT}`, by the interval: {_outcomes(runs, others, OPPONENT, better='won', worse='lost')}."]
    packages = [arm["name"] for arm in results["arms"] if arm["kind"] == "package" and runs[arm["name"]]]
    if runs.get(OURS) and packages:
        against = _outcomes(runs, packages, OURS, better="better than it", worse="worse")
        words.append(f"The packages against `{OURS}`: {against}.")
    return " ".join(filter(None, [*words, *(_masked(name, runs[name]) for name in others)]))


def _masked(name: str, runs: Mapping[int, Row]) -> str:
    """Say which share of the rows that were back-propagated had a gradient, where many had none."""
    share = sum(row["with_gradient"] for row in runs.values()) / sum(row["backward"] for row in runs.values())
    return f"Of the rows that `{name}` back-propagated, {100 * share:.0f} % had a gradient." if share < MASKED else ""


def _outcomes(runs: Mapping[str, Any], names: Sequence[str], rival: str, better: str, worse: str) -> str:
    found: dict[str, list[str]] = {better: [], "not told apart": [], worse: []}
    for name in names:
        d = gain(runs[name], runs[rival])
        low, high = d.ci_low or 0.0, d.ci_high or 0.0
        found[better if low > 0 else worse if high < 0 else "not told apart"].append(f"`{name}`")
    return "; ".join(f"{word} {', '.join(which) or 'none'}" for word, which in found.items())


def _environments(results: Row) -> str:
    lines = []
    for name, made in results["environments"].items():
        commands = ", then ".join(f"`{command}`" for command in made["commands"])
        versions = {key.lower(): value for key, value in made["packages"].items()}
        has = f"gives torch {versions['torch']} and {len(versions) - 1} other packages"
        lines.append(f"{name}: {commands} {'fails' if made['failed'] else has}")
    return bullets(lines)


def _measured(record: Row) -> str:
    settings, machine = record["settings"], record["environment"]
    tried = ", ".join(f"{rate:g}" for rate in settings["learning_rates"])
    return bullets(
        [
            "Rows are counted by hooks on the model, not by what a peer says. Forwarded: all forward passes, for "
            "choosing and for training. Back-propagated: rows of the gradient that reached the model's output. Both "
            "are medians over the seeds.",
            "An arm ends before the first step that its budget does not pay for. Its learning rate rises over a fifth "
            f"of the budget and falls to 0 at its end. Of the learning rates {tried} each arm takes the best mean of "
            f"{settings['trials']} seeds on a validation split, at its own budget; equals go to the smaller. So few "
            "trials tell rates apart only roughly: on plain data, where arms differ by tenths of a point, the rate may "
            "weigh as much as the rule.",
            f"All arms of a seed start one after the other, {settings['together']} at a time, then those of the next "
            "seed, from another first arm on; each in a child process of its own environment on one thread. Seconds "
            "are those of the training alone, imports and data aside.",
            f"Seconds and processor: median over the seeds of the ratio to `{OPPONENT}` of the same seed. Processor "
            f"seconds are those that the process itself ran.{_busy(record['results'])}",
            "Lines: lines of the plain loop that are replaced, added or taken away; imports, comments and line breaks "
            "do not count (`benchmarks/peers/lines.py`; the loops are in `benchmarks/peers/loops`).",
            f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, adaselection "
            f"{machine['adaselection']}. Intervals: Student's, paired by seed, not corrected for the number of arms.",
            f"Again: `python benchmarks/peers/run.py`, then `{COMMAND}`.",
        ]
    )


def _busy(results: Row) -> str:
    """Say whether the seconds of the clock count."""
    busy = [row["others_busy"] for row in results["runs"]]
    if None in busy or not busy:
        return " Seconds of the clock do not count: whether the machine was shared is not known."
    if max(busy) < QUIET:
        return ""
    return (
        f" Other processes kept {median(busy):.1f} cores busy in the median run, so seconds of the clock are left out, "
        "and processor seconds are rough."
    )


def main(arguments: list[str] | None = None) -> int:
    """Update or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, default=RECORD, help="the record")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is out of date")
    options = parser.parse_args(arguments)
    text = page(json.loads(options.record.read_text(encoding="utf-8")), NOTES.read_text(encoding="utf-8"))
    known = options.page.read_text(encoding="utf-8") if options.page.exists() else None
    if known == text:
        return 0
    if options.check:
        print(f"{options.page} is not what {options.record} gives: run {COMMAND}", file=sys.stderr)
        return 1
    options.page.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.page, text)
    print(f"updated {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
