"""The cells of the benchmarks on other models and on other pictures: one training with and without the library."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from _fit import best_of, fit, gained, wrong_labels
from _kinds import KINDS, Kind
from _pictures import PICTURES
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection

RATE, BATCH = 0.3, 32


def train(
    kind: Kind, share: float, budget: float, seed: int, rate: float, ours: bool, validation: bool = False
) -> tuple[float, bool]:
    """Train once; returns the score, and whether anything was left out."""
    order = torch.randperm(len(kind.inputs), generator=torch.Generator().manual_seed(7))
    test = len(order) * 7 // 10
    end = test * 4 // 5 if validation else test
    rows, judged = order[:end], order[end:test] if validation else order[test:]
    targets = kind.targets[rows]
    train_set = TensorDataset(kind.inputs[rows], wrong_labels(targets, share, kind.classes, seed) if share else targets)
    torch.manual_seed(seed)
    model = kind.build()
    plain = DataLoader(train_set, BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed))
    steps = max(1, int(budget * kind.epochs * len(plain)))
    loader = fit(
        kind.optimizer(model.parameters(), rate), rate, plain, AdaSelection(rate=RATE) if ours else None,
        lambda inputs, targets: kind.loss(model(inputs), inputs, targets), steps,
    )  # fmt: skip
    model.eval()
    with torch.no_grad():
        score = kind.score(model(kind.inputs[judged]), kind.inputs[judged], kind.targets[judged])
    return score, loader is not None and bool(loader.report().left_out)


def best_rate(kind: Kind, share: float, budget: float, trials: int) -> float:
    """The learning rate that is best for the plain loader on the validation rows, at this budget."""
    tried = {
        rate: [train(kind, share, budget, 50 + seed, rate, False, validation=True)[0] for seed in range(trials)]
        for rate in kind.rates
    }
    return best_of(tried, larger=True)


def one_cell(
    name: str, share: float, budget: float, known: float | None, repeats: int, epochs: int | None, trials: int = 2
) -> dict[str, Any]:
    """One kind, share of wrong labels and budget; with a known learning rate or the best one."""
    torch.set_num_threads(1)
    _, unit, make = (KINDS | PICTURES)[name]
    kind = make()
    kind = replace(kind, epochs=epochs or kind.epochs)
    rate = known or best_rate(kind, share, budget, trials)
    plain = [train(kind, share, budget, seed, rate, False)[0] for seed in range(repeats)]
    ours = [train(kind, share, budget, seed, rate, True) for seed in range(repeats)]
    mean = float(np.mean(plain))
    found = gained([score for score, _ in ours], plain, 1.0 if unit == "points" else 100 / abs(mean))
    head = {"kind": name, "wrong": share, "budget": budget, "learning_rate": rate, "plain": abs(mean)}
    return {**head, "seeds": repeats, **found, "opened": sum(left for _, left in ours)}
