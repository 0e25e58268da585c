"""The iterator of a loader without workers, at the least cost for each batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _SingleProcessDataLoaderIter

from adaselection.gathering import gathered
from adaselection.tree import Batch


def opened(loader: DataLoader[Any]) -> Iterator[Batch]:
    """The iterator of a loader over a map-style data set, or one that gives the same batches for less.

    The latter where the loader and its iterator are torch's own. It takes the rows of a `TensorDataset` all at once.
    Where batches are not pinned, it leaves out the mark for the profiler, which takes longer than the rest of a small
    batch. Both draw the seed that workers would get.
    """
    iterator = iter(loader)
    if type(loader).__iter__ is not DataLoader.__iter__ or type(iterator) is not _SingleProcessDataLoaderIter:
        return iterator
    rows = _Rows(loader)
    if not iterator._pin_memory:
        return _Fetched(loader, rows)
    iterator._dataset_fetcher = rows  # all that it asks of one is `fetch`
    return iterator


class _Rows:
    """Loads batches as torch does it in one process."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset, self._collate = loader.dataset, loader.collate_fn

    def fetch(self, ids: Any) -> Batch:
        """The batch of these; what loading it raises goes through, a StopIteration too."""
        if (batch := gathered(self._dataset, ids, self._collate)) is not None:
            return batch
        together = getattr(self._dataset, "__getitems__", None)
        return self._collate(together(ids) if together else [self._dataset[number] for number in ids])


class _Fetched(Iterator[Batch]):
    """The batches that the batch sampler names."""

    def __init__(self, loader: DataLoader[Any], rows: _Rows) -> None:
        self._rows, self._ids = rows, iter(loader.batch_sampler)  # type: ignore[arg-type]  # a map-style data set has one

    def __next__(self) -> Batch:
        """One batch."""
        return self._rows.fetch(next(self._ids))
