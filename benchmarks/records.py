"""Claim: a record takes 8 bytes an instance up to 10^8 of them, and a draw's cost grows at most as its window does.

Every size is held at the same time, with all instances recorded. One draw reads a window of random ids, turns their
losses into capped-proportional inclusion probabilities, draws a share of the rows systematically in random order, and
records losses for those. The sizes and windows take turns in each repeat, so that the machine's mood cancels.
`seconds` are by the clock; `processor` are those that the one thread really ran, which other processes on the machine
hardly change. `exponent` is the slope of log `processor` over log window from the smallest to the largest window;
`steepest` is that of the steepest step between neighbouring windows, where a window leaves one of the processor's
caches. `update_ms` is one `update` of a batch by the clock, as a training step calls it.

    python benchmarks/records.py
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from _record import run, spread

from adaselection import functional
from adaselection.records import RecordedLosses

CLAIM = "a record takes 8 bytes an instance up to 10^8, and a draw's cost grows at most linearly in its window"
BYTES_BAR, EXPONENT_BAR = 8, 1.0
PARTS = ("read", "choose", "update")
WARM = 1
CHUNK = 2**16


def resident() -> int | None:
    """Bytes of memory that this process really occupies; None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def filled(instances: int) -> tuple[RecordedLosses, dict[str, Any]]:
    """A record with a loss for every instance, and what it takes."""
    before, start = resident(), time.perf_counter()
    record = RecordedLosses(instances)
    for first in range(0, instances, CHUNK):
        ids = torch.arange(first, min(first + CHUNK, instances))
        record.update(ids, torch.empty(len(ids)).exponential_(), now=0)
    seconds, after = time.perf_counter() - start, resident()
    grown = None if before is None or after is None else (after - before) / instances
    return record, {
        "instances": instances,
        "unseen": record.unseen,
        "bytes_per_instance": record.bytes_per_instance,
        "resident_bytes_per_instance": grown,
        "fill_seconds": seconds,
    }


def draw(record: RecordedLosses, window: int, rate: float, now: int) -> list[float]:
    """Seconds of the parts of one draw, then those of the processor for all of it.

    Which ids are in the window and what they cost is decided before.
    """
    ids, k = torch.randint(len(record), (window,)), max(1, round(rate * window))
    losses = torch.empty(k).exponential_()
    worked, marks = time.thread_time(), [time.perf_counter()]
    signals = record.read(ids, now=now)
    marks.append(time.perf_counter())
    chances = functional.inclusion_probabilities(signals.losses, k, signals.valid)
    rows = functional.systematic_draw(chances, k, torch.rand(()), torch.randperm(window))
    marks.append(time.perf_counter())
    record.update(ids[rows], losses, now=now)
    marks.append(time.perf_counter())
    return [*(end - start for start, end in pairwise(marks)), time.thread_time() - worked]


def update(record: RecordedLosses, size: int, now: int) -> float:
    """Milliseconds of recording one batch."""
    ids, losses = torch.randint(len(record), (size,)), torch.empty(size).exponential_()
    start = time.perf_counter()
    record.update(ids, losses, now=now)
    return 1000 * (time.perf_counter() - start)


def slope(low: dict[str, Any], high: dict[str, Any]) -> float:
    """Exponent by which the processor's seconds grow from one window to a larger one."""
    grown = high["processor"]["median"] / low["processor"]["median"]
    return math.log(grown) / math.log(high["window"] / low["window"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill all records, then let sizes and windows take turns."""
    torch.manual_seed(0)
    filled(CHUNK)  # what an update needs for a moment is then there already, and no longer counts as growth
    windows = sorted(set(arguments.windows))
    records, rows = zip(*(filled(size) for size in sorted(set(arguments.sizes))), strict=True)
    draws: dict[tuple[int, int], list[list[float]]] = {}
    updates: dict[int, list[float]] = {}
    for turn in range(1, 1 + WARM + arguments.repeats):
        for number, record in enumerate(records):
            for window in windows:
                draws.setdefault((number, window), []).append(draw(record, window, arguments.rate, turn))
                updates.setdefault(number, []).append(update(record, arguments.batch_size, turn))
    for number, row in enumerate(rows):
        row["update_ms"] = spread(updates[number][WARM * len(windows) :])
        row["draws"] = [summary(window, draws[number, window][WARM:]) for window in windows]
        steps = [slope(*pair) for pair in pairwise(row["draws"])]
        row["exponent"] = slope(row["draws"][0], row["draws"][-1]) if steps else None
        row["steepest"] = max(steps, default=None)
    exponents = [row["exponent"] for row in rows if row["exponent"] is not None]
    return {
        "bars": {"bytes_per_instance": BYTES_BAR, "exponent": EXPONENT_BAR},
        "met": all(row["bytes_per_instance"] <= BYTES_BAR for row in rows)
        and max(exponents, default=0) <= EXPONENT_BAR,
        "rows": list(rows),
    }


def summary(window: int, times: list[list[float]]) -> dict[str, Any]:
    """Quartiles of the draws of one window, as a whole and by part."""
    *parts, processor = (spread(values) for values in zip(*times, strict=True))
    return {
        "window": window,
        "seconds": spread([sum(values[:-1]) for values in times]),
        "processor": processor,
        "microseconds_per_row": 1e6 * processor["median"] / window,
        "parts": dict(zip(PARTS, parts, strict=True)),
    }


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    names = f"{'instances':>11}{'bytes':>7}{'resident':>10}{'update, ms':>12}"
    print(f"{names}{'window':>9}{'ms a draw (quartiles)':>32}{'processor, ms':>15}{'us a row':>10}")
    for row in results["rows"]:
        there = row["resident_bytes_per_instance"]
        head = f"{row['instances']:>11}{row['bytes_per_instance']:>7}{'?' if there is None else f'{there:.2f}':>10}"
        head += f"{row['update_ms']['median']:>12.3f}"
        for one in row["draws"]:
            low, middle, high = (1000 * one["seconds"][name] for name in ("q1", "median", "q3"))
            times = f"{middle:.3g} ({low:.3g} to {high:.3g})"
            worked = f"{1000 * one['processor']['median']:>15.3f}{one['microseconds_per_row']:>10.3f}"
            print(f"{head:<40}{one['window']:>9}{times:>32}{worked}")
            head = ""
        if row["exponent"] is not None:
            growth = f"window^{row['exponent']:.2f}, at the steepest step ^{row['steepest']:.2f}"
            print(f"{'':<40}processor seconds grow as {growth}")
    print(f"8 bytes an instance, and at most linear in the window: {'met' if results['met'] else 'NOT met'}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=15, help="draws of each size and window (default: 15)")
    sizes, windows = [10**6, 10**7, 10**8], [10**3, 10**4, 10**5, 10**6]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="instances (default: 10^6 10^7 10^8)")
    parser.add_argument("--windows", type=int, nargs="+", default=windows, help="ids a draw (default: 10^3 to 10^6)")
    parser.add_argument("--rate", type=float, default=1 / 3, help="share of a window that is drawn (default: 1/3)")
    parser.add_argument("--batch-size", type=int, default=128, help="losses of an update (default: 128)")
    return run("records", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
