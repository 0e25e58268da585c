"""What the tasks on colour pictures of 32 x 32 have in common."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adaselection.lab.data import LoadedArrays, load_arrays
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import Normalize
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_classification
from adaselection.lab.tasks.regimes import CLASSIFICATION
from adaselection.lab.tasks.splits import classification_splits

__all__ = ["HELD_OUT_SHARE", "PRESETS", "picture_splits", "picture_task"]

HELD_OUT_SHARE = 0.1
PAPER = Preset(
    model="resnet18",
    epochs=30,
    batch_size=128,
    learning_rate=0.01,
    schedule="constant",
    augment=True,
    score_mode="train",
)
"""Table 2 of the paper; what it leaves out is in `adaselection.lab.paper.assumptions`."""
BRIEF = Preset(
    model="resnet8_narrow",
    epochs=4,
    batch_size=50,
    learning_rate=0.05,
    schedule="constant",
    train_size=5_000,
    test_size=5_000,
    score_mode="train",
)
"""The paper's protocol, small enough for the many runs of its grid on a CPU."""
CPU = Preset(
    model="resnet8",
    epochs=8,
    batch_size=128,
    learning_rate=0.5,
    weight_decay=5e-4,
    train_size=15_000,
    augment=True,
)
GPU = replace(CPU, model=PAPER.model, epochs=PAPER.epochs, learning_rate=0.1)
"""``cpu`` with the paper's network and passes: long enough to learn wrong labels by heart."""
SMOKE = Preset(model="resnet8", epochs=1, batch_size=64, learning_rate=0.1, train_size=512, augment=True)
PRESETS = {"paper": PAPER, "cpu": CPU, "gpu": GPU, "brief": BRIEF, "smoke": SMOKE}


def picture_task(name: str, summary: str, *, classes: int, normalize: Normalize, augment: bool = True) -> Task:
    """Make the task of a set of pictures, with `PRESETS`.

    Its data are uint8 ``[n, 3, 32, 32]`` (batches: float32) and classes int64 ``[n]``; its network gives logits
    ``[b, classes]``.

    Args:
        name: Of the task and of its arrays.
        summary: One line.
        classes: How many classes there are.
        normalize: With mean and spread of the training set.
        augment: Whether presets that augment do; not where a mirrored picture is another one.
    """

    def load(preset: Preset, options: LoadOptions) -> Splits:
        task.check(options)
        loaded = load_arrays(name, options.data_dir)
        return picture_splits(loaded, preset, options, classes=classes, normalize=normalize)

    def build(preset: Preset, splits: Splits) -> nn.Module:
        return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), classes)

    task = Task(
        name=name,
        summary=summary,
        kind="classification",
        metric=Metric(name="accuracy", unit="%", higher_is_better=True),
        presets={key: replace(preset, augment=preset.augment and augment) for key, preset in PRESETS.items()},
        load=load,
        build=build,
        loss=partial(nn.CrossEntropyLoss, reduction="none"),
        evaluate=evaluate_classification,
        regimes=CLASSIFICATION,
    )
    return task


def picture_splits(
    loaded: LoadedArrays, preset: Preset, options: LoadOptions, *, classes: int, normalize: Normalize
) -> Splits:
    """Take pictures as uint8 ``[n, 3, 32, 32]`` (batches: float32) and classes as int64 ``[n]``.

    Args:
        loaded: The arrays ``x_train``, ``x_test`` uint8 ``[n, 32, 32, 3]`` and ``y_train``, ``y_test`` ``[n]``.
        preset: Says how many rows to take, and whether to augment.
        options: Of the run.
        classes: How many classes there are.
        normalize: With mean and spread of the training set.

    Returns:
        The parts.
    """
    values, size = loaded.values, preset.train_size
    return classification_splits(
        (_channels_first(values["x_train"][:size]), torch.from_numpy(values["y_train"][:size]).long()),
        (_channels_first(values["x_test"]), torch.from_numpy(values["y_test"]).long()),
        preset,
        options,
        classes=classes,
        held_out_share=HELD_OUT_SHARE,
        normalize=normalize,
        fingerprint=loaded.fingerprint,
    )


def _channels_first(images: NDArray[Any]) -> Tensor:
    """Turn ``[n, h, w, c]`` into ``[n, c, h, w]``."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
