"""Claim: on an accelerator a recorded pass costs its rate of a plain one, one with scores a forward pass more.

Passes over random pictures with a ResNet-18 at batch 128, the paper's network and batch: plain, recorded, with a
scoring pass, and with one in bfloat16; in float32 and under autocast. They take turns, the device is waited for at the
end of each, and every ratio is to the plain pass of the same turn. The host's share is the seconds until the loop was
done handing out work, before it waited for the device: near 1 the host, not the device, sets the pace.

    ADASELECTION_DEVICE=cuda python benchmarks/device_cost.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from _record import run, spread
from torch import nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, CheapScores, RecordedLoader, SelectiveLoader, SingleMethod
from adaselection.lab.machine import device
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import ArrayDataset, Normalize

CLAIM = "on an accelerator a recorded pass costs its rate of a plain one, one with scores a forward pass more"
BAR = 0.05
PICTURE, CLASSES = (3, 32, 32), 10
PLAIN = "plain"


class Training:
    """One network in one precision, and the loaders that take turns with it."""

    def __init__(self, arguments: argparse.Namespace, dtype: torch.dtype | None) -> None:
        self.where, self.dtype, rate = device(), dtype, arguments.rate
        torch.manual_seed(0)
        pictures = torch.randint(256, (arguments.rows, *PICTURE), dtype=torch.uint8)
        rows = ArrayDataset(
            pictures,
            torch.randint(CLASSES, (arguments.rows,)),
            normalize=Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        )
        self.model = build_model(arguments.model, PICTURE, CLASSES).to(self.where)
        self.loss = nn.CrossEntropyLoss(reduction="none")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)

        def inner() -> DataLoader[Any]:
            return DataLoader(
                rows,
                arguments.batch_size,
                shuffle=True,
                drop_last=True,
                collate_fn=ArrayDataset.collate,
                pin_memory=self.where.type == "cuda",
            )

        def scored(**options: Any) -> SelectiveLoader:
            return SelectiveLoader(inner(), AdaSelection(rate=rate), model=self.model, loss_fn=self.loss, **options)

        half = CheapScores(autocast=torch.bfloat16, measure_every=0)
        self.loaders: dict[str, Any] = {
            PLAIN: inner(),
            "recorded": RecordedLoader(inner(), SingleMethod("proportional", rate)),
            "scored": scored(autocast=dtype),
            **({} if dtype else {"scored in bfloat16": scored(cheap=half)}),
        }

    def one_pass(self, name: str) -> dict[str, float]:
        """Seconds of a pass, its steps, and the host's share of the seconds."""
        loader, steps = self.loaders[name], 0
        record = loader.record if isinstance(loader, RecordedLoader) else torch.mean
        self._wait()
        start = time.perf_counter()
        for batch in loader:
            inputs, targets = (part.to(self.where, non_blocking=True) for part in batch)
            with torch.autocast(self.where.type, dtype=self.dtype) if self.dtype else nullcontext():
                losses = self.loss(self.model(inputs), targets)
            loss = record(losses)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            steps += 1
        handed = time.perf_counter() - start
        self._wait()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "steps": steps, "host": handed / seconds}

    def _wait(self) -> None:
        if self.where.type != "cpu":
            torch.accelerator.synchronize()


def measure_precision(arguments: argparse.Namespace, dtype: torch.dtype | None) -> dict[str, Any]:
    """Let the loaders take turns."""
    training = Training(arguments, dtype)
    for _ in range(round(1 / arguments.rate) + 1):
        training.one_pass("recorded")  # the first walk, in which nothing is chosen
    for name in training.loaders:
        training.one_pass(name)
    turns = [{name: training.one_pass(name) for name in training.loaders} for _ in range(arguments.repeats)]
    found = {}
    for name in training.loaders:
        one = [turn[name] for turn in turns]
        ratios = [turn[name]["seconds"] / turn[PLAIN]["seconds"] for turn in turns]
        steps = [
            (turn[name]["seconds"] / turn[name]["steps"]) / (turn[PLAIN]["seconds"] / turn[PLAIN]["steps"])
            for turn in turns
        ]
        found[name] = {
            "seconds": spread([part["seconds"] for part in one]),
            "steps": one[0]["steps"],
            "share_of_plain_pass": spread(ratios),
            "step_over_plain_step": spread(steps),
            "host": spread([part["host"] for part in one]),
        }
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both precisions."""
    where = device()
    found = {
        "float32": measure_precision(arguments, None),
        "bfloat16": measure_precision(arguments, torch.bfloat16),
    }
    over = max(rows["recorded"]["step_over_plain_step"]["median"] for rows in found.values())
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return {"bar": BAR, "met": over - 1 <= BAR, "device": name, "passes": found}


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    print(f"{results['device']}\n{'':<32}{'seconds':>9}{'steps':>7}{'of a plain pass':>17}{'a step':>9}{'host':>7}")
    for precision, rows in results["passes"].items():
        for name, row in rows.items():
            values = (row[key]["median"] for key in ("share_of_plain_pass", "step_over_plain_step", "host"))
            share, step, host = values
            head = f"{precision}, {name}"
            print(f"{head:<32}{row['seconds']['median']:>9.3f}{row['steps']:>7}{share:>17.3f}{step:>9.3f}{host:>7.2f}")
    print(f"a recorded step within {results['bar']:.0%} of a plain one: {'met' if results['met'] else 'NOT met'}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=9, help="turns (default: 9)")
    parser.add_argument("--rows", type=int, default=12_800, help="pictures (default: 12,800)")
    parser.add_argument("--batch-size", type=int, default=128, help="rows of a step (default: 128)")
    parser.add_argument("--rate", type=float, default=0.3, help="sampling rate (default: 0.3)")
    parser.add_argument("--model", default="resnet18", help="network (default: resnet18)")
    return run("device_cost", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
