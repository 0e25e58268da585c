"""Models, loaders and a training loop that the tests of the core share."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, Policy, SelectiveLoader

CE = nn.CrossEntropyLoss(reduction="none")


def data(rows: int, seed: int = 0) -> TensorDataset:
    """Rows ``(x, y)``; the first number of x is the row's own number."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 4, generator=generator)
    x[:, 0] = torch.arange(rows)
    return TensorDataset(x, torch.randint(0, 3, (rows,), generator=generator))


def net() -> nn.Module:
    """A small net with dropout and batch statistics, which takes batches of one row too."""
    middle = (nn.Unflatten(1, (2, 4)), nn.BatchNorm1d(2), nn.Flatten(), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(Scaled(), nn.Linear(4, 8), *middle, nn.Linear(8, 3))


class Scaled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / torch.tensor([50.0, 1.0, 1.0, 1.0])


def ids(batch: Any) -> list[int]:
    """The numbers of a batch's rows."""
    return [int(number) for number in batch[0][:, 0].tolist()]


def selective(rows: int, size: int, policy: Policy | None = None, **options: Any) -> SelectiveLoader:
    """A selective loader over the rows in their order; ``shuffle`` and the like go to the loader inside."""
    inner = {key: options.pop(key) for key in ("shuffle", "drop_last", "sampler", "num_workers") if key in options}
    loader = DataLoader(data(rows), batch_size=size, **inner)
    options = {"model": net(), "loss_fn": CE} | options
    return SelectiveLoader(loader, policy or AdaSelection(rate=0.3), **options)


class Trainer:
    """A loop that trains and notes what it saw."""

    def __init__(self, loader: Any, model: nn.Module, rate: float = 0.1) -> None:
        self.loader = loader
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
        self.seen: list[tuple[list[int], float]] = []

    def step(self, batch: Any) -> None:
        """One optimizer step."""
        losses = CE(self.model(batch[0]), batch[1])
        self.optimizer.zero_grad()
        losses.mean().backward()
        self.optimizer.step()
        self.seen.append((ids(batch), losses.mean().item()))

    def run(self, passes: int) -> Trainer:
        """Whole passes."""
        for _ in range(passes):
            for batch in self.loader:
                self.step(batch)
        return self

    def state(self) -> dict[str, Any]:
        """A checkpoint as a user would write it."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "loader": self.loader.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        torch.set_rng_state(state["rng"])


class Stateful:
    """A loader that keeps its own place, as torchdata's StatefulDataLoader does, with an order per pass."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self.batches = list(batches)
        self.passes = 0
        self.next = 0

    def __iter__(self) -> Iterator[Any]:
        start, self.next = self.next, 0
        order = torch.randperm(len(self.batches), generator=torch.Generator().manual_seed(self.passes)).tolist()
        for position in range(start, len(order)):
            self.next = position + 1
            yield self.batches[order[position]]
        self.next, self.passes = 0, self.passes + 1

    def state_dict(self) -> dict[str, int]:
        return {"next": self.next, "passes": self.passes}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.next, self.passes = state["next"], state["passes"]


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint after a trip to the disk."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
