"""Numbers as people read them, the same in the terminal, in Markdown and in the report."""

from __future__ import annotations

import math
import statistics

from adaselection.lab.stats import PairedDifference
from adaselection.lab.summary import Row, Study

DASH, MINUS = "\u2013", "\u2212"
_ARMS = {"adaselection": "AdaSelection", "recorded": "AdaSelection on recorded losses",
         "adaselection_paper": "AdaSelection (paper's reading)",
         "uniform_budget": "uniform", "full": "full training"}  # fmt: skip


def decimals(study: Study) -> int:
    """Return how many decimals to show: two for a percentage, else two digits of the spread between seeds."""
    if study.unit == "%":
        return 2
    scale = [row.sd for row in study.rows if row.sd] or [abs(row.mean) / 100 for row in study.rows if row.mean]
    return min(max(1 - math.floor(math.log10(statistics.median(scale))), 0), 8) if scale else 3


def number(value: float | None, places: int) -> str:
    """Return a number with `places` decimals and a true minus sign, or a dash for None."""
    return DASH if value is None else f"{value:,.{places}f}".replace("-", MINUS)


def signed(value: float | None, places: int) -> str:
    """Return a number with its sign, kept where it rounds to zero: it tells the side of 0 that the value is on."""
    return DASH if value is None else (f"{value:+,.{places}f}" if value else f"{0:.{places}f}").replace("-", MINUS)


def measure(value: float | None, unit: str, places: int) -> str:
    """Return a value of the metric with its unit."""
    return number(value, places) + (f" {unit}" if unit and value is not None else "")


def interval(difference: PairedDifference | None, places: int) -> str:
    """Return the ends of a confidence interval, or a dash where there is none."""
    if difference is None or difference.ci_low is None:
        return DASH
    return f"{signed(difference.ci_low, places)} to {signed(difference.ci_high, places)}"


def share(value: float | None) -> str:
    """Return a share as a percentage, with a decimal only where it matters."""
    if value is None:
        return DASH
    percent = 100 * value
    return f"{percent:.0f} %" if abs(percent - round(percent)) < 0.05 or percent >= 10 else f"{percent:.1f} %"


def rate(value: float | None) -> str:
    """Return a sampling rate, or a dash for an arm that has none."""
    return DASH if value is None else f"{value:.2g}"


def seconds(value: float | None) -> str:
    """Return seconds with three digits, or a dash where they mean nothing."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def count(value: float) -> str:
    """Return a whole count with thousands apart."""
    return f"{value:,.0f}"


def metric(name: str) -> str:
    """Return a metric's name as it is written: short ones are initials."""
    return name.upper() if name in ("mse", "rmse", "mae") else name


def capital(text: str) -> str:
    """Return a text with its first letter as a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def difference_unit(unit: str) -> str:
    """Return what differences are measured in: percentages differ by points."""
    return "points" if unit == "%" else unit


def arm_in_words(row: Row) -> str:
    """Return an arm's name for running text."""
    name = _ARMS.get(row.arm, row.arm)
    extra = [f"rate {rate(row.rate)}"] if row.rate is not None else []
    extra += [row.detail] if row.detail else []
    return f"{name} ({', '.join(extra)})" if extra else name


def plural(n: int, word: str) -> str:
    """Return a count with its noun."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"
