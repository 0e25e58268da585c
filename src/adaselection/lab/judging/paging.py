"""All pages from all records."""

from __future__ import annotations

from collections.abc import Sequence

from adaselection.lab.judging import fixed, gate, ladder, never_lose, seconds, speed
from adaselection.lab.record import Record
from adaselection.lab.summary import summarise

__all__ = ["pages"]

_NOTE = "<!-- Written by `python tools/results.py` from the run records. Do not edit by hand. -->"


def pages(records: Sequence[Record], timed: Sequence[Record] = ()) -> dict[str, str]:
    """Return the text of every page by the name of its file.

    Args:
        records: Any records; results are those on a test split, and runs on a validation split choose only.
        timed: Runs that were made for their seconds.
    """
    studies = summarise(records)
    trials = [record for record in records if record.config.split == "validation"]
    texts = {
        "never_lose.md": never_lose.page(studies),
        "seconds.md": seconds.page(studies, summarise(timed)),
        "speed.md": speed.page(studies),
        "ladder.md": ladder.page(studies, trials),
        "gate.md": gate.page(studies),
        "uncertain.md": fixed.page(studies),
    }
    return {name: f"{_NOTE}\n\n{text}" for name, text in texts.items()}
