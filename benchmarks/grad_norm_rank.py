"""Question: does the closed-form gradient norm at the logits rank samples as the norm over all parameters does?

The method `grad_norm` scores a row by the norm of its loss's gradient at the model's output. The norm over all the
parameters costs more than the step that selection would save, so it is only a diagnostic. Here is the Spearman rank
correlation of the two on real data, with that of the loss beside it: 256 training rows, model in eval mode (running
statistics in BatchNorm, no dropout), at initialisation, after a short training and after a longer one. digits always;
cifar10 (small ResNet) where $ADASELECTION_DATA holds it. No bar: the numbers stand in the documents as they are.

    ADASELECTION_DATA=folder python benchmarks/grad_norm_rank.py
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import torch
from _record import run, spread
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.data import DataLoader

from adaselection.functional import cross_entropy_grad_norm
from adaselection.lab.tasks import ArrayDataset, LoadOptions, Task, get_task

CLAIM = "rank correlation of the gradient norm at the logits with the exact norm over all parameters"
STAGES = {"digits": (0, 60, 600), "cifar10": (0, 118, 590)}  # steps: none, a few epochs or one, many
CHUNK = 32


def exact_norms(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Norm of each row's loss gradient over all parameters, shape [b]; the model is in eval mode."""
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def loss(values: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, (values, buffers), (row.unsqueeze(0),))
        return nn.functional.cross_entropy(logits, label.unsqueeze(0))

    def squared(row: Tensor, label: Tensor) -> Tensor:
        return torch.stack([value.square().sum() for value in grad(loss)(parameters, row, label).values()]).sum()

    return vmap(squared, chunk_size=CHUNK)(inputs, labels).sqrt()


def correlations(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Spearman correlation of the closed form, and of the loss, with the exact norm; and the mean loss."""
    model.eval()
    exact = exact_norms(model, inputs, labels)
    with torch.no_grad():
        logits = model(inputs)
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    model.train()
    return {
        "grad_norm": float(spearmanr(cross_entropy_grad_norm(logits, labels), exact).statistic),
        "loss": float(spearmanr(losses, exact).statistic),
        "mean_loss": float(losses.mean()),
    }


def stages(task: Task, seed: int, rows: int, steps: Sequence[int]) -> Iterator[dict[str, float]]:
    """Train with the preset's optimizer and give the correlations when so many steps are done."""
    preset = task.preset("cpu")
    torch.manual_seed(seed)
    splits = task.load(preset, LoadOptions(seed=seed))
    model = task.build(preset, splits).train()
    optimizer = torch.optim.SGD(
        model.parameters(), preset.learning_rate, momentum=preset.momentum, weight_decay=preset.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, preset.learning_rate, total_steps=max(2, *steps))
    loader = DataLoader(splits.train, preset.batch_size, shuffle=True, drop_last=True, collate_fn=ArrayDataset.collate)
    watched = torch.randperm(len(splits.train))[:rows].tolist()
    inputs, labels = splits.train.__getitems__(watched)
    batches = chain.from_iterable(repeat_passes(loader, splits.train))
    done = 0
    for wanted in steps:
        for batch in islice(batches, wanted - done):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
            optimizer.step()
            schedule.step()
        done = wanted
        yield correlations(model, inputs, labels)


def repeat_passes(loader: DataLoader[Any], data: ArrayDataset) -> Iterator[DataLoader[Any]]:
    """The loader again and again, its augmentation drawn anew for each pass."""
    for epoch in count():
        data.set_epoch(epoch)
        yield loader


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All tasks, seeds and stages."""
    folder = os.environ.get("ADASELECTION_DATA")
    there = folder is not None and Path(folder, "cifar10.npz").is_file()
    tasks = ["digits", "cifar10"] if there and not arguments.digits_only else ["digits"]
    rows = []
    for name in tasks:
        steps = tuple(round(step * arguments.scale) for step in STAGES[name])
        seeds = range(arguments.repeats)
        found = [list(stages(get_task(name), seed, arguments.rows, steps)) for seed in seeds]
        for place, step in enumerate(steps):
            values = {key: [of_seed[place][key] for of_seed in found] for key in found[0][place]}
            summary = {key: {**spread(of_key), "seeds": of_key} for key, of_key in values.items()}
            rows.append({"task": name, "step": step, **summary})
    return {"rows": rows}


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    print(f"{'task':<10}{'steps':>6}{'mean loss':>11}{'grad_norm (quartiles)':>26}{'loss (quartiles)':>26}")
    for row in results["rows"]:
        cells = [
            f"{row[key]['median']:.3f} ({row[key]['q1']:.3f}, {row[key]['q3']:.3f})" for key in ("grad_norm", "loss")
        ]
        print(f"{row['task']:<10}{row['step']:>6}{row['mean_loss']['median']:>11.4f}{cells[0]:>26}{cells[1]:>26}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=3, help="seeds (default: 3)")
    parser.add_argument("--rows", type=int, default=256, help="training rows watched (default: 256)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the steps of the stages (default: 1)")
    parser.add_argument("--digits-only", action="store_true", help="leave cifar10 out")
    return run("grad_norm_rank", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
