"""Look a name up in a table, with the nearest name in the error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

__all__ = ["lookup"]

Row = TypeVar("Row")
_LISTED_BY = {"arm": "adaselection methods"}


def lookup(table: Mapping[str, Row], name: str, kind: str) -> Row:
    """Return ``table[name]``.

    Args:
        table: What there is, by name.
        name: The name asked for.
        kind: What a row is, in one word, for the message: "task", "model", ...

    Returns:
        The row.

    Raises:
        ValueError: There is no such name. The message has the nearest one, and the whole list or the command that
            prints it.
    """
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    listed = f"There are: {', '.join(table)}."
    if near and kind in _LISTED_BY:
        listed = f"`{_LISTED_BY[kind]}` lists all."
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {kind} {name!r}. {hint}{listed}")
