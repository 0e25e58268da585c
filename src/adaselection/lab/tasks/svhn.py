"""SVHN: digits of house numbers, cropped, in colour, 73,257 + 26,032; the extra rows of the set are left out.

Networks and presets are those of `cifar10`, without its augmentation: a mirrored digit is another picture.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import nn

from adaselection.lab.data import load_arrays
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import Normalize
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_classification
from adaselection.lab.tasks.pictures import BRIEF, PAPER, picture_splits
from adaselection.lab.tasks.regimes import CLASSIFICATION

__all__ = ["TASK"]

CLASSES = 10
NORMALIZE = Normalize(mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970))  # of the training set


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Load the pictures as uint8 ``[n, 3, 32, 32]`` (batches: float32) and the classes as int64 ``[n]``.

    Raises:
        ValueError: The options ask for a regime that the task does not have.
    """
    TASK.check(options)
    loaded = load_arrays("svhn", options.data_dir)
    return picture_splits(loaded, preset, options, classes=CLASSES, normalize=NORMALIZE)


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: pictures ``[b, 3, 32, 32]`` to logits ``[b, 10]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), CLASSES)


TASK = Task(
    name="svhn",
    summary="32 x 32 colour pictures of cropped house numbers, 73,257 + 26,032; the networks of cifar10",
    kind="classification",
    metric=Metric(name="accuracy", unit="%", higher_is_better=True),
    presets={
        "paper": replace(PAPER, augment=False),
        "cpu": Preset(
            model="resnet8",
            epochs=8,
            batch_size=128,
            learning_rate=0.5,
            weight_decay=5e-4,
            train_size=15_000,
        ),
        "brief": BRIEF,
        "smoke": Preset(model="resnet8", epochs=1, batch_size=64, learning_rate=0.1, train_size=512),
    },
    load=load,
    build=build,
    loss=partial(nn.CrossEntropyLoss, reduction="none"),
    evaluate=evaluate_classification,
    regimes=CLASSIFICATION,
)
