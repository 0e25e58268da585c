"""A line with noise and outliers: y = 2x + 1, 10,000 + 5,000 rows, generated.

x is uniform on [-5, 5] and every target has Gaussian noise of standard deviation 1. One training target in
twenty is an outlier as well: it is moved up or down, with equal probability, by 10 to 30.

The outliers are in the training rows *only*. The question is whether a method that is drawn to large losses
is led astray by rows that are wrong, so the judge must be rows that are right; outliers in the test set would
add the same large variance to every method's error and hide the difference. They go up as often as down, so
that they add variance and no bias, and training on every row is not handed a defeat. Test targets keep their
Gaussian noise: the best possible mean squared error is 1, and a relative difference of it means something. A
held-out validation set is clean in the same way. In the regime ``clean`` the training rows have no outliers
either; all else stays the same.

The data are the same for every run, as in the other tasks: they come from a seed of their own, and a run's
seed draws the weights and the order. The paper says neither the range of x, nor the noise, nor the outliers;
these numbers are assumptions.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from adaselection.lab.digests import array_digests, fingerprint
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import ArrayDataset
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_regression
from adaselection.lab.tasks.regimes import regime_rows
from adaselection.lab.tasks.splits import split_rows

__all__ = ["TASK"]

DATA_SEED = 0
TRAIN_ROWS, TEST_ROWS = 10_000, 5_000
SLOPE, INTERCEPT, NOISE = 2.0, 1.0, 1.0
X_LIMIT = 5.0
OUTLIER_SHARE = 0.05
OUTLIER_SHIFT = (10.0, 30.0)
HELD_OUT_SHARE = 0.2


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Generate inputs as float32 ``[n, 1]`` (x / 5) and targets as float32 ``[n]``.

    Raises:
        ValueError: The options ask for label noise, or for a regime that the task does not have.
    """
    TASK.check(options)
    draw = np.random.default_rng(DATA_SEED)
    x = draw.uniform(-X_LIMIT, X_LIMIT, TRAIN_ROWS + TEST_ROWS)
    clean = SLOPE * x + INTERCEPT + NOISE * draw.standard_normal(len(x))
    shift = np.zeros(len(x))
    outliers = draw.permutation(TRAIN_ROWS)[: round(OUTLIER_SHARE * TRAIN_ROWS)]
    shift[outliers] = draw.choice([-1.0, 1.0], len(outliers)) * draw.uniform(*OUTLIER_SHIFT, len(outliers))
    inputs, targets, moved = (torch.from_numpy(a).float() for a in (x / X_LIMIT, clean, clean + shift))

    size = TRAIN_ROWS if preset.train_size is None else preset.train_size
    rows = split_rows(size, round(HELD_OUT_SHARE * size) if options.hold_out else 0)
    test = slice(TRAIN_ROWS, TRAIN_ROWS if options.hold_out else None)
    chosen = regime_rows(options.regime, len(rows.train))
    train = torch.from_numpy(rows.train)[chosen.distinct][chosen.places]
    wrong = torch.zeros_like(train, dtype=torch.bool) if options.regime == "clean" else moved[train] != targets[train]
    return Splits(
        train=_part(inputs, targets if options.regime == "clean" else moved, train),
        validation=_part(inputs, targets, torch.from_numpy(rows.held_out)),
        test=_part(inputs, targets, test),
        fingerprint=fingerprint(f"seed-{DATA_SEED}", array_digests({"x": x, "clean": clean, "shift": shift})),
        train_noisy=wrong,
    )


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: ``[b, 1]`` to values ``[b]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), None)


def _part(inputs: Tensor, targets: Tensor, rows: Tensor | slice) -> ArrayDataset:
    return ArrayDataset(inputs[rows].unsqueeze(1), targets[rows])


TASK = Task(
    name="regression",
    summary="y = 2x + 1 with noise and outliers in training, 10,000 + 5,000, generated; a perceptron",
    kind="regression",
    metric=Metric(name="mse", unit="", higher_is_better=False),
    presets={
        "paper": Preset(
            model="mlp_small",
            epochs=20,
            batch_size=100,
            learning_rate=0.01,
            schedule="constant",
            score_mode="train",
        ),
        "cpu": Preset(model="mlp_small", epochs=10, batch_size=100, learning_rate=0.003),
        "smoke": Preset(model="mlp_small", epochs=1, batch_size=100, learning_rate=0.01, train_size=1_000),
    },
    load=load,
    build=build,
    loss=partial(nn.MSELoss, reduction="none"),
    evaluate=evaluate_regression,
    regimes=("plain", "duplicated", "clean"),
)
