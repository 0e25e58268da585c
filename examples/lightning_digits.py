"""Lightning on handwritten digits, plain and with selection: one line differs.

Run it with ``python examples/lightning_digits.py``. It needs lightning and scikit-learn, and takes some seconds.
"""

from __future__ import annotations

import logging
from typing import Any

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, SelectiveLoader

RATE, EPOCHS, BATCH = 0.3, 10, 64


class Plain(lightning.LightningModule):
    """A small network on digits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        bunch = load_digits()
        x, y = torch.tensor(bunch.data / 8 - 1, dtype=torch.float32), torch.tensor(bunch.target)
        order = torch.randperm(len(y))
        self.test = x[order[:500]], y[order[:500]]
        data = TensorDataset(x[order[500:]], y[order[500:]])
        self.loader = DataLoader(data, batch_size=BATCH, shuffle=True)
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        self.loss_fn = nn.CrossEntropyLoss()

    def train_dataloader(self) -> Any:
        """All batches."""
        return self.loader

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        x, y = batch
        return self.loss_fn(self.net(x), y)

    def configure_optimizers(self) -> Any:
        """A rate that falls to 0 over the steps that there will be."""
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def accuracy(self) -> float:
        """Share of the test pictures that the network reads right."""
        x, y = self.test
        with torch.no_grad():
            return float((self.net(x).argmax(1) == y).float().mean())


class Selective(Plain):
    """The same with its one changed line."""

    def train_dataloader(self) -> Any:
        """Batches of the rows worth a gradient."""
        return SelectiveLoader(self.loader, AdaSelection(rate=RATE), model=self.net, loss_fn=self.loss_fn)


def train(module: Plain) -> lightning.Trainer:
    """Fit without decoration."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module)
    return trainer


def main() -> None:
    """Train both ways and print what came of it."""
    for name, module in (("plain", Plain()), ("selective", Selective())):
        trainer = train(module)
        print(f"{name:<10} {100 * module.accuracy():.1f} % right after {trainer.global_step} steps")
    print()
    print(trainer.train_dataloader.report())


if __name__ == "__main__":
    main()
