"""A data set in memory that hands out whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from adaselection.lab.tasks.regimes import SWITCH_AT

__all__ = ["ArrayDataset", "Augment", "Normalize"]

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Normalize:
    """Turn stored pixels 0 to 255 into floats of about mean 0 and spread 1.

    Attributes:
        mean: One value a channel, of the pixels divided by 255.
        std: The same for the standard deviation.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 ``[b, c, h, w]`` to float32 ``[b, c, h, w]``."""
        shape = (1, len(self.mean), 1, 1)
        scale = 255.0 * torch.tensor(self.std).view(shape)
        shift = torch.tensor(self.mean).view(shape) / torch.tensor(self.std).view(shape)
        return images.to(torch.float32).div_(scale).sub_(shift)


@dataclass(frozen=True)
class Augment:
    """Random crop of the zero-padded picture, then a mirror image with probability 1/2.

    What happens to a row is a pure function of (seed, epoch, row): it does not depend on the batch, on the
    order, on a worker or on what other arms of a comparison do.

    Attributes:
        seed: Of the run.
        padding: Pixels of zeros on each side before the crop; a crop is shifted by up to so many.
    """

    seed: int
    padding: int = 4

    def __call__(self, images: Tensor, rows: Tensor, epoch: int) -> Tensor:
        """Map uint8 ``[b, c, h, w]`` and the row numbers ``[b]`` to uint8 ``[b, c, h, w]``."""
        channels, height, width = images.shape[1:]
        bits = torch.from_numpy(_random_bits(self.seed, epoch, rows.numpy()))  # [b], 63 bits
        shifts = 2 * self.padding + 1
        down, right, mirrored = bits % shifts, bits // shifts % shifts, (bits >> 62).bool()
        across = torch.arange(width)
        across = torch.where(mirrored[:, None], across.flip(0), across) + right[:, None]  # [b, w]
        along = torch.arange(height) + down[:, None]  # [b, h]
        pixels = along[:, :, None] * (width + 2 * self.padding) + across[:, None, :]  # [b, h, w]
        padded = nn.functional.pad(images, [self.padding] * 4).flatten(2)
        return padded.gather(2, pixels.flatten(1)[:, None].expand(-1, channels, -1)).view_as(images)


class ArrayDataset(Dataset[Batch]):
    """Inputs and targets as tensors; a batch is one indexing operation, not one a row.

    Use it with ``DataLoader(dataset, collate_fn=ArrayDataset.collate)``: the loader then asks for whole
    batches. Pictures stay uint8 in memory and become floats batch by batch.

    Args:
        inputs: ``[n, ...]``. Pictures are uint8 ``[n, c, h, w]``.
        targets: ``[n]``, int64 classes or float32 values.
        normalize: Applied to each batch of inputs.
        augment: Applied to each batch of pictures, before ``normalize``.
        late_targets: ``[n]``, the targets from `switch_at` on; None where they stay the same. Give it to train
            on targets that change in the middle of a run.
        switch_at: Share of the run after which ``late_targets`` count.

    Raises:
        ValueError: Inputs and targets differ in length.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        normalize: Normalize | None = None,
        augment: Augment | None = None,
        late_targets: Tensor | None = None,
        switch_at: float = SWITCH_AT,
    ) -> None:
        for given in (targets, targets if late_targets is None else late_targets):
            if len(inputs) != len(given):
                raise ValueError(f"{len(inputs)} inputs but {len(given)} targets: give one target a row.")
        self.inputs = inputs
        self.normalize = normalize
        self.augment = augment
        self.switch_at = switch_at
        self._early, self._late = targets, late_targets
        # In shared memory, so that workers that outlive an epoch see the next one too.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._switched = torch.zeros((), dtype=torch.bool).share_memory_()

    @property
    def targets(self) -> Tensor:
        """The targets ``[n]`` that count now."""
        return self._late if self._late is not None and self._switched else self._early

    def advance(self, done: float) -> None:
        """Say which share of the run is done. Call it before each step; workers follow.

        From `switch_at` on the late targets count. It depends on ``done`` alone, so a run that is taken up again
        trains on the same targets. Without late targets it does nothing.
        """
        if self._late is not None:
            self._switched.fill_(done >= self.switch_at)

    @property
    def epoch(self) -> int:
        """The epoch that augmentation draws for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on. Call it before each pass; workers follow."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Batch:
        """Return one row: its input ``[...]`` and its target ``[]``."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of a data set of {len(self)} rows")
        inputs, targets = self.__getitems__([index % len(self)])
        return inputs[0], targets[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a batch: inputs ``[b, ...]`` and targets ``[b]``, in the order of ``indices``."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        inputs = self.inputs.index_select(0, rows)  # copies whole rows; self.inputs[rows] goes by element
        if self.augment is not None:
            inputs = self.augment(inputs, rows, self.epoch)
        if self.normalize is not None:
            inputs = self.normalize(inputs)
        return inputs, self.targets[rows]

    @staticmethod
    def collate(batch: Any) -> Batch:
        """Hand on what ``__getitems__`` gave: it is a batch already."""
        inputs, targets = batch
        return inputs, targets


def _random_bits(seed: int, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """63 random bits a row from (seed, epoch, row): three rounds of splitmix64's mixing function.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    bits = np.zeros(rows.shape, dtype=np.uint64)
    for word in (np.int64(seed), np.int64(epoch), rows):
        bits = _mix(bits + np.asarray(word).astype(np.uint64))
    return (bits >> np.uint64(1)).astype(np.int64)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = bits + np.uint64(0x9E3779B97F4A7C15)  # arrays wrap around in silence, as wanted here
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
