"""Claim: an epoch under `SelectiveLoader` takes the seconds that the cost model says, within 5 %.

The cost model is "score all, train on a share": (load + forward) x batches + step x steps made. Each part is measured
beside the epoch, on the same loader and model, in a plain loop of the same rhythm (some forward passes, then a step)
that does nothing else. What the wrapper adds (guarding the model's state, selecting, gathering rows) is not in the
prediction, so it counts against the 5 %. Repeats take turns in which comes first; the ratio is taken inside a repeat.
The data are random pictures in memory; 64 batches of 128 at rate 0.3 keep 38 rows each, which is 19 full batches.

    python benchmarks/epoch_cost.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _record import run, spread
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, SelectiveLoader
from adaselection.lab.models import build_model
from adaselection.lab.tasks import get_task

CLAIM = "the seconds of an epoch under SelectiveLoader are within 5 % of the cost model (score all + rate x step)"
BAR = 0.05
PICTURE, CLASSES = (3, 32, 32), 10
Batch = tuple[Tensor, Tensor] | list[Tensor]


class Training:
    """The small ResNet of cifar10's preset cpu on random pictures, and the two ways to spend an epoch on it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        preset = get_task("cifar10").preset("cpu")
        rows = arguments.batches * arguments.batch_size
        data = TensorDataset(torch.randn(rows, *PICTURE), torch.randint(CLASSES, (rows,)))
        self.inner = DataLoader(data, arguments.batch_size, shuffle=True)
        self.model = build_model(arguments.model, PICTURE, CLASSES).train()
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=1e-3, momentum=preset.momentum, weight_decay=preset.weight_decay
        )
        self.selective = SelectiveLoader(
            self.inner, AdaSelection(rate=arguments.rate), model=self.model, loss_fn=self.loss
        )

    def step(self, batch: Batch) -> None:
        """One optimizer step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model(batch[0]), batch[1]).backward()
        self.optimizer.step()

    def epoch(self) -> float:
        """Seconds of a pass with selection."""
        start = time.perf_counter()
        for batch in self.selective:
            self.step(batch)
        return time.perf_counter() - start

    def parts(self) -> dict[str, float]:
        """Mean seconds of loading a batch, of its forward pass without gradients, and of a step, in one plain pass."""
        spent, made, steps = dict.fromkeys(("load", "forward", "step"), 0.0), 0, len(self.selective)
        batches, count = iter(self.inner), len(self.inner)
        for turn in range(1, count + 1):
            start = time.perf_counter()
            batch = next(batches)
            loaded = time.perf_counter()
            self.model.eval()
            ready = time.perf_counter()
            with torch.no_grad():
                self.model(batch[0])
            scored = time.perf_counter()
            self.model.train()
            spent["load"] += loaded - start
            spent["forward"] += scored - ready
            if made < turn * steps // count:
                started = time.perf_counter()
                self.step(batch)
                spent["step"] += time.perf_counter() - started
                made += 1
        return {"load": spent["load"] / count, "forward": spent["forward"] / count, "step": spent["step"] / made}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Epochs and their parts, in turns."""
    torch.manual_seed(0)
    training = Training(arguments)
    batches, steps = len(training.inner), len(training.selective)
    rows: list[dict[str, float]] = []
    for turn in range(arguments.repeats + 1):
        first = training.epoch() if turn % 2 else None
        parts = training.parts()
        epoch = training.epoch() if first is None else first
        predicted = batches * (parts["load"] + parts["forward"]) + steps * parts["step"]
        full = batches * (parts["load"] + parts["step"])
        if turn:  # the first warms up
            rows.append(
                {"epoch": epoch, "predicted": predicted, "ratio": epoch / predicted, "cost": epoch / full, **parts}
            )
    ratio = spread([row["ratio"] for row in rows])
    seconds = {name: spread([row[name] for row in rows]) for name in ("epoch", "predicted", "load", "forward", "step")}
    return {
        "bar": BAR,
        "met": abs(ratio["median"] - 1) <= BAR,
        "ratio": ratio,
        "ratios": [row["ratio"] for row in rows],
        "share_of_full_epoch": spread([row["cost"] for row in rows]),
        "batches": batches,
        "steps": steps,
        "kept": steps / batches,
        "seconds": seconds,
        "forward_step_ratio": spread([row["forward"] / row["step"] for row in rows]),
    }


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    for name, value in results["seconds"].items():
        print(f"{name:<24}{value['median']:>9.4f} s")
    for name in ("forward_step_ratio", "share_of_full_epoch", "ratio"):
        value = results[name]
        print(
            f"{name.replace('_', ' '):<24}{value['median']:>9.3f}   (quartiles {value['q1']:.3f} to {value['q3']:.3f})"
        )
    print(f"epoch over prediction within {results['bar']:.0%}: {'met' if results['met'] else 'NOT met'}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=10, help="epochs timed (default: 10)")
    parser.add_argument("--batches", type=int, default=64, help="batches of an epoch (default: 64)")
    parser.add_argument("--batch-size", type=int, default=128, help="rows of a batch (default: 128)")
    parser.add_argument("--rate", type=float, default=0.3, help="sampling rate (default: 0.3)")
    parser.add_argument("--model", default="resnet8", help="network (default: resnet8)")
    return run("epoch_cost", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
