"""Samplers without an end or without a length, and loaders that do not ask their sampler."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler

from adaselection import AdaSelection, RecordedLoader, SingleMethod
from adaselection.errors import AdaSelectionError, ArgumentError
from core.parts import data, stored
from core.recorded_parts import passes, recorded


class Endless(Sampler[int]):
    """Counts for ever, and says how far it got."""

    def __init__(self, rows: int) -> None:
        self.rows, self.given = rows, 0

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            self.given += 1
            assert self.given < 10_000, "it filled the memory"
            yield number % self.rows


class Unmeasured(Sampler[int]):
    """A sampler need not have a length."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(40))


class Repeat:
    """As that of timm's loader below."""

    def __init__(self, sampler: Any) -> None:
        self.sampler, self.batch_size = sampler, 4

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield from iter(self.sampler)


class Measured(Repeat):
    def __len__(self) -> int:
        return len(self.sampler)


class MultiEpochs(DataLoader[Any]):
    """What timm's MultiEpochsDataLoader does, so that its workers live on."""

    repeat: Any = Repeat

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.__dict__["batch_sampler"] = self.repeat(self.batch_sampler)
        self.iterator = super().__iter__()

    def __len__(self) -> int:
        return len(self.batch_sampler.sampler)  # type: ignore[union-attr]

    def __iter__(self) -> Iterator[Any]:
        for _ in range(len(self)):
            yield next(self.iterator)


class Repeated(MultiEpochs):
    repeat = Measured

    def __len__(self) -> int:
        return len(self.batch_sampler)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [None, 16])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_walk_over_a_sampler_without_an_end_has_the_length_that_it_says(window: int | None, workers: int) -> None:
    sampler = Endless(40)
    loader = recorded(40, 4, SingleMethod("proportional", 0.5), sampler=sampler, window=window, num_workers=workers)
    seen: list[list[list[int]]] = []
    state: dict[str, Any] = {}

    def train() -> None:
        seen.extend(passes(loader, 2))
        state.update(stored(loader.state_dict()))
        seen.extend(passes(loader, 2))

    with pytest.warns(UserWarning, match=r"BatchSampler gives more batches than its len\(\) of 10 says") as said:
        train()
    assert len(said) == 1
    assert [row for batches in seen[:2] for batch in batches for row in batch] == list(range(40))
    assert [len(batches) for batches in seen] == [5] * 4
    assert loader.walk >= 2
    assert sampler.given <= 45 * (loader.walk + 1)  # and a batch more, to see that there is one
    again = recorded(40, 4, SingleMethod("proportional", 0.5), sampler=Endless(40), window=window, num_workers=workers)
    again.load_state_dict(state)
    with pytest.warns(UserWarning, match="gives more batches"):
        assert passes(again, 2) == seen[2:]


def test_a_method_that_sets_its_own_count_gets_an_end_too() -> None:
    loader = recorded(40, 4, SingleMethod("infobatch", 0.5), sampler=Endless(40))
    with pytest.warns(UserWarning, match="gives more batches"):
        seen = passes(loader, 3)
    assert len(seen[0]) == 10
    assert all(5 <= len(batches) <= 10 for batches in seen)


def test_a_batch_sampler_whose_length_is_an_estimate_is_told() -> None:
    class Estimated(BatchSampler):
        def __len__(self) -> int:
            return super().__len__() - 2

    loader = recorded(
        40, 4, AdaSelection(rate=1), batch_sampler=Estimated(RandomSampler(range(40)), 4, drop_last=False)
    )
    with pytest.warns(UserWarning, match=r"the loader's Estimated gives more batches than its len\(\) of 8 says"):
        seen = passes(loader, 2)
    assert [len(batches) for batches in seen] == [8, 8]


@pytest.mark.parametrize("number", [40, 80])
def test_a_sampler_is_asked_for_its_end_when_it_was_before(number: int) -> None:
    """It draws an order more at its end if it comes round, which all later random numbers follow from."""
    states = []
    for wrapped in (True, False):
        torch.manual_seed(0)
        sampler = RandomSampler(range(40), num_samples=number, generator=torch.Generator().manual_seed(3))
        inner = DataLoader(data(40), 4, sampler=sampler)
        if wrapped:
            passes(RecordedLoader(inner, AdaSelection(rate=1)), 3)
        else:
            assert len([batch for _ in range(3) for batch in inner]) == 3 * number // 4
        states.append(sampler.generator.get_state())
    assert torch.equal(*states)


def test_what_has_no_length_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"number of batches of a walk.*BatchSampler fails: TypeError.*'Unmeasured'.*__len__"
    ):
        recorded(40, 4, sampler=Unmeasured())
    with pytest.raises(
        ArgumentError, match=r"len\(\) of the loader's Repeat fails.*MultiEpochsDataLoader.*persistent_w"
    ):
        RecordedLoader(MultiEpochs(data(40), 4), AdaSelection(rate=0.5))

    class Numbers(Dataset[Any]):
        def __getitem__(self, number: int) -> Any:
            return torch.tensor([float(number)]), 0

    inner = DataLoader(Numbers(), batch_sampler=BatchSampler(range(40), 4, drop_last=False))
    with pytest.raises(ArgumentError, match=r"number of instances, and len\(\) of the loader's Numbers fails"):
        RecordedLoader(inner, AdaSelection(rate=0.5))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_does_not_ask_its_batch_sampler_is_refused(workers: int) -> None:
    loader = RecordedLoader(Repeated(data(40), 4, num_workers=workers), AdaSelection(rate=0.5))
    with pytest.raises(
        AdaSelectionError, match=r"Repeated gives batches that its batch sampler was not asked for.*Dat"
    ):
        next(iter(loader))
