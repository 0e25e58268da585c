"""Claim: on a `TensorDataset`, training through a recorded loader takes fewer seconds than through the plain one.

The plain loader takes such rows one by one and stacks them; a recorded loader without workers takes them all at once.
Does that save more than recording, judging and choosing cost? Both train as many steps from the same weights, with the
default policy, in turns; the ratio is taken inside a repeat, and one below 1 says that the recorded loader is faster.
The digits have 64 numbers a row; the pictures are random ones of 3 x 32 x 32. `part`: of `random_split`.

`processor` are the seconds that the one thread really ran, which other processes hardly change; `clock` are those of
the clock.

    python benchmarks/tensor_dataset.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _fit import fit, perceptron
from _record import run, spread
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

from adaselection import AdaSelection
from adaselection.lab.models import build_model

CLAIM = "on a TensorDataset, training through a recorded loader takes fewer seconds than through the plain one"
CLOCKS = {"clock": time.perf_counter, "processor": time.thread_time}
PICTURE = (3, 32, 32)


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        rows: its data; build: its network; batch_size: rows of a step; passes: of each arm in a repeat.
    """

    rows: Dataset[Any]
    build: Callable[[], nn.Module]
    batch_size: int
    passes: int


def cases(arguments: argparse.Namespace) -> dict[str, Case]:
    """What is trained, by name."""
    found = load_digits()
    digits = TensorDataset(torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target))
    part, _ = random_split(digits, [0.8, 0.2], torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    pictures = TensorDataset(
        torch.randn(arguments.pictures, *PICTURE, generator=generator),
        torch.randint(10, (arguments.pictures,), generator=generator),
    )
    small, passes = (lambda: perceptron(64, 10)), arguments.passes
    return {
        "digits, perceptron, batch 32": Case(digits, small, 32, passes),
        "digits, perceptron, batch 128": Case(digits, small, 128, passes),
        "digits, part, perceptron, batch 64": Case(part, small, 64, passes),
        "pictures, resnet8, batch 128": Case(pictures, lambda: build_model("resnet8", PICTURE, 10), 128, 1),
    }


def train(case: Case, recorded: bool) -> tuple[float, ...]:
    """Milliseconds of a step, by each clock."""
    torch.manual_seed(0)
    model = case.build()
    plain = DataLoader(case.rows, case.batch_size, shuffle=True)
    loss = nn.CrossEntropyLoss(reduction="none")
    steps = case.passes * len(plain)
    start = [clock() for clock in CLOCKS.values()]
    fit(
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 0.1, plain,
        AdaSelection(rate=0.3) if recorded else None,
        lambda inputs, targets: loss(model(inputs), targets), steps,
    )  # fmt: skip
    ends = [clock() for clock in CLOCKS.values()]
    return tuple(1000 * (end - begin) / steps for begin, end in zip(start, ends, strict=True))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both arms of every training, in turns."""
    found: dict[str, Any] = {}
    for name, case in cases(arguments).items():
        pairs = []
        for repeat in range(arguments.repeats):
            first = bool(repeat % 2)
            arms = {recorded: train(case, recorded) for recorded in (first, not first)}
            pairs.append((arms[False], arms[True]))
        found[name] = {
            clock: {
                "plain": spread([plain[place] for plain, _ in pairs]),
                "recorded": spread([recorded[place] for _, recorded in pairs]),
                "ratio": spread([recorded[place] / plain[place] for plain, recorded in pairs]),
            }
            for place, clock in enumerate(CLOCKS)
        }
    worst = max(row["processor"]["ratio"]["median"] for row in found.values())
    return {"ratio": worst, "met": worst < 1, "milliseconds_and_ratios": found}


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    print(f"{'':<36}{'':<11}{'plain, ms':>10}{'recorded, ms':>14}{'ratio (quartiles)':>26}")
    for name, row in results["milliseconds_and_ratios"].items():
        for clock, found in row.items():
            ratio = found["ratio"]
            wide = f"{ratio['median']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})"
            step = f"{found['plain']['median']:>10.3f}{found['recorded']['median']:>14.3f}"
            print(f"{name:<36}{clock:<11}{step}{wide:>26}")
    print(f"fewer seconds of the processor in every case: {'met' if results['met'] else 'NOT met'}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=9, help="turns (default: 9)")
    parser.add_argument("--passes", type=int, default=20, help="over the digits in a turn (default: 20)")
    parser.add_argument("--pictures", type=int, default=2560, help="random pictures (default: 2,560)")
    return run("tensor_dataset", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
