"""Claim: in long trainings on wrong labels the default never ends below plain training, and above it if told of them.

A perceptron on the digits of scikit-learn, with SGD, momentum, a rate of 0.1 that falls to 0 by a cosine, and 20 or
40 % wrong labels. `AdaSelection(rate=0.5)` makes the steps of so many plain epochs; what it leaves out is still trained
on by force when it was not seen for three walks, and learnt by heart that way in the end. *Told*: the same with
``wrong_labels=True``. *Uncertain*: that rule alone. Says the accuracy on rows that were held out, and the
share of the wrong labels that the model gives back.

    python benchmarks/long_noise.py
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _fit import gained, wrong_labels
from _record import run
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, RecordedLoader, SingleMethod

CLAIM = "in long trainings on wrong labels the default never ends below plain training, and above it if told of them"
SHARES, EPOCHS, RATE, BATCH, TEST = (0.2, 0.4), (25, 50, 100, 200), 0.5, 64, 500
ARMS: dict[str, Callable[[DataLoader[Any]], Any]] = {
    "plain": lambda plain: plain,
    "default": lambda plain: RecordedLoader(plain, AdaSelection(rate=RATE)),
    "told": lambda plain: RecordedLoader(plain, AdaSelection(rate=RATE, wrong_labels=True)),
    "uncertain": lambda plain: RecordedLoader(plain, SingleMethod("uncertain", RATE)),
}


def train(share: float, epochs: int, seed: int, arm: str) -> tuple[float, float]:
    """Train once; returns accuracy on held-out rows and the share of wrong labels that are given back, in percent."""
    digits = load_digits()
    pictures, labels = torch.tensor(digits.data / 8 - 1, dtype=torch.float32), torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    test, rows = order[:TEST], order[TEST:]
    given = wrong_labels(labels[rows], share, 10, seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    plain = DataLoader(TensorDataset(pictures[rows], given), BATCH, shuffle=True, drop_last=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(plain))
    loader, left = ARMS[arm](plain), epochs * len(plain)
    reduced = loader.record if isinstance(loader, RecordedLoader) else torch.mean
    while left:
        for inputs, targets in itertools.islice(loader, left):
            loss = reduced(functional.cross_entropy(model(inputs), targets, reduction="none"))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            left -= 1
    with torch.no_grad():
        wrong = given != labels[rows]
        right = (model(pictures[test]).argmax(1) == labels[test]).float().mean()
        back = (model(pictures[rows][wrong]).argmax(1) == given[wrong]).float().mean()
    return 100 * float(right), 100 * float(back)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every share of wrong labels and length."""
    cells = []
    for share, epochs in [(share, epochs) for share in SHARES for epochs in arguments.epochs][: arguments.settings]:
        found = {arm: [train(share, epochs, seed, arm) for seed in range(arguments.repeats)] for arm in ARMS}
        scores = {arm: [score for score, _ in runs] for arm, runs in found.items()}
        cell: dict[str, Any] = {"wrong": share, "epochs": epochs, "seeds": arguments.repeats}
        for arm, runs in found.items():
            cell[arm] = {"accuracy": float(np.mean(scores[arm])), "learnt": float(np.mean([back for _, back in runs]))}
            if arm != "plain":
                cell[arm] |= gained(scores[arm], scores["plain"], 1.0)
        cells.append(cell)
    lost = sum((cell["default"]["ci"][1] or 0.0) < 0 for cell in cells)
    won = {arm: sum((cell[arm]["ci"][0] or 0.0) > 0 for cell in cells) for arm in ("default", "told")}
    return {"met": not lost and won["told"] == len(cells), "lost": lost, "won": won, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print a line a cell."""
    for cell in results["cells"]:
        told = (f"{arm} {cell[arm]['accuracy']:.1f} % ({cell[arm]['learnt']:.0f} % learnt)" for arm in ARMS)
        print(f"{cell['wrong']:.0%} wrong, {cell['epochs']} epochs: {', '.join(told)}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=10, help="seeds (default: 10)")
    parser.add_argument("--settings", type=int, help="only so many of the first settings")
    parser.add_argument("--epochs", type=int, nargs="+", default=EPOCHS, help="lengths of the plain training")
    return run("long_noise", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
