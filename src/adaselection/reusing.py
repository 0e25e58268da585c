"""Scores that serve for several passes: which instances a batch holds, and which of its rows are scored anew."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from adaselection import distributed, replay, tree
from adaselection._shapes import Bool, Int
from adaselection.errors import ArgumentError, BatchStructureError
from adaselection.records import RecordedLosses
from adaselection.tree import Batch
from adaselection.types import Signals

IdsOf = Callable[[Batch], Tensor]
_FIX = "Pass CheapScores(ids=...), a function from a batch to the number of each row's instance, int64 of shape [b]."


class Reuse:
    """Scores on record, and the choice of the rows to score anew.

    A row is scored anew if it has no score on record, or one that has served its passes; and of the others a share,
    those whose recorded losses are nearest in rank to the threshold of the choice, where a new score may change it.

    Args:
        store: where the scores are kept; with a column ``grad_norms`` where gradient norms are needed.
        passes: passes that a score serves.
        ambiguous: share of the rows with a usable score that is scored anew all the same.
        threshold: share of the rows with smaller losses than the threshold of the choice.
        grad_norms: whether gradient norms are needed.
    """

    def __init__(
        self, store: RecordedLosses, passes: int, ambiguous: float, threshold: float, grad_norms: bool
    ) -> None:
        self.store = store
        self.passes = passes
        self.ambiguous = ambiguous
        self.threshold = threshold
        self.grad_norms = grad_norms
        self.kind: Any = "other"
        self.begun = 0

    def begin(self, instances: int | None) -> None:
        """A pass begins; with several processes, each learns what the others scored.

        Args:
            instances: of the data set, if the store is to grow with it.
        """
        self.begun += 1
        if instances is not None and instances > len(self.store):
            self.store.grow(instances)
        if distributed.world_size() > 1:
            self.store.merge()

    def __call__(self, rows: Batch, ids: Int[Tensor, " b"], score: Callable[[Batch], Signals]) -> tuple[Signals, int]:
        """Signals of a window, and the number of rows that were scored anew."""
        known = self.store.read(ids, now=self.begun)
        assert known.ages is not None  # as `RecordedLosses.read` says, and so
        assert known.valid is not None
        usable = known.valid & (known.ages < self.passes)
        anew = rows_to_score(known.losses, usable, self.ambiguous, self.threshold).nonzero().flatten()
        count = anew.shape[0]
        if count == ids.shape[0]:
            fresh = score(rows)
            self._record(ids, fresh)
            return fresh, count
        signals = Signals(known.losses, known.grad_norms if self.grad_norms else None, self.kind)
        if count:
            fresh = score(tree.take(rows, anew))
            self._record(ids[anew.to(ids.device)], fresh)
            signals = _merged(signals, fresh, anew)
        return signals, count

    def _record(self, ids: Int[Tensor, " k"], fresh: Signals) -> None:
        more = {"grad_norms": fresh.grad_norms} if fresh.grad_norms is not None and self.grad_norms else {}
        self.store.update(ids, fresh.losses, now=self.begun, **more)
        self.kind = fresh.kind

    def state_dict(self) -> dict[str, Any]:
        """The store, and the pass that runs."""
        return {"store": self.store.state_dict(), "begun": self.begun, "kind": self.kind}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.store.load_state_dict(state["store"])
        self.begun, self.kind = int(state["begun"]), state["kind"]


def rows_to_score(losses: Tensor, usable: Bool[Tensor, " b"], ambiguous: float, threshold: float) -> Bool[Tensor, " b"]:
    """Which rows to score anew: all without a usable loss, and the share of the others nearest to the threshold.

    Of ``u`` usable losses, ``round(ambiguous * u)`` are taken: the run of ranks around ``threshold * u``, moved inwards
    where it would reach over an end. Ties by position.
    """
    anew = ~usable
    known = int(usable.sum())
    count = round(ambiguous * known)
    start = min(max(round(threshold * known - count / 2), 0), known - count)
    order = torch.where(usable, losses, torch.inf).argsort(stable=True)
    anew[order[start : start + count]] = True
    return anew


def _merged(recorded: Signals, fresh: Signals, anew: Int[Tensor, " k"]) -> Signals:
    """The signals on record with the fresh ones in their places, on the device and in the type of the fresh ones."""

    def put(old: Tensor | None, new: Tensor | None) -> Tensor | None:
        if old is None or new is None:
            return None
        return old.to(new).index_copy(0, anew.to(new.device), new)

    losses = put(recorded.losses, fresh.losses)
    assert losses is not None  # signals always have losses
    return replace(recorded, losses=losses, grad_norms=put(recorded.grad_norms, fresh.grad_norms), kind=fresh.kind)


class BatchIds:
    """Which instances the batches of a loader hold.

    Args:
        loader: the user's loader.
        function: gives the ids of a batch. Without one, they are the indices that the sampler of a `DataLoader` over a
            map-style data set draws; a copy of the loader notes them.

    Attributes:
        loader: the loader to iterate over, which gives the same batches.

    Raises:
        ArgumentError: a loader whose indices cannot be seen, without a function.
    """

    def __init__(self, loader: Iterable[Batch], function: IdsOf | None) -> None:
        self.loader = loader
        self._function = function
        self._noted: _Noted | None = None
        if function is None:
            self.loader, self._noted = _noting(loader)

    def begin(self, skipped: int = 0) -> None:
        """A pass begins, of which so many batches are not loaded again."""
        if self._noted is not None:
            self._noted.skipped = skipped

    def of(self, rows: Batch, batches: int) -> Int[Tensor, " b"]:
        """Ids of the rows of the next ``batches`` batches.

        Raises:
            BatchStructureError: not one id per row.
        """
        size = tree.length(rows)
        try:
            found = self._noted.take(batches) if self._noted else self._function(rows)  # type: ignore[misc]
            ids = torch.as_tensor(found)
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            raise BatchStructureError(f"the instances of a batch are not known as whole numbers. {_FIX}") from error
        if ids.shape != (size,) or ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise BatchStructureError(
                f"a batch of {size} rows came with ids of shape {list(ids.shape)}, {ids.dtype}, and re-using scores "
                f"needs one whole number per row. Does the collate function leave rows out? {_FIX}"
            )
        return ids.to(torch.int64)


class _Noted(BatchSampler):
    """A sampler, and the indices that it drew and that no batch was handed out for yet."""

    def __init__(self, sampler: Any) -> None:
        self.sampler: Any = sampler
        self.skipped = 0
        self._drawn: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        drawn = self._drawn = deque()
        for item in self.sampler:
            drawn.append(item)
            yield item

    def take(self, batches: int) -> list[int]:
        """The indices of the next batches, whose loader hands them out in the order of the draws."""
        while self.skipped:
            self._drawn.popleft()
            self.skipped -= 1
        return [index for _ in range(batches) for index in self._drawn.popleft()]


def _noting(loader: Iterable[Batch]) -> tuple[Iterable[Batch], _Noted]:
    """A copy of a loader whose sampler notes what it draws."""
    map_style = isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset)
    if not map_style or replay.is_stateful(loader) or not getattr(loader, "in_order", True):
        raise ArgumentError(
            "re-using scores needs to know which instances a batch holds, and that can be seen only of a DataLoader "
            f"over a map-style data set that gives its batches in order; this one, {type(loader).__name__}, is none. "
            + _FIX
        )
    name = "sampler" if loader.batch_sampler is None else "batch_sampler"  # type: ignore[attr-defined]
    noted = _Noted(getattr(loader, name))
    twin = copy.copy(loader)
    twin.__dict__[name] = noted  # DataLoader forbids setting it, but reads it from here
    twin.__dict__["_iterator"] = None
    return twin, noted
