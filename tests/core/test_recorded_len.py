"""Every pass of a recorded loader has the length that `len` said, which is the same from the first one on."""

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler

from adaselection import AdaSelection, Policy, RecordedLoader, SingleMethod
from adaselection.errors import ArgumentError, EmptyLoaderError, UnknownLengthError
from core.parts import data, ids
from core.recorded_parts import passes, recorded

FIXED = ("proportional", "big_loss", "uniform", "upper_confidence", "rank_based")
OWN = ("infobatch", "kakurenbo", "selective_backprop", "trusted")


def make(name: str, rate: float) -> Policy:
    if name == "default":
        return AdaSelection(rate=rate, seed=3)
    if name == "mixture":
        return AdaSelection(("proportional", "uniform", "infobatch"), rate, weight_exponent=0.5)
    if name == "paper":
        return AdaSelection(("big_loss", "uniform"), rate, replicate="paper")
    return SingleMethod(name, rate, seed=3)


def expected(rows: int, size: int, rate: float, drop_last: bool) -> int:
    """The stated length, by counting whole batches one by one."""
    walk = rows // size * size if drop_last else rows
    if rate == 1:
        return -(-walk // size)
    full = 0
    while (full + 1) * size <= rate * walk + 1e-9:
        full += 1
    return full


@settings(max_examples=40)
@given(
    rows=st.integers(1, 50),
    size=st.integers(1, 12),
    rate=st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.9, 1.0]),
    drop_last=st.booleans(),
    windows=st.none() | st.integers(1, 3),
    name=st.sampled_from(["default", "mixture", "paper", *FIXED]),
)
def test_every_pass_is_as_long_as_len_says(
    rows: int, size: int, rate: float, drop_last: bool, windows: int | None, name: str
) -> None:
    inner = DataLoader(data(rows), batch_size=size, shuffle=True, drop_last=drop_last)
    if not len(inner):
        with pytest.raises(EmptyLoaderError, match="no batch"):
            RecordedLoader(inner, make(name, rate))
        return
    window = None if windows is None else 2 * windows * size * -(-1000 // int(1000 * rate))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loader = RecordedLoader(inner, make(name, rate), window=window)
    length = expected(rows, size, rate, drop_last)
    assert [str(one.message)[:13] for one in said] == ["a pass keeps "] * (length == 0)
    for number in range(5):
        assert len(loader) == length
        assert loader.total_batches(number) == number * length
        assert len(passes(loader, 1)[0]) == length


@settings(max_examples=25)
@given(rows=st.integers(2, 50), size=st.integers(1, 12), rate=st.floats(0.2, 1.0), name=st.sampled_from(OWN))
def test_a_method_that_sets_its_own_count_is_as_long_as_it_wants_and_says_so_before(
    rows: int, size: int, rate: float, name: str
) -> None:
    loader = recorded(rows, size, make(name, rate), shuffle=True)
    lengths, walks = [], []
    for _ in range(5):
        said = len(loader)
        assert len(loader) == said  # asking changes nothing
        (batches,) = passes(loader, 1)
        assert len(batches) == said
        assert all(len(batch) == size for batch in batches[:-1])
        lengths.append(sum(map(len, batches)))
        walks.append(loader.walk)
    assert lengths[0] == rows
    assert walks == [0, 1, 2, 3, 4]  # a pass is a walk
    assert all(0 < length <= rows for length in lengths)


def test_own_counts_have_no_length_further_ahead() -> None:
    loader = recorded(40, 4, SingleMethod("infobatch"))
    with pytest.raises(UnknownLengthError, match="'infobatch' sets its own count"):
        loader.total_batches(2)
    kept = [sum(map(len, batches)) for batches in passes(loader, 12)]
    assert len(set(kept[1:])) > 1  # left to chance, and announced all the same


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_of_own_count_that_is_left_goes_on_with_the_rest_of_its_walk(workers: int) -> None:
    loader = recorded(40, 4, SingleMethod("kakurenbo", 0.5), num_workers=workers)
    first = iter(loader)
    begun = []
    for _ in range(3):
        begun += ids(next(first))
        loader.record(torch.ones(4))
    assert len(loader) == 10  # of the one that runs
    rest = iter(loader)
    assert len(loader) == 7
    numbers = []
    for batch in rest:
        numbers += ids(batch)
        loader.record(torch.ones(4))
    assert begun + numbers == list(range(40))


class Growing(Dataset[Any]):
    """A data set to which rows are added."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index >= self.rows:
            raise IndexError(index)
        return torch.tensor([float(index)]), 0


def test_a_data_set_that_grows_has_longer_passes_and_its_new_rows_come_first() -> None:
    rows = Growing(40)
    loader = RecordedLoader(DataLoader(rows, batch_size=4, shuffle=True), SingleMethod("proportional", 0.5))
    passes(loader, 4)
    assert (len(loader), len(loader.records), loader.records.unseen) == (5, 40, 0)
    rows.rows = 60
    before = loader.walk
    batches = []
    while loader.walk <= before or loader.records.unseen:
        assert len(loader) == 7
        batches += passes(loader, 1)[0]
        assert len(batches) < 40
    assert len(loader.records) == 60
    new = [batch for batch in batches if max(batch) >= 40]
    assert sorted(number for batch in new for number in batch if number >= 40) == list(range(40, 60))


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (1, 4), (3, 4), (10, 4)])
def test_tiny_data(rows: int, size: int) -> None:
    whole = recorded(rows, size, AdaSelection(rate=1))
    assert [sum(map(len, batches)) for batches in passes(whole, 3)] == [rows] * 3
    with pytest.warns(UserWarning, match=f"a pass keeps 0.3 of {rows} instances, fewer than one batch of {size}"):
        loader = recorded(rows, size)
    assert len(loader) == 0
    assert passes(loader, 3) == [[], [], []]
    assert loader.report().trained == 0
    assert "0 instances in 0 steps" in str(loader.report())


def test_a_batch_sampler_of_your_own_says_its_batch_size() -> None:
    class Pairs:
        def __iter__(self) -> Any:
            return iter([[0, 1], [2, 3], [4, 5], [6]])

        def __len__(self) -> int:
            return 4

    with pytest.raises(EmptyLoaderError, match="the attribute batch_size"):
        recorded(7, 2, batch_sampler=Pairs())
    Pairs.batch_size = 2  # type: ignore[attr-defined]
    loader = recorded(7, 2, SingleMethod("uniform", 0.5), batch_sampler=Pairs())
    assert (loader.batch_size, len(loader)) == (2, 2)
    seen = passes(loader, 4)
    assert [*seen[0], *seen[1]] == [[0, 1], [2, 3], [4, 5], [6]]
    assert [len(batches) for batches in seen] == [2] * 4
    known = BatchSampler(SequentialSampler(range(7)), 2, drop_last=False)
    assert len(recorded(7, 2, SingleMethod("uniform", 0.6), batch_sampler=known)) == 2


def test_windows_must_hold_what_makes_a_batch() -> None:
    with pytest.raises(ArgumentError, match=r"at rate 0.3 too little .* batches of 4.*at least window=16"):
        recorded(100, 4, window=15)
    loader = recorded(100, 4, SingleMethod("uniform", 0.3), window=16)
    seen = passes(loader, 9)
    assert {len(batches) for batches in seen} == {7}
    report = loader.report()
    assert report.windows > 6 * (loader.walk - 1)  # 25 batches are six windows of four or five


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"longest_unseen": 6}, "at rate 0.3 it takes 3.33 passes to see everything once, and half"),
        ({"longest_unseen": 0}, "longest_unseen must be above 0"),
        ({"anneal": 0.5}, "say how many with passes="),
        ({"anneal": 1.5, "passes": 3}, r"anneal=1.5 is outside \[0, 1\]"),
        ({"passes": 0}, "passes must be a whole number of at least 1"),
        ({"window": 0}, "window must be a whole number"),
        ({"ids": torch.arange(9)}, "ids names 9 instances, and the data set has 20"),
        ({"ids": torch.rand(20)}, "ids must be whole numbers"),
    ],
)
def test_arguments_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        recorded(20, 2, **options)


@pytest.mark.usefixtures("unchecked")
def test_loaders_that_cannot_work() -> None:
    rows = data(20)
    whole = DataLoader(rows, sampler=BatchSampler(SequentialSampler(rows), 5, False), batch_size=None)
    unordered = DataLoader(rows, batch_size=2, num_workers=1, in_order=False)
    for loader, message in (
        (whole, "batch_size=None"),
        (unordered, "in_order=True"),
        ([1], r"got list. Wrap a data set in torch.utils.data.DataLoader"),
        (rows, r"got TensorDataset. Wrap a data set in torch.utils.data.DataLoader"),
        (iter(()), "Use SelectiveLoader"),
        (AdaSelection(), "The loader comes first, and the policy after it"),
    ):
        with pytest.raises(ArgumentError, match=message):
            RecordedLoader(loader, AdaSelection())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"policy must be a policy .* pass SingleMethod\('uniform', rate=0.3\)"):
        RecordedLoader(DataLoader(rows), "uniform")  # type: ignore[arg-type]
    for policy, message in (
        (DataLoader(rows), "got DataLoader. The loader comes first, and the policy after it"),
        ("uncertain", r"For one method alone, pass SingleMethod\('uncertain', rate=0.3\)"),
        (SingleMethod, r"That is a class: pass SingleMethod\(\.\.\.\)"),
        ("recorded", r"such as AdaSelection\(rate=0.3\); got 'recorded'\.$"),
    ):
        with pytest.raises(ArgumentError, match=message):
            RecordedLoader(DataLoader(rows), policy)  # type: ignore[arg-type]
    named = DataLoader({"a": 1, "b": 2}, sampler=["a", "b"], batch_size=1)  # type: ignore[arg-type]
    loader = RecordedLoader(named, SingleMethod("uniform", 0.5))
    with pytest.raises(ArgumentError, match=r"a list of ints for each batch; got \['a'\]"):
        next(iter(loader))
    backwards = DataLoader(rows, sampler=[0, 1, -1], batch_size=1)
    for rate in (0.5, 1.0):
        with pytest.raises(
            ArgumentError, match=r"the number -1, and instances are numbered from 0\. .* len\(dataset\)"
        ):
            list(RecordedLoader(backwards, SingleMethod("uniform", rate)))
