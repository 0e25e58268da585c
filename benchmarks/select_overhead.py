"""Claim: `select` on 128 losses with all seven methods takes at most 1 % of a training step of the small ResNet.

The step is that of the task cifar10, preset cpu (resnet8, SGD, batch 128), on random pictures of the right shape. Each
repeat times a training step and then one `select`, as a real loop would have it: the step has pushed everything else
out of the processor's caches, which doubles the time of a small call. The ratio is that of such a pair, so that the
machine's mood cancels. `all_methods_again` is a second call right after, as a benchmark of `select` alone would see it.

    python benchmarks/select_overhead.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from _record import run, spread
from torch import nn

from adaselection import AdaSelection, Policy, Signals, methods
from adaselection.lab.models import build_model
from adaselection.lab.tasks import get_task

CLAIM = "select on 128 losses with all seven methods takes at most 1 % of a training step of the small ResNet"
BAR = 0.01
PICTURE, CLASSES = (3, 32, 32), 10
WARM = 3
AGAIN = "all_methods_again"


def training_step(model_name: str, batch_size: int) -> Callable[[], None]:
    """One optimizer step on a fixed random batch, with the settings of cifar10's preset cpu."""
    preset = get_task("cifar10").preset("cpu")
    model = build_model(model_name, PICTURE, CLASSES).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=preset.momentum, weight_decay=preset.weight_decay)
    pictures, labels = torch.randn(batch_size, *PICTURE), torch.randint(CLASSES, (batch_size,))
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(model(pictures), labels).backward()
        optimizer.step()

    return step


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def some_signals(rows: int) -> Signals:
    """Losses and gradient norms as a loop would have them, fresh ones each time."""
    return Signals(torch.empty(rows).exponential_(), torch.rand(rows), "cross_entropy")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Interleave steps and selections."""
    torch.manual_seed(0)
    step = training_step(arguments.model, arguments.batch_size)
    policies: dict[str, Policy] = {
        "all_methods": AdaSelection(methods(), rate=arguments.rate),
        "all_methods_paper": AdaSelection(methods(), rate=arguments.rate, replicate="paper"),
        "default": AdaSelection(rate=arguments.rate),
    }
    times: dict[str, list[float]] = {name: [] for name in (*policies, AGAIN)}
    steps: dict[str, list[float]] = {name: [] for name in times}
    for turn in range(WARM + arguments.repeats):
        for name, policy in policies.items():
            signals = some_signals(arguments.batch_size)
            found = {"step": seconds(step), name: seconds(lambda chosen=policy, data=signals: chosen.select(data))}
            if name == "all_methods":
                again = some_signals(arguments.batch_size)
                found[AGAIN] = seconds(lambda chosen=policy, data=again: chosen.select(data))
            for key in found.keys() & times.keys() if turn >= WARM else ():
                times[key].append(found[key])
                steps[key].append(found["step"])
    ratios = {name: spread([a / b for a, b in zip(times[name], steps[name], strict=True)]) for name in times}
    every_step = [value for name in policies for value in steps[name]]
    return {
        "bar": BAR,
        "ratio": ratios["all_methods"]["median"],
        "met": ratios["all_methods"]["median"] <= BAR,
        "ratios": ratios,
        "milliseconds": {
            name: spread([1000 * value for value in values]) for name, values in (("step", every_step), *times.items())
        },
    }


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    print(f"{'':<20}{'ms':>9}{'share of a step (quartiles)':>36}")
    for name, time_of in results["milliseconds"].items():
        ratio = results["ratios"].get(name)
        share = f"{ratio['median']:.2%} ({ratio['q1']:.2%} to {ratio['q3']:.2%})" if ratio else ""
        print(f"{name:<20}{time_of['median']:>9.3f}{share:>36}")
    print(f"at most {results['bar']:.0%} for all methods: {'met' if results['met'] else 'NOT met'}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=40, help="pairs timed of each policy (default: 40)")
    parser.add_argument("--batch-size", type=int, default=128, help="losses and rows of a step (default: 128)")
    parser.add_argument("--rate", type=float, default=0.3, help="sampling rate (default: 0.3)")
    parser.add_argument("--model", default="resnet8", help="network of the step (default: resnet8)")
    return run("select_overhead", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
