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

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "records"
Measure = Callable[[argparse.Namespace], dict[str, Any]]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles; all equal for a single value."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return {"median": middle, "q1": low, "q3": high}


def before(path: str | None) -> list[dict[str, Any]]:
    """The cells of a record; none without one."""
    cells: list[dict[str, Any]] = []
    if path is not None:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["results"]["cells"]
    return cells


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
    started, watch = datetime.now(UTC), Watch()
    results = measure(arguments)
    record = {
        "schema": 1,
        "benchmark": name,
        "claim": claim,
        "settings": {key: value for key, value in vars(arguments).items() if key != "out"},
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
