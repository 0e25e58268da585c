"""Which instances a batch holds: read off the sampler, or told by the user."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler

from adaselection import SelectiveLoader, SingleMethod
from adaselection.cheap import CheapScores
from adaselection.errors import ArgumentError, BatchStructureError
from adaselection.records import RecordedLosses
from core.parts import CE, Stateful, data, ids
from core.test_cheap_reuse import ROWS, SIZE, Noting, loader_of


class Halved(Dataset[Any]):
    """A data set that reads whole lists of indices."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: list[int]) -> Any:
        return tuple(part[index] for part in data(ROWS).tensors)


LOADERS = {
    "shuffled": lambda: DataLoader(data(ROWS), batch_size=SIZE, shuffle=True),
    "workers": lambda: DataLoader(data(ROWS), batch_size=SIZE, shuffle=True, num_workers=2, persistent_workers=True),
    "batch_sampler": lambda: DataLoader(data(ROWS), batch_sampler=BatchSampler(RandomSampler(range(ROWS)), 7, True)),
    "no_batching": lambda: DataLoader(
        Halved(), batch_size=None, sampler=BatchSampler(SequentialSampler(range(ROWS)), SIZE, False)
    ),
}


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize("name", LOADERS)
def test_every_row_is_scored_once_whatever_the_order(name: str) -> None:
    model = Noting()
    loader = loader_of(LOADERS[name](), model)
    for _ in range(4):
        for number, batch in enumerate(loader):
            model.step(batch)
            if number == 1 and name == "shuffled":
                break  # an abandoned pass is one too
    seen = sorted(model.scored)
    assert seen == sorted(set(seen))
    if name in ("workers", "no_batching"):
        assert seen == list(range(ROWS))
    assert loader.report().scored == len(seen)


def test_passes_that_are_never_finished_count() -> None:
    model = Noting()
    loader = loader_of(DataLoader(data(32), batch_size=16), model, reuse=2)
    for _ in range(4):
        next(iter(loader))
    assert model.scored == list(range(16)) * 2


def test_the_order_of_the_pass_is_that_of_the_users_loader() -> None:
    orders = []
    for cheap in (None, CheapScores(reuse=2)):
        torch.manual_seed(6)
        policy = SingleMethod(("none", lambda signals: torch.zeros_like(signals.losses)), 0.5)
        loader = SelectiveLoader(
            LOADERS["shuffled"](), policy, model=Noting(), loss_fn=CE, cheap=cheap, update="every_batch"
        )
        orders.append(([ids(batch) for _ in range(2) for batch in loader], torch.get_rng_state().tolist(), len(loader)))
    assert orders[0] == orders[1]


def test_ids_of_your_own_and_a_stream() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield from data(32)

    def far(batch: Any) -> Tensor:
        return batch[0][:, 0].long() * 1_000_003 - 7

    for inner in (DataLoader(Stream(), batch_size=16), list(DataLoader(data(32), batch_size=16))):
        model = Noting()
        loader = loader_of(inner, model, ids=far, store=RecordedLosses(slots=4096))
        for _ in range(3):
            list(loader)
        assert sorted(model.scored) == list(range(32))
    first, second = (loader_of(inner, Noting()) for inner in [DataLoader(data(32), batch_size=16)] * 2)
    assert len(list(first)) == len(list(second))  # two loaders over one, each with a note of its own


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "inner",
    [
        [data(16).tensors],
        DataLoader(data(16), batch_size=4, num_workers=1, in_order=False),
        Stateful([data(16).tensors]),
    ],
    ids=["list", "out of order", "stateful"],
)
def test_loaders_whose_instances_cannot_be_seen(inner: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Pass CheapScores\(ids="):
        loader_of(inner)


def test_batches_whose_rows_are_not_those_of_the_sampler() -> None:
    def fewer(rows: Any) -> Any:
        x, y = torch.utils.data.default_collate(rows)
        return x[1:], y[1:]

    with pytest.raises(BatchStructureError, match=r"15 rows came with ids of shape \[16\].*collate"):
        next(iter(loader_of(DataLoader(data(32), batch_size=16, collate_fn=fewer))))
    for wrong in (lambda batch: batch[1].float(), lambda batch: batch[1][None], lambda batch: None):
        loader = loader_of([data(16).tensors], ids=wrong, store=RecordedLosses(16))
        with pytest.raises(BatchStructureError, match=r"Pass CheapScores\(ids="):
            next(iter(loader))
    named: Any = {name: data(2)[index] for index, name in enumerate("ab")}
    with pytest.raises(BatchStructureError, match=r"whole numbers\. Pass CheapScores\(ids="):
        next(iter(loader_of(DataLoader(named, batch_sampler=[["a", "b"]]))))


def test_a_data_set_without_a_length() -> None:
    class Endless(Dataset[Any]):
        def __getitem__(self, index: int) -> Any:
            return data(ROWS)[index]

    inner = DataLoader(Endless(), batch_sampler=[[1, 2, 3, 4], [4, 5, 6, 7]])
    with pytest.raises(ArgumentError, match=r"store=RecordedLosses\(slots=2\*\*20\)"):
        loader_of(inner)
    model = Noting()
    list(loader_of(inner, model, store=RecordedLosses(slots=999)))
    assert model.scored == [1, 2, 3, 4, 5, 6, 7]
