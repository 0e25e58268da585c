"""What a loader reports, as the flat numbers that loggers take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaselection.meter import Report
from adaselection.recorded_report import RecordedReport


def figures(report: Report | RecordedReport) -> dict[str, float]:
    """The numbers of a report by name: ``kept``, ``weights/big_loss``, ``seconds/score`` and the rest.

    What is not known yet is left out. Of the conditions that keep a gate shut their number counts. Counts are those
    since the loader was made; seconds are seconds.
    """
    return _flat({**report.as_dict(), "kept": report.kept}, "")


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The numbers in nested mappings, their names joined by slashes."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}/")
        elif value is not None:
            found[prefix + name] = float(len(value) if isinstance(value, tuple) else value)
    return found
