"""The record of losses against a slow one of dicts and Python numbers; its bytes, extremes and refusals."""

import math
import random
import struct
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection import Signals
from adaselection.errors import AdaSelectionError, ArgumentError, LossShapeError
from adaselection.records import RecordedLosses

NAN, INF = math.nan, math.inf
BIGGEST = float(np.uint32(0x7F7F0000).view(np.float32))  # of bfloat16


def rounded(value: float) -> float:
    """The nearest bfloat16 as a Python number; ties to even, nothing beyond the largest one."""
    single = float(np.float32(np.clip(value, -BIGGEST, BIGGEST)))
    bits = struct.unpack("<I", struct.pack("<f", single))[0]
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


class Slow:
    """One dict entry of an id: last loss, average, pass, visits."""

    def __init__(self, momentum: float = 0.5) -> None:
        self.momentum, self.rows, self.nonfinite = momentum, {}, 0

    def update(self, ids: list[int], losses: list[float], now: int) -> None:
        before = dict(self.rows)
        for one, loss in zip(ids, losses, strict=True):
            if not math.isfinite(loss):
                self.nonfinite += 1
                continue
            average = float(np.float32(loss))
            if one in before:  # the average moves once an update, to the row that counts
                own = np.float32(self.momentum), np.float32(1 - self.momentum)
                average = float(own[0] * np.float32(before[one][1]) + own[1] * np.float32(loss))
            visits = min(65535, self.rows.get(one, (0, 0, 0, 0))[3] + 1)
            self.rows[one] = (rounded(loss), rounded(average), now, visits)

    def read(self, one: int, now: int) -> tuple[float, float, float, int, bool]:
        loss, average, stamp, visits = self.rows.get(one, (0.0, 0.0, 0, 0))
        return loss, average, float((now - stamp) % 65536), visits, visits > 0


def told(signals: Signals) -> list[tuple[float, float, float, int, bool]]:
    parts = (signals.losses, signals.averages, signals.ages, signals.visits, signals.valid)
    return list(zip(*(part.tolist() for part in parts), strict=True))


def some(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def at(*ids: int) -> torch.Tensor:
    return torch.tensor(ids, dtype=torch.int64)


LOSSES = st.one_of(
    st.floats(-10, 10, width=32), st.sampled_from([NAN, INF, -INF, 0.0, 3.4e38, -3.4e38, 1e-40, 1.00390625])
)
ROWS = st.lists(st.tuples(st.integers(0, 6), LOSSES), max_size=12)


@given(updates=st.lists(st.tuples(ROWS, st.integers(0, 40000)), max_size=6), momentum=st.sampled_from([0.0, 0.5, 0.75]))
def test_any_updates_read_as_the_slow_record_does(
    updates: list[tuple[list[tuple[int, float]], int]], momentum: float
) -> None:
    record, slow, now = RecordedLosses(7, momentum=momentum), Slow(momentum), 0
    for rows, passes in updates:
        now += passes
        ids, losses = [one for one, _ in rows], [loss for _, loss in rows]
        before = record.exchange(at(*ids), some(*losses), now=now)
        assert told(before) == [slow.read(one, now) for one in ids]
        slow.update(ids, losses, now)
        assert told(record.read(torch.arange(7), now=now + 3)) == [slow.read(one, now + 3) for one in range(7)]
    assert record.unseen == 7 - len(slow.rows)
    assert record.nonfinite == slow.nonfinite


def test_large_updates_read_as_the_slow_record_does() -> None:
    chance = random.Random(3)
    record, slow = RecordedLosses(5000), Slow()
    for now in range(1, 6):
        ids = [chance.randrange(5000) for _ in range(4000)]
        losses = [NAN if chance.random() < 0.1 else chance.expovariate(1) for _ in ids]
        record.update(at(*ids), some(*losses), now=now)
        slow.update(ids, losses, now)
    window = [chance.randrange(5000) for _ in range(3000)]
    assert told(record.read(at(*window), now=9)) == [slow.read(one, 9) for one in window]
    assert 0 < record.unseen == 5000 - len(slow.rows)


def test_ids_that_all_differ_read_as_the_slow_record_does() -> None:
    chance = random.Random(4)
    record, slow, ids = RecordedLosses(3000), Slow(), list(range(3000))
    for now in (1, 2, 9):
        chance.shuffle(ids)
        losses = [chance.expovariate(1) for _ in ids[:2500]]
        assert told(record.exchange(at(*ids[:2500]), some(*losses), now=now)) == [slow.read(i, now) for i in ids[:2500]]
        slow.update(ids[:2500], losses, now)
    assert told(record.read(torch.arange(3000), now=9)) == [slow.read(one, 9) for one in range(3000)]
    assert record.unseen == 3000 - len(slow.rows)


def test_of_an_id_named_twice_the_last_finite_row_counts_and_each_is_a_visit() -> None:
    record = RecordedLosses(3)
    record.update(at(1, 2, 1, 1, 2), some(1, 2, 3, NAN, INF), now=4)
    signals = record.read(at(0, 1, 2), now=4)
    assert signals.losses.tolist() == signals.averages.tolist() == [0, 3, 2]
    assert signals.visits.tolist() == [0, 2, 1]
    assert (record.unseen, record.nonfinite) == (1, 2)


def test_a_row_that_is_not_finite_leaves_the_record_as_it_was() -> None:
    record = RecordedLosses(2)
    record.update(at(0), some(1.5), now=1)
    record.update(at(0, 1), some(NAN, -INF), now=7)
    assert told(record.read(at(0, 1), now=7)) == [(1.5, 1.5, 6, 1, True), (0, 0, 7, 0, False)]


def stored(record: RecordedLosses) -> int:
    """Bytes of every tensor that hangs on the record."""
    found: dict[int, int] = {}
    stack, seen = [vars(record)], set()
    while stack:
        value: Any = stack.pop()
        if isinstance(value, torch.Tensor):
            found[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif id(value) not in seen:
            seen.add(id(value))
            inner = value if isinstance(value, dict | list | tuple) else getattr(value, "__dict__", {})
            stack.extend(inner.values() if isinstance(inner, dict) else inner)
    return sum(found.values())


def test_an_instance_takes_eight_bytes_whatever_happens() -> None:
    record = RecordedLosses(10_000)
    for now in range(3):
        record.update(torch.randint(10_000, (7000,)), torch.rand(7000), now=now)
        record.read(torch.arange(10_000), now=now)
    assert record.bytes_per_instance == 8
    assert stored(record) == 80_000 + 16  # and two counters
    assert (record.index_bytes, record.tracked_bytes) == (0, 0)


def test_further_columns_and_an_index_are_counted() -> None:
    columns = {"grad_norm": torch.bfloat16, "epochs": torch.uint8, "hidden": torch.bool, "fine": torch.float64}
    record = RecordedLosses(ids=torch.arange(1000) * 7, columns=columns)
    assert record.bytes_per_instance == 8 + 2 + 1 + 1 + 8
    assert record.index_bytes == 8000
    assert stored(record) == 1000 * (20 + 8) + 8


def test_further_columns_are_recorded_like_losses() -> None:
    columns = {"irreducible": torch.float16, "grad_norms": torch.bfloat16, "count": torch.int8, "on": torch.bool}
    record = RecordedLosses(4, columns=columns)
    record.update(
        at(1, 1), some(1, 2), now=0, count=at(5, 1000), grad_norms=some(1, 1e39), on=torch.tensor([False, True])
    )
    record.update(at(2, 3), some(1, 2), now=0, grad_norms=some(NAN, 4))
    record.fill("irreducible", at(0, 3, 3, 1), some(0.5, 9, 1e30, NAN))
    signals = record.read(torch.arange(4), now=0)
    assert signals.visits.tolist() == [0, 1, 0, 1]  # a NaN or infinity in any column leaves the row out
    assert signals.columns["count"].tolist() == [0, 5, 0, 0]
    assert signals.columns["grad_norms"].tolist() == [0, 1, 0, 4]
    assert signals.columns["on"].tolist() == [False, False, False, False]
    assert signals.irreducible is not None
    assert signals.irreducible.tolist() == [0.5, 0, 0, 65504]
    assert signals.grad_norms is not None
    assert signals.grad_norms.tolist() == [0, 1, 0, 4]
    assert signals.irreducible.dtype == signals.columns["grad_norms"].dtype == torch.float32
    assert record.nonfinite == 3
    record.update(at(1), some(1), now=0, count=at(-1000))
    assert record.read(at(1), now=0).columns["count"].tolist() == [-128]


def test_nothing_goes_in_and_out() -> None:
    for record in (RecordedLosses(0), RecordedLosses(ids=at()), RecordedLosses(slots=1), RecordedLosses(3)):
        record.update(at(), some(), now=0)
        signals = record.read(at(), now=0)
        assert told(signals) == []
        assert record.unseen == len(record)


def test_ages_wrap_after_65535_passes_and_visits_stop_there() -> None:
    record = RecordedLosses(2)
    record.update(at(0), some(1), now=65_530)
    ages = [record.read(at(0), now=now).ages.tolist() for now in (65_530, 65_540, 65_530 + 65_535, 65_530 + 65_536)]
    assert ages == [[0], [10], [65_535], [0]]
    record.update(torch.zeros(65_534, dtype=torch.int64), torch.ones(65_534), now=65_536)  # a stamp of 0
    assert told(record.read(at(0, 1), now=131_071)) == [(1, 1, 65_535, 65_535, True), (0, 0, 65_535, 0, False)]
    for now in (131_072, 131_073):
        record.update(at(0, 0), some(2, 3), now=now)
        assert record.read(at(0, 1), now=now).visits.tolist() == [65_535, 0]
    assert record.unseen == 1


def test_the_average_follows_with_its_momentum() -> None:
    record = RecordedLosses(1, momentum=0.75)
    for now, loss in enumerate((4.0, 0.0, 8.0)):
        record.update(at(0), some(loss), now=now)
    assert told(record.read(at(0), now=2)) == [(8, 4.25, 0, 3, True)]  # 4, 3, 0.75 * 3 + 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_losses_of_any_type_are_recorded_and_not_kept_alive(dtype: torch.dtype, unchecked: None) -> None:
    losses = torch.tensor([1, 2], dtype=dtype, requires_grad=dtype.is_floating_point)
    record = RecordedLosses(2)
    record.update(at(0, 1).to(torch.int32), losses, now=0)
    signals = record.read(at(1, 0), now=0)
    assert signals.losses.tolist() == [2, 1]
    assert signals.losses.dtype == signals.averages.dtype == signals.ages.dtype == torch.float32
    assert signals.visits.dtype == torch.int64
    assert not signals.losses.requires_grad
    record.update(at(0), torch.tensor([1e300], dtype=torch.float64), now=0)
    assert told(record.read(at(0), now=0))[0][0] == BIGGEST


def test_updates_do_not_change_what_was_read_nor_keep_what_was_given() -> None:
    record, ids, losses = RecordedLosses(2, track=True), at(0, 1), some(1, 2)
    record.update(ids, losses, now=0)
    before = record.read(ids, now=0)
    copy = told(before)
    losses.fill_(7)
    ids.fill_(1)
    record.update(ids, losses, now=0)
    assert told(before) == copy == [(1, 1, 0, 1, True), (2, 2, 0, 1, True)]


BAD: list[tuple[Any, type[AdaSelectionError], str]] = [
    (
        lambda r: r.update(at(0, 4, 9, -1, 5, 6, 7), torch.ones(7), now=1),
        ArgumentError,
        "6 ids are unknown (4, 9, -1, 5",
    ),
    (lambda r: r.read(at(4), now=1), ArgumentError, "size 4 ids go from 0 to 3. If the data set grew, call grow(size)"),
    (lambda r: r.update(at(0), torch.ones(2), now=1), LossShapeError, "1 ids and 2 losses"),
    (lambda r: r.update(at(0), torch.ones(1, 2), now=1), LossShapeError, "shape (1, 2)"),
    (lambda r: r.update(at(0), torch.tensor(1.0), now=1), LossShapeError, 'reduction="none"'),
    (lambda r: r.update(torch.ones(1), torch.ones(1), now=1), ArgumentError, "whole numbers"),
    (lambda r: r.update(torch.tensor([True]), torch.ones(1), now=1), ArgumentError, "whole numbers"),
    (lambda r: r.update([0], torch.ones(1), now=1), ArgumentError, "torch.as_tensor(ids)"),
    (lambda r: r.update(at(0), torch.ones(1), now=0), ArgumentError, "now=0 is before pass 1"),
    (lambda r: r.read(at(0), now=0), ArgumentError, "never go back"),
    (lambda r: r.read(at(0), now=1.5), ArgumentError, "whole number"),
    (lambda r: r.update(at(0), torch.ones(1), now=1, mine=some(1)), ArgumentError, "no column 'mine' (it has: near)"),
    (lambda r: r.update(at(0), torch.ones(1), now=1, near=some(1)), ArgumentError, "Convert it first"),
    (lambda r: r.update(at(0), torch.ones(1), now=1, near=at(1, 2)), LossShapeError, "shape (1,); got (2,)"),
    (lambda r: r.fill("far", at(0), some(1)), ArgumentError, "no column 'far'"),
    (lambda _: RecordedLosses(), ArgumentError, "exactly one of size=n"),
    (lambda _: RecordedLosses(3, slots=4), ArgumentError, "exactly one of size=n"),
    (lambda _: RecordedLosses(-1), ArgumentError, "at least 0; got -1"),
    (lambda _: RecordedLosses(slots=0), ArgumentError, "at least 1; got 0"),
    (lambda _: RecordedLosses(1, momentum=1.0), ArgumentError, "outside [0, 1)"),
    (lambda _: RecordedLosses(1, track=2), ArgumentError, "True, False or None"),
    (lambda _: RecordedLosses(1, columns={"loss": torch.int8}), ArgumentError, "cannot be named 'loss'"),
    (lambda _: RecordedLosses(1, columns={"a": torch.complex64}), ArgumentError, "cannot be torch.complex64"),
]


@pytest.mark.parametrize(("work", "kind", "text"), BAD, ids=[text for _, _, text in BAD])
def test_what_cannot_work_is_refused_and_changes_nothing(
    work: Any, kind: type[AdaSelectionError], text: str, unchecked: None
) -> None:
    record = RecordedLosses(4, columns={"near": torch.int16})
    record.update(at(1), some(2), now=1)
    with pytest.raises(kind) as caught:
        work(record)
    assert text in str(caught.value)
    assert [row[3] for row in told(record.read(torch.arange(4), now=1))] == [0, 1, 0, 0]
    assert (record.unseen, record.nonfinite) == (3, 0)
