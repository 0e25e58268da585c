"""Loops that leave a pass and never ask for one batch more than it has: by `next`, by `break`, as frameworks do."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch

from adaselection import AdaSelection, RecordedLoader, SingleMethod
from adaselection.errors import AdaSelectionError, NonFiniteLossError
from core.parts import ids, stored
from core.recorded_parts import passes, recorded
from core.test_recorded_resume import same

Loop = Callable[[RecordedLoader], list[Any]]


def by_next(loader: RecordedLoader) -> list[Any]:
    batches = iter(loader)
    return [next(batches) for _ in range(len(loader))]


def by_break(loader: RecordedLoader) -> list[Any]:
    seen = []
    for batch in loader:
        seen.append(batch)
        if len(seen) == len(loader):
            break
    return seen


LOOPS: tuple[Loop, ...] = (by_next, by_break)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_forgotten_record_is_told_by_the_next_pass_and_nothing_is_lost(loop: Loop, workers: int) -> None:
    loader = recorded(40, 4, SingleMethod("big_loss", 0.5), num_workers=workers)
    first = [ids(batch) for batch in loop(loader)]
    assert first == [list(range(start, start + 4)) for start in range(0, 20, 4)]
    words = (
        r"left after 5 batches, none of which got record\(\) or skip\(\).*Write loss = loader\.record.*"
        r"handed out again by the next pass.*iterate over loader\.plain"
    )
    with pytest.raises(AdaSelectionError, match=words):
        loop(loader)
    assert passes(loader, 1)[0] == first  # once the loop is mended


def test_a_look_at_two_batches_is_allowed_and_at_three_is_not() -> None:
    loader = recorded(40, 4, AdaSelection(rate=0.5))
    for _ in range(3):
        assert ids(next(iter(loader))) == [0, 1, 2, 3]
        assert [ids(batch)[0] for batch in islice(loader, 2)] == [0, 4]
    assert [ids(batch)[0] for batch in islice(loader, 3)] == [0, 4, 8]
    with pytest.raises(AdaSelectionError, match="left after 3 batches"):
        iter(loader)
    assert len(passes(loader, 2)[1]) == 5


@pytest.mark.parametrize("way", ["record", "skip", "nan"])
def test_batches_that_a_framework_holds_come_back_where_any_was_heard_of(way: str) -> None:
    loader = recorded(80, 4, SingleMethod("big_loss", 0.5))
    for _ in islice(loader, 6):  # held, as those of which gradients accumulate
        pass
    if way == "record":
        loader.record(torch.ones(4))
    elif way == "skip":
        loader.skip()
    else:
        with pytest.raises(NonFiniteLossError):
            loader.record(torch.full((4,), torch.nan))
    assert ids(next(iter(loader)))[0] == (0 if way == "nan" else 4)


def test_what_a_pass_before_recorded_does_not_count() -> None:
    loader = recorded(40, 4, SingleMethod("big_loss", 0.5))
    passes(loader, 1)
    for batch in by_next(loader):
        loader.skip() if ids(batch)[0] == 20 else loader.record(torch.ones(4))
    by_next(loader)
    with pytest.raises(AdaSelectionError, match="left after 5 batches"):
        iter(loader)


def first_of(loader: RecordedLoader, count: int) -> list[list[int]]:
    """Train on so many batches, and ask for no more."""
    seen = []
    for batch in islice(loader, count):
        seen.append(ids(batch))
        loader.record(torch.tensor([1.0 + number % 7 for number in seen[-1]]))
    return seen


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_that_was_left_at_its_last_batch_is_over_after_loading(workers: int) -> None:
    def make() -> RecordedLoader:
        options = {"num_workers": workers, "generator": torch.Generator().manual_seed(3), "shuffle": True}
        return recorded(40, 4, SingleMethod("proportional", 0.5, seed=1), **options)

    whole = make()
    expected = [first_of(whole, 5) for _ in range(6)]
    one = make()
    assert [first_of(one, 5) for _ in range(3)] == expected[:3]
    two = make()
    two.load_state_dict(stored(one.state_dict()))
    again = two.state_dict()  # not iterated yet
    assert again["left"] is True
    assert [first_of(two, 5) for _ in range(3)] == expected[3:]
    same(two.state_dict(), whole.state_dict())
    three = make()
    three.load_state_dict(again)
    assert [first_of(three, 5) for _ in range(3)] == expected[3:]


def test_a_pass_that_was_left_before_or_is_still_held_goes_on_after_loading() -> None:
    loader, other = (recorded(40, 4, SingleMethod("big_loss", 0.5)) for _ in range(2))
    assert first_of(loader, 4)[-1][0] == 12
    other.load_state_dict(stored(loader.state_dict()))
    assert passes(other, 2) == [[[16, 17, 18, 19]], [list(range(row, row + 4)) for row in range(20, 40, 4)]]
    held = iter(loader)  # the pass after the one that was left: of a loop that calls next() and keeps its iterator
    for _ in range(5):
        loader.record(torch.ones(len(ids(next(held)))))
    state = stored(loader.state_dict())
    other.load_state_dict(state)
    assert passes(other, 1) == [[]]
    other.load_state_dict(state)
    other.end_pass()
    assert len(passes(other, 1)[0]) == 5
    del held
    other.load_state_dict(stored(loader.state_dict()))
    assert len(passes(other, 1)[0]) == 5


@pytest.mark.parametrize("method", ["proportional", "infobatch"])
def test_records_loaded_into_a_new_loader_go_on_from_their_last_pass(method: str) -> None:
    source = recorded(40, 4, SingleMethod(method, 0.5, seed=1))
    passes(source, 5)
    last = source.records.last_pass
    loaded = recorded(40, 4, SingleMethod(method, 0.5, seed=1))
    loaded.records.load_state_dict(stored(source.records.state_dict()))
    assert len(loaded) >= 5  # infobatch plans for that
    handed = recorded(40, 4, SingleMethod(method, 0.5, seed=1), records=source.records)
    seen = passes(loaded, 4)
    assert min(map(len, seen)) >= 5
    passes(handed, 4)
    assert loaded.records.last_pass == handed.records.last_pass == last + 3
