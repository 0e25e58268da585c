"""Losses on their way from the training loop into the record."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from adaselection import distributed
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.errors import AdaSelectionError, LossShapeError, NonFiniteLossError
from adaselection.meter import Meter
from adaselection.records import RecordedLosses
from adaselection.types import Signals
from adaselection.walks import Drawn

_FORGOTTEN = 256  # batches handed out and not recorded that are too many to be in flight
_BAD_SHARE = 0.25


class Recorder:
    """Matches losses with the instances of the batches handed out, first in, first out, and records them in bulk.

    Args:
        records: the store.
        policy: told about every loss that comes in.
        ids: number of an instance in the data set to its id in the store, shape ``[n]``; the number itself if None.
    """

    def __init__(self, records: RecordedLosses, policy: Policy, ids: Tensor | None) -> None:
        self.records = records
        self.policy = policy
        self.meter = Meter()
        self.now = records.last_pass
        self._ids = ids
        self._waiting: deque[Drawn] = deque()
        self._numbers: list[int] = []
        self._losses: list[Tensor] = []
        self._columns: dict[str, list[Tensor]] = {}

    def hand_out(self, drawn: Drawn) -> None:
        """Note that a batch goes to the training loop."""
        self._waiting.append(drawn)
        if len(self._waiting) > _FORGOTTEN:
            raise AdaSelectionError(
                f"{_FORGOTTEN} batches went out and none of their losses came back, so nothing can be chosen "
                "from them. Write loss = loader.record(per_sample_losses) in the loop, once for each batch."
            )

    def record(self, losses: Tensor, columns: dict[str, Tensor]) -> Tensor:
        """Take the losses of the oldest batch that waits; returns their mean, weighted where the draw has weights."""
        if not self._waiting:
            raise AdaSelectionError(
                "record() was called more often than batches were handed out; call it once a batch."
            )
        drawn = self._waiting[0]
        if losses.shape != (len(drawn.ids),):
            raise LossShapeError(
                f"record() needs one loss for each row of the batch, shape [{len(drawn.ids)}]; got "
                f'{tuple(losses.shape)}. Use a loss with reduction="none", and call record() once for each batch.'
            )
        self._waiting.popleft()
        self._numbers += drawn.ids
        self._losses.append(losses.detach())
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values.detach())
        if drawn.weights is None:
            return losses.mean()
        return (losses * drawn.weights.to(losses)).mean()

    def read(self, numbers: Tensor) -> Signals:
        """What is known of instances of the data set."""
        return self.records.read(self.to_ids(numbers), now=self.now)

    def to_ids(self, numbers: Tensor) -> Tensor:
        """Ids in the store of instances of the data set."""
        return numbers if self._ids is None else self._ids[numbers]

    def flush(self) -> None:
        """Put the losses that came in since the last flush into the store.

        Raises:
            NonFiniteLossError: more than a quarter of them are NaN or infinite; names the instances.
        """
        if not self._losses:
            return
        numbers, losses = torch.tensor(self._numbers, dtype=torch.int64), torch.cat(self._losses).float()
        columns = {name: torch.cat(values) for name, values in self._columns.items()}
        self._numbers, self._losses, self._columns = [], [], {}
        losses = losses.to(self.records.device)
        _refuse_nonfinite(numbers, losses)
        before = self.read(numbers)
        for info in self.policy.updates:
            columns |= info(before, losses)
        self.records.update(self.to_ids(numbers), losses, now=self.now, **columns)
        self.policy.observe(before, losses)

    def end_pass(self) -> None:
        """A pass is over: later losses belong to the next one."""
        self.flush()
        self.now += 1
        if distributed.world_size() > 1:
            self.records.merge()

    def forget(self) -> None:
        """Drop what is on its way, as after loading a state."""
        self._waiting.clear()
        self._numbers, self._losses, self._columns = [], [], {}


def _refuse_nonfinite(numbers: Tensor, losses: Tensor) -> None:
    """Raise where too many losses are not finite."""
    bad = ~losses.isfinite().cpu()
    if int(bad.sum()) > _BAD_SHARE * bad.shape[0]:
        rows = numbers[bad].tolist()
        shown = ", ".join(map(str, rows[:20])) + (", ..." if len(rows) > 20 else "")
        raise NonFiniteLossError(
            f"{len(rows)} of the last {bad.shape[0]} losses are NaN or infinite (instances {shown}). Nothing of these "
            "was recorded. Lower the learning rate, or look at these instances.",
            rows,
        )


def grad_norms(outputs: Tensor, targets: Tensor, features: Tensor | None) -> Tensor:
    """Bound of each row's gradient norm from the last layer: the norm at the logits, times that of its input.

    Source: Katharopoulos & Fleuret 2018 (1803.00942).
    """
    outputs = outputs.detach()
    if targets.is_floating_point():
        norms = F.squared_error_grad_norm(outputs, targets)
    else:
        norms = F.cross_entropy_grad_norm(outputs, targets)
    return norms if features is None else norms * (features.detach().flatten(1).square().sum(1) + 1).sqrt()
