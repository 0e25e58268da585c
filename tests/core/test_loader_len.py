"""`len` is exactly what comes out, for every setting and every pass."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Sampler

from adaselection import AdaSelection, SelectiveLoader, SingleMethod
from adaselection.errors import EmptyLoaderError, UnknownLengthError
from core.parts import CE, data, ids, net, selective

pytestmark = [
    pytest.mark.filterwarnings("ignore:a batch of"),
    pytest.mark.filterwarnings("ignore:a pass over this loader keeps fewer"),
]


@settings(max_examples=60)
@given(
    rows=st.integers(1, 40),
    size=st.integers(1, 16),
    rate=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.77, 0.99, 1.0]),
    drop_last=st.booleans(),
    window=st.integers(1, 4),
    warmup=st.integers(0, 5),
    surplus=st.sampled_from(["drop", "carry", "flush"]),
    update=st.sampled_from(["accumulate", "every_batch"]),
    out=st.one_of(st.none(), st.integers(1, 20)),
    declared=st.booleans(),
)
def test_len_is_what_comes_out(
    rows: int,
    size: int,
    rate: float,
    drop_last: bool,
    window: int,
    warmup: int,
    surplus: Any,
    update: Any,
    out: int | None,
    declared: bool,
) -> None:
    incoming = [min(size, rows - start) for start in range(0, rows, size) if not drop_last or start + size <= rows]
    options = {"window": window, "warmup": warmup, "surplus": surplus, "update": update, "batch_size": out}
    if not incoming:
        with pytest.raises(EmptyLoaderError, match="no batch"):
            selective(rows, size, SingleMethod("uniform", rate), drop_last=drop_last, **options)
        return
    if declared:
        options["incoming_sizes"] = incoming
    loader = selective(rows, size, SingleMethod("uniform", rate), drop_last=drop_last, **options)
    total, lengths = loader.total_batches(3), []
    full = out or max(incoming)
    for _ in range(3):
        promised = len(loader)
        sizes = []
        for batch in loader:
            assert len(loader) == promised
            sizes.append(len(batch[1]))
        assert len(sizes) == promised
        lengths.append(len(sizes))
        if rate < 1 and update == "accumulate":
            short = sizes[-1:] if surplus == "flush" else []
            assert sizes[: len(sizes) - len(short)] == [full] * (len(sizes) - len(short))
            assert all(0 < last <= full for last in short)
    assert sum(lengths) == total
    assert loader.total_batches(0) == 0


@settings(max_examples=20)
@given(rows=st.integers(2, 40), size=st.integers(3, 16), rate=st.sampled_from([0.1, 0.3, 0.77]))
def test_surplus_rows(rows: int, size: int, rate: float) -> None:
    per_pass = sum(max(1, round(rate * min(size, rows - start))) for start in range(0, rows, size))
    counts = {}
    for surplus in ("drop", "carry", "flush"):
        loader = selective(rows, size, SingleMethod("uniform", rate), surplus=surplus)
        got = [[len(batch[1]) for batch in loader] for _ in range(3)]
        counts[surplus] = [sum(sizes) for sizes in got]
    size = min(size, rows)
    assert counts["drop"] == [per_pass // size * size] * 3
    assert counts["flush"] == [per_pass] * 3
    assert sum(counts["carry"]) == 3 * per_pass // size * size


def test_carried_rows_come_first_and_keep_their_order() -> None:
    rule = ("numbered", lambda signals: -torch.arange(len(signals.losses), dtype=torch.float64))
    loader = selective(10, 5, SingleMethod(rule, 0.4), surplus="carry")  # keeps 0 1 5 6 of every pass
    assert [[ids(batch) for batch in loader] for _ in range(4)] == [
        [],
        [[0, 1, 5, 6, 0]],
        [[1, 5, 6, 0, 1]],
        [[5, 6, 0, 1, 5]],
    ]


def test_a_pass_that_fills_no_batch_yields_none() -> None:
    loader = selective(10, 10, SingleMethod("uniform", 0.3))
    assert len(loader) == 0
    assert [list(loader) for _ in range(5)] == [[]] * 5
    assert loader.report().loaded == 50


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(data(23))


class Endless(Sampler[int]):
    """A sampler without a length."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(23))


class Pairs(Sampler[list[int]]):
    def __iter__(self) -> Iterator[list[int]]:
        return iter([[0, 1, 2], [3, 4], [5, 6, 7, 8]])

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(Stream(), batch_size=5),
        DataLoader(data(23), batch_size=5, sampler=Endless()),
        DataLoader(data(23), batch_sampler=Pairs()),
        DataLoader(data(23), batch_size=None),
    ],
    ids=["stream", "endless", "batch_sampler", "no_batches"],
)
def test_a_length_that_cannot_be_known(loader: Any) -> None:
    made = SelectiveLoader(loader, SingleMethod("uniform", 0.5), model=net(), loss_fn=CE)
    for ask in (lambda: len(made), lambda: made.total_batches(1)):
        with pytest.raises(TypeError, match="incoming_sizes=") as caught:
            ask()
        assert isinstance(caught.value, UnknownLengthError)
    assert made.report().steps_per_pass is None


def test_declared_sizes_make_the_length_known() -> None:
    for loader, sizes in (
        (DataLoader(Stream(), batch_size=5), [5, 5, 5, 5, 3]),
        (DataLoader(data(23), batch_sampler=Pairs()), [3, 2, 4]),
    ):
        policy = SingleMethod("uniform", 0.5)
        made = SelectiveLoader(loader, policy, model=net(), loss_fn=CE, incoming_sizes=sizes, surplus="flush")
        assert len(made) == len(list(made)) == len(list(made))
        assert made.report().steps_per_pass_without == len(sizes)


def test_a_stream_is_batched_as_its_loader_batches() -> None:
    made = SelectiveLoader(DataLoader(Stream(), batch_size=5), SingleMethod("uniform", 0.5), model=net(), loss_fn=CE)
    assert [len(batch[1]) for batch in made] == [5, 5]  # 2 + 2 + 2 + 2 + 2 rows
    assert made.batch_size == 5


def test_lists_and_empty_loaders() -> None:
    batches = [(torch.zeros(n, 4), torch.zeros(n, dtype=torch.int64)) for n in (4, 3, 5)]
    made = SelectiveLoader(batches, AdaSelection(rate=0.5), model=net(), loss_fn=CE)
    assert (made.batch_size, len(made), len(list(made))) == (5, 1, 1)
    with pytest.raises(EmptyLoaderError):
        SelectiveLoader([], AdaSelection(), model=net(), loss_fn=CE)
    once = SelectiveLoader(iter(batches), AdaSelection(rate=0.5), model=net(), loss_fn=CE)
    assert len(list(once)) == 1
    with pytest.raises(EmptyLoaderError, match="gave no batch"):
        list(once)


def test_total_batches_counts_the_pass_that_runs_as_the_first() -> None:
    loader = selective(23, 5, SingleMethod("uniform", 0.5), surplus="carry")
    total, done = loader.total_batches(3), 0
    for left in (3, 2, 1):
        seen = 0
        for _ in loader:
            seen += 1
            assert loader.total_batches(left) == total - done
        done += seen
    assert done == total


def test_a_collate_function_that_drops_rows_is_named() -> None:
    def half(rows: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(rows)[::2]

    inner = DataLoader(torch.arange(64.0), batch_size=16, collate_fn=half)
    loader = SelectiveLoader(inner, SingleMethod("uniform", rate=0.5), model=nn.Linear(1, 1), score=lambda m, b: b)
    promised = len(loader)
    with pytest.warns(UserWarning, match=f"promised {promised} batches and the pass gave 1.*incoming_sizes"):
        assert len(list(loader)) == 1 < promised


def test_a_pass_that_yields_nothing_is_named() -> None:
    with pytest.warns(UserWarning, match='yields nothing. Pass surplus="carry"'):
        loader = SelectiveLoader([torch.ones(8)], SingleMethod("uniform", rate=0.5), model=nn.Linear(1, 1))
    assert len(loader) == 0
    assert list(loader) == []
