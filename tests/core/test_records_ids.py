"""How ids become places: ranges, explicit indices, hashing; and records that grow."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection.errors import ArgumentError
from adaselection.records import RecordedLosses
from adaselection.slots import HashSlots, splitmix64

INT64 = st.integers(-(2**63), 2**63 - 1)
MASK = 2**64 - 1
CPU = torch.device("cpu")


def mixed(one: int) -> int:
    """splitmix64 in Python's whole numbers, as published: one step of the counter, then the finaliser."""
    z = (one + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def vector(*ids: int) -> torch.Tensor:
    return torch.tensor(ids, dtype=torch.int64)


def test_the_hash_gives_the_published_numbers() -> None:
    got = [value & MASK for value in splitmix64(vector(0, 1234567)).tolist()]
    assert got == [0xE220A8397B1DCDAF, 6457827717110365317]


@given(ids=st.lists(INT64, max_size=30), slots=st.sampled_from([1, 2, 3, 1000, 2**40]))
def test_hashed_places_are_those_of_whole_numbers(ids: list[int], slots: int) -> None:
    assert [value & MASK for value in splitmix64(vector(*ids)).tolist()] == [mixed(one & MASK) for one in ids]
    places = HashSlots(slots).find(vector(*ids), CPU).tolist()
    assert places == [(mixed(one & MASK) >> 1) % slots for one in ids]


@pytest.mark.parametrize("step", [1, 2, 1024, 2**40])
def test_hashing_shares_places_as_often_as_documented(step: int) -> None:
    ids, slots = torch.arange(20_000) * step, 200_000
    counts = torch.bincount(HashSlots(slots).find(ids, CPU), minlength=slots)
    shared = int(counts[counts > 1].sum()) / len(ids)
    assert shared == pytest.approx(1 - math.exp(-len(ids) / slots), abs=0.01)


def test_ids_that_share_a_place_share_its_record() -> None:
    record, one = RecordedLosses(slots=64), 5
    other = next(i for i in range(6, 10_000) if mixed(i) >> 1 & 63 == mixed(one) >> 1 & 63)
    record.update(vector(one, other, other), torch.tensor([1.0, 2.0, 3.0]), now=1)
    signals = record.read(vector(one, other, 10**15), now=1)
    assert signals.losses.tolist()[:2] == [3, 3]
    assert signals.visits.tolist()[:2] == [3, 3]
    assert (len(record), record.unseen, record.index_bytes) == (64, 63, 0)


@given(ids=st.lists(INT64, max_size=20, unique=True), data=st.data())
def test_an_index_finds_its_ids_and_no_others(ids: list[int], data: st.DataObject) -> None:
    record = RecordedLosses(ids=vector(*ids))
    asked = data.draw(st.lists(st.sampled_from(ids), max_size=20)) if ids else []
    losses = [float(ids.index(one)) for one in ids]
    record.update(vector(*ids), torch.tensor(losses), now=0)
    assert record.read(vector(*asked), now=0).losses.tolist() == [float(ids.index(one)) for one in asked]
    assert (len(record), record.unseen, record.index_bytes) == (len(ids), 0, 8 * len(ids))
    strange = data.draw(INT64.filter(lambda one: one not in ids))
    with pytest.raises(ArgumentError, match=rf"1 ids are unknown \({strange}\): in the index of {len(ids)} ids"):
        record.read(vector(*asked, strange), now=0)


def test_an_index_must_be_distinct_whole_numbers(unchecked: None) -> None:
    with pytest.raises(ArgumentError, match="id 7 stands there twice"):
        RecordedLosses(ids=vector(7, 3, 7))
    with pytest.raises(ArgumentError, match="whole numbers"):
        RecordedLosses(ids=torch.ones(3))


def test_a_range_grows_and_keeps_what_it_has() -> None:
    record = RecordedLosses(2, columns={"note": torch.uint8}, track=True)
    record.update(vector(1), torch.tensor([4.0]), now=3, note=vector(9))
    record.grow(5)
    record.grow(5)
    signals = record.read(torch.arange(5), now=3)
    assert signals.losses.tolist() == [0, 4, 0, 0, 0]
    assert signals.valid is not None
    assert signals.valid.tolist() == [False, True, False, False, False]
    assert signals.columns["note"].tolist() == [0, 9, 0, 0, 0]
    assert (len(record), record.unseen, record.bytes_per_instance) == (5, 4, 9)
    record.update(vector(4), torch.tensor([1.0]), now=3)
    assert record.unseen == 3


def test_an_index_grows_by_ids_that_lie_between_the_old_ones() -> None:
    record = RecordedLosses(ids=vector(10, -5, 30), columns={"note": torch.int16}, track=True)
    record.update(vector(30, -5), torch.tensor([3.0, 1.0]), now=2, note=vector(300, 100))
    record.grow(ids=vector(20, 40, -9))
    signals = record.read(vector(-9, -5, 10, 20, 30, 40), now=2)
    assert signals.losses.tolist() == [0, 1, 0, 0, 3, 0]
    assert signals.columns["note"].tolist() == [0, 100, 0, 0, 300, 0]
    assert signals.visits is not None
    assert signals.visits.tolist() == [0, 1, 0, 0, 1, 0]
    assert (len(record), record.unseen, record.index_bytes) == (6, 4, 48)
    places, counts = record.state_dict()["touched"]  # what a merge would send has moved along
    assert (places.tolist(), counts.tolist()) == ([1, 4], [1, 1])


def test_what_cannot_grow_says_how_it_can() -> None:
    ranged, indexed, hashed = RecordedLosses(3), RecordedLosses(ids=vector(4, 5)), RecordedLosses(slots=8)
    with pytest.raises(ArgumentError, match="size=2 is below the 3 instances"):
        ranged.grow(2)
    for size, ids in ((None, None), (5, vector(9)), (None, vector(9))):
        with pytest.raises(ArgumentError, match=r"grow\(size\)"):
            ranged.grow(size, ids=ids)
    with pytest.raises(ArgumentError, match=r"grow\(ids=new_ids\)"):
        indexed.grow(9)
    with pytest.raises(ArgumentError, match="id 5 stands there twice"):
        indexed.grow(ids=vector(5, 6))
    with pytest.raises(ArgumentError, match="8 slots takes any number of ids"):
        hashed.grow(16)
    assert [len(record) for record in (ranged, indexed, hashed)] == [3, 2, 8]
