"""Records of several processes put together: two real ones, and any number against slow loops."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection.columns import Columns, as_bytes
from adaselection.records import RecordedLosses
from adaselection.touched import newest
from core.ranks import two_ranks

CHILD = """
import json, sys, torch
from torch import distributed as dist
from adaselection import touched
from adaselection.errors import ArgumentError
from adaselection.records import RecordedLosses

early = RecordedLosses(4)
early.update(torch.tensor([1]), torch.tensor([1.0]), now=1)
dist.init_process_group("gloo")
rank, sent, out = dist.get_rank(), [], {"said": []}
real = dist.all_gather

def counting(parts, own, group=None):
    sent.append(own.nbytes)
    return real(parts, own, group=group)

dist.all_gather = counting

def refused(record, group=None):
    try:
        record.merge(group)
    except ArgumentError as error:
        out["said"].append(str(error))

def told(record, ids, now):
    s = record.read(ids, now=now)
    parts = (s.losses, s.averages, s.ages, s.visits, *s.columns.values())
    return [list(row) for row in zip(*(part.tolist() for part in parts))]

def run(name, record, ids, most=None):
    touched._ROWS = most or 2**21
    chance, log = torch.Generator().manual_seed(rank), []
    for merge in range(3):
        before = told(record, ids, merge * 3)
        mine = []
        for step in range(3):
            rows = torch.randint(len(ids) // 2, (6,), generator=chance) + rank * 5
            losses, notes = torch.rand(2, 6, generator=chance)
            losses[0] = torch.nan if step == 1 else losses[0]
            now = merge * 3 + (step if rank == 0 else 1)
            record.update(ids[rows], losses, now=now, note=notes)
            mine.append([now, rows.tolist(), losses.isfinite().tolist()])
        own, last = told(record, ids, merge * 3 + 3), len(sent)
        count = record.merge()
        log.append({"before": before, "mine": mine, "own": own, "count": count, "bytes": sent[last:],
                    "after": told(record, ids, merge * 3 + 3), "unseen": record.unseen, "now": record._now,
                    "columns": [c.tolist() for c in (record._columns.packed, record._columns.extra["note"])]})
        assert record.tracked_bytes == 0
        assert record.merge() == 0
    out[name] = log

note = {"note": torch.float32}
run("range", RecordedLosses(30, columns=note), torch.arange(30))
run("rounds", RecordedLosses(30, columns=note), torch.arange(30), most=4)
run("index", RecordedLosses(ids=torch.arange(30).flip(0) * 7 - 90, columns=note), torch.arange(30) * 7 - 90)
run("hash", RecordedLosses(slots=5000, columns=note, track=True), torch.arange(30) * 2**50)
refused(early)
refused(RecordedLosses(4 + rank))
refused(RecordedLosses(ids=torch.arange(4) + rank))
refused(RecordedLosses(4, columns=note if rank else {}))
off = RecordedLosses(4, track=False)
if rank == 0:
    off.update(torch.tensor([1]), torch.tensor([1.0]), now=1)
refused(off)
alone = dist.new_group([0])
single = RecordedLosses(4)
single.update(torch.tensor([rank]), torch.tensor([1.0]), now=1)
out["alone"] = [single.merge(alone), single.unseen, single.merge(), single.unseen]
large = RecordedLosses(200_000)
large.update(torch.arange(100_000) + 50_000 * rank, torch.full((100_000,), 1.0 + rank), now=rank)
out["large"] = [large.merge(), large.unseen, int(large.read(torch.arange(200_000), now=1).losses.sum()),
                large.read(torch.arange(200_000), now=1).visits.bincount().tolist()]
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump(out, file)
del alone  # or its threads live on
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What two processes that merge had to say."""
    return two_ranks(CHILD, tmp_path_factory.mktemp("merge"))


def expected(rounds: list[dict[str, Any]]) -> tuple[list[list[float]], int]:
    """What a merge makes of two processes, instance by instance, and how many instances changed."""
    rows, changed = [], 0
    for one in range(30):
        visits = [0, 0]
        winner, youngest = 0, -1
        for rank, own in enumerate(rounds):
            for now, ids, finite in own["mine"]:
                hits = sum(fine for row, fine in zip(ids, finite, strict=True) if row == one)
                visits[rank] += hits
                if hits and now >= youngest:
                    winner, youngest = rank, now
        row = list(rounds[winner]["own"][one])
        row[3] = rounds[0]["before"][one][3] + sum(visits)
        rows.append(row)
        changed += sum(visits) > 0
    return rows, changed


@pytest.mark.parametrize("name", ["range", "rounds", "index", "hash"])
def test_two_ranks_have_one_record_after_each_merge(ranks: list[Any], name: str) -> None:
    shared = 0
    for one, two in zip(ranks[0][name], ranks[1][name], strict=True):
        assert one["own"] != two["own"]
        assert one["columns"] == two["columns"]
        rows, changed = expected([one, two])
        assert one["after"] == two["after"] == rows
        assert one["count"] == two["count"] == changed
        places = 5000 if name == "hash" else 30
        assert one["unseen"] == two["unseen"] == places - sum(row[3] > 0 for row in rows)
        assert one["now"] == two["now"] == max(now for log in (one, two) for now, _, _ in log["mine"])
        shared += len(set.intersection(*({row for _, ids, _ in log["mine"] for row in ids} for log in (one, two))))
    assert shared > 10


def test_only_rows_that_changed_travel(ranks: list[Any]) -> None:
    for logs in zip(ranks[0]["range"], ranks[1]["range"], strict=True):
        rows = [
            {row for _, ids, finite in log["mine"] for row, fine in zip(ids, finite, strict=True) if fine}
            for log in logs
        ]
        # the head and its count, then one count and the rows: 20 bytes in the default, 4 of the column
        assert logs[0]["bytes"] == logs[1]["bytes"] == [8, 48, 8, 24 * max(map(len, rows))]


def test_rows_travel_in_rounds_and_give_the_same(ranks: list[Any]) -> None:
    assert len(ranks[0]["rounds"][0]["bytes"]) > len(ranks[0]["range"][0]["bytes"]) + 4
    keys = ("after", "columns", "count", "unseen")
    assert [[log[key] for key in keys] for log in ranks[0]["rounds"]] == [
        [log[key] for key in keys] for log in ranks[0]["range"]
    ]


def test_records_that_do_not_fit_are_refused_on_every_rank(ranks: list[Any]) -> None:
    assert ranks[0]["said"] == ranks[1]["said"]
    said = ranks[0]["said"]
    assert len(said) == 5
    assert "track=True" in said[0]
    assert "they have [4, 5] places. Build and grow them alike" in said[1]
    assert "and other ids or columns" in said[2]
    assert "and other ids or columns" in said[3]
    assert "track=True" in said[4]


def test_a_group_of_one_changes_nothing_and_loses_nothing(ranks: list[Any]) -> None:
    assert [rank["alone"] for rank in ranks] == [[0, 3, 2, 2], [0, 3, 2, 2]]


def test_many_rows(ranks: list[Any]) -> None:
    # 50,000 of rank 0 alone, 50,000 of both of which the younger counts, 50,000 of rank 1 alone
    assert ranks[0]["large"] == ranks[1]["large"] == [150_000, 50_000, 250_000, [50_000, 100_000, 50_000]]


def test_without_a_process_group_a_merge_does_nothing() -> None:
    record = RecordedLosses(3)
    record.update(torch.tensor([1]), torch.tensor([2.0]), now=1)
    assert record.merge() == 0
    assert record.read(torch.arange(3), now=1).visits.tolist() == [0, 1, 0]  # type: ignore[union-attr]


VISIT = st.tuples(st.integers(0, 3), st.integers(1, 40_000), st.integers(0, 50_000))


@given(ranks=st.lists(st.lists(VISIT, max_size=4, unique_by=lambda row: row[0]), min_size=1, max_size=4))
def test_the_youngest_record_counts_and_visits_add_up(ranks: list[list[tuple[int, int, int]]]) -> None:
    now, base = 70_000, {place: 100 * place for place in range(4)}  # visits of all before the merge
    encoded, slow = [], {}
    for rank, rows in enumerate(ranks):
        columns = RecordedLosses(4)._columns
        for place, count, age in sorted(rows):
            loss, visits = float(rank), min(65535, base[place] + count)
            stamp = (now - age) % 65536
            words = torch.tensor([[loss, loss]]).to(torch.bfloat16).view(torch.int16).flatten()
            whole = torch.tensor([stamp, visits]).to(torch.int16)
            columns.packed[place] = torch.cat((words, whole)).view(torch.int64)
            best = slow.get(place, (0, 10**6, 0))
            slow[place] = (rank, age, best[2] + count) if age <= best[1] else (best[0], best[1], best[2] + count)
        places = torch.tensor([place for place, *_ in sorted(rows)], dtype=torch.int64)
        counts = torch.tensor([count for _, count, _ in sorted(rows)], dtype=torch.int32)
        encoded.append(torch.cat((as_bytes(places), as_bytes(counts), columns.encode(places)), dim=1))
    places, rows = newest(Columns(4, {}, torch.device("cpu")), torch.cat(encoded), now)
    assert places.tolist() == sorted(slow)
    assert rows.losses.tolist() == [slow[place][0] for place in sorted(slow)]
    assert rows.visits.tolist() == [min(65535, base[place] + slow[place][2]) for place in sorted(slow)]
    assert [(now - stamp) % 65536 for stamp in rows.stamps.tolist()] == [slow[place][1] for place in sorted(slow)]
