"""The iterator of a loader without workers, at the least cost for each batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _SingleProcessDataLoaderIter

from adaselection.tree import Batch


def opened(loader: DataLoader[Any]) -> Iterator[Batch]:
    """The iterator of a loader over a map-style data set, or one that gives the same batches for less.

    The latter where the loader and its iterator are torch's own and collating is the last that is done to a batch. It
    leaves out the mark for the profiler, which takes longer than the rest of a small batch. Both draw the seed that
    workers would get.
    """
    iterator = iter(loader)
    own = type(loader).__iter__ is DataLoader.__iter__ and type(iterator) is _SingleProcessDataLoaderIter
    return _Fetched(loader) if own and not loader.pin_memory else iterator


class _Fetched(Iterator[Batch]):
    """The batches that the batch sampler names, loaded as torch does it in one process."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset, self._collate = loader.dataset, loader.collate_fn
        self._ids = iter(loader.batch_sampler)  # type: ignore[arg-type]  # a map-style data set has one
        self._together = getattr(self._dataset, "__getitems__", None)

    def __next__(self) -> Batch:
        """One batch; what loading it raises goes through, a StopIteration too."""
        ids = next(self._ids)
        return self._collate(self._together(ids) if self._together else [self._dataset[number] for number in ids])
