"""A Lightning module that notes what it saw, and trainers without decoration, which the tests of Lightning share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from core.parts import CE, data, ids, net

ROWS, SIZE = 80, 10
Make = Callable[[Any], Any]


def selective(module: Any, **options: Any) -> SelectiveLoader:
    """Four batches a pass, of eight incoming ones."""
    inner = options.pop("inner") if "inner" in options else plain(module)
    policy = options.pop("policy", None) or AdaSelection(rate=0.5, seed=1)
    return SelectiveLoader(inner, policy, **({"model": module.net, "loss_fn": CE} | options))


def recorded(module: Any) -> RecordedLoader:
    """Four batches a pass, from the losses that training saw last."""
    policy = AdaSelection(methods=("big_loss", "uniform"), rate=0.5, seed=1)
    return RecordedLoader(DataLoader(data(ROWS), batch_size=SIZE, shuffle=True), policy)


def plain(module: Any) -> DataLoader[Any]:
    """Eight batches a pass."""
    return DataLoader(data(ROWS), batch_size=SIZE, shuffle=True)


LOADERS: dict[str, Make] = {"selective": selective, "recorded": recorded}


class Module(lightning.LightningModule):
    """Trains the small net and notes epoch, instances and loss of each batch.

    Args:
        make: gives the training loader, from the module.
        scheduled: whether a schedule is built from ``estimated_stepping_batches``.
    """

    def __init__(self, make: Make, scheduled: bool = False) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.net = net()
        self.make, self.scheduled = make, scheduled
        self.seen: list[tuple[int, list[int], float]] = []
        self.steps: list[int] = []

    def train_dataloader(self) -> Any:
        return self.make(self)

    def reduced(self, batch: Any) -> Tensor:
        losses = CE(self.net(batch[0]), batch[1])
        loader = self.trainer.train_dataloader
        loss = loader.record(losses) if isinstance(loader, RecordedLoader) else losses.mean()
        self.seen.append((self.current_epoch, ids(batch), loss.item()))
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.steps.append(self.global_step)
        return self.reduced(batch)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        if not self.scheduled:
            return optimizer
        self.estimate = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=int(self.estimate))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    @property
    def order(self) -> list[list[int]]:
        """The instances of each batch."""
        return [rows for _, rows, _ in self.seen]

    @property
    def epochs(self) -> list[int]:
        """How many batches each epoch had."""
        return [sum(epoch == number for epoch, _, _ in self.seen) for number in range(self.seen[-1][0] + 1)]


QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def trainer(**options: Any) -> lightning.Trainer:
    """A trainer of three epochs that says and writes nothing."""
    return lightning.Trainer(**(QUIET | {"max_epochs": 3} | options))


def fit(make: Make, scheduled: bool = False, seed: int = 0, ckpt_path: Any = None, **options: Any) -> Module:
    """A module after training."""
    module = Module(make, scheduled)
    torch.manual_seed(seed)
    trainer(**options).fit(module, ckpt_path=ckpt_path)
    return module


class Saver(lightning.Callback):
    """Saves once, after so many batches in all or at the end of an epoch.

    Args:
        path: of the check-point.
        batch: after this many batches.
        epoch: at the end of this epoch.
    """

    def __init__(self, path: Any, *, batch: int | None = None, epoch: int | None = None) -> None:
        self.path, self.batch, self.epoch = path, batch, epoch
        self.at = 0

    def on_train_batch_end(self, trainer: Any, module: Any, *rest: Any) -> None:
        if len(module.seen) == self.batch:
            self._save(trainer, module)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if self.epoch == module.current_epoch:
            self._save(trainer, module)

    def _save(self, trainer: Any, module: Any) -> None:
        self.at = len(module.seen)
        trainer.save_checkpoint(self.path)
