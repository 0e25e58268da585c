"""The iterator of a loader without workers, at the least cost for each batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from adaselection.tree import Batch


def opened(loader: DataLoader[Any]) -> Iterator[Batch]:
    """The iterator of a loader over a map-style data set, or one that gives the same batches for less.

    The latter where the loader is torch's own and collating is the last that is done to a batch. It leaves out the mark
    for the profiler, which takes longer than the rest of a small batch. Both draw the seed that workers would get.
    """
    iterator = iter(loader)
    own = type(loader).__iter__ is DataLoader.__iter__
    return _fetched(loader) if own and not (loader.num_workers or loader.pin_memory) else iterator


def _fetched(loader: DataLoader[Any]) -> Iterator[Batch]:
    """The batches that the batch sampler names, loaded as torch does it in one process."""
    dataset, collate = loader.dataset, loader.collate_fn
    together = getattr(dataset, "__getitems__", None)
    for ids in loader.batch_sampler:  # type: ignore[union-attr]  # of a map-style data set
        yield collate(together(ids) if together else [dataset[number] for number in ids])
