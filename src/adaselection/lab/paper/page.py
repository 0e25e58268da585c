"""The report as one HTML file that needs nothing else: `adaselection paper --report FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adaselection.lab import wording
from adaselection.lab.paper import pictures
from adaselection.lab.paper.assumptions import ASSUMPTIONS
from adaselection.lab.paper.reporting import READING, Content, answer, content, grids, headline, reached
from adaselection.lab.record import Record
from adaselection.lab.report import environments, readable, template, write_html
from adaselection.lab.store import Damage, RecordStore

__all__ = ["render_page", "write_page"]

GRIDS = {
    "cpu": "The grid that runs on two cores: smaller networks and less data for pictures and text, the paper's own "
    "scale for regression and bike.",
    "paper": "The grid at the paper's scale.",
}


def write_page(store: RecordStore, path: str | Path) -> Path:
    """Write the report on every record of a store.

    Args:
        store: Where the records are. Damaged ones are named in the report and left where they are.
        path: The HTML file to write, whole or not at all. Its folder is created where missing.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: If the store's folder is missing.
        StoreError: If the file cannot be written.
    """
    return write_html(path, render_page(*readable(store)))


def render_page(records: Sequence[Record], damages: Sequence[Damage] = ()) -> str:
    """Return the report as HTML. The same records give the same text.

    Args:
        records: Any records; those that are no runs of the paper's grids are left out.
        damages: Files to name as unreadable.
    """
    parts = [content(records, preset) for preset in grids(records)]
    used = {run.run_id: run for part in parts for run in part.records}
    return template("paper.html.j2").render(
        grids=[_grid(part) for part in parts],
        equations=pictures.of_equations(),
        unknown=pictures.UNKNOWN_FIGURES,
        assumptions=ASSUMPTIONS,
        reading=READING,
        answer=answer,
        environments=environments(used.values()),
        runs=wording.plural(len(used), "run"),
        damages=damages,
    )


def _grid(part: Content) -> dict[str, Any]:
    words = {"headline": headline(part.judged), "reached": reached(part)}
    return {"id": part.preset, "about": GRIDS[part.preset], "content": part, **words}
