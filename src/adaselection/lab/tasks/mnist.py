"""MNIST: handwritten digits, 28 x 28 pixels, 60,000 + 10,000.

The paper has no such task: its ``paper`` preset has the paper's optimiser settings on this data.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from adaselection.lab.data import load_arrays
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import Normalize
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_classification
from adaselection.lab.tasks.regimes import CLASSIFICATION
from adaselection.lab.tasks.splits import classification_splits

__all__ = ["TASK"]

CLASSES = 10
HELD_OUT_SHARE = 0.1
NORMALIZE = Normalize(mean=(0.1307,), std=(0.3081,))  # of the training set


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Load the pictures as uint8 ``[n, 1, 28, 28]`` (batches: float32) and the digits as int64 ``[n]``.

    Raises:
        ValueError: The options ask for a regime that the task does not have.
    """
    TASK.check(options)
    loaded = load_arrays("mnist", options.data_dir)
    parts = [
        (
            torch.from_numpy(loaded.values[f"x_{split}"]).unsqueeze(1),
            torch.from_numpy(loaded.values[f"y_{split}"]).long(),
        )
        for split in ("train", "test")
    ]
    return classification_splits(
        parts[0],
        parts[1],
        preset,
        options,
        classes=CLASSES,
        held_out_share=HELD_OUT_SHARE,
        normalize=NORMALIZE,
        fingerprint=loaded.fingerprint,
    )


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: pictures ``[b, 1, 28, 28]`` to logits ``[b, 10]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), CLASSES)


TASK = Task(
    name="mnist",
    summary="28 x 28 digits, 60,000 + 10,000; a small convolutional network",
    kind="classification",
    metric=Metric(name="accuracy", unit="%", higher_is_better=True),
    presets={
        "paper": Preset(
            model="convnet",
            epochs=20,
            batch_size=128,
            learning_rate=0.01,
            schedule="constant",
            score_mode="train",
        ),
        "cpu": Preset(model="convnet", epochs=5, batch_size=128, learning_rate=0.1, train_size=20_000),
        "brief": Preset(
            model="convnet",
            epochs=4,
            batch_size=50,
            learning_rate=0.03,
            schedule="constant",
            train_size=4_000,
            score_mode="train",
        ),
        "smoke": Preset(model="mlp_small", epochs=1, batch_size=128, learning_rate=0.1, train_size=2_000),
    },
    load=load,
    build=build,
    loss=partial(nn.CrossEntropyLoss, reduction="none"),
    evaluate=evaluate_classification,
    regimes=CLASSIFICATION,
)
