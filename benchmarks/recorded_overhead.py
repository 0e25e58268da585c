"""Claim: recorded selection costs at most 1 % of a training step of the small ResNet at batch 128.

What is counted is everything that the library does: handing out a batch, `record` beyond the mean that a loop takes
anyway, and, spread over the steps of a walk, putting losses into the record and planning the next window. Two trainings
are measured: the task cifar10, preset cpu (resnet8, batch 128), on 15,000 random pictures, and the real digits (MLP,
batch 64), whose step takes about half a millisecond. A recorded loader and the plain one take turns, some passes each.
The library's part is what the recorded loop spends outside the data set, the model and the optimizer, less what the
plain one spends there.

`processor` are the seconds that the one thread really ran, which other processes hardly change; `clock` are those of
the clock. Ratios are of the sums over some passes, so that rare planning counts as often as it happens.

    python benchmarks/recorded_overhead.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _record import run, spread
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, Policy, RecordedLoader, SingleMethod
from adaselection.lab.models import build_model
from adaselection.lab.tasks import ArrayDataset, LoadOptions, get_task
from adaselection.lab.tasks.arrays import Normalize

CLAIM = "recorded selection costs at most 1 % of a training step of the small ResNet at batch 128"
BAR = 0.01
PICTURE, CLASSES = (3, 32, 32), 10
CLOCKS = ("clock", "processor")
Seconds = tuple[float, float]
"""By both clocks."""


def now() -> Seconds:
    """Both clocks."""
    return time.perf_counter(), time.thread_time()


def between(start: Seconds, end: Seconds) -> Seconds:
    """Seconds from one moment to the other."""
    return end[0] - start[0], end[1] - start[1]


class Lot:
    """Seconds of some steps, part by part: the data set, the loop's own work, the mean of the losses, the library."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.parts = {name: [0.0, 0.0] for name in ("data", "loop", "mean", "library")}

    def add(self, name: str, seconds: Seconds, sign: float = 1.0) -> None:
        """Charge seconds to a part."""
        for place, value in enumerate(seconds):
            self.parts[name][place] += sign * value

    def milliseconds(self, name: str, place: int) -> float:
        """Of a step."""
        return 1000 * self.parts[name][place] / self.steps


class TimedSet(ArrayDataset):
    """A data set that knows what the last batch took."""

    taken: Seconds = (0.0, 0.0)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A batch."""
        start = now()
        batch = super().__getitems__(indices)
        self.taken = between(start, now())
        return batch


@dataclass
class Case:
    """A training.

    Attributes:
        rows: its data; model: its network; batch_size: rows of a step.
    """

    rows: TimedSet
    model: nn.Module
    batch_size: int

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.loss = nn.CrossEntropyLoss(reduction="none")

    def plain(self) -> DataLoader[Any]:
        """The loader of a plain training."""
        return DataLoader(self.rows, self.batch_size, shuffle=True, collate_fn=ArrayDataset.collate)


def cases(arguments: argparse.Namespace) -> dict[str, Case]:
    """The small ResNet on random pictures, and the digits."""
    pictures = torch.randint(256, (arguments.rows, *PICTURE), dtype=torch.uint8)
    normal = Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    random = TimedSet(pictures, torch.randint(CLASSES, (arguments.rows,)), normalize=normal)
    digits = get_task("digits")
    preset = digits.preset("cpu")
    splits = digits.load(preset, LoadOptions())
    real = TimedSet(splits.train.inputs, splits.train.targets)
    return {
        arguments.model: Case(random, build_model(arguments.model, PICTURE, CLASSES), arguments.batch_size),
        "digits": Case(real, digits.build(preset, splits), preset.batch_size),
    }


def train(case: Case, batches: Iterator[Any], steps: int, loader: RecordedLoader | None) -> Lot:
    """Train some steps and take the time of every part."""
    lot = Lot(steps)
    for _ in range(steps):
        start = now()
        inputs, targets = next(batches)
        loaded = now()
        losses = case.loss(case.model(inputs), targets)
        forward = now()
        loss = losses.mean() if loader is None else loader.record(losses)
        reduced = now()
        if loader is not None:
            losses.mean()  # what a plain loop does in its place
            lot.add("mean", between(reduced, ended := now()))
            lot.add("library", between(forward, reduced))
        else:
            lot.add("mean", between(forward, ended := reduced))
        case.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        case.optimizer.step()
        lot.add("loop", between(loaded, forward))
        lot.add("loop", between(ended, now()))
        lot.add("data", case.rows.taken)
        lot.add("library", between(start, loaded))
        lot.add("library", case.rows.taken, -1)
    return lot


def endless(loader: Any) -> Iterator[Any]:
    """Pass after pass."""
    while True:
        yield from loader


def compared(recorded: Lot, plain: Lot, place: int) -> dict[str, float]:
    """Milliseconds of a plain step and of the library's part of a recorded one, and their ratio, by one clock."""
    own = recorded.milliseconds("library", place) - recorded.milliseconds("mean", place)
    own -= plain.milliseconds("library", place)
    step = sum(recorded.milliseconds(name, place) for name in ("data", "loop", "mean"))
    step += plain.milliseconds("library", place)
    return {"step": step, "library": own, "ratio": own / step}


def measure_policy(case: Case, policy: Policy, repeats: int, passes: int) -> dict[str, Any]:
    """Let a recorded loader and a plain one take turns."""
    loader = RecordedLoader(case.plain(), policy)
    recorded, plain = endless(loader), endless(case.plain())
    walk = len(case.plain())
    train(case, recorded, walk, loader)  # the first walk, in which nothing is chosen
    train(case, plain, min(walk, 20), None)
    found = []
    for _ in range(repeats):
        one = train(case, recorded, passes * len(loader), loader)
        two = train(case, plain, min(walk, 20), None)
        found.append([compared(one, two, place) for place in range(len(CLOCKS))])
    report = loader.report()
    return {
        name: {key: spread([row[place][key] for row in found]) for key in ("step", "library", "ratio")}
        for place, name in enumerate(CLOCKS)
    } | {"windows": report.windows, "chosen_from": report.selected, "steps_per_pass": report.steps_per_pass}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both trainings with the default policy and with one that always chooses."""
    torch.manual_seed(0)
    results: dict[str, Any] = {}
    for name, case in cases(arguments).items():
        repeats = arguments.repeats if name == arguments.model else 5 * arguments.repeats
        results[name] = {
            "default": measure_policy(case, AdaSelection(rate=arguments.rate), repeats, arguments.passes),
            "proportional": measure_policy(
                case, SingleMethod("proportional", arguments.rate), repeats, arguments.passes
            ),
        }
    ratios = [row["processor"]["ratio"]["median"] for row in results[arguments.model].values()]
    return {"bar": BAR, "ratio": max(ratios), "met": max(ratios) <= BAR, "milliseconds_and_ratios": results}


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    print(f"{'':<24}{'':<11}{'step, ms':>10}{'library, ms':>13}{'share of a step (quartiles)':>36}  chosen from")
    for name, rows in results["milliseconds_and_ratios"].items():
        for policy, row in rows.items():
            for clock in CLOCKS:
                step, own, ratio = (row[clock][key] for key in ("step", "library", "ratio"))
                share = f"{ratio['median']:.2%} ({ratio['q1']:.2%} to {ratio['q3']:.2%})"
                head = f"{name + ', ' + policy:<24}{clock:<11}{step['median']:>10.3f}{own['median']:>13.4f}{share:>36}"
                print(f"{head}  {row['chosen_from']} of {row['windows']} windows")
    print(f"at most {results['bar']:.0%} of the processor's time: {'met' if results['met'] else 'NOT met'}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=4, help="turns of the small ResNet; digits: five times as many")
    parser.add_argument("--passes", type=int, default=10, help="passes of the recorded loader in a turn (default: 10)")
    parser.add_argument("--rows", type=int, default=15_000, help="instances of the small ResNet (default: 15,000)")
    parser.add_argument("--batch-size", type=int, default=128, help="rows of its step (default: 128)")
    parser.add_argument("--rate", type=float, default=0.3, help="sampling rate (default: 0.3)")
    parser.add_argument("--model", default="resnet8", help="network of the step (default: resnet8)")
    return run("recorded_overhead", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
