"""A recorded training that notes what it saw, which the tests of the recorded loader share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from adaselection import AdaSelection, Policy, RecordedLoader
from core.parts import CE, Trainer, data, ids, net

Losses = Callable[[int, int], float]
"""Loss of an instance, by its number and the number of the batch."""


def recorded(rows: int, size: int, policy: Policy | None = None, **options: Any) -> RecordedLoader:
    """A recorded loader over `data`; ``shuffle`` and the like go to the loader inside."""
    names = ("shuffle", "drop_last", "sampler", "batch_sampler", "num_workers", "persistent_workers", "generator")
    inner = {key: options.pop(key) for key in names if key in options}
    if "batch_sampler" not in inner:
        inner["batch_size"] = size
    return RecordedLoader(DataLoader(data(rows), **inner), policy or AdaSelection(rate=0.3), **options)


def hard_first(number: int, step: int) -> float:
    """A loss that differs between instances and falls with time."""
    return (1 + number % 17) / (1 + step / 50)


def passes(loader: RecordedLoader, count: int, losses: Losses = hard_first) -> list[list[list[int]]]:
    """Instances of each batch of each pass, with made-up losses in the place of a model."""
    seen: list[list[list[int]]] = []
    for _ in range(count):
        seen.append([])
        for batch in loader:
            rows, step = ids(batch), sum(map(len, seen))
            loader.record(torch.tensor([losses(number, step) for number in rows]))
            seen[-1].append(rows)
    return seen


class RecordedTrainer(Trainer):
    """A loop that trains by a recorded loader and notes instances and losses of each step."""

    def __init__(self, loader: Any, seed: int = 1) -> None:
        torch.manual_seed(seed)
        super().__init__(loader, net())

    def step(self, batch: Any) -> None:
        """One optimizer step."""
        losses = CE(self.model(batch[0]), batch[1])
        loss: Tensor = self.loader.record(losses) if isinstance(self.loader, RecordedLoader) else losses.mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.seen.append((ids(batch), loss.item()))

    def steps(self) -> Iterator[int]:
        """Train pass after pass without an end; yields the number of steps done."""
        while True:
            for batch in self.loader:
                self.step(batch)
                yield len(self.seen)
            yield len(self.seen)

    def run(self, steps: int) -> RecordedTrainer:
        """Train until so many steps are done in all."""
        for done in self.steps():
            if done >= steps:
                break
        return self

    def parameters(self) -> list[Tensor]:
        """A copy of the parameters and buffers."""
        return [value.detach().clone() for value in self.model.state_dict().values()]
