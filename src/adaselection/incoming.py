"""How many rows the incoming batches will have, where that can be known beforehand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from adaselection import checks, tree
from adaselection.errors import ArgumentError, EmptyLoaderError


@dataclass(frozen=True)
class Sizes:
    """Rows of the windows of one pass as runs ``(rows, windows)``.

    A window is the run of incoming batches that one selection looks at; usually one batch.
    """

    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Sizes:
        """Sizes of the windows one by one, as runs."""
        return cls(tuple((size, sum(1 for _ in run)) for size, run in itertools.groupby(sizes)))

    def __iter__(self) -> Iterator[int]:
        """The sizes one by one."""
        return itertools.chain.from_iterable(itertools.repeat(size, count) for size, count in self.runs)

    @property
    def windows(self) -> int:
        """Number of windows."""
        return sum(count for _, count in self.runs)

    @property
    def largest(self) -> int:
        """Rows of the largest window; 0 if there is none."""
        return max((size for size, _ in self.runs), default=0)

    def total(self, kept: Callable[[int], int], whole: int = 0) -> int:
        """Rows kept in one pass: ``kept(rows)`` of each window, all rows of the first ``whole`` windows."""
        rows = 0
        for size, count in self.runs:
            full = min(whole, count)
            rows += full * size + (count - full) * kept(size)
            whole -= full
        return rows

    def grouped(self, window: int) -> Sizes:
        """Sizes of windows of ``window`` of these each, the last one shorter."""
        if window == 1:
            return self
        sizes = iter(self)
        groups = iter(lambda: tuple(itertools.islice(sizes, window)), ())
        return Sizes.of(sum(group) for group in groups)


def full_batch(given: int | None, sizes: Sizes | None) -> int | None:
    """Rows of a full batch: as given, or those of the largest incoming batch; None where neither is known."""
    if given is not None:
        return checks.count("batch_size", given, 1)
    return sizes.largest if sizes else None


def incoming_sizes(loader: Iterable[Any], declared: Sequence[int] | None) -> Sizes | None:
    """Sizes of the batches of one pass, or None where they cannot be known.

    Known are those of a `DataLoader` over a map-style data set with its own batch sampler, and of a list of batches.

    Raises:
        ArgumentError: ``declared`` holds something else than whole numbers of at least 1.
        BatchStructureError: a list holds a batch whose parts differ in length.
    """
    if declared is not None and not isinstance(declared, Iterable):
        raise ArgumentError(f"incoming_sizes must be a list of the rows of each incoming batch; got {declared!r:.80}.")
    if declared is not None:
        return Sizes.of([checks.count("each of incoming_sizes", size, 1) for size in declared])
    if isinstance(loader, (list, tuple)):
        return Sizes.of([tree.length(batch) for batch in loader])
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return None
    batches: Any = loader.batch_sampler
    if type(batches) is not BatchSampler:
        return None
    try:
        rows = len(batches.sampler)  # type: ignore[arg-type]
    except TypeError:  # a sampler need not have a length
        return None
    size = batches.batch_size
    whole, rest = (size, rows // size), (rows % size, 1)
    return Sizes(tuple(run for run in (whole, rest) if run[0] and run[1] and not (run is rest and batches.drop_last)))


def walk_sizes(loader: DataLoader[Any]) -> tuple[int, int]:
    """Instances of a walk over a loader, and rows of a full batch.

    Raises:
        EmptyLoaderError: the loader has no batch.
    """
    batches: Any = loader.batch_sampler
    size = loader.batch_size or getattr(batches, "batch_size", None)
    if type(batches) is BatchSampler and batches.drop_last and not len(batches) and (rows := len(batches.sampler)):  # type: ignore[arg-type]
        raise EmptyLoaderError(
            f"drop_last=True with batch_size={size} leaves no batch of {rows} instances. Give the DataLoader "
            f"drop_last=False, or a batch_size of at most {rows}."
        )
    if not len(batches) or not isinstance(size, int):
        raise EmptyLoaderError(
            "the loader has no batch, or does not say how many rows a batch has. Check its data set, and give a "
            "batch sampler of your own the attribute batch_size."
        )
    known = incoming_sizes(loader, None)
    return known.total(int) if known else len(batches) * size, size
