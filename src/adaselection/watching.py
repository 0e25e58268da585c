"""Whether cheap scores still rank rows as the true losses do, and what they cost, watched while training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adaselection import checks, kinds
from adaselection._shapes import Float

BAR = 0.5  # of the rank correlation, below which a warning is due
ENOUGH = (20, 3)  # batches trained on, or whole windows measured, before one is due
LOOK_EVERY = 20  # batches between two looks at the values, which may wait for an accelerator
HALF_LIFE = 50.0  # of the running correlations, in batches or measured windows
WARM = 2  # windows before the first that is measured


def rank_correlation(one: Float[Tensor, " b"], other: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Spearman's rank correlation, ties at their mean rank; without a host synchronisation.

    Rows where either number is not finite are left out. NaN where fewer than two rows are left, or all are equal.
    """
    valid = one.isfinite() & other.isfinite()
    count = valid.sum()
    centred = []
    for values in (one, other):
        ranks = _ranks(torch.where(valid, values, torch.inf))
        centred.append(torch.where(valid, ranks - (count - 1) / 2, 0))
    first, second = centred
    return (first * second).sum() / (first.square().sum() * second.square().sum()).sqrt()


def _ranks(values: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Rank of each value from 0 on, equal ones at the mean of their ranks."""
    ordered = values.sort().values
    low = torch.searchsorted(ordered, values)
    high = torch.searchsorted(ordered, values, right=True)
    return (low + high - 1).to(torch.float32 if values.device.type == "mps" else torch.float64) / 2


class Running:
    """Moving average of rank correlations; those without a value leave it as it is.

    Attributes:
        count: how many were added.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sums = torch.zeros(2, dtype=torch.float64)  # of the values and of their weights

    def add(self, correlation: Float[Tensor, ""]) -> None:
        """Take one more in."""
        fresh = 1 - 0.5 ** (1 / HALF_LIFE)
        sums = self._sums.to(correlation)
        moved = sums + fresh * (torch.stack((correlation, torch.ones_like(correlation))) - sums)
        self._sums = torch.where(correlation.isfinite(), moved, sums)
        self.count += 1

    @property
    def value(self) -> float | None:
        """The average, or None where there is none. Reading it may wait for an accelerator."""
        total, weight = self._sums.tolist()
        return total / weight if weight else None

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        return {"count": self.count, "sums": self._sums.detach().cpu().clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.count, self._sums = int(state["count"]), state["sums"].clone()


class ScoreWatch:
    """Running correlations of scores with true losses, and the cost of scoring.

    Args:
        every: windows between two that are also scored plainly; 0 for none.

    Attributes:
        kept: correlation over the rows trained on, with the losses that training computes anyway.
        window: correlation over whole windows, with the losses of the plain forward passes made to measure the cost.
        rows: rows judged, and those of them scored anew.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.kept, self.window = Running(), Running()
        self.rows = {"judged": 0, "scored": 0}
        self._windows = 0
        self._timed = {"cheap": 0, "plain": 0}  # rows
        self._seconds = {"cheap": 0.0, "plain": 0.0}
        self._warned = False

    def due(self) -> bool:
        """Whether the window that comes is to be measured; to be asked once for each."""
        self._windows += 1
        return self.every > 0 and (self._windows - 1) % self.every == min(WARM, self.every - 1)

    def judged(self, rows: int, scored: int) -> None:
        """Count a window, and the rows of it that were scored anew."""
        self.rows["judged"] += rows
        self.rows["scored"] += scored

    def timed(self, cheap: tuple[int, float], plain: tuple[int, float]) -> None:
        """Note how many rows of a window were scored in the cheap way and in the plain way, and the seconds of each."""
        for kind, (rows, seconds) in (("cheap", cheap), ("plain", plain)):
            if rows:
                self._timed[kind] += rows
                self._seconds[kind] += seconds

    @property
    def measured(self) -> bool:
        """Whether some window was measured."""
        return self._timed["plain"] > 0

    @property
    def cost(self) -> float | None:
        """Seconds of judging a row over those of a plain forward pass; None before both were measured.

        The ratio is taken on the measured windows, for rows that were scored anew, and multiplied with the share of
        such rows in all windows.
        """
        if not all(self._timed.values()) or not self._seconds["plain"]:
            return None
        cheap, plain = (self._seconds[kind] / self._timed[kind] for kind in ("cheap", "plain"))
        return cheap / plain * self.rows["scored"] / self.rows["judged"]

    def compare(self, scores: Float[Tensor, " b"], losses: Float[Tensor, " b"], *, whole: bool = False) -> None:
        """Correlate the scores with the true losses, of a batch trained on or of a ``whole`` window."""
        running = self.window if whole else self.kept
        running.add(rank_correlation(scores, losses))
        if not self._warned and (whole or running.count % LOOK_EVERY == 0):
            self._look()

    def _look(self) -> None:
        """Warn once when all that is known of the correlation is low."""
        known = [value for value in (self.kept.value, self.window.value) if value is not None]
        enough = self.kept.count >= ENOUGH[0] or self.window.count >= ENOUGH[1]
        if not enough or not known or max(known) >= BAR:
            return
        self._warned = True
        checks.warn(
            f"the scores rank the rows differently from the true losses: rank correlation {max(known):.2f}, below "
            f"{BAR:g}, so the rows kept are hardly those meant. Make the scores less cheap: a smaller shrink, a proxy "
            "that is trained on the same data, fewer passes of reuse; or leave cheap= out."
        )

    def state_dict(self) -> dict[str, Any]:
        """What was counted and measured."""
        return {
            "kept": self.kept.state_dict(),
            "window": self.window.state_dict(),
            "windows": self._windows,
            "rows": dict(self.rows),
            "timed": dict(self._timed),
            "seconds": dict(self._seconds),
        }

    def check(self, state: Any) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is none.
        """
        own = self.state_dict()
        kinds.check(own, state, "score")
        for name in ("kept", "window"):
            if state[name]["sums"].shape != own[name]["sums"].shape:
                raise kinds.damaged("score", f"{name}.sums", state[name]["sums"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.kept.load_state_dict(state["kept"])
        self.window.load_state_dict(state["window"])
        self._windows = int(state["windows"])
        self.rows, self._timed = dict(state["rows"]), dict(state["timed"])
        self._seconds = dict(state["seconds"])
