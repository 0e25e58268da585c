"""Walks over a data set: the user's sampler gives ids, window by window, and a planner says which are loaded."""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from adaselection import checks, replay
from adaselection.errors import ArgumentError, StateError

_STATE = ("version", "active", "walk", "taken")
_VERSION = 1


@dataclass(frozen=True)
class Drawn:
    """One batch of ids that is to be loaded.

    Attributes:
        ids: of the instances, as the sampler gave them.
        weights: of their losses, shape ``[b]``; None for equal ones.
        selected: whether a selection chose them; False in a whole pass.
    """

    ids: list[int]
    weights: Tensor | None = None
    selected: bool = False


Planner = Callable[[list[list[int]]], list[Drawn]]
"""Batches of ids of one window as the sampler gave them in; batches to load out."""


@dataclass
class Walks:
    """Endless walks over a loader's sampler; each walk is one iterator of a copy of the loader.

    The copy takes its batches of ids from here, so workers, pinned memory, collating and prefetching stay the user's.
    Ids are drawn as many batches ahead as the loader prefetches, and what was drawn but not yet given out is in the
    state, so a resumed run gives the same batches.

    Args:
        loader: a `DataLoader` over a map-style data set.
        planner: says what of each window is loaded.
        window: batches of the sampler that the planner sees at once; 0 for a whole walk.
        on_walk: called with the number of each walk before it starts.
    """

    loader: DataLoader[Any]
    planner: Planner
    window: int = 0
    on_walk: Callable[[int], None] | None = None
    walk: int = -1
    active: bool = False
    taken: int = 0
    rest: deque[Drawn] = field(default_factory=deque)
    ahead: deque[Drawn] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._check()
        self._start: dict[str, Any] = {}
        self._resuming = False
        self._batches: Iterator[list[int]] = iter(())
        self._again = copy.copy(self.loader)
        self._again.__dict__["batch_sampler"] = self  # DataLoader forbids setting it, but reads it from here
        self._again.__dict__["_iterator"] = None
        self._iterator: Iterator[Any] | None = None

    def _check(self) -> None:
        """Refuse loaders whose instances have no numbers."""
        loader = self.loader
        if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
            kind = "an iterable data set" if isinstance(loader, DataLoader) else type(loader).__name__
            raise ArgumentError(
                f"RecordedLoader needs a torch.utils.data.DataLoader over a map-style data set, to load instances by "
                f"their ids; got {kind}. Use SelectiveLoader, which scores the batches as they come."
            )
        if loader.batch_sampler is None:
            raise ArgumentError(
                "RecordedLoader needs a loader that makes batches; this one has batch_size=None. Pass batch_size=."
            )
        if loader.num_workers and not getattr(loader, "in_order", True):
            raise ArgumentError("a loader with in_order=False gives its batches in no fixed order. Pass in_order=True.")

    def batches(self) -> Iterator[tuple[Any, Drawn]]:
        """Batches without an end: what the loader loaded, and the ids drawn for it."""
        while True:
            if self._iterator is None:
                # a resumed iterator must not draw again from the loader's generator what the saved one had drawn
                own = torch.Generator().manual_seed(self.walk + 1) if self._resuming else self.loader.generator
                self._again.generator = own
                self._iterator = iter(self._again)
            empty = True
            for batch in self._iterator:
                empty = False
                yield batch, self.ahead.popleft()
            self._iterator = None
            if empty and not self.taken:
                return

    def __len__(self) -> int:
        """Batches of a walk that loads everything."""
        return len(self.loader.batch_sampler)  # type: ignore[arg-type]  # checked to be there

    def __iter__(self) -> Iterator[list[int]]:
        """Ids batch by batch for one walk, or for what is left of it after a loaded state."""
        if self._resuming:
            self._resuming = False
            yield from [drawn.ids for drawn in list(self.ahead)]
        elif not self.active:
            self.begin()
        while self.rest or self._plan():
            drawn = self.rest.popleft()
            self.ahead.append(drawn)
            yield drawn.ids
        self.active = False

    def begin(self) -> None:
        """Start a walk, unless one was started and has given nothing yet."""
        self.walk += 1
        self.taken = 0
        if self.on_walk is not None:
            self.on_walk(self.walk)
        replay.set_epoch(self.loader, self.walk)
        self._start = replay.snapshot(self.loader)
        self._batches = iter(self.loader.batch_sampler)  # type: ignore[arg-type]
        self.active = True

    def plan_all(self) -> int:
        """Plan every window of a walk that has not begun; returns how many batches it has."""
        if not self.active or not (self.rest or self._plan()):
            self.begin()
        waiting = list(self.rest)
        self.rest.clear()
        while self._plan():
            waiting += self.rest
            self.rest.clear()
        self.rest.extend(waiting)
        return len(self.rest)

    def _plan(self) -> bool:
        """Plan windows until there is something to load; False at the end of the walk."""
        while not self.rest:
            window = [list(ids) for ids in itertools.islice(self._batches, self.window or None)]
            if not window:
                return False
            self.taken += len(window)
            self.rest.extend(self.planner(window))
        return True

    def state_dict(self) -> dict[str, Any]:
        """Where the walks are, with what was drawn and not given out."""
        drawn = [*self.ahead, *self.rest]
        start = self._start or replay.snapshot(self.loader)
        return {
            "version": _VERSION,
            "active": self.active,
            "walk": self.walk,
            "taken": self.taken,
            "start": start,
            "now": replay.snapshot(self.loader)["generators"],
            "ahead": len(self.ahead),
            "sizes": [len(entry.ids) for entry in drawn],
            "ids": torch.tensor([i for entry in drawn for i in entry.ids], dtype=torch.int64),
            "weighted": [entry.weights is not None for entry in drawn],
            "selected": [entry.selected for entry in drawn],
            "weights": _joined([entry.weights for entry in drawn if entry.weights is not None]),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is damaged or of another version.
        """
        checks.same_state(self.state_dict(), state, ("version",), "walk")
        try:
            drawn = _entries(state)
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"the walk state is damaged: {error}. Take an undamaged checkpoint.") from error
        self.active, self.walk, self.taken = bool(state["active"]), int(state["walk"]), int(state["taken"])
        self.ahead = deque(drawn[: int(state["ahead"])])
        self.rest = deque(drawn[int(state["ahead"]) :])
        self._start, self._iterator = state["start"], None
        self._resuming = self.active or bool(self.ahead)
        if self.active:
            self._walk_again()
        replay.set_generators(self.loader, {"generators": state["now"], "epochs": state["start"]["epochs"]})

    def _walk_again(self) -> None:
        """Let the sampler give the order of the walk again, up to where it was; nothing is loaded."""
        now = torch.get_rng_state()
        torch.set_rng_state(self._start["rng"])
        replay.set_generators(self.loader, self._start)
        try:
            self._batches = iter(self.loader.batch_sampler)  # type: ignore[arg-type]
            next(itertools.islice(self._batches, self.taken, self.taken), None)
        finally:
            torch.set_rng_state(now)


def _joined(weights: list[Tensor]) -> Tensor:
    return torch.cat(weights) if weights else torch.empty(0)


def _entries(state: dict[str, Any]) -> list[Drawn]:
    """The drawn batches of a state."""
    sizes = state["sizes"]
    ids = state["ids"].split(sizes) if sizes else ()
    kept = [size for size, weighted in zip(sizes, state["weighted"], strict=True) if weighted]
    weights = iter(state["weights"].split(kept) if kept else ())
    return [
        Drawn(own.tolist(), next(weights) if weighted else None, bool(selected))
        for own, weighted, selected in zip(ids, state["weighted"], state["selected"], strict=True)
    ]
