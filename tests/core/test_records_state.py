"""The state of a record: bit for bit, safe to load, for data sets that grew since; and what a merge would send."""

import copy
import io
from typing import Any

import pytest
import torch

from adaselection.errors import StateError
from adaselection.records import RecordedLosses
from adaselection.touched import Touched

KINDS: dict[str, Any] = {"range": {"size": 40}, "index": {"ids": torch.arange(40) * 3 - 50}, "hash": {"slots": 40}}


def trained(kind: str, seed: int = 0, **more: Any) -> tuple[RecordedLosses, torch.Tensor]:
    record = RecordedLosses(**KINDS[kind], columns={"note": torch.float16}, **more)
    ids = KINDS["index"]["ids"] if kind == "index" else torch.arange(40)
    step(record, ids, seed, 1)
    step(record, ids, seed + 1, 2)
    return record, ids


def step(record: RecordedLosses, ids: torch.Tensor, seed: int, now: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    drawn = ids[torch.randint(len(ids), (25,), generator=chance)]
    losses, notes = torch.rand(2, 25, generator=chance)
    losses[3] = torch.nan
    record.update(drawn, losses, now=now, note=notes)


def same(one: RecordedLosses, other: RecordedLosses) -> bool:
    """Whether two records have equal states, tensors bit for bit."""
    a, b = one.state_dict(), other.state_dict()
    tensors = [(a["columns"][name], b["columns"][name]) for name in a["columns"]]
    tensors += zip(a["touched"], b["touched"], strict=True)
    if a["index"] is not None:
        tensors.append((a["index"], b["index"]))
    plain = all(a[name] == b[name] for name in ("version", "kind", "size", "now", "nonfinite", "momentum"))
    return plain and all(x.dtype == y.dtype and torch.equal(x, y) for x, y in tensors) and one.unseen == other.unseen


@pytest.mark.parametrize("track", [None, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_record_goes_on_bit_for_bit_from_a_file_of_tensors(kind: str, track: bool | None) -> None:
    record, ids = trained(kind, track=track)
    file = io.BytesIO()
    torch.save(record.state_dict(), file)
    other = RecordedLosses(**KINDS[kind], columns={"note": torch.float16}, track=track)
    assert not same(record, other)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert same(record, other)
    for each in (record, other):
        step(each, ids, 5, 3)
    assert same(record, other)
    assert record.nonfinite == 3
    assert 0 < record.unseen < 40


def test_a_state_is_a_copy_both_ways() -> None:
    record, ids = trained("range")
    state = record.state_dict()
    kept = copy.deepcopy(state)
    step(record, ids, 9, 3)
    assert torch.equal(state["columns"]["packed"], kept["columns"]["packed"])
    record.load_state_dict(state)
    step(record, ids, 9, 3)
    assert torch.equal(state["columns"]["packed"], kept["columns"]["packed"])


def test_a_state_replaces_what_was_there() -> None:
    record, other = trained("range")[0], trained("range", seed=7)[0]
    other.load_state_dict(record.state_dict())
    assert same(record, other)


@pytest.mark.parametrize("kind", ["range", "index"])
def test_instances_that_came_after_the_state_have_no_record(kind: str) -> None:
    record, ids = trained(kind, track=True)
    new = {"range": torch.arange(40, 60), "index": torch.arange(20) * 3 - 49}[kind]  # the index: in between
    all_ids = torch.cat((ids, new))
    grown = RecordedLosses(60) if kind == "range" else RecordedLosses(ids=all_ids)
    larger = RecordedLosses(
        **({"size": 60} if kind == "range" else {"ids": all_ids}), columns={"note": torch.float16}, track=True
    )
    larger.load_state_dict(record.state_dict())
    old, now = record.read(ids, now=4), larger.read(ids, now=4)
    for name in ("losses", "averages", "ages", "visits", "valid"):
        assert torch.equal(getattr(old, name), getattr(now, name))
    assert larger.read(new, now=4).visits.tolist() == [0] * 20
    assert larger.unseen == record.unseen + 20
    visits = larger.state_dict()["touched"][1].tolist()
    assert visits == record.state_dict()["touched"][1].tolist()
    with pytest.raises(StateError, match="columns"):
        grown.load_state_dict(record.state_dict())


WRONG: list[tuple[str, Any, str]] = [
    ("version", 99, "version=99"),
    ("kind", "hash", "kind='hash'"),
    ("momentum", 0.9, "momentum=0.9"),
    ("size", 41, "Call grow"),
    ("touched", [1, 2], "damaged"),
    ("nonfinite", "many", "damaged"),
    ("columns", {"packed": torch.zeros(40, dtype=torch.int64)}, "Declare the same"),
    ("columns", {"packed": torch.zeros(40), "note": torch.zeros(40, dtype=torch.float16)}, "Declare the same"),
    ("columns", None, "damaged"),
    ("size", 12, "Declare the same"),
]


@pytest.mark.parametrize(("name", "value", "text"), WRONG, ids=[f"{name}-{text}" for name, _, text in WRONG])
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(name: str, value: Any, text: str) -> None:
    record, before = trained("range")[0], trained("range")[0]
    with pytest.raises(StateError, match=text):
        record.load_state_dict({**trained("range", seed=4)[0].state_dict(), name: value})
    assert same(record, before)
    for key in record.state_dict():
        damaged = record.state_dict()
        del damaged[key]
        with pytest.raises(StateError, match=f"lacks {key}"):
            record.load_state_dict(damaged)
    assert same(record, before)


def test_a_state_of_other_ids_or_slots_is_refused() -> None:
    indexed, hashed = trained("index")[0], trained("hash")[0]
    with pytest.raises(StateError, match="has instances that this record lacks: 20 ids are unknown"):
        RecordedLosses(ids=torch.arange(20) * 3 - 50, columns={"note": torch.float16}).load_state_dict(
            indexed.state_dict()
        )
    with pytest.raises(StateError, match="has 40 slots, and this one 41"):
        RecordedLosses(slots=41, columns={"note": torch.float16}).load_state_dict(hashed.state_dict())


def test_moving_keeps_everything() -> None:
    record, before = trained("index", track=True)[0], trained("index", track=True)[0]
    record.to("cpu")
    assert same(record, before)
    assert record.device == torch.device("cpu")
    away = RecordedLosses(ids=torch.arange(3), track=True, device="meta")
    assert away.device == torch.device("meta")


def test_the_note_of_changes_is_summed_up_before_it_grows_long() -> None:
    record = RecordedLosses(1000, track=True)
    most = 0
    for number in range(400):
        record.update(torch.arange(1000).roll(number)[:900], torch.ones(900), now=0)
        most = max(most, record.tracked_bytes)
    assert most <= 12 * (2**16 + 900)
    places, counts = record.state_dict()["touched"]
    assert places.tolist() == list(range(1000))
    assert int(counts.sum()) == 400 * 900
    assert counts.tolist() == record.read(torch.arange(1000), now=0).visits.tolist()


def test_a_summed_note_has_every_place_once_and_no_row_that_did_not_count() -> None:
    note = Touched()
    assert [part.tolist() for part in note.summed(torch.device("cpu"))] == [[], []]
    note.add(torch.tensor([5, 2, 5]), torch.tensor([True, True, True]))
    note.add(torch.tensor([2, 9]), torch.tensor([True, False]))
    assert [part.tolist() for part in note.summed(torch.device("cpu"))] == [[2, 5], [2, 2]]
    assert note.nbytes == 24
    note.add(torch.tensor([1]), torch.tensor([True]))
    assert [part.tolist() for part in note.summed(torch.device("cpu"))] == [[1, 2, 5], [1, 2, 2]]
