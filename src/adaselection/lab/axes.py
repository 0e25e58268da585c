"""How much of the metric an axis shows, so that a few arms that failed do not press all others into a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from adaselection.lab.summary import OPPONENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Drawn", "Shown", "mark_beyond", "shown_range"]

Shown = tuple[float, float] | None
_FAR = 3.0  # spreads from the median, and times that the range would grow
_MARGIN = 0.06
_NEAR = 0.12  # of the axis: closer together than this, values are written one below the other


@runtime_checkable
class Drawn(Protocol):
    """What is drawn at one place: mean and spread of the metric, how many runs collapsed, and of which arm."""

    @property
    def mean(self) -> float | None:
        """Mean of the metric."""

    @property
    def sd(self) -> float | None:
        """Standard deviation."""

    @property
    def collapsed(self) -> int:
        """Number of runs that collapsed."""

    @property
    def arm(self) -> str:
        """Name of the arm."""


def shown_range(rows: Sequence[Drawn]) -> Shown:
    """Return the range that an axis shows, or None where it shows everything.

    Out of the range are rows with collapsed runs, and rows further than three spreads from the median of the others
    (a spread is twice the median distance from it, or the median standard deviation, whichever is larger); but only
    where they would make the axis more than three times as long. Full training and the opponent are always in it.

    Args:
        rows: What is drawn.
    """
    known = [row for row in rows if row.mean is not None]
    sound = [row for row in known if not row.collapsed]
    if len(sound) < 2:
        return None
    means = np.asarray([row.mean for row in sound], dtype=float)
    centre = float(np.median(means))
    spread = max(2 * float(np.median(np.abs(means - centre))), float(np.median([row.sd or 0.0 for row in sound])))
    near = [row for row in sound if abs((row.mean or 0.0) - centre) <= _FAR * spread]
    near += [row for row in known if row.arm in ("full", OPPONENT) and row not in near]
    inner, whole = _ends(near), _ends(known)
    length = inner[1] - inner[0]
    if not length or whole[1] - whole[0] <= _FAR * length:
        return None
    return inner[0] - _MARGIN * length, inner[1] + _MARGIN * length


def mark_beyond(axes: Axes, shown: Shown, value: float, place: float, *, across: bool, colour: str) -> None:
    """Draw a triangle at the edge of the range for a value beyond it, with the value beside it.

    Args:
        axes: Where to draw.
        shown: The range of the metric.
        value: Beyond it.
        place: On the other axis.
        across: Whether the metric goes from left to right; else from bottom to top.
        colour: Of the arm.
    """
    if shown is None:
        return
    below = value < shown[0]
    edge = shown[0] if below else shown[1]
    x, y = (edge, place) if across else (place, edge)
    marker = ("<" if below else ">") if across else ("v" if below else "^")
    axes.plot([x], [y], marker=marker, markersize=7, color=colour, linestyle="none", clip_on=False, zorder=5)
    side = 1 if below else -1
    line = 0 if across else _values_near(axes, x, y)
    shift = (7 * side, 0) if across else (6, (5 + 9 * line) * side)
    along = "left" if below or not across else "right"
    up = "center" if across else "baseline"
    axes.annotate(f"{value:.3g}", (x, y), shift, textcoords="offset points", fontsize=8, ha=along, va=up)


def _values_near(axes: Axes, x: float, y: float) -> int:
    """How many values are written already beside one place of the edge."""
    from matplotlib.text import Annotation

    low, high = axes.get_xlim()
    written = [text.xy for text in axes.texts if isinstance(text, Annotation)]
    return len([other for other in written if other[1] == y and abs(other[0] - x) < _NEAR * (high - low)])


def _ends(rows: Sequence[Drawn]) -> tuple[float, float]:
    """The lowest and the highest end of the error bars."""
    lows = [(row.mean or 0.0) - (row.sd or 0.0) for row in rows]
    highs = [(row.mean or 0.0) + (row.sd or 0.0) for row in rows]
    return min(lows), max(highs)
