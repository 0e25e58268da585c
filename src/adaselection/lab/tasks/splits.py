"""Take a training set apart: prefix, held-out rows, regime, noisy labels. All of it is seeded and repeatable."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaselection.lab.tasks.arrays import ArrayDataset, Augment, Normalize
from adaselection.lab.tasks.base import LoadOptions, Preset, Splits
from adaselection.lab.tasks.regimes import regime_rows

__all__ = ["Rows", "classification_splits", "move_targets", "replace_labels", "split_rows"]

SPLIT_SEED = 20240103  # of every fixed split; a run's own seed never moves a row from one part to another
LABEL_NOISE_STREAM, OUTLIER_STREAM = 1, 2  # keep their draws apart from any other use of the run's seed


class Rows(NamedTuple):
    """Row numbers of the two sides of a split, each in rising order."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def split_rows(n: int, held_out: int) -> Rows:
    """Draw ``held_out`` of ``n`` rows, always the same ones.

    Args:
        n: Rows that there are.
        held_out: Rows to hold out.

    Returns:
        The two sides.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    return Rows(train=np.sort(order[held_out:]), held_out=np.sort(order[:held_out]))


def replace_labels(labels: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """Give a share of the rows another class, each of the other classes with equal probability.

    Args:
        labels: int64 ``[n]``. Left alone.
        share: Exactly ``round(share * n)`` labels change.
        classes: How many classes there are.
        seed: Draws the rows and their new classes.

    Returns:
        int64 ``[n]``.
    """
    draw = np.random.default_rng([seed, LABEL_NOISE_STREAM])
    rows = torch.from_numpy(draw.permutation(len(labels))[: round(share * len(labels))])
    steps = torch.from_numpy(draw.integers(1, classes, size=len(rows)))
    noisy = labels.clone()
    noisy[rows] = (noisy[rows] + steps) % classes
    return noisy


def move_targets(targets: Tensor, share: float, shift: tuple[float, float], seed: int) -> Tensor:
    """Move a share of the targets up or down, with equal probability, by a distance drawn from a range.

    Args:
        targets: float32 ``[n]``. Left alone.
        share: Exactly ``round(share * n)`` targets move.
        shift: Least and largest distance.
        seed: Draws the rows, directions and distances.

    Returns:
        float32 ``[n]``.
    """
    draw = np.random.default_rng([seed, OUTLIER_STREAM])
    rows = draw.permutation(len(targets))[: round(share * len(targets))]
    shifts = draw.choice([-1.0, 1.0], len(rows)) * draw.uniform(*shift, len(rows))
    moved = targets.clone()
    moved[torch.from_numpy(rows)] += torch.from_numpy(shifts).to(targets.dtype)
    return moved


def classification_splits(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    preset: Preset,
    options: LoadOptions,
    *,
    classes: int,
    held_out_share: float,
    normalize: Normalize | None = None,
    fingerprint: str,
) -> Splits:
    """Build the parts of a classification task.

    The first ``preset.train_size`` rows are taken, then the held-out rows go, then the regime takes its rows,
    then labels get noisy, and copies are copies of the noisy ones: regime and noise are in what trains and
    nowhere else.

    Args:
        train: Inputs ``[n, ...]`` and int64 labels ``[n]``.
        test: The same for the test set.
        preset: Says how many rows to take, and whether to augment.
        options: Of the run.
        classes: How many classes there are.
        held_out_share: Share of the training rows that ``options.hold_out`` takes out.
        normalize: For pictures.
        fingerprint: Of the whole data set.

    Returns:
        The parts.
    """
    inputs, labels = (part[: preset.train_size] for part in train)
    rows = split_rows(len(labels), round(held_out_share * len(labels)) if options.hold_out else 0)
    left, held_out = torch.from_numpy(rows.train), torch.from_numpy(rows.held_out)
    chosen = regime_rows(options.regime, len(left), labels[left], classes)
    kept, places = left[chosen.distinct], chosen.places
    clean = labels[kept]
    noisy = replace_labels(clean, options.label_noise, classes, options.seed)
    late = options.regime == "noise_switch"
    test_rows = 0 if options.hold_out else min(len(test[1]), preset.test_size or len(test[1]))
    return Splits(
        train=ArrayDataset(
            inputs[kept[places]],
            (clean if late else noisy)[places],
            normalize=normalize,
            augment=Augment(options.seed) if preset.augment else None,
            late_targets=noisy[places] if late else None,
        ),
        validation=ArrayDataset(inputs[held_out], labels[held_out], normalize=normalize),
        test=ArrayDataset(test[0][:test_rows], test[1][:test_rows], normalize=normalize),
        fingerprint=fingerprint,
        train_noisy=(noisy != clean)[places],
    )
