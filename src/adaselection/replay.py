"""Taking up a pass over a loader in the middle, without loading again what was already used."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from adaselection import checks
from adaselection.errors import ReplayError

_KNOWN = (
    RandomSampler,
    SequentialSampler,
    DistributedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    BatchSampler,
    type(None),
)


def is_stateful(loader: object) -> bool:
    """Whether a loader keeps its own place, as torchdata's StatefulDataLoader does."""
    return all(callable(getattr(loader, name, None)) for name in ("state_dict", "load_state_dict"))


def is_stream(loader: Iterable[Any]) -> bool:
    """Whether a loader's rows come in an order that no sampler tells."""
    return not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset)


def snapshot(loader: Iterable[Any]) -> dict[str, Any]:
    """What decides the order of a pass that is about to start: random states and the sampler's epoch."""
    state: dict[str, Any] = {
        "rng": torch.get_rng_state(),
        "generators": [generator.get_state() for generator in _generators(loader)],
    }
    epochs = [sampler.epoch for sampler in samplers(loader) if hasattr(sampler, "epoch")]
    return {**state, "epochs": epochs}


def set_epoch(loader: Iterable[Any], epoch: int) -> None:
    """Tell the loader, or the first of its samplers that wants to know, which epoch comes."""
    for owner in (loader, *samplers(loader)):
        if callable(getattr(owner, "set_epoch", None)):
            owner.set_epoch(epoch)
            return


def set_generators(loader: Iterable[Any], state: dict[str, Any]) -> None:
    """Put the loader's own generators and its samplers' epochs back to a `snapshot`; the global state stays."""
    for generator, saved in zip(_generators(loader), state["generators"], strict=False):
        generator.set_state(saved)
    having = [sampler for sampler in samplers(loader) if hasattr(sampler, "epoch")]
    for sampler, epoch in zip(having, state["epochs"], strict=False):
        sampler.set_epoch(epoch) if hasattr(sampler, "set_epoch") else setattr(sampler, "epoch", epoch)


def resumed(loader: Iterable[Any], state: dict[str, Any], position: int) -> Iterator[Any]:
    """Iterator over what is left of a pass, from the incoming batch with this number on.

    A `DataLoader` over a map-style data set is replayed by index: its sampler walks the order of the pass again and
    nothing is loaded. Others are read and thrown away up to the place. The global random state is left alone.

    Raises:
        ReplayError: the loader gives its batches out of order.
    """
    if is_stateful(loader):
        return iter(loader)
    now = torch.get_rng_state()
    torch.set_rng_state(state["rng"])
    set_generators(loader, state)
    try:
        if not isinstance(loader, DataLoader) or is_stream(loader):
            return _read_past(loader, position)
        return _skip(loader, position)
    finally:
        torch.set_rng_state(now)


def read_again(loader: Iterable[Any], state: dict[str, Any], position: int) -> Any:
    """Some batch of the pass, the one with this number where the loader can be replayed; the loader stays as it is.

    Raises:
        ReplayError: the loader gives none.
    """
    now, own = torch.get_rng_state(), snapshot(loader)
    place = loader.state_dict() if is_stateful(loader) else None  # type: ignore[attr-defined]
    try:
        for _ in range(2):  # one that keeps its own place may stand at the end of a pass; any batch of the next will do
            for batch in resumed(loader, state, position):
                return batch
    finally:
        torch.set_rng_state(now)
        set_generators(loader, own)
        if place is not None:
            loader.load_state_dict(place)  # type: ignore[attr-defined]
    raise ReplayError(
        f"rows of the saved state wait, and {type(loader).__name__} gives no batch that tells their structure. "
        'Save states in the middle of a pass, or pass surplus="drop".'
    )


def _read_past(loader: Iterable[Any], position: int) -> Iterator[Any]:
    """Read and throw away."""
    iterator = iter(loader)
    if position and not isinstance(loader, (list, tuple)):
        checks.warn(
            f"resuming in the middle of a pass reads and throws away {position} batches of {type(loader).__name__}, "
            "which must give the same ones again. torchdata's StatefulDataLoader keeps its place instead."
        )
    next(itertools.islice(iterator, position, position), None)
    return iterator


def _skip(loader: DataLoader[Any], position: int) -> Iterator[Any]:
    """A pass of the loader whose sampler starts at ``position``."""
    if loader.num_workers and not getattr(loader, "in_order", True):
        raise ReplayError("a loader with in_order=False gives its batches in no fixed order. Pass in_order=True.")
    unknown = [type(s).__name__ for s in samplers(loader) if not isinstance(s, _KNOWN)]
    if unknown:
        checks.warn(
            f"resuming replays {', '.join(unknown)} from torch's random state and set_epoch alone; if the order "
            "depends on anything else, it will differ. Use torchdata's StatefulDataLoader with a stateful sampler."
        )
    name = "sampler" if loader.batch_sampler is None else "batch_sampler"
    rest = _Rest(getattr(loader, name), position)
    again = copy.copy(loader)
    again.__dict__[name] = rest  # DataLoader forbids setting it, but reads it from here
    again.__dict__["_iterator"] = None
    iterator = iter(again)
    rest.start()
    return iterator


class _Rest:
    """A sampler without its first items, which draws its order at once when started."""

    def __init__(self, sampler: Any, skipped: int) -> None:
        self._sampler = sampler
        self._skipped = skipped
        self._ahead: list[Any] = []
        self._items: Iterator[Any] | None = None

    def __len__(self) -> int:
        return max(0, len(self._sampler) - self._skipped)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.start()
        if self._ahead:
            return self._ahead.pop()
        assert self._items is not None  # made by start
        return next(self._items)

    def start(self) -> None:
        """Draw the order and look one item ahead, so that no random number is drawn later."""
        if self._items is None:
            self._items = itertools.islice(iter(self._sampler), self._skipped, None)
            self._ahead = list(itertools.islice(self._items, 1))


def samplers(loader: Any) -> list[Any]:
    """The batch sampler and the samplers inside it, from the outside in."""
    found: list[Any] = []
    current = _inner(loader)
    while current is not None and all(current is not sampler for sampler in found):
        found.append(current)
        current = _inner(current)
    return found


def _inner(owner: Any) -> Any:
    """The batch sampler of a loader or sampler, or else its sampler; compared with None, for a sampler may be falsy."""
    batches = getattr(owner, "batch_sampler", None)
    return getattr(owner, "sampler", None) if batches is None else batches


def _generators(loader: Any) -> list[torch.Generator]:
    """The loader's own generators, each once."""
    owners = [loader, *samplers(loader)]
    found: list[torch.Generator] = []
    for owner in owners:
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator) and all(generator is not known for known in found):
            found.append(generator)
    return found


def again(loader: DataLoader[Any], start: dict[str, Any], taken: int) -> Iterator[Sequence[int]]:
    """Let the sampler give the order of a walk again, from where it was; nothing is loaded."""
    now = torch.get_rng_state()
    try:
        torch.set_rng_state(start["rng"])
        set_generators(loader, start)
        batches: Iterator[Sequence[int]] = iter(loader.batch_sampler)  # type: ignore[arg-type]
        next(itertools.islice(batches, taken, taken), None)
        return batches
    finally:
        torch.set_rng_state(now)
