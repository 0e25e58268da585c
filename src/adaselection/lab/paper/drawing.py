"""Drawings in the paper's form. Pure and deterministic; lines differ in colour, marker and dashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from adaselection.lab.axes import mark_beyond, shown_range
from adaselection.lab.paper import equations, plan
from adaselection.lab.svg import ACCENT, INK, PALETTE, svg_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Point", "beta_sweep", "cost_against_rate", "eq_3", "eq_3_sums", "eq_4", "metric_against_rate"]

BLUE, GREEN, PINK, YELLOW, SKY = PALETTE


def _look(colour: str, marker: str, dashes: str, width: float = 1.6) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "linestyle": dashes, "linewidth": width}


_LOOKS: Mapping[str, dict[str, Any]] = {
    "uniform": _look(INK, "o", "-."), "best": _look(ACCENT, "s", "-", 2.4),
    "big_loss": _look(BLUE, "^", "-"), "small_loss": _look(GREEN, "v", "--"), "adaboost": _look(PINK, "D", ":"),
    "grad_norm": _look(YELLOW, "P", "-."), "coreset_1": _look(SKY, "X", "--"), "coreset_2": _look(BLUE, "*", ":"),
    "mix_big_small_cl": _look(BLUE, "^", "-"), "mix_big_small": _look(BLUE, "v", "--"),
    "mix_big_small_uniform_cl": _look(GREEN, "D", "-"), "mix_big_small_uniform": _look(GREEN, "P", "--"),
    "mix_with_grad_norm_cl": _look(PINK, "X", "-."), "mix_with_coreset_1_cl": _look(YELLOW, "*", ":"),
    "same_cost": _look(INK, "d", ":"), "recorded": _look(ACCENT, "h", "--"), "fresh_default": _look(ACCENT, "s", "-"),
    "scored": _look(ACCENT, "s", "-"), "cifar10": _look(BLUE, "^", "-"), "cifar100": _look(GREEN, "v", "--"),
    "svhn": _look(ACCENT, "s", "-.", 2.2), "regression": _look(PINK, "D", "-"), "bike": _look(YELLOW, "P", "--"),
    "wikitext2": _look(SKY, "X", ":"),
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One place of a curve: `x`, mean and spread. `arm` names the row, for the range of the axis."""

    x: float
    mean: float | None
    sd: float | None
    collapsed: int = 0
    arm: str = ""


@dataclass(frozen=True)
class Curve:
    """One curve: the key of its look, its label and its points."""

    key: str
    label: str
    points: tuple[Point, ...]


def metric_against_rate(curves: Sequence[Curve], full: Point | None, metric: str) -> str | None:
    """Draw a metric against the sampling rate, error bars of one standard deviation over the seeds.

    Args:
        curves: One a row. Curves without points are left out.
        full: Training on everything, a band.
        metric: Name and unit, for the axis.

    Returns:
        The SVG, or None where there is nothing to draw.
    """
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return None
    shown = shown_range([point for curve in drawn for point in curve.points] + ([full] if full else []))
    with svg_figure("rates", len(drawn) + bool(full), height=3.4 + 0.19 * ((len(drawn) + 2) // 2)) as (axes, result):
        if full and full.mean is not None:
            spread = full.sd or 0.0
            axes[0].axhspan(full.mean - spread, full.mean + spread, color=INK, alpha=0.08, linewidth=0)
            axes[0].axhline(full.mean, color=INK, linewidth=1, linestyle=":", label="No sampling")
        _curves(axes[0], drawn, spacing=0.004)
        if shown:
            axes[0].set_ylim(*shown)
            for curve in drawn:
                for point in curve.points:
                    if point.mean is not None and not shown[0] <= point.mean <= shown[1]:
                        colour = _LOOKS[curve.key]["color"]
                        mark_beyond(axes[0], shown, point.mean, point.x, across=False, colour=colour)
        axes[0].set_ylabel(metric)
        axes[0].set_xlabel("sampling rate (kept share of each scored batch)")
    return result[0]


def cost_against_rate(work: Sequence[Curve], seconds: Sequence[Curve], saved: float = 0.2) -> str | None:
    """Draw counted work, and below it seconds where there are any, in % of training on everything.

    Args:
        work: Curves of counted work.
        seconds: Curves of seconds, none where no run had the machine to itself.
        saved: A dashed line stands at what is left of 1 when this share is saved.
    """
    if not any(curve.points for curve in work):
        return None
    with svg_figure("cost", len(work) if not seconds else len(seconds) + 1, panels=1 + bool(seconds)) as (axes, result):
        for panel, curves in zip(axes, (work, seconds), strict=False):
            panel.axhline(
                100 * (1 - saved),
                color=INK,
                linewidth=1,
                linestyle="--",
                label="a saving of 20 %" if panel is axes[0] else None,
            )
            _curves(panel, curves, spacing=0.0)
            panel.set_ylim(0, None)
        axes[0].set_ylabel("counted work (% of full)")
        axes[-1].set_xlabel("sampling rate (kept share of each scored batch)")
        if seconds:
            axes[1].set_ylabel("seconds (% of full)")
            handles = [axis.get_legend_handles_labels() for axis in axes]
            _legend_of_all(axes[0], handles)
    return result[0]


def _legend_of_all(axes: Axes, found: Sequence[tuple[list[Any], list[str]]]) -> None:
    """Let the first panel know the labels of the second: the legend is made of the first."""
    known = set(found[0][1])
    for handle, label in zip(*found[1], strict=True):
        if label not in known:
            look = handle[0] if isinstance(handle, tuple) else handle
            axes.plot(
                [], [], color=look.get_color(), marker=look.get_marker(), linestyle=look.get_linestyle(), label=label
            )


def beta_sweep(accuracies: Sequence[Curve], losses: Sequence[Curve]) -> str | None:
    """Draw the metric against beta, as the difference from beta 0, paired by seed: points above, percent below."""
    panels = [(curves, name) for curves, name in ((accuracies, "accuracy\n(points)"), (losses, "loss (%)")) if curves]
    if not panels:
        return None
    with svg_figure("beta", len(accuracies) + len(losses), panels=len(panels)) as (axes, result):
        for panel, (curves, name) in zip(axes, panels, strict=True):
            panel.axhline(0, color=INK, linewidth=1, linestyle=":")
            _curves(panel, curves, spacing=0.02)
            panel.set_ylabel(name)
            panel.set_xticks(plan.BETAS, [f"{beta:g}".replace("-", "\u2212") for beta in plan.BETAS])
        axes[-1].set_xlabel("beta of eq. 3 (differences are from beta 0)")
        if len(panels) > 1:
            _legend_of_all(axes[0], [axis.get_legend_handles_labels() for axis in axes])
    return result[0]


def eq_3(betas: tuple[float, float], batches: int) -> str | None:
    """Draw the candidates' weights under eq. 3 on losses that no training moves: one panel a beta."""
    steps = np.arange(1, batches + 1)
    with svg_figure("eq3", len(equations.METHODS), panels=2) as (axes, result):
        for panel, beta in zip(axes, betas, strict=True):
            shares = equations.log_weights(beta, batches).shares.numpy()
            for j, method in enumerate(equations.METHODS):
                panel.plot(steps, shares[:, j], **(_LOOKS[method] | {"markevery": batches // 8}), label=method)
            panel.set_ylim(-0.03, 1.03)
            panel.set_ylabel(f"weight\n(beta {beta:g})".replace("-", "\u2212"))
        axes[-1].set_xlabel("batches scored")
    return result[0]


def eq_3_sums(beta: float, batches: int) -> str | None:
    """Draw the logarithm of the weights as the printed product leaves it, and where single precision ends."""
    steps = np.arange(1, batches + 1)
    summed = equations.log_weights(beta, batches).summed.numpy()
    limit = float(np.log(np.finfo(np.float32).max))
    with svg_figure("eq3sums", len(equations.METHODS) + 1) as (axes, result):
        axes[0].axhline(limit, color=INK, linestyle=":", linewidth=1.2, label="largest single-precision number")
        for j, method in enumerate(equations.METHODS):
            axes[0].plot(steps, summed[:, j], **(_LOOKS[method] | {"markevery": batches // 8}), label=method)
        axes[0].set_ylabel("log of the weight, not normalised")
        axes[0].set_xlabel("batches scored")
    return result[0]


def eq_4(power: float) -> str | None:
    """Draw how much more eq. 4 gives the easiest row of a batch than the hardest: printed, as the text, and scaled."""
    steps = [round(10 ** (i / 2)) for i in range(11)]
    kinds = (
        ("as printed", power, 1.0, _look(ACCENT, "s", "-")),
        ("as its text says (exponent negated)", -power, 1.0, _look(BLUE, "^", "--")),
        ("as printed, losses times 0.01", power, 0.01, _look(GREEN, "v", ":")),
        ("as printed, losses times 100", power, 100.0, _look(PINK, "D", "-.")),
    )
    with svg_figure("eq4", len(kinds)) as (axes, result):
        for label, exponent, scale, look in kinds:
            ratios = [equations.reward_ratio(step, exponent, scale) for step in steps]
            axes[0].plot(steps, np.clip(ratios, 1, 1e6), label=label, **look)
        axes[0].set_xscale("log")
        axes[0].set_yscale("log")
        axes[0].set_ylim(0.7, 1.5e6)
        for axis in (axes[0].xaxis, axes[0].yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes[0].minorticks_off()
        axes[0].set_ylabel("reward, easiest : hardest row")
        axes[0].set_xlabel("number of the batch, t")
    return result[0]


def _curves(axes: Axes, curves: Sequence[Curve], spacing: float) -> None:
    """Draw curves with their error bars, side by side so that none hides another."""
    for place, curve in enumerate(curves):
        points = [point for point in curve.points if point.mean is not None]
        shift = (place - (len(curves) - 1) / 2) * spacing
        axes.errorbar(
            [point.x + shift for point in points], [point.mean or 0.0 for point in points],
            yerr=[point.sd or 0.0 for point in points], capsize=2, elinewidth=0.8, label=curve.label,
            **_LOOKS[curve.key],
        )  # fmt: skip
