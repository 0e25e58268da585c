"""Rows of a `TensorDataset` are taken out of whole tensors, and are what taking them one by one gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset, default_collate, random_split
from torch.utils.data._utils.collate import default_collate_fn_map

from adaselection import AdaSelection, RecordedLoader
from adaselection.fetching import opened
from adaselection.gathering import gathered

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64, torch.bool, torch.complex64)


def tensors(rows: int, dtype: torch.dtype = torch.float32) -> TensorDataset:
    """Rows of pictures and of numbers."""
    pictures = torch.arange(rows * 6).reshape(rows, 1, 2, 3).to(dtype)
    return TensorDataset(pictures, torch.arange(rows))


def one_by_one(dataset: Any, numbers: Sequence[int]) -> list[Tensor]:
    """As a `DataLoader` does it."""
    collated: list[Tensor] = default_collate([dataset[number] for number in numbers])
    return collated


def taken(dataset: Any, numbers: Sequence[int]) -> list[Tensor]:
    """All at once."""
    found = gathered(dataset, numbers, default_collate)
    assert found is not None
    return found


def same(found: list[Tensor], expected: list[Tensor]) -> bool:
    """In values, types, shapes and places in memory."""
    return type(found) is type(expected) and all(
        torch.equal(one, other) and one.dtype == other.dtype and one.stride() == other.stride()
        for one, other in zip(found, expected, strict=True)
    )


@given(st.data())
def test_the_rows_are_those_taken_one_by_one(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 9))
    dataset: Any = tensors(rows, data.draw(st.sampled_from(DTYPES)))
    for _ in range(data.draw(st.integers(0, 2))):
        places = st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=9)
        dataset = Subset(dataset, data.draw(places))
    numbers = data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=9))
    assert same(taken(dataset, numbers), one_by_one(dataset, numbers))


def test_numbers_of_numpy_are_taken() -> None:
    dataset = tensors(5)
    assert same(taken(dataset, list(np.array([4, 0]))), one_by_one(dataset, [4, 0]))
    part = Subset(dataset, np.array([3, 1, 2]))  # type: ignore[arg-type]  # users do
    assert same(taken(part, [2, 0]), one_by_one(dataset, [2, 3]))


@pytest.mark.parametrize(
    "places",
    [torch.tensor([3, 1, 2]), torch.tensor([[3], [1], [2]]), [np.array([3]), np.array([1]), np.array([2])], [-1, 1, 0]],
)
def test_places_of_other_kinds_give_what_the_plain_loader_gives(places: Any) -> None:
    part = Subset(tensors(5), places)
    assert gathered(part, [2, 0], default_collate) is None
    (found,), (expected,) = (list(way(DataLoader(part, 3))) for way in (opened, iter))
    assert same(found, expected)


@pytest.mark.parametrize("places", [torch.tensor([1, 0, 1]) == 1, [True, False, True]])
def test_a_mask_in_the_place_of_numbers_fails_as_in_the_plain_loader(places: Any) -> None:
    loader = DataLoader(Subset(tensors(5), places), 3)
    for way in (iter, opened):
        with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
            next(way(loader))


def test_a_batch_is_a_copy() -> None:
    dataset = tensors(3)
    taken(dataset, [1, 2])[0].zero_()
    assert dataset.tensors[0][1:].all()


@pytest.mark.parametrize(
    "numbers",
    [[], [0, -1], [0, 3], [2**70], [True, False], [torch.tensor(1)], [(0, 1)], ["0"], [[0], [1]], [0.0], [slice(2)]],
)
def test_other_numbers_are_left_to_the_data_set(numbers: list[Any]) -> None:
    assert gathered(tensors(3), numbers, default_collate) is None


class Doubling(TensorDataset):
    """Does more than to index."""

    def __getitem__(self, number: int) -> tuple[Tensor, ...]:
        return tuple(2 * part for part in super().__getitem__(number))


class Part(Subset[Any]):
    """Does more than to index."""

    def __getitem__(self, number: int) -> Any:
        return self.dataset[self.indices[number]][::-1]

    def __getitems__(self, numbers: list[int]) -> list[Any]:
        return [self[number] for number in numbers]


class Marked(Tensor):
    """A tensor of someone's own."""


@pytest.mark.parametrize(
    "dataset",
    [
        Doubling(torch.ones(3)),
        Subset(Doubling(torch.ones(3)), [0, 1]),
        Part(tensors(3), [0, 1]),
        TensorDataset(torch.arange(6).reshape(2, 3).T),
        TensorDataset(torch.eye(3).to_sparse()),
        TensorDataset(torch.ones(3).as_subclass(Marked)),  # type: ignore[arg-type]
        [(1, 2), (3, 4)],
    ],
)
def test_other_data_sets_are_asked_row_by_row(dataset: Any) -> None:
    assert gathered(dataset, [1, 0], default_collate) is None


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_asked_row_by_row() -> None:
    dataset = TensorDataset(torch.nested.nested_tensor([torch.ones(2), torch.zeros(2)]))
    assert gathered(dataset, [1, 0], default_collate) is None


def test_with_a_collate_function_of_ones_own_the_rows_are_taken_one_by_one() -> None:
    def collate(rows: list[tuple[Tensor, ...]]) -> int:
        return len(rows)

    assert gathered(tensors(3), [1, 0], collate) is None
    assert list(opened(DataLoader(tensors(3), 2, collate_fn=collate))) == [2, 1]


def test_what_someone_hung_on_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def together(numbers: list[int]) -> list[tuple[int]]:
        return [(10 * number,) for number in numbers]

    for dataset in (tensors(3), Subset(tensors(3), [0, 1, 2])):
        dataset.__getitems__ = together  # type: ignore[method-assign, union-attr]
        ((found,),) = opened(DataLoader(dataset, 3))  # type: ignore[arg-type]
        assert found.tolist() == [0, 10, 20]
    monkeypatch.setitem(default_collate_fn_map, Tensor, lambda rows, *, collate_fn_map: len(rows))
    assert list(opened(DataLoader(tensors(3), 3))) == [[3, 3]]


def test_what_is_put_in_the_place_of_tensors_and_indices_counts_at_once() -> None:
    dataset = tensors(4)
    part = Subset(dataset, [0, 1, 2, 3])
    batches = opened(DataLoader(part, 1))
    assert next(batches)[1].tolist() == [0]
    dataset.tensors = (dataset.tensors[0], dataset.tensors[1] + 10)
    assert next(batches)[1].tolist() == [11]
    part.indices = [3, 2, 1, 0]
    assert next(batches)[1].tolist() == [11]
    part.dataset = TensorDataset(torch.zeros(4), torch.arange(20, 24))
    assert next(batches)[1].tolist() == [20]


def test_rows_that_are_gone_are_an_error_as_in_the_plain_loader() -> None:
    dataset = tensors(4)
    batches = opened(DataLoader(dataset, 2))
    next(batches)
    dataset.tensors = (dataset.tensors[0], dataset.tensors[1][:3])
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        next(batches)


def test_a_loader_takes_no_row_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    part, _ = random_split(tensors(10), [7, 3], torch.Generator().manual_seed(1))
    loader = DataLoader(part, 3, shuffle=True)
    torch.manual_seed(2)
    expected = list(loader)
    monkeypatch.delattr(TensorDataset, "__getitem__")
    torch.manual_seed(2)
    found = list(opened(loader))
    assert [len(batch[1]) for batch in found] == [3, 3, 1]
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))


def test_pinned_batches_are_taken_all_at_once_and_pinned_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[list[int]] = []

    def pin(batch: list[Tensor], _: object) -> list[Tensor]:
        pinned.append(batch[1].tolist())
        return batch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)  # as on a machine that has one
    monkeypatch.setattr("torch.utils.data._utils.pin_memory.pin_memory", pin)
    monkeypatch.delattr(TensorDataset, "__getitem__")
    found = list(opened(DataLoader(tensors(5), 3, pin_memory=True)))
    assert [batch[1].tolist() for batch in found] == pinned == [[0, 1, 2], [3, 4]]


def test_a_wrong_number_gets_the_error_of_the_data_set() -> None:
    loader = DataLoader(tensors(3), batch_sampler=[[0, 1], [2, 3]])
    batches = opened(loader)
    assert same(next(batches), one_by_one(tensors(3), [0, 1]))
    with pytest.raises(IndexError, match="index 3 is out of bounds for dimension 0 with size 3"):
        next(batches)


def test_negative_numbers_count_from_the_end() -> None:
    (batch,) = opened(DataLoader(tensors(3), batch_sampler=[[-1, 0]]))
    assert batch[1].tolist() == [2, 0]


def test_a_recorded_loader_takes_no_row_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = RecordedLoader(DataLoader(tensors(8), 4), AdaSelection(rate=0.5))
    monkeypatch.delattr(TensorDataset, "__getitem__")
    found: list[int] = []
    for _ in range(2):
        for batch in loader:
            found += batch[1].tolist()
            loader.record(torch.ones(len(batch[1]), requires_grad=True))
    assert found == list(range(8))
