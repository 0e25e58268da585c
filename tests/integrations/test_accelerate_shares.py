"""How many rows each process gets: the arithmetic against accelerate's own samplers."""

from __future__ import annotations

import pytest
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from adaselection.integrations.shares import Share, dispatched, share


@given(
    rows=st.integers(1, 60),
    each=st.integers(1, 5),
    processes=st.integers(1, 4),
    drop_last=st.booleans(),
    split=st.booleans(),
    even=st.booleans(),
)
@settings(max_examples=300)
def test_shares_are_those_of_accelerates_sampler(
    rows: int, each: int, processes: int, drop_last: bool, split: bool, even: bool
) -> None:
    size = each * processes if split else each
    for index in range(processes):
        inner = BatchSampler(range(rows), size, drop_last)
        shard = BatchSamplerShard(inner, processes, index, split_batches=split, even_batches=even)
        found = share(rows, size, processes, index, drop_last=drop_last, split=split, even=even)
        if not split or even:
            assert [len(batch) for batch in shard] == found
        else:  # the last share may be shorter than a full one
            assert [len(batch) for batch in shard if batch] == found
        own = Share(shard)
        assert own.batch_size == each
        assert list(own) == list(shard)


@pytest.mark.parametrize(
    ("rows", "size", "processes", "drop_last", "split", "expected"),
    [
        (32, 4, 2, False, False, [4, 4, 4, 4]),
        (35, 4, 2, False, False, [4, 4, 4, 4, 2]),
        (35, 4, 2, True, False, [4, 4, 4, 4]),
        (33, 4, 2, False, True, [2] * 8 + [1]),
        (39, 4, 2, False, True, [2] * 9 + [2]),
        (39, 4, 2, True, True, [2] * 9),
    ],
)
def test_dispatched_rows(
    rows: int, size: int, processes: int, drop_last: bool, split: bool, expected: list[int]
) -> None:
    assert dispatched(rows, size, processes, drop_last=drop_last, split=split) == expected
