"""The plain loop with one new line: a scoring pass chooses the rows of every batch that are trained on.

Run it with ``python examples/fresh_loop.py``. It needs scikit-learn for the pictures, and takes some seconds.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, SelectiveLoader

PASSES, BATCH = 20, 64


def main() -> None:
    """Train, and print how many of the test pictures are read right."""
    bunch = load_digits()
    x, y = torch.tensor(bunch.data / 8 - 1, dtype=torch.float32), torch.tensor(bunch.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    test, train = order[:500], order[500:]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=BATCH, shuffle=True, drop_last=True)
    loader = SelectiveLoader(loader, AdaSelection(rate=0.3), model=model, loss_fn=loss_fn)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, PASSES * len(loader))
    for _ in range(PASSES):
        for pictures, labels in loader:
            loss = loss_fn(model(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        right = (model(x[test]).argmax(1) == y[test]).float().mean()
    print(f"{PASSES} passes, {PASSES * len(loader)} steps: {100 * float(right):.1f} % right")
    print(loader.report())


if __name__ == "__main__":
    main()
