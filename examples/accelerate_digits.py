"""Accelerate on handwritten digits: the script as it was, with one line more.

Run it with ``python examples/accelerate_digits.py``, or on several processes with ``torchrun --nproc-per-node 2
examples/accelerate_digits.py``. It needs accelerate, and scikit-learn for the pictures, and takes some seconds.
"""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection
from adaselection.integrations.accelerate import PreparedSelectiveLoader

PASSES, BATCH, ACCUMULATE = 8, 32, 2


def digits() -> tuple[TensorDataset, TensorDataset]:
    """Training pictures and test pictures."""
    bunch = load_digits()
    x, y = torch.tensor(bunch.data / 8 - 1, dtype=torch.float32), torch.tensor(bunch.target)
    chance = torch.Generator().manual_seed(0)
    order = torch.randperm(len(y), generator=chance)
    test, train = order[:500], order[500:]
    return TensorDataset(x[train], y[train]), TensorDataset(x[test], y[test])


def main() -> None:
    """Train, and let what belongs to the processes go before they part, as torch may abort otherwise."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATE)
    run(accelerator)
    accelerator.free_memory()
    accelerator.end_training()


def run(accelerator: Accelerator) -> None:
    """Train on the selected half of each batch, and print the accuracy and the report."""
    set_seed(0)
    train, test = digits()
    ce = nn.CrossEntropyLoss()
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(train, batch_size=BATCH, shuffle=True, drop_last=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    loader = PreparedSelectiveLoader(loader, AdaSelection(rate=0.5), accelerator=accelerator, model=model, loss_fn=ce)
    steps = PASSES * math.ceil(len(loader) / ACCUMULATE)  # of the optimizer
    schedule = accelerator.prepare(CosineAnnealingLR(optimizer, steps * accelerator.num_processes))
    for _ in range(PASSES):
        for x, y in loader:
            with accelerator.accumulate(model):
                accelerator.backward(ce(model(x), y))
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
    with torch.no_grad():
        right = (model(test.tensors[0]).argmax(1) == test.tensors[1]).float().mean()
    accelerator.print(f"{100 * float(right):.1f} % right, learning rate {schedule.get_last_lr()[0]:.4f} at the end")
    accelerator.print(loader.report())


if __name__ == "__main__":
    main()
