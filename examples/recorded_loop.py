"""A plain loop and a recorded loop on handwritten digits with 30 % wrong labels, for the same number of steps.

Run it with ``python examples/recorded_loop.py``. It needs scikit-learn for the pictures, and takes some seconds.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, RecordedLoader

WRONG, RATE, PASSES, BATCH = 0.3, 0.5, 80, 64


def digits(seed: int) -> tuple[TensorDataset, tuple[Tensor, Tensor]]:
    """Training pictures, a share of them with a wrong label, and test pictures with the right ones."""
    bunch = load_digits()
    x, y = torch.tensor(bunch.data / 8 - 1, dtype=torch.float32), torch.tensor(bunch.target)
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y), generator=chance)
    test, train = order[:500], order[500:]
    wrong = torch.rand(len(train), generator=chance) < WRONG
    other = (y[train] + torch.randint(1, 10, (len(train),), generator=chance)) % 10
    return TensorDataset(x[train], torch.where(wrong, other, y[train])), (x[test], y[test])


def parts(data: TensorDataset, steps: int) -> tuple[nn.Module, torch.optim.Optimizer, CosineAnnealingLR]:
    """A small network, and an optimizer whose rate falls to 0 over the steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, CosineAnnealingLR(optimizer, steps)


def accuracy(model: nn.Module, test: tuple[Tensor, Tensor]) -> float:
    """Share of the test pictures that the model reads right."""
    with torch.no_grad():
        return float((model(test[0]).argmax(1) == test[1]).float().mean())


def plain(seed: int = 0) -> float:
    """The loop as it was: half as many whole passes make the same number of steps."""
    data, test = digits(seed)
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True)
    loss_fn = nn.CrossEntropyLoss()
    passes = round(RATE * PASSES)
    model, optimizer, schedule = parts(data, passes * len(loader))
    for _ in range(passes):
        for x, y in loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return accuracy(model, test)


def recorded(seed: int = 0) -> tuple[float, RecordedLoader]:
    """The same loop with its two changes: the loader, and where the loss comes from."""
    data, test = digits(seed)
    loader = RecordedLoader(DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True), AdaSelection(rate=RATE))
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    model, optimizer, schedule = parts(data, loader.total_batches(PASSES))
    for _ in range(PASSES):
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return accuracy(model, test), loader


def main() -> None:
    """Train both ways and print what came of it."""
    print(f"plain loop     {100 * plain():.1f} % right")
    reached, loader = recorded()
    print(f"recorded loop  {100 * reached:.1f} % right")
    print()
    print(loader.report())


if __name__ == "__main__":
    main()
