"""Losses that wait for the next window: row by row what came in, also by way of a state."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection.errors import StateError
from adaselection.pending import Lot, Pending

Row = tuple[int, int, float, tuple[float, ...], float]

batches = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=8
)


def gathered(sizes: list[tuple[int, int, int, bool]]) -> tuple[Pending, list[Row]]:
    """Batches of so many rows, some passes on, with so many targets each, of whole numbers or not; and their rows."""
    pending, rows, now = Pending(), list[Row](), 0
    for rows_of, later, width, whole in sizes:
        now += later
        numbers = [7 * len(rows) + row for row in range(rows_of)]
        losses, norms = torch.rand(rows_of), torch.rand(rows_of)
        targets = torch.randint(9, (rows_of, width)) if whole else torch.rand(rows_of, width, dtype=torch.float64)
        pending.add(numbers, now, losses, targets if width else rows_of, {"norms": norms})
        for place, number in enumerate(numbers):
            said = tuple(targets[place].tolist())
            rows.append((number, now, losses[place].item(), said, norms[place].item()))
    return pending, rows


def listed(lot: Lot) -> list[Row]:
    stamps = lot.stamps.tolist() if isinstance(lot.stamps, torch.Tensor) else [lot.stamps] * len(lot.losses)
    said = [tuple(number for number in row if number == number) for row in lot.targets.tolist()]
    return list(
        zip(lot.numbers.tolist(), stamps, lot.losses.tolist(), said, lot.columns["norms"].tolist(), strict=True)
    )


@given(batches)
def test_every_row_keeps_what_came_with_it(sizes: list[tuple[int, int, int, bool]]) -> None:
    pending, rows = gathered(sizes)
    assert len(pending) == len(rows)
    assert listed(pending.lot()) == rows
    state = pending.state_dict()
    again = Pending.of(state, ["norms"])
    assert len(again) == len(rows)
    if rows:
        state["losses"].zero_()
        assert listed(again.lot()) == rows


def test_later_batches_follow_those_of_a_state() -> None:
    pending, rows = gathered([(2, 0, 0, True), (3, 1, 1, True)])
    again = Pending.of(pending.state_dict(), ["norms"])
    again.add([1, 2], 1, torch.tensor([0.5, 0.25]), torch.tensor([[3], [4]]), {"norms": torch.ones(2)})
    assert listed(again.lot()) == [*rows, (1, 1, 0.5, (3,), 1.0), (2, 1, 0.25, (4,), 1.0)]


def test_the_first_loss_that_is_not_finite_is_named() -> None:
    pending, _ = gathered([(3, 0, 0, True)])
    assert pending.first_nonfinite() is None
    pending.add([50, 51], 0, torch.tensor([1.0, torch.nan]), 2, {})
    pending.add([52], 0, torch.tensor([torch.inf]), 1, {})
    assert pending.first_nonfinite() == 51


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("numbers", torch.arange(3)),
        ("numbers", torch.rand(5)),
        ("losses", torch.rand(6)),
        ("losses", torch.rand(5, 1)),
        ("targets", torch.rand(5, dtype=torch.float64)),
        ("targets", torch.rand(4, 1, dtype=torch.float64)),
        ("runs", [[0, 5], [1]]),
        ("runs", [[0, 4]]),
        ("runs", [[0, 2.5], [1, 2.5]]),
        ("runs", ["ab"]),
        ("columns", {}),
        ("columns", {"norms": torch.rand(5), "more": torch.rand(5)}),
        ("columns", {"norms": torch.tensor(5.0)}),
        ("columns", {"norms": [1.0] * 5}),
    ],
)
def test_a_damaged_state_is_refused(key: str, value: Any) -> None:
    pending, _ = gathered([(2, 0, 0, True), (3, 1, 1, True)])
    assert len(Pending.of(pending.state_dict(), ["norms"])) == 5
    with pytest.raises(StateError, match="recorder state is damaged"):
        Pending.of(pending.state_dict() | {key: value}, ["norms"])
