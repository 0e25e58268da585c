"""Which figures a report shows, of which runs, and what their captions say."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adaselection.lab import plots, wording
from adaselection.lab.axes import shown_range
from adaselection.lab.summary import Row, Study

__all__ = ["Figure", "figures"]

_RATE, _BUDGET = 0.3, 0.5  # with several, the figures show the ones nearest to these


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading, its caption and a text for those who cannot see it."""

    title: str
    svg: str
    caption: str

    def inline(self, page_id: str) -> str:
        """Return the SVG for a page of many: named for screen readers, its ids led by `page_id`, so that none clash."""
        svg = re.sub(r'(?<=[ ("])(id="|xlink:href="#|url\(#)(?=[^<>]*>)', rf"\1{page_id}-", self.svg)
        return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(self.title)}" ', 1)


def figures(study: Study) -> list[Figure]:
    """Draw a study: metric against cost, metric and cost against rate, method weights, losses seen and kept."""
    return [figure for part in (_metric_figures(study), _selection_figures(study)) for figure in part]


def _metric_figures(study: Study) -> Iterator[Figure]:
    name = wording.capital(wording.metric(study.metric))
    rates = sorted({row.rate for row in study.rows if row.rate is not None})
    near = min(rates, key=lambda rate: abs(rate - _RATE), default=None)
    at_rate = [row for row in study.rows if row.rate in (None, near)]
    bars = "Bars: one standard deviation over the seeds."
    band = " Dotted line and band: full training." if any(row.arm == "full" for row in study.rows) else ""
    if svg := plots.metric_against_budget(at_rate, study):
        which = f" Arms that select keep {wording.rate(near)} of the rows." if near is not None else ""
        if len(study.budgets) > 1:
            caption = f"{bars}{band}{which} Points at one budget are drawn side by side.{_beyond(at_rate)}"
            yield Figure(f"{name} against cost", svg, caption)
        else:
            full = " full at 100 %," if band else ""
            which += _beyond(at_rate)
            caption = f"Of each arm,{full} the others at budget {wording.share(study.budgets[0])}. {bars}{which}"
            yield Figure(name, svg, caption)
    budget = _nearest(study.budgets, _BUDGET)
    at_budget = [row for row in study.rows if row.budget == budget or row.arm == "full"]
    if svg := plots.metric_and_cost_against_rate(at_budget, study):
        caption = f"At budget {wording.share(budget)}. {bars}{band}{_beyond(at_budget)}"
        yield Figure(f"{name} and cost against rate", svg, caption)


def _beyond(rows: Sequence[Row]) -> str:
    """What the marks at the edge of a picture are, where it has some."""
    return " Triangles at the edge: arms far beyond it, with their values." if shown_range(rows) else ""


def _selection_figures(study: Study) -> Iterator[Figure]:
    row = _showcase([row for row in study.rows if any(run.weights for run in row.records)])
    if row and (svg := plots.weights_over_steps([run.weights for run in row.records if run.weights])):
        caption = f"{_which(row)} Line: mean over {wording.plural(row.seeds, 'seed')}. Band: least to most."
        yield Figure("Weights of the methods", svg, caption)
    row = _showcase([row for row in study.rows if any(run.losses for run in row.records)])
    if row and (svg := plots.loss_distribution([run.losses for run in row.records if run.losses])):
        yield Figure("Losses seen and kept", svg, f"{_which(row)} Every sample scored in the last quarter of the run.")


def _showcase(rows: Sequence[Row]) -> Row | None:
    """Return the default policy's row nearest to the usual rate and budget; a fixed rule, not the best result."""
    if not rows:
        return None
    default = ("adaselection", "recorded")

    def distance(row: Row) -> tuple[int, float, float]:
        place = default.index(row.arm) if row.arm in default else len(default)
        return place, abs((row.rate or 1) - _RATE), abs(row.budget - _BUDGET)

    return min(rows, key=distance)


def _which(row: Row) -> str:
    return f"{wording.capital(wording.arm_in_words(row))}, budget {wording.share(row.budget)}."


def _nearest(values: Sequence[float], wanted: float) -> float:
    return min(values, key=lambda value: abs(value - wanted), default=wanted)
