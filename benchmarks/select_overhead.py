"""Claim: `select` on 128 losses with all seven methods takes at most 1 % of a training step of the small ResNet.

The step is that of the task cifar10, preset cpu (resnet8, SGD, batch 128), on random pictures of the right shape. Each
repeat times one training step and then one `select` of each policy, as a real loop would have them: nothing stays warm
from the call before. The ratio is taken inside a repeat, so that the machine's mood cancels.

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


def training_step(model_name: str, batch_size: int) -> Callable[[], None]:
    """One optimizer step on a fixed random batch, with the settings of cifar10's preset cpu."""
    preset = get_task("cifar10").preset("cpu")
    model = build_model(model_name, PICTURE, CLASSES).train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1e-3, momentum=preset.momentum, weight_decay=preset.weight_decay
    )
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


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Interleave steps and selections."""
    torch.manual_seed(0)
    step = training_step(arguments.model, arguments.batch_size)
    policies: dict[str, Policy] = {
        "all_methods": AdaSelection(methods(), rate=arguments.rate),
        "all_methods_paper": AdaSelection(methods(), rate=arguments.rate, replicate="paper"),
        "default": AdaSelection(rate=arguments.rate),
    }
    times: dict[str, list[float]] = {"step": [], **{name: [] for name in policies}}
    for turn in range(WARM + arguments.repeats):
        rows = arguments.batch_size
        signals = Signals(torch.empty(rows).exponential_(), torch.rand(rows), "cross_entropy")
        found = {"step": seconds(step)}
        for name, policy in policies.items():
            found[name] = seconds(lambda chosen=policy, data=signals: chosen.select(data))
        if turn >= WARM:
            for name, value in found.items():
                times[name].append(value)
    ratios = {name: spread([a / b for a, b in zip(times[name], times["step"], strict=True)]) for name in policies}
    return {
        "bar": BAR,
        "ratio": ratios["all_methods"]["median"],
        "met": ratios["all_methods"]["median"] <= BAR,
        "ratios": ratios,
        "milliseconds": {name: spread([1000 * value for value in values]) for name, values in times.items()},
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
    parser.add_argument("--repeats", type=int, default=60, help="training steps timed (default: 60)")
    parser.add_argument("--batch-size", type=int, default=128, help="losses and rows of a step (default: 128)")
    parser.add_argument("--rate", type=float, default=0.3, help="sampling rate (default: 0.3)")
    parser.add_argument("--model", default="resnet8", help="network of the step (default: resnet8)")

    def shown(arguments: argparse.Namespace) -> dict[str, Any]:
        results = measure(arguments)
        show(results)
        return results

    return run("select_overhead", CLAIM, parser, shown, argv)


if __name__ == "__main__":
    main()
