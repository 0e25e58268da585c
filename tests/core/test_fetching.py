"""A loader without workers is iterated at less cost, and gives what torch's own iterator gives."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from adaselection.fetching import opened
from core.parts import data, ids


class Together(Dataset[Any]):
    """Loads whole batches, and notes the calls."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __len__(self) -> int:
        return 10

    def __getitem__(self, number: int) -> int:
        raise AssertionError(f"row {number} was loaded by itself")

    def __getitems__(self, numbers: list[int]) -> list[int]:
        self.calls.append(numbers)
        return [10 * number for number in numbers]


class Doubling(DataLoader[Any]):
    """Does more to a batch than to collate it, as the loaders of frameworks do."""

    def __iter__(self) -> Any:
        return iter([2 * batch for batch in super().__iter__()])


class Filtering(DataLoader[Any]):
    """Has an iterator of its own, as the loaders of PyTorch Geometric do."""

    def _get_iterator(self) -> Any:
        return (batch + 100 for batch in super()._get_iterator())


class Ending(Dataset[Any]):
    """Ends the iterator itself, at its third row."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, number: int) -> int:
        if number == 2:
            raise StopIteration
        return number


@pytest.mark.parametrize("generator", [None, 7])
def test_the_same_batches_and_the_same_random_numbers_afterwards(generator: int | None) -> None:
    def found(way: Any) -> tuple[list[list[int]], torch.Tensor]:
        torch.manual_seed(3)
        own = None if generator is None else torch.Generator().manual_seed(generator)
        loader = DataLoader(data(10), 3, shuffle=True, generator=own)
        batches = [ids(batch) for _ in range(2) for batch in way(loader)]
        return batches, torch.rand(2) if own is None else torch.rand(2, generator=own)

    (plain, after), (ours, then) = found(iter), found(opened)
    assert ours == plain
    assert sorted(number for batch in ours[:4] for number in batch) == list(range(10))
    assert torch.equal(after, then)


def test_a_data_set_that_loads_batches_is_asked_for_batches() -> None:
    dataset = Together()
    assert [batch.tolist() for batch in opened(DataLoader(dataset, 4))] == [[0, 10, 20, 30], [40, 50, 60, 70], [80, 90]]
    assert dataset.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_data_set_may_end_the_iterator() -> None:
    loader = DataLoader(Ending(), 2)
    assert [batch.tolist() for batch in opened(loader)] == [batch.tolist() for batch in loader] == [[0, 1]]


def test_whatever_does_more_than_collate_keeps_its_own_iterator() -> None:
    loader = Doubling([1, 2, 3], 2)  # type: ignore[arg-type]  # a list is a data set
    assert [batch.tolist() for batch in opened(loader)] == [[2, 4], [6]]
    filtering = Filtering([1, 2, 3], 2)  # type: ignore[arg-type]
    assert [batch.tolist() for batch in opened(filtering)] == [[101, 102], [103]]
    with_workers: Iterator[Any] = opened(DataLoader(data(4), 2, num_workers=1))
    assert isinstance(with_workers, _BaseDataLoaderIter)
    assert not isinstance(opened(DataLoader(data(4), 2)), _BaseDataLoaderIter)
