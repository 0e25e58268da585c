"""Irreducible losses without other data: small models that each judge the training rows that they did not train on.

Source: Mindermann et al., "Prioritized training on points that are learnable, worth learning, and not yet learnt",
2022 (2206.07137), section 3, and its setting without holdout data: two models, each trained on one half of the
training set, give the losses of the other half, at the pass where these are lowest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import __version__
from adaselection.errors import AdaSelectionError, ArgumentError
from adaselection.lab.irreducible import Irreducible, Origin
from adaselection.lab.spec import FULL_STEP
from adaselection.lab.tasks import ArrayDataset, LoadOptions, Preset, Splits, Task, get_task
from adaselection.lab.training import learning_rate_factor

__all__ = ["HoldoutSpec", "Judged", "fold_of_rows", "train_holdout"]

_STREAM = 3  # keeps the draws here apart from any other use of the run's seed
_ROWS = 512  # judged at once


@dataclass(frozen=True)
class HoldoutSpec:
    """What is trained to give irreducible losses.

    Attributes:
        origin: The training rows.
        model: None for the network of the task's smoke preset, its smallest.
        epochs: Passes over the other folds; None for half of the preset's.
        learning_rate: None for the preset's.
        folds: Each row is judged by the model that trained on the rows of the other folds.
        data_dir: Where to look for data files first.

    Raises:
        ValueError: A value out of its range, an unknown name, or rows whose labels change on the way.
    """

    origin: Origin
    model: str | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    folds: int = 2
    data_dir: Path | None = None

    def __post_init__(self) -> None:
        self.preset()
        self.task().check(self.load_options())
        if self.origin.regime == "noise_switch":
            raise ArgumentError(
                "in the regime noise_switch labels change halfway, and irreducible losses do not: leave the regime "
                "out, or take an arm that needs none."
            )
        if not 2 <= self.folds <= 20:
            raise ArgumentError(f"--folds {self.folds} is outside [2, 20].")
        if self.epochs is not None and self.epochs < 1:
            raise ArgumentError(f"--epochs {self.epochs} must be at least 1.")
        if not 0 < self.preset().learning_rate < math.inf:
            raise ArgumentError(f"learning rate {self.learning_rate:g} must be above 0.")

    def task(self) -> Task:
        """The task."""
        return get_task(self.origin.task)

    def preset(self) -> Preset:
        """The task's preset, with what is asked here in the place of its own."""
        own = self.task().preset(self.origin.preset)
        return replace(
            own,
            model=self.model or self.task().preset("smoke").model,
            epochs=math.ceil(own.epochs / 2) if self.epochs is None else self.epochs,
            learning_rate=own.learning_rate if self.learning_rate is None else self.learning_rate,
        )

    def load_options(self) -> LoadOptions:
        """What it asks of the task's data: what the runs ask."""
        o = self.origin
        return LoadOptions(o.seed, o.label_noise, self.data_dir, o.split == "validation", o.regime)


@dataclass(frozen=True)
class Judged:
    """Where the training is: after pass `epoch` of `epochs` of fold `fold` of `folds`, and the mean loss there."""

    fold: int
    folds: int
    epoch: int
    epochs: int
    loss: float


def train_holdout(spec: HoldoutSpec, show: Callable[[Judged], None] | None = None) -> tuple[Irreducible, Splits]:
    """Train the models and judge every training row; the global random state is left as it was.

    Args:
        spec: What to train.
        show: Called after each pass.

    Returns:
        The losses with what they cost, and the rows.

    Raises:
        DataError: The task's data is missing or damaged.
        AdaSelectionError: A model's losses stopped being finite.
    """
    preset = spec.preset()
    splits = spec.task().load(preset, spec.load_options())
    fold = fold_of_rows(splits.train.inputs, spec.folds, spec.origin.seed)
    losses, best, units, seconds = torch.full((len(fold),), torch.nan), [], 0.0, 0.0
    for number in range(spec.folds):
        judged = torch.nonzero(fold == number).flatten()
        trained = torch.nonzero(fold != number).flatten()
        least = math.inf
        best.append(0)
        passes = _passes(spec, splits, trained, judged, number)
        started = time.perf_counter()
        for epoch, found in enumerate(passes, start=1):
            mean = _finite_mean(found, epoch, preset)
            if mean < least:
                least, best[-1], losses[judged] = mean, epoch, found
            if show is not None:
                show(Judged(number + 1, spec.folds, epoch, preset.epochs, mean))
        seconds += time.perf_counter() - started
        units += preset.epochs * (FULL_STEP * len(trained) + len(judged))
    made = Irreducible(
        losses=losses,
        origin=spec.origin,
        data=splits.fingerprint,
        model=preset.model,
        folds=spec.folds,
        epochs=preset.epochs,
        learning_rate=preset.learning_rate,
        best=tuple(best),
        units=units,
        seconds=seconds,
        version=__version__,
    )
    return made, splits


def fold_of_rows(inputs: Tensor, folds: int, seed: int) -> Tensor:
    """Share the rows out among folds of nearly equal size; copies of one row go to the same fold.

    Args:
        inputs: Shape ``[n, ...]``.
        folds: How many there are.
        seed: Of the draw.

    Returns:
        int64 ``[n]``, the fold of each row.

    Raises:
        ArgumentError: There are fewer different rows than folds.
    """
    known: dict[bytes, int] = {}
    flat = inputs.flatten(1).contiguous().numpy()
    groups = [known.setdefault(blake2b(row.tobytes(), digest_size=16).digest(), len(known)) for row in flat]
    if len(known) < folds:
        raise ArgumentError(f"{len(known)} different training rows cannot be shared out among {folds} folds.")
    order = np.random.default_rng([seed, _STREAM]).permutation(len(known))
    fold = np.empty(len(known), dtype=np.int64)
    fold[order] = np.arange(len(known)) % folds
    return torch.from_numpy(fold[np.asarray(groups, dtype=np.int64)])


def _finite_mean(losses: Tensor, epoch: int, preset: Preset) -> float:
    mean = float(losses.double().mean())
    if not math.isfinite(mean):
        raise AdaSelectionError(
            f"the losses of the holdout model are not finite after pass {epoch}: give a lower --learning-rate than "
            f"{preset.learning_rate:g}."
        )
    return mean


def _passes(spec: HoldoutSpec, splits: Splits, trained: Tensor, judged: Tensor, number: int) -> Iterator[Tensor]:
    """Make a model to train on some rows; gives the losses ``[j]`` of the others after each pass."""
    task, preset, data = spec.task(), spec.preset(), splits.train
    own = int(np.random.default_rng([spec.origin.seed, _STREAM, number]).integers(2**62))
    part = ArrayDataset(data.inputs[trained], data.targets[trained], normalize=data.normalize, augment=data.augment)
    others = ArrayDataset(data.inputs[judged], data.targets[judged], normalize=data.normalize)
    loader = DataLoader(
        part,
        batch_size=min(preset.batch_size, len(part)),
        shuffle=True,
        drop_last=True,  # each pass leaves others out
        generator=torch.Generator().manual_seed(own),
        collate_fn=ArrayDataset.collate,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own)
        model = task.build(preset, splits)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=preset.learning_rate, momentum=preset.momentum, weight_decay=preset.weight_decay
    )
    steps = preset.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(preset.schedule, step, steps)
    )
    return _trained(model, loader, task.loss(), optimizer, schedule, others, preset.epochs)


def _trained(
    model: nn.Module,
    loader: DataLoader[Any],
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    others: ArrayDataset,
    epochs: int,
) -> Iterator[Tensor]:
    """Train pass by pass, and judge the other rows after each."""
    for epoch in range(epochs):
        model.train()
        loader.dataset.set_epoch(epoch)  # type: ignore[attr-defined]  # a data set of ours
        for inputs, targets in loader:
            optimizer.zero_grad(set_to_none=True)
            loss(model(inputs), targets).mean().backward()
            optimizer.step()
            schedule.step()
        yield _judge(model, loss, others)


def _judge(model: nn.Module, loss: nn.Module, rows: ArrayDataset) -> Tensor:
    """Loss of each row, shape ``[n]``."""
    model.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(rows), _ROWS):
            inputs, targets = rows.__getitems__(range(start, min(start + _ROWS, len(rows))))
            found.append(loss(model(inputs), targets).float())
    return torch.cat(found)
