"""Bike rentals a day in Washington: 731 days, of which 146 are the test set, drawn once and for all.

The target is ``cnt``. The columns ``casual`` and ``registered`` add up to it, and ``instant`` and ``dteday``
are the row's own, so none of the four is a feature. Categories become one column each. Features and target
are standardised with the mean and spread of the training rows alone, so the metric, the mean squared error of
the standardised target, reads as the share of the variance that is left unexplained: 1 is the training mean,
0.1 explains 90 %.

The regime ``outliers`` moves one training target in twenty up or down by 3 to 9 of these spreads, which is 10 to
30 times what a good model leaves unexplained, as in the task ``regression``. Features, spread and the rows that
judge stay as they are.

Source: Fanaee-T and Gama, "Event labeling combining ensemble detectors and background knowledge", 2013.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from adaselection.lab.data import load_arrays
from adaselection.lab.formats import BIKE_COLUMNS
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import ArrayDataset
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_regression
from adaselection.lab.tasks.regimes import regime_rows
from adaselection.lab.tasks.splits import move_targets, split_rows

__all__ = ["TASK"]

TARGET = "cnt"
CATEGORIES = ("season", "mnth", "weekday", "weathersit")
NUMBERS = ("yr", "holiday", "workingday", "temp", "atemp", "hum", "windspeed")
TEST_SHARE = 0.2
HELD_OUT_SHARE = 0.2
OUTLIER_SHARE = 0.05
OUTLIER_SHIFT = (3.0, 9.0)


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Load standardised features as float32 ``[n, 33]`` and standardised targets as float32 ``[n]``.

    Raises:
        ValueError: The options ask for label noise, or for a regime that the task does not have.
    """
    TASK.check(options)
    loaded = load_arrays("bike", options.data_dir)
    days = loaded.values["days"]
    columns = {name: days[:, index] for index, name in enumerate(BIKE_COLUMNS)}
    features, target = features_of(columns), columns[TARGET]

    rest, test = split_rows(len(days), round(TEST_SHARE * len(days)))
    rest = rest[: preset.train_size]
    rows = split_rows(len(rest), round(HELD_OUT_SHARE * len(rest)) if options.hold_out else 0)
    train, validation = rest[rows.train], rest[rows.held_out]
    chosen = regime_rows(options.regime, len(train))
    train = train[chosen.distinct.numpy()[chosen.places.numpy()]]
    features, target = _standardised(features, train), _standardised(target, train)

    def part(chosen: NDArray[np.int64]) -> ArrayDataset:
        return ArrayDataset(torch.from_numpy(features[chosen]).float(), torch.from_numpy(target[chosen]).float())

    clean = part(train)
    share = OUTLIER_SHARE if options.regime == "outliers" else 0.0
    moved = move_targets(clean.targets, share, OUTLIER_SHIFT, options.seed)
    return Splits(
        train=ArrayDataset(clean.inputs, moved),
        validation=part(validation),
        test=part(test[:0] if options.hold_out else test),
        fingerprint=loaded.fingerprint,
        train_noisy=moved != clean.targets,
    )


def features_of(columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Build the features ``[n, 33]``: a column of 0 and 1 for each value of a category, then the numbers."""
    categories = [
        (columns[name][:, None] == np.unique(columns[name])[None, :]).astype(np.float64) for name in CATEGORIES
    ]
    return np.concatenate([*categories, np.stack([columns[name] for name in NUMBERS], axis=1)], axis=1)


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: features ``[b, 33]`` to values ``[b]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), None)


def _standardised(values: NDArray[Any], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """Subtract the training rows' mean and divide by their spread; a constant column becomes 0."""
    mean, std = values[train].mean(axis=0), values[train].std(axis=0)
    return np.asarray((values - mean) / np.where(std > 0, std, 1.0), dtype=np.float64)


TASK = Task(
    name="bike",
    summary="bike rentals a day from calendar and weather, 585 + 146; a perceptron",
    kind="regression",
    metric=Metric(name="mse", unit="", higher_is_better=False),
    presets={
        "paper": Preset(
            model="mlp_small",
            epochs=100,
            batch_size=100,
            learning_rate=0.01,
            schedule="constant",
            score_mode="train",
        ),
        "cpu": Preset(model="mlp", epochs=50, batch_size=32, learning_rate=0.1, weight_decay=0.01),
        "smoke": Preset(model="mlp_small", epochs=2, batch_size=32, learning_rate=0.05),
    },
    load=load,
    build=build,
    loss=partial(nn.MSELoss, reduction="none"),
    evaluate=evaluate_regression,
    regimes=("plain", "duplicated", "outliers"),
)
