"""A drawing surface whose SVG follows the page: its font, its ink, light or dark. And the looks of the arms."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from adaselection.lab.summary import OPPONENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ACCENT", "DASHES", "INK", "PALETTE", "look_of", "svg_figure"]

INK, _FAINT = "#0a0b0c", "#0d0e0f"  # stand-ins, replaced by the page's own colours
ACCENT = "#d55e00"
PALETTE = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS, DASHES = "^vDPX*<>p", ("-", "--", ":")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "text.parse_math": False,
    "axes.edgecolor": _FAINT, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": True, "grid.color": _FAINT, "grid.linewidth": 0.5, "grid.alpha": 0.35, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 9,
    "lines.linewidth": 1.8, "lines.markersize": 5.5, "figure.dpi": 72,
}  # fmt: skip


@contextmanager
def svg_figure(
    name: str, entries: int, panels: int = 1, height: float | None = None
) -> Iterator[tuple[list[Axes], list[str | None]]]:
    """Give axes to draw in; the SVG lands in the list once the block ends."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    result: list[str | None] = [None]
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"adaselection-{name}"}):
        height = height or (2.9 if panels == 1 else 4.4) + 0.19 * ((entries + 1) // 2)
        figure = Figure(figsize=(5, height))
        FigureCanvasSVG(figure)
        figure.set_layout_engine("constrained", h_pad=0.09)
        ratios = [3, 2][:panels]
        axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0])
        yield axes, result
        handles, labels = axes[0].get_legend_handles_labels()
        if entries:
            figure.legend(handles, labels, loc="outside lower center", ncols=2)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
        result[0] = _tidy(buffer.getvalue(), name)


def _tidy(svg: str, name: str) -> str:
    """Strip what an inline figure does not need, and hand fonts, ink and series colours to the page."""
    prefix = f"{name}-{hashlib.sha256(svg.encode()).hexdigest()[:6]}-"  # ids stay apart when a page has many figures
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    head, body = svg.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head) + ' style="stroke-linejoin: round; stroke-linecap: butt">'
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)', rf"\1{prefix}", body)
    body = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", body)
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), body)
    for colour in (*PALETTE, ACCENT):
        body = body.replace(colour, f"var(--c{colour[1:]}, {colour})")
    body = body.replace(INK, "currentColor").replace(_FAINT, "currentColor")
    return re.sub(r"\s*\n\s*", "\n", head + body).strip()


def look_of(arm: str) -> dict[str, Any]:
    """Return colour, marker and dashes of an arm: the same in every figure of every report."""
    name = arm.split(" ")[0]
    if name == "full":
        return {"color": INK, "marker": "|", "linestyle": ":"}
    if name == OPPONENT:
        return {"color": INK, "marker": "o", "linestyle": "-."}
    if name in ("adaselection", "recorded") and arm == name:
        dashes, marker = ("-", "s") if name == "adaselection" else ("--", "h")
        return {"color": ACCENT, "marker": marker, "linestyle": dashes, "linewidth": 2.4}
    known = ("big_loss", "uniform_rate", "placebo", "small_loss", "grad_norm", "adaboost", "coreset_extremes",
             "coreset_mean", "adaselection_paper")  # fmt: skip
    place = known.index(name) if name in known else len(known) + sum(map(ord, arm))
    return {"color": PALETTE[place % 5], "marker": _MARKERS[place % 9], "linestyle": DASHES[(place // 5 + place) % 3]}
