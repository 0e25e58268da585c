"""Handwritten digits, 8 x 8 pixels, bundled with scikit-learn: works offline and trains in seconds.

1,797 pictures, of which 500 are the test set, drawn once and for all. scikit-learn's file is the test part of
the original set ("Optical recognition of handwritten digits", UCI), without the writers' names, so the split
is by picture and not by writer. The paper has no such task: its ``paper`` preset has the paper's optimiser
settings.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from adaselection.lab.digests import array_digests, fingerprint
from adaselection.lab.models import build_model
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_classification
from adaselection.lab.tasks.regimes import CLASSIFICATION
from adaselection.lab.tasks.splits import classification_splits, split_rows

__all__ = ["TASK"]

CLASSES = 10
TEST_ROWS = 500
PIXEL_MAX = 16.0
HELD_OUT_SHARE = 0.2


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Load the pictures as float32 ``[n, 64]`` in [-1, 1], and the digits as int64 ``[n]``.

    Raises:
        ValueError: The options ask for a regime that the task does not have.
    """
    TASK.check(options)
    inputs, labels = _read()
    rows = split_rows(len(labels), TEST_ROWS)
    pixels = torch.from_numpy(inputs / (PIXEL_MAX / 2) - 1).float()
    digits = torch.from_numpy(labels)
    train, test = torch.from_numpy(rows.train), torch.from_numpy(rows.held_out)
    return classification_splits(
        (pixels[train], digits[train]),
        (pixels[test], digits[test]),
        preset,
        options,
        classes=CLASSES,
        held_out_share=HELD_OUT_SHARE,
        fingerprint=fingerprint("scikit-learn", array_digests({"inputs": inputs, "labels": labels})),
    )


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: pixels ``[b, 64]`` to logits ``[b, 10]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), CLASSES)


def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from sklearn.datasets import load_digits  # here, because it takes a second to import

    inputs, labels = load_digits(return_X_y=True)
    return np.asarray(inputs, dtype=np.float64), np.asarray(labels, dtype=np.int64)


TASK = Task(
    name="digits",
    summary="8 x 8 digits bundled with scikit-learn, 1,297 + 500; offline, seconds a run",
    kind="classification",
    metric=Metric(name="accuracy", unit="%", higher_is_better=True),
    presets={
        "paper": Preset(
            model="mlp",
            epochs=100,
            batch_size=128,
            learning_rate=0.01,
            schedule="constant",
            score_mode="train",
        ),
        "cpu": Preset(model="mlp", epochs=40, batch_size=64, learning_rate=0.1),
        "smoke": Preset(model="mlp_small", epochs=2, batch_size=64, learning_rate=0.1),
    },
    load=load,
    build=build,
    loss=partial(nn.CrossEntropyLoss, reduction="none"),
    evaluate=evaluate_classification,
    regimes=CLASSIFICATION,
)
