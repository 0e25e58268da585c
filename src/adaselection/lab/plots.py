"""Figures as small SVG texts that follow the page: its font, its text colour, light or dark.

Every function is pure and deterministic (fixed ids, no date). Matplotlib is loaded on the first call. Colours are
Okabe and Ito's, which colour-blind readers tell apart; markers and dashes differ too, so that print will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from adaselection.lab import wording
from adaselection.lab.axes import Shown, mark_beyond, shown_range
from adaselection.lab.record import Losses, Weights
from adaselection.lab.summary import OPPONENT, Row, Study
from adaselection.lab.svg import ACCENT, DASHES, INK, PALETTE, look_of, svg_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["loss_distribution", "metric_against_budget", "metric_and_cost_against_rate", "weights_over_steps"]


def metric_against_budget(rows: Sequence[Row], study: Study) -> str | None:
    """Draw the metric against the cost, one line an arm, error bars of one standard deviation over the seeds.

    With a single budget there is no line to draw: the arms are then listed one below the other.

    Args:
        rows: One row an arm and budget (pick one rate before). Full training becomes a band.
        study: Names the metric.

    Returns:
        The SVG, or None where there is nothing to draw.
    """
    lines = _by_arm(rows)
    drawn = [arm for arm in lines if arm != "full"]
    if not drawn:
        return None
    if len({row.budget for arm in drawn for row in lines[arm]}) == 1:
        full_first = dict(sorted(lines.items(), key=lambda item: item[0] != "full"))
        return _metric_by_arm(full_first, study)
    shown = shown_range(rows)
    with svg_figure("budget", len(lines)) as (axes, result):
        _full_band(axes[0], rows)
        costs = [100 * row.units_share for arm in drawn for row in lines[arm]]
        step = max(max(costs) - min(costs), 10) / 100  # side by side, so that error bars do not hide each other
        for place, arm in enumerate(drawn):
            shift = (place - (len(drawn) - 1) / 2) * step
            _line(axes[0], arm, [100 * row.units_share + shift for row in lines[arm]], lines[arm], shown)
        axes[0].set_xlabel("cost (% of the full run's forward and backward work)")
        axes[0].set_ylabel(_metric_label(study))
    return result[0]


def _metric_by_arm(lines: dict[str, list[Row]], study: Study) -> str | None:
    shown = shown_range([row for group in lines.values() for row in group])
    with svg_figure("arms", 0, height=1.0 + 0.26 * len(lines)) as (axes, result):
        for place, (arm, group) in enumerate(lines.items()):
            look = look_of(arm) | {"linestyle": "none"}
            axes[0].errorbar([row.mean or 0.0 for row in group], [place] * len(group),
                             xerr=[row.sd or 0.0 for row in group], capsize=2.5, elinewidth=1.2, **look)  # fmt: skip
            for row in _beyond(group, shown):
                mark_beyond(axes[0], shown, row.mean or 0.0, place, across=True, colour=look["color"])
        if shown:
            axes[0].set_xlim(*shown)
        axes[0].set_yticks(range(len(lines)), list(lines))
        axes[0].set_ylim(len(lines) - 0.5, -0.5)
        axes[0].grid(False, axis="y")
        axes[0].set_xlabel(_metric_label(study))
    return result[0]


def metric_and_cost_against_rate(rows: Sequence[Row], study: Study) -> str | None:
    """Draw the metric (above) and the cost (below) against the sampling rate at one budget.

    The cost is seconds where every row has them, else units as a share of the full run. Arms without a rate are
    horizontal bands.

    Args:
        rows: The rows of one budget, and full training.
        study: Names the metric.

    Returns:
        The SVG, or None with fewer than two rates.
    """
    lines = _by_arm(row for row in rows if row.rate is not None)
    if len({row.rate for group in lines.values() for row in group}) < 2:
        return None
    timed, shown = all(row.seconds is not None for row in rows), shown_range(rows)
    with svg_figure("rate", len(lines) + 2, panels=2) as (axes, result):
        _full_band(axes[0], rows)
        flat = [row for row in rows if row.arm == OPPONENT and row.mean is not None]
        for row in flat[:1]:
            axes[0].axhline(row.mean or 0.0, color=INK, linestyle="-.", linewidth=1.4, label=OPPONENT)
            axes[1].axhline(_cost(row, timed), color=INK, linestyle="-.", linewidth=1.4)
        for arm, group in lines.items():
            x = [row.rate or 0.0 for row in group]
            _line(axes[0], arm, x, group, shown)
            axes[1].plot(x, [_cost(row, timed) for row in group], **look_of(arm))
        axes[0].set_ylabel(_metric_label(study))
        axes[1].set_ylabel("seconds" if timed else "cost (% of full)")
        axes[1].set_ylim(0, 1.15 * max(_cost(row, timed) for row in rows if row.arm != "full"))
        axes[1].set_xlabel("sampling rate (kept share of each scored batch)")
    return result[0]


def weights_over_steps(runs: Sequence[Weights]) -> str | None:
    """Draw the weight of each method over the steps: mean over the runs, a band from the least to the most.

    Args:
        runs: The weights of runs of one cell. Runs of other methods than the first run's are left out.

    Returns:
        The SVG, or None where there is nothing to draw.
    """
    runs = [run for run in runs if len(run.steps) > 1 and run.methods == runs[0].methods]
    if not runs:
        return None
    steps = np.asarray(runs[0].steps, dtype=float)
    with svg_figure("weights", len(runs[0].methods)) as (axes, result):
        for j, method in enumerate(runs[0].methods):
            values = np.stack([np.interp(steps, run.steps, np.asarray(run.values)[:, j]) for run in runs])
            look: dict[str, Any] = {"color": PALETTE[j % 5], "linestyle": DASHES[(j // 5 + j) % 3]}
            axes[0].fill_between(steps, values.min(0), values.max(0), color=look["color"], alpha=0.15, linewidth=0)
            axes[0].plot(steps, values.mean(0), label=method, **look)
        axes[0].set_ylim(0, None)
        axes[0].set_xlabel("selection steps")
        axes[0].set_ylabel("method weight (they sum to 1)")
    return result[0]


def loss_distribution(runs: Sequence[Losses]) -> str | None:
    """Draw how many samples were seen and how many kept, by loss; counts of runs with the same bins are added.

    Args:
        runs: Histograms of runs of one cell. Those with other bins than the first are left out.

    Returns:
        The SVG, or None where nothing was seen.
    """
    same = [run for run in runs if run.edges == runs[0].edges]
    if not same or not sum(sum(run.seen) for run in same):
        return None
    edges = np.asarray(same[0].edges, dtype=float)
    seen, kept = (np.sum([getattr(run, name) for run in same], axis=0, dtype=float) for name in ("seen", "kept"))
    total = seen.sum()
    widths = np.diff(edges)
    log = edges[1] > 0 and widths.max() > 4 * widths.min()
    if log and edges[0] <= 0:
        edges[0] = edges[1] ** 2 / edges[2]  # the first bin reaches down to 0, which a log axis cannot show
    with svg_figure("losses", 2) as (axes, result):
        axes[0].stairs(100 * seen / total, edges, fill=True, color=PALETTE[0], alpha=0.25, label="seen")
        axes[0].stairs(100 * seen / total, edges, color=PALETTE[0], linewidth=1)
        axes[0].stairs(100 * kept / total, edges, fill=True, color=ACCENT, alpha=0.8, label="kept")
        if log:
            axes[0].set_xscale("log")
            axes[0].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes[0].set_xlabel("loss of a sample" + (" (log scale)" if log else ""))
        axes[0].set_ylabel("samples (% of those seen)")
    return result[0]


def _by_arm(rows: Iterable[Row]) -> dict[str, list[Row]]:
    lines: dict[str, list[Row]] = {}
    for row in rows:
        if row.mean is not None:
            lines.setdefault(row.label, []).append(row)
    return {arm: sorted(group, key=lambda row: (row.budget, row.rate or 0.0)) for arm, group in lines.items()}


def _line(axes: Axes, arm: str, x: Sequence[float], rows: Sequence[Row], shown: Shown) -> None:
    means, spreads = [row.mean or 0.0 for row in rows], [row.sd or 0.0 for row in rows]
    axes.errorbar(x, means, yerr=spreads, capsize=2.5, elinewidth=0.9, label=arm, **look_of(arm))
    if shown:
        axes.set_ylim(*shown)
        for place, row in zip(x, rows, strict=True):
            if row in _beyond([row], shown):
                mark_beyond(axes, shown, row.mean or 0.0, place, across=False, colour=look_of(arm)["color"])


def _beyond(rows: Sequence[Row], shown: Shown) -> list[Row]:
    """The rows whose mean is outside the range shown."""
    return [row for row in rows if shown and row.mean is not None and not shown[0] <= row.mean <= shown[1]]


def _full_band(axes: Axes, rows: Sequence[Row]) -> None:
    for row in [row for row in rows if row.arm == "full" and row.mean is not None][:1]:
        centre, spread = row.mean or 0.0, row.sd or 0.0
        axes.axhspan(centre - spread, centre + spread, color=INK, alpha=0.08, linewidth=0)
        axes.axhline(centre, color=INK, linewidth=1, linestyle=":", label="full training")


def _cost(row: Row, timed: bool) -> float:
    return (row.seconds or 0.0) if timed else 100 * row.units_share


def _metric_label(study: Study) -> str:
    name = wording.metric(study.metric)
    return f"{name} ({study.unit})" if study.unit else name
