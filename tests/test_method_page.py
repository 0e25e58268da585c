"""What docs/method.md points at is there: every function and every test, and every equation has its row."""

import re
from pathlib import Path

import pytest

import adaselection
from adaselection import functional

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
HEAD = "| item | what the paper prints |"
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE[PAGE.index(HEAD) :].partition("\n\n")[0].splitlines()[2:]
]


def built(name: str) -> object:
    """What a name in the third column stands for."""
    head, _, rest = name.partition(".")
    found = getattr(functional, head, None) or getattr(adaselection, head)
    return getattr(found, rest) if rest else found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_what_exists(row: list[str]) -> None:
    _, printed, functions, held_by, departure = row
    assert printed
    assert departure
    names = re.findall(r"`([^`]+)`", functions)
    assert names
    assert all(callable(built(name)) for name in names)
    assert held_by == "the same" or "::" in held_by


def test_every_test_on_the_page_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) >= len(ROWS)
    missing = [f"{file}::{test}" for file, test in named if f"\ndef {test}(" not in (ROOT / file).read_text("utf-8")]
    assert missing == []


def test_every_method_and_equation_has_a_row() -> None:
    text = "\n".join(" ".join(row) for row in ROWS)
    assert [name for name in adaselection.methods() if f"`{name}`" not in text] == []
    assert [f"Eq. {number}" for number in range(1, 7) if f"Eq. {number}" not in text] == []
    assert "Algorithm 1" in text
    assert "Algorithm 2" in text
