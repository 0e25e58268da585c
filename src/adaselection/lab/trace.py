"""What a run leaves behind for the report: its loss curve, method weights, and losses seen and kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adaselection import RecordedLoader, Selection, SelectiveLoader, Signals

POINTS = 100
BINS = 30
_LATE = 0.75  # losses are gathered over the last quarter of the run


class Trace:
    """Collects while a run goes on, with a bounded number of points."""

    def __init__(self) -> None:
        self._every = 1
        self._steps = 1
        self._step = 0
        self._sum = 0.0
        self._count = 0
        self._curve: list[tuple[int, float]] = []
        self._weights: list[tuple[int, dict[str, float]]] = []
        self._seen: list[np.ndarray[Any, Any]] = []
        self._kept: list[np.ndarray[Any, Any]] = []

    def plan(self, steps: int) -> None:
        """Say how many steps will come."""
        self._steps = steps
        self._every = -(-steps // POINTS)

    def step(self, step: int, loss: float, loader: SelectiveLoader | RecordedLoader) -> None:
        """Take the training loss of a step, and now and then the methods' weights."""
        self._step = step
        self._sum += loss
        self._count += 1
        if step % self._every == 0 or step == self._steps:
            self._curve.append((step, self._sum / self._count))
            self._sum, self._count = 0.0, 0
            if loader.policy.rate < 1:
                self._weights.append((step, loader.policy.weights))

    def selected(self, signals: Signals, selection: Selection) -> None:
        """Take the losses of a window and which of them were kept."""
        if self._step >= _LATE * self._steps and bool(signals.losses.any()):
            losses = signals.losses.detach().float()
            self._seen.append(losses.cpu().numpy())
            self._kept.append(losses[selection.indices].cpu().numpy())

    def as_dict(self, units: float) -> dict[str, Any]:
        """Curve, weights and losses as a record has them.

        Args:
            units: Cost of one step.
        """
        curve = [{"step": step, "units": step * units, "train_loss": _round(loss)} for step, loss in self._curve]
        return {"curve": curve, "weights": self._weight_rows(), "losses": self._histogram()}

    def _weight_rows(self) -> dict[str, Any] | None:
        if not self._weights or len(self._weights[0][1]) < 2:
            return None
        return {
            "methods": list(self._weights[0][1]),
            "steps": [step for step, _ in self._weights],
            "values": [[_round(value) for value in weights.values()] for _, weights in self._weights],
        }

    def _histogram(self) -> dict[str, Any] | None:
        """Bins from 0 (or below) to a round number above the 99th percentile; the last one also holds all above."""
        if not self._seen:
            return None
        seen, kept = np.concatenate(self._seen), np.concatenate(self._kept)
        seen, kept = seen[np.isfinite(seen)], kept[np.isfinite(kept)]
        if not seen.size:
            return None
        low, high = 0.0 - _round_up(-float(seen.min())), _round_up(float(np.quantile(seen, 0.99)))
        if not high > low:
            return None
        edges = np.linspace(low, high, BINS + 1)
        counts = (np.histogram(np.minimum(part, high), edges)[0].tolist() for part in (seen, kept))
        return {"edges": [_round(edge) for edge in edges], **dict(zip(("seen", "kept"), counts, strict=True))}


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, ... in any power of ten, so that runs of several seeds share their bins; 0 below 0."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value))


def _round(value: float) -> float:
    """Six digits are plenty for a picture, and keep records small."""
    return float(f"{value:.6g}")
