"""Diagnosis of a training from its record: coverage, classes, wrong labels, collapse, fit.

Everything comes from what was recorded anyway; no model is run. `diagnose` asks all questions at once, and each has
a function of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from adaselection import checks
from adaselection.errors import ArgumentError
from adaselection.functional.signs import (
    ClassExposure,
    Collapse,
    FitSigns,
    SuspectedNoise,
    class_exposure,
    collapse,
    coverage,
    fit_signs,
    suspected_noise,
)
from adaselection.types import LossKind, Signals

__all__ = [
    "ClassExposure",
    "Collapse",
    "Diagnosis",
    "FitSigns",
    "SuspectedNoise",
    "class_exposure",
    "collapse",
    "coverage",
    "diagnose",
    "fit_signs",
    "suspected_noise",
]


@dataclass(frozen=True)
class Diagnosis:
    """All answers; `str()` is a table.

    Attributes:
        instances: how many there are.
        kind: what the losses are.
        coverage: share trained on within `lately` passes; None without instances.
        lately: passes that count as lately.
        never: how many were never trained on.
        exposure: of the classes; None without classes or visits.
        noise: suspected wrong labels.
        collapse: of weights and predictions.
        fit: signs of under- and overfitting.
    """

    instances: int
    kind: LossKind
    coverage: float | None
    lately: float
    never: int
    exposure: ClassExposure | None
    noise: SuspectedNoise
    collapse: Collapse
    fit: FitSigns

    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """What was asked, the answer, and what there is to say about it."""
        passes = "pass" if self.lately == 1 else f"{self.lately:.3g} passes"
        covered = f"trained on in the last {passes}; {self.never} of {self.instances} never"
        entropy = self.collapse.entropy
        return (
            ("coverage", _percent(self.coverage), covered),
            ("class exposure", *_exposure(self.exposure)),
            (f"suspected {'label noise' if self.kind == 'cross_entropy' else 'outliers'}",
             _percent(self.noise.share), self.noise.reason + self._caution()),
            ("weight entropy", "unknown" if entropy is None else f"{max(0.0, entropy):.2f}",
             "of the methods; 1: equal weights, 0: one method has all"),
            ("majority prediction", _percent(self.collapse.majority), "share of the commonest answer"),
            ("fit", self.fit.sign or "no sign of over- or underfitting", self.fit.reason),
        )  # fmt: skip

    def _caution(self) -> str:
        """Rules that avoid high losses leave them old, and an old loss tells less about a label."""
        old = self.noise.share is not None and self.coverage is not None and self.coverage < 0.5
        return "; most of the losses are old, so take it with care" if old else ""

    def __str__(self) -> str:
        rows = self.rows()
        name, answer = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{row[0]:<{name}}  {row[1]:<{answer}}  {row[2]}" for row in rows)


def diagnose(
    signals: Signals,
    *,
    kind: LossKind | None = None,
    targets: Tensor | None = None,
    weights: Tensor | None = None,
    predictions: Tensor | None = None,
    curve: Sequence[float] | None = None,
    held_out: Sequence[float] | None = None,
    pass_length: float = 1.0,
) -> Diagnosis:
    """Ask every question of a record.

    Args:
        signals: of all instances, as the record of losses gives them: needs `visits` and `ages`.
        kind: what the losses are; that of the signals if None. A record does not know: pass ``"cross_entropy"`` for
            a plain cross-entropy, without class weights or label smoothing, to have wrong labels judged by the
            probability of the label.
        targets: what was trained on, shape ``[n]``. Integers are classes; numbers of regression are not looked at.
        weights: of the methods, shape ``[m]``.
        predictions: predicted classes, integers.
        curve: training losses over the run, in order.
        held_out: losses on data not trained on, in order; the last alone will do.
        pass_length: passes in which as many rows are trained on as there are instances: 1 / rate. An instance that
            was trained on within so many counts as covered.

    Raises:
        ArgumentError: signals lack visits or ages, a column has another length, or there is no such kind.
    """
    kind = checks.one_of("kind", kind, get_args(LossKind), optional=True) or signals.kind
    if signals.visits is None or signals.ages is None:
        raise ArgumentError(
            "these signals have no visits or no ages, and a diagnosis is made from the record of the instances. "
            "Take them from RecordedLosses.read(ids, now=...)."
        )
    losses = signals.smoothed
    known = signals.visits > 0 if signals.valid is None else signals.valid & (signals.visits > 0)
    losses = torch.where(known, losses.float(), torch.nan)
    has_classes = targets is not None and not targets.is_floating_point()
    return Diagnosis(
        instances=len(losses),
        kind=kind,
        coverage=coverage(signals.ages, signals.visits, pass_length),
        lately=float(pass_length),
        never=int((signals.visits == 0).sum()),
        exposure=class_exposure(targets, signals.visits) if targets is not None and has_classes else None,
        noise=suspected_noise(losses, signals.visits, kind=kind),
        collapse=collapse(weights, predictions),
        fit=fit_signs(curve or (), recorded=losses, held_out=held_out or ()),
    )


def _exposure(exposure: ClassExposure | None) -> tuple[str, str]:
    if exposure is None:
        return "unknown", "no classes, or nothing was trained on"
    low, high = exposure.relative.min().item(), exposure.relative.max().item()
    starved = ", ".join(map(str, exposure.starved[:10])) + (", ..." if len(exposure.starved) > 10 else "")
    says = f"starved (under half of even): {starved}" if starved else "visits of a class, 1 is even; none is starved"
    return f"{low:.2f} to {high:.2f}", says


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"
