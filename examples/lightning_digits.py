"""Lightning on handwritten digits, plain and with selection, for the same work: one line differs.

Work is counted in rows that go forward; a row's backward pass counts as two. A plain pass costs 3 a row. At rate 0.5 a
pass with selection costs 1 to score each row and 3 to train on half of them, 2.5 in all, so 12 such passes are as much
work as 10 plain ones, and have fewer steps. On clean digits that does not pay: the plain one is as good or better.

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

RATE, BATCH = 0.5, 64
PLAIN_PASSES, SELECTIVE_PASSES = 10, 12  # of the same work


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


def train(module: Plain, passes: int) -> lightning.Trainer:
    """Fit without decoration."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        max_epochs=passes,
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
    plain, selective = Plain(), Selective()
    steps = train(plain, PLAIN_PASSES).global_step
    units = 3 * PLAIN_PASSES * len(plain.loader.dataset)
    print(f"plain      {100 * plain.accuracy():.1f} % right after {steps} steps, work {units}")
    trainer = train(selective, SELECTIVE_PASSES)
    report = trainer.train_dataloader.report()
    units = report.scored + 3 * report.trained
    print(f"selective  {100 * selective.accuracy():.1f} % right after {trainer.global_step} steps, work {units}")
    print()
    print(report)


if __name__ == "__main__":
    main()
