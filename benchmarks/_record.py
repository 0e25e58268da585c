"""What the benchmarks share: quartiles, and one small JSON file for each."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from adaselection.lab.machine import Watch, environment

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "records"
Measure = Callable[[argparse.Namespace], dict[str, Any]]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles; all equal for a single value."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return {"median": middle, "q1": low, "q3": high}


def portable(path: str) -> str:
    """A path as a record may hold it: from the project's root, or the name alone of a file elsewhere."""
    whole = Path(path).resolve()
    return whole.relative_to(ROOT).as_posix() if whole.is_relative_to(ROOT) else whole.name


def won_and_lost(cells: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How many cells are above and below 0 by their interval, which a single seed has not."""
    won, lost = (sum(sign * (cell["ci"][side] or 0.0) > 0 for cell in cells) for sign, side in ((1, 0), (-1, 1)))
    return won, lost


def difference(cell: dict[str, Any]) -> str:
    """The difference of a cell, its interval, and in how many seeds anything was left out."""
    ends = ", ".join(f"{end:+.2f}" for end in cell["ci"] if end is not None)
    return f"{cell['difference']:>+8.2f} [{ends}]{cell['opened']:>4} of {cell['seeds']}"


def before(path: str | None) -> list[dict[str, Any]]:
    """The cells of a record; none without one."""
    cells: list[dict[str, Any]] = []
    if path is not None:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["results"]["cells"]
    return cells


def arguments_of_cells(claim: str, repeats: int = 10, kept: str = "learning rates") -> argparse.ArgumentParser:
    """The command line of a benchmark of many settings, each with seeds.

    Args:
        claim: what it checks.
        repeats: seeds if the user says nothing.
        kept: of a record that is run again.
    """
    parser = argparse.ArgumentParser(description=claim)
    parser.add_argument("--repeats", type=int, default=repeats, help=f"seeds (default: {repeats})")
    parser.add_argument("--settings", type=int, help="only so many of the first settings")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--again", help=f"a record whose {kept} are kept")
    parser.add_argument(
        "--stricter", action="store_true", help="with --again: what left nothing out leaves nothing out, and is kept"
    )
    return parser


def run(
    name: str,
    claim: str,
    parser: argparse.ArgumentParser,
    measure: Measure,
    show: Callable[[dict[str, Any]], None],
    argv: Sequence[str] | None,
) -> Path:
    """Measure on one thread and write ``<out>/<name>.json``.

    Args:
        name: of the benchmark.
        claim: what it checks, in a sentence.
        parser: its own arguments; ``--out`` is added here.
        measure: gives the results, as plain values.
        show: prints them as a short table.
        argv: the command line; that of the process if None.

    Returns:
        The file.
    """
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the record (default: benchmarks/records)")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    settings = {key: value for key, value in vars(arguments).items() if key != "out"}
    if settings.get("again") is not None:
        settings["again"] = portable(settings["again"])
    started, watch = datetime.now(UTC), Watch()
    results = measure(arguments)
    record = {
        "schema": 1,
        "benchmark": name,
        "claim": claim,
        "settings": settings,
        "results": results,
        "environment": asdict(environment(watch.others_busy(), alone=True)),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path: Path = arguments.out / f"{name}.json"
    show(results)
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    busy = record["environment"]["others_busy"]
    print(f"others kept {'?' if busy is None else f'{busy:.2f}'} cores busy; written to {path}")
    return path
