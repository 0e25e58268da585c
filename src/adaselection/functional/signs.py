"""What the recorded losses of a training give away: one pure function per question.

A question that the record cannot answer is answered by None, with the reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from adaselection._shapes import Float, Int
from adaselection.errors import ArgumentError
from adaselection.functional.mixture import TwoGroups, two_groups
from adaselection.types import LossKind

STARVED = 0.5
"""A class is starved when its instances get fewer visits than this share of the average."""
_SOFTENING = 0.1  # losses far below this are all equally learned
_SEPARATION, _VALLEY, _MOST = 2.0, 0.6, 0.5
_FEWEST = 50
_OUTLIER = 9.0  # three standard deviations, squared
_CHI = 0.4549  # median of the square of a standard normal number
_MUCH = 0.1  # share of a curve's fall, or of its start


@dataclass(frozen=True)
class ClassExposure:
    """Visits of each class's instances over those of all instances: 1 is even.

    Attributes:
        classes: the classes that occur, rising, shape ``[c]``.
        relative: mean visits of an instance of each class over the mean of all, shape ``[c]``.
        starved: classes below half of the mean, the least visited first.
    """

    classes: Int[Tensor, " c"]
    relative: Float[Tensor, " c"]
    starved: tuple[int, ...]


@dataclass(frozen=True)
class SuspectedNoise:
    """What recorded losses say about wrong labels, or about outliers where targets are numbers.

    Attributes:
        share: suspected share of the instances judged; None where the evidence is weak.
        suspicion: probability that an instance is of the suspected group, in [0, 1], shape ``[n]``, float64; 0 for
            all where `share` is None, and for instances that were not judged.
        reason: what the answer rests on, in words.
    """

    share: float | None
    suspicion: Float[Tensor, " n"]
    reason: str


@dataclass(frozen=True)
class Collapse:
    """Entropy of the method weights over its maximum, and the share of the commonest prediction; None if unknown."""

    entropy: float | None
    majority: float | None


@dataclass(frozen=True)
class FitSigns:
    """A sign of under- or overfitting, or None, and the reason in words."""

    sign: Literal["underfitting", "overfitting"] | None
    reason: str


def coverage(ages: Tensor, visits: Tensor, within_passes: float = 1.0) -> float | None:
    """Share of the instances that were trained on within so many passes; None without instances.

    Args:
        ages: passes since each instance was trained on last, shape ``[n]``.
        visits: how often each was trained on, shape ``[n]``; an instance of 0 visits is not covered.
        within_passes: at least 0.

    Raises:
        ArgumentError: the columns differ in length, or a negative number of passes.
    """
    _same_rows(ages=ages, visits=visits)
    if not within_passes >= 0:
        raise ArgumentError(f"within_passes={within_passes!r} must be at least 0: it is a number of passes.")
    if not len(visits):
        return None
    return ((visits > 0) & (ages <= within_passes)).double().mean().item()


def class_exposure(targets: Tensor, visits: Tensor) -> ClassExposure | None:
    """Visits of each class relative to even; None before the first visit.

    Args:
        targets: classes, integers of shape ``[n]``.
        visits: how often each instance was trained on, shape ``[n]``.

    Raises:
        ArgumentError: targets are no classes, or the columns differ in length.
    """
    _same_rows(targets=targets, visits=visits)
    if targets.is_floating_point():
        raise ArgumentError(f"targets are {targets.dtype}, and exposure counts classes. Give integers.")
    mean = visits.double().mean().item() if len(visits) else 0.0
    if mean == 0:
        return None
    classes, places, sizes = targets.long().unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(classes), dtype=torch.float64, device=visits.device)
    relative = sums.index_add_(0, places, visits.double()) / sizes / mean
    order = relative.argsort(stable=True)
    starved = classes[order][relative[order] < STARVED]
    return ClassExposure(classes, relative, tuple(starved.tolist()))


def suspected_noise(
    losses: Tensor, visits: Tensor, *, kind: LossKind = "other", least_visits: int = 2
) -> SuspectedNoise:
    """Tell wrong labels from recorded losses alone, where they stand apart.

    While a model learns the right labels and has not yet memorised the wrong ones, the two form two groups of losses.
    A mixture of two normal distributions is fitted to ``log(loss + 0.1)``, and believed only where one distribution
    is clearly worse (BIC), the groups are apart (Ashman's D above 2, and a valley of density between them), the upper
    one is the smaller, and it is *wrong*: a mean probability of the label below 1/2 for cross-entropy, and a loss of
    three standard deviations for other losses. Hard but right instances, a model that has learnt little, and one that
    has memorised all give one group, and the answer None. Where selection avoids high losses, those are old, and
    the share is less to be trusted.

    Args:
        losses: recorded losses, better their moving averages, shape ``[n]``. Non-finite ones are not judged.
        visits: how often each instance was trained on, shape ``[n]``.
        kind: what the losses are; all but cross-entropy are taken in units of their median, and of ``"other"``
            high ones that are not far off may still be wrong.
        least_visits: an instance of fewer visits is not judged: its loss is that of an early model.

    Raises:
        ArgumentError: the columns differ in length.
    """
    _same_rows(losses=losses, visits=visits)
    suspicion = torch.zeros(len(losses), dtype=torch.float64, device=losses.device)
    judged = (visits >= least_visits) & losses.isfinite()
    count = int(judged.sum())
    if count < max(_FEWEST, len(losses) / 2):
        had = f"{count} of {len(losses)} instances were trained on {least_visits} times or more"
        return SuspectedNoise(None, suspicion, f"too few visits: {had}")
    values = losses[judged].double().clamp_min(0)
    unit = 1.0 if kind == "cross_entropy" else values.median().item() / _CHI or 1.0
    values = (values / unit + _SOFTENING).log()
    groups = two_groups(values)
    weak = _weakness(groups, kind)
    if weak or groups is None:
        return SuspectedNoise(None, suspicion, weak)
    suspicion[judged] = groups.upper(values)
    low, high = (unit * (math.exp(mean) - _SOFTENING) for mean in groups.means.tolist())
    reason = f"two groups of losses, around {low:.2g} and {high:.2g}"
    return SuspectedNoise(suspicion[judged].mean().item(), suspicion, reason)


def _weakness(groups: TwoGroups | None, kind: LossKind) -> str:
    """Why the evidence is weak; empty where it is strong. Of losses of unknown kind nothing is ruled out."""
    other = kind == "other"
    ask = '; pass kind="cross_entropy" if that is what these losses are' if other else ""
    if groups is None or groups.gain <= 0 or groups.separation < _SEPARATION or groups.valley > _VALLEY:
        return f"the losses form one group; hard and wrong look alike, or wrong labels are memorised by now{ask}"
    wrong = math.log(2) if kind == "cross_entropy" else _OUTLIER
    if math.exp(groups.means[1].item()) - _SOFTENING < wrong:
        of_known_kind = "the instances of higher loss are learned too: they are harder, not wrong"
        return f"unknown: two groups of losses, but the upper one is not far off{ask}" if other else of_known_kind
    if groups.shares[1] >= _MOST:
        return f"most instances have a high loss: the model has not learned them yet{ask}"
    return ""


def collapse(weights: Tensor | None = None, predictions: Tensor | None = None) -> Collapse:
    """Entropy of method weights relative to its maximum, and the share of the commonest prediction.

    Args:
        weights: of the methods, shape ``[m]``, at least 0; need not sum to 1. One method alone has no entropy.
        predictions: predicted classes, integers of any shape.

    Raises:
        ArgumentError: weights are negative, not finite or all 0, or predictions are no integers.
    """
    entropy = majority = None
    if weights is not None:
        share = weights.detach().double().flatten()
        if not bool(share.isfinite().all()) or bool((share < 0).any()) or not share.sum() > 0:
            raise ArgumentError(f"weights={weights.tolist()} must be finite, at least 0 and not all 0.")
        share = share / share.sum()
        if len(share) > 1:
            entropy = -torch.special.xlogy(share, share).sum().item() / math.log(len(share))
    if predictions is not None:
        if predictions.is_floating_point():
            raise ArgumentError(f"predictions are {predictions.dtype}; give classes, for example logits.argmax(-1).")
        if predictions.numel():
            majority = predictions.unique(return_counts=True)[1].max().item() / predictions.numel()
    return Collapse(entropy, majority)


def fit_signs(curve: Sequence[float], *, recorded: Tensor | None = None, held_out: Sequence[float] = ()) -> FitSigns:
    """Look for signs of overfitting, then of underfitting.

    Overfitting: recorded losses are below half of the held-out loss, and that loss rose by over 5 % above its lowest,
    or lies above the recorded ones by more than a tenth of where the training began. Underfitting: the training loss
    fell by less than a tenth, or a tenth or more of its fall came in the last fifth of the run.

    Args:
        curve: training losses over the run, in order; numbers that are not finite are left out.
        recorded: recorded losses of the instances.
        held_out: losses on data not trained on, in order; the last alone will do.
    """
    losses = [float(loss) for loss in curve if math.isfinite(loss)]
    tests = [float(loss) for loss in held_out if math.isfinite(loss)]
    known = recorded[recorded.isfinite()] if recorded is not None else torch.empty(0)
    start = _mean(losses[: max(1, len(losses) // 10)]) if losses else None
    if tests and known.numel() and (mean := known.double().mean().item()) < tests[-1] / 2:
        compared = f"recorded losses average {mean:.2g} and the held-out loss is {tests[-1]:.2g}"
        if tests[-1] > 1.05 * min(tests):
            return FitSigns("overfitting", f"{compared}, up from {min(tests):.2g}")
        if start is not None and tests[-1] - mean > _MUCH * start:
            return FitSigns("overfitting", compared)
    if start is None or len(losses) < 10:
        return FitSigns(None, f"a curve of {len(losses)} points is too short to tell")
    fifth = len(losses) // 5
    end, before = _mean(losses[-fifth:]), _mean(losses[-2 * fifth : -fifth])
    if start > 0 and start - end < _MUCH * start:
        return FitSigns("underfitting", f"the training loss went from {start:.2g} to {end:.2g} only")
    late = (before - end) / (start - end) if start > end else 0.0
    if late >= _MUCH:
        return FitSigns("underfitting", f"{late:.0%} of the fall of the training loss came in the last fifth")
    return FitSigns(None, f"the training loss has levelled off at {end:.2g}" + ("" if tests else "; no held-out loss"))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _same_rows(**columns: Tensor) -> None:
    shapes = {name: tuple(column.shape) for name, column in columns.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        shown = " and ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
        raise ArgumentError(f"{shown}; give one number per instance of each, shape [n].")
