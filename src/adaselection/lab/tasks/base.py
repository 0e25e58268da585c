"""What a task is: data, a model, a loss for each sample, a metric and presets.

A task is one file of this package with a module-level ``TASK``, and one row in ``tasks/__init__.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from adaselection.errors import ArgumentError
from adaselection.lab.naming import lookup
from adaselection.lab.tasks.arrays import ArrayDataset
from adaselection.lab.tasks.regimes import REGIMES

__all__ = ["Evaluation", "LoadOptions", "Metric", "Preset", "Splits", "Task"]


@dataclass(frozen=True)
class Metric:
    """The number that a task is judged by.

    Attributes:
        name: Such as "accuracy" or "mse".
        unit: Such as "%"; empty where it has none.
        higher_is_better: Whether more is better.
    """

    name: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Preset:
    """Every number of a run that is not an argument of the command line.

    Attributes:
        model: A name in `adaselection.lab.models.MODELS`.
        epochs: Passes over the training set of a run at full budget.
        batch_size: Rows a training step.
        learning_rate: Of SGD; the peak where the schedule has one.
        momentum: Of SGD.
        weight_decay: Of SGD.
        schedule: Of the learning rate.
        train_size: Take this many training rows only, the first ones; None: all.
        test_size: Judge on this many test rows only, the first ones; None: all. For runs that must be short.
        vocabulary: Of text: this many of the training text's most frequent words, the rest become one; None: all.
        augment: Random crops and mirror images of the training pictures.
        score_mode: Whether the scoring pass runs the model in eval or in train mode.
    """

    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "one_cycle"] = "one_cycle"
    train_size: int | None = None
    test_size: int | None = None
    vocabulary: int | None = None
    augment: bool = False
    score_mode: Literal["eval", "train"] = "eval"


@dataclass(frozen=True)
class LoadOptions:
    """What a run asks of a task's data.

    Attributes:
        seed: Of the run: draws the noisy labels and the augmentation. Which rows are held out does not depend
            on it.
        label_noise: Share of the training labels to replace by another class, in [0, 1). Classification only.
        data_dir: Where to look for files first.
        hold_out: Split a validation set off the training set and hand out no test set, so that tuning cannot
            touch it.
        regime: A name in `adaselection.lab.tasks.regimes.REGIMES`: what the training data are like.

    Raises:
        ValueError: The share is outside [0, 1), there is no such regime, or noise is to be switched on and there
            is none.
    """

    seed: int = 0
    label_noise: float = 0.0
    data_dir: Path | None = None
    hold_out: bool = False
    regime: str = "plain"

    def __post_init__(self) -> None:
        if not 0.0 <= self.label_noise < 1.0:
            raise ArgumentError(
                f"label_noise is {self.label_noise}: it is a share of the training labels, in [0, 1). "
                "For 30 % give 0.3."
            )
        lookup(REGIMES, self.regime, "regime")
        if self.regime == "noise_switch" and not self.label_noise:
            raise ArgumentError(
                "regime noise_switch switches label noise on, and there is none: say how much, as in --label-noise 0.3."
            )


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; a part that is not handed out is empty.

    Attributes:
        train: What the run trains on.
        validation: Clean rows for tuning; empty unless ``hold_out``.
        test: Clean rows for the final number; empty where ``hold_out``.
        fingerprint: ``order:sha256`` of the decoded arrays before any split, subset, regime or noise.
        train_noisy: bool ``[n]``, for each training row whether its target is wrong, or will be once noise is
            switched on. For diagnosis alone: no policy may see it.

    Raises:
        ValueError: `train_noisy` has not one entry a training row.
    """

    train: ArrayDataset
    validation: ArrayDataset
    test: ArrayDataset
    fingerprint: str
    train_noisy: Tensor

    def __post_init__(self) -> None:
        if self.train_noisy.shape != (len(self.train),) or self.train_noisy.dtype != torch.bool:
            raise ArgumentError(
                f"train_noisy is {self.train_noisy.dtype} {list(self.train_noisy.shape)}, and there are "
                f"{len(self.train)} training rows: give one bool a row."
            )


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on one part.

    Attributes:
        value: The task's metric, in its unit.
        loss: Mean of the task's loss.
        collapsed: The model gives (nearly) the same answer to every input.
        worst_class: The metric on the class where it is worst; None where there are no classes.
    """

    value: float
    loss: float
    collapsed: bool
    worst_class: float | None = None


@dataclass(frozen=True)
class Task:
    """Data, model, loss, metric and presets of one problem.

    Attributes:
        name: As on the command line.
        summary: One line.
        kind: "classification", "regression" or "language", whose rows are sequences of words.
        metric: The number it is judged by.
        presets: "paper", "cpu" and "smoke"; some tasks have "brief" as well, the paper's protocol in seconds, and
            those on pictures in colour "gpu".
        load: Gives the data.
        build: Gives a fresh model. Its weights come from the global generator: seed it in a ``fork_rng``
            first.
        loss: Gives the loss: outputs and targets to one value a sample, shape [b].
        evaluate: Gives the metric of a model on a part. Leaves the model as it was.
        regimes: The regimes that ``load`` knows.
    """

    name: str
    summary: str
    kind: Literal["classification", "regression", "language"]
    metric: Metric
    presets: Mapping[str, Preset]
    load: Callable[[Preset, LoadOptions], Splits]
    build: Callable[[Preset, Splits], nn.Module]
    loss: Callable[[], nn.Module]
    evaluate: Callable[[nn.Module, ArrayDataset], Evaluation]
    regimes: tuple[str, ...] = ("plain",)

    def preset(self, name: str) -> Preset:
        """Return a preset by name.

        Raises:
            ValueError: There is none of that name; the message has the nearest.
        """
        return lookup(self.presets, name, f"preset of {self.name}")

    def check(self, options: LoadOptions) -> None:
        """Refuse what this task's data cannot be.

        Raises:
            ValueError: Label noise where there are no classes, or a regime that the task does not have.
        """
        if options.regime not in self.regimes:
            raise ArgumentError(
                f"{self.name} has no regime {options.regime} ({REGIMES[options.regime].summary}). "
                f"Choose one of: {', '.join(self.regimes)}."
            )
        if options.label_noise and self.kind == "language":
            raise ArgumentError(f"{self.name} is text and has no labels to make wrong. Leave --label-noise out.")
        wrong = "--regime outliers" if "outliers" in self.regimes else "--regime plain, which has outliers,"
        if options.label_noise and self.kind == "regression":
            raise ArgumentError(
                f"{self.name} is a regression task and has no labels to make wrong, so label_noise="
                f"{options.label_noise:g} has no meaning there. Use {wrong} for wrong targets, or leave it out."
            )
