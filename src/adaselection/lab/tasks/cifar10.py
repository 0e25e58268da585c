"""CIFAR-10: small colour pictures of ten kinds of things, 50,000 + 10,000.

``paper`` has the paper's network and optimiser; what the paper does not name is in
`adaselection.lab.paper.assumptions`. ``cpu`` is a small residual network on the first 15,000 rows, ``brief`` a smaller
one on 5,000. In the shuffled order and in the official one any prefix is a random subset, but not the same subset:
compare runs of one fingerprint only.
"""

from __future__ import annotations

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
NORMALIZE = Normalize(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))  # of the training set


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Load the pictures as uint8 ``[n, 3, 32, 32]`` (batches: float32) and the classes as int64 ``[n]``.

    Raises:
        ValueError: The options ask for a regime that the task does not have.
    """
    TASK.check(options)
    loaded = load_arrays("cifar10", options.data_dir)
    return picture_splits(loaded, preset, options, classes=CLASSES, normalize=NORMALIZE)


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: pictures ``[b, 3, 32, 32]`` to logits ``[b, 10]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), CLASSES)


TASK = Task(
    name="cifar10",
    summary="32 x 32 colour pictures, 50,000 + 10,000; ResNet-18 as in the paper, or a small ResNet for CPUs",
    kind="classification",
    metric=Metric(name="accuracy", unit="%", higher_is_better=True),
    presets={
        "paper": PAPER,
        "cpu": Preset(
            model="resnet8",
            epochs=8,
            batch_size=128,
            learning_rate=0.5,
            weight_decay=5e-4,
            train_size=15_000,
            augment=True,
        ),
        "brief": BRIEF,
        "smoke": Preset(model="resnet8", epochs=1, batch_size=64, learning_rate=0.1, train_size=512, augment=True),
    },
    load=load,
    build=build,
    loss=partial(nn.CrossEntropyLoss, reduction="none"),
    evaluate=evaluate_classification,
    regimes=CLASSIFICATION,
)
