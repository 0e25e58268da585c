"""What there is to choose from, as tables for the terminal: methods, arms, and the groups of arms."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from adaselection import method_info, methods
from adaselection.lab.groups import ASKS_FOR_MORE, groups

__all__ = ["arm_table", "method_tables", "plain_table"]


def plain_table(*headers: str, title: str = "") -> Table:
    """A table without lines.

    Args:
        headers: Of its columns.
        title: A line above it.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    if title:
        table.title, table.title_justify, table.title_style = Text(title), "left", "dim"
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def method_tables() -> Iterator[Table]:
    """The paper's methods and your own, then those that were made for recorded losses."""
    table = plain_table("method", "keeps", "paper", "needs", title="For fresh losses of a batch, and recorded ones")
    for name in methods():
        info = method_info(name)
        table.add_row(name, info.summary, info.equation, ", ".join(sorted(info.needs)) or "nothing")
    yield table
    fresh = methods("fresh")
    table = plain_table("method", "keeps", "also fresh", "count", title="Made for recorded losses")
    for name in methods("recorded"):
        if name not in methods():
            info = method_info(name)
            table.add_row(name, info.summary, "yes" if name in fresh else "", "its own" if info.own_count else "")
    yield table


def arm_table() -> Table:
    """The arms of a comparison under their groups; of those that are one method alone, only the names."""
    table = plain_table("arm or group", "what it trains on", title="For run --method ARM, and compare --arms ARM,GROUP")
    for group in groups().values():
        if group.joins:
            table.add_row(Text(group.name, style="bold"), group.summary)
            continue
        table.add_row(Text(group.name, style="bold"), Text(group.summary, style="bold"))
        if group.alone:
            table.add_row("", ", ".join(arm.name for arm in group.arms))
            if any(arm.name == ASKS_FOR_MORE for arm in group.arms):
                table.add_row("", f"{ASKS_FOR_MORE} also needs --irreducible, from `adaselection holdout`")
        else:
            for arm in group.arms:
                table.add_row(f"  {arm.name}", arm.summary.removeprefix("recorded losses: "))
        table.add_row()
    return table
