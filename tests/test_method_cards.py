"""Every method has its card in docs/methods.md, and the card says what the table says."""

import re
from pathlib import Path

import pytest

from adaselection import method_info, methods

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
LINES = ("When", "When not", "Cost", "Source", "Test")


def cards(page: str) -> dict[str, str]:
    """The text under each heading that is a name in code marks."""
    parts = re.split(r"^## `(\w+)`\n", page, flags=re.MULTILINE)[1:]
    assert len(set(parts[::2])) == len(parts) / 2, "two cards of one name"
    return dict(zip(parts[::2], parts[1::2], strict=True))


def lines(card: str) -> dict[str, str]:
    """The lines ``- Word: text`` of a card."""
    return dict(re.findall(r"^- ([\w ]+): (.+)$", card, flags=re.MULTILINE))


CARDS = cards(PAGE)


def test_every_method_has_a_card_in_the_order_of_the_table() -> None:
    assert tuple(CARDS) == methods("recorded")


@pytest.mark.parametrize("name", methods("recorded"))
def test_a_card_agrees_with_the_table(name: str) -> None:
    info, said = method_info(name), lines(CARDS[name])
    assert tuple(said) == LINES
    assert said["Cost"] == info.cost
    assert said["Source"] == info.source
    assert ("Sets its own number of rows." in " ".join(CARDS[name].split())) == info.own_count
    assert CARDS[name].partition("\n- ")[0].strip()


@pytest.mark.parametrize("name", methods("recorded"))
def test_the_test_on_a_card_exists(name: str) -> None:
    file, _, function = lines(CARDS[name])["Test"].strip("`").partition("::")
    assert f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_page_names_the_rules_with_a_count_of_their_own() -> None:
    head = PAGE.partition("\n## ")[0].partition("set their own\nnumber: ")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", head)) == {name for name in methods("recorded") if method_info(name).own_count}


def test_a_wrong_card_would_be_noticed() -> None:
    wrong = cards("## `a`\n\nIt does.\n\n- When: x\n- Source: elsewhere\n\n## `b`\n\nThat.\n")
    assert lines(wrong["a"]) == {"When": "x", "Source": "elsewhere"}
    with pytest.raises(AssertionError, match="two cards of one name"):
        cards("## `a`\n\n## `a`\n")
