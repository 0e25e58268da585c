"""Walks over a data set: the user's sampler gives ids, window by window, and a planner says which are loaded."""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from adaselection import checks, kinds, replay
from adaselection.drawn import Drawn, Lent, as_they_are, numbered, packed, unpacked
from adaselection.errors import StateError
from adaselection.fetching import opened
from adaselection.incoming import walk_sizes
from adaselection.limits import check_loader, not_asked, warn_longer

_VERSION = 2
_NUMBERS = ("active", "walk", "taken", "ended", "ahead")

Planner = Callable[[list[list[int]]], list[Drawn]]
"""Batches of ids of one window as the sampler gave them in; batches to load out."""


@dataclass
class Walks:
    """Endless walks over a loader's sampler; each walk is one iterator of a copy of the loader.

    The copy takes its batches of ids from here, so workers, pinned memory, collating and prefetching stay the user's.
    Ids are drawn as many batches ahead as the loader prefetches, and what was drawn but not yet given out is in the
    state, so a resumed run gives the same batches. A batch that could not be loaded is tried again.

    Args:
        loader: a `DataLoader` over a map-style data set.
        planner: says what of each window is loaded.
        on_walk: called with the number of each walk before it starts.

    Attributes:
        window: batches of the sampler that the planner sees at once, at least; 0 for a whole walk.
        walk: number of the walk, from 0; -1 before the first.
        active: whether a walk has begun and not ended.
        taken: batches that the sampler gave in this walk; ``ended`` if it has no more.
        rest: planned and not yet asked for by the loader.
        ahead: asked for by the loader and not yet given out.
    """

    loader: DataLoader[Any]
    planner: Planner = as_they_are
    on_walk: Callable[[int], None] | None = None
    window: int = 0
    walk: int = -1
    active: bool = False
    taken: int = 0
    ended: bool = False
    rest: deque[Drawn] = field(default_factory=deque)
    ahead: deque[Drawn] = field(default_factory=deque)

    def __post_init__(self) -> None:
        check_loader(self.loader)
        self._start: dict[str, Any] = {}
        self._resuming = self._warned = False
        self._batches: Iterator[Sequence[int]] = iter(())
        self._again = copy.copy(self.loader)
        self._again.__dict__["batch_sampler"] = Lent(self)  # DataLoader forbids setting it, but reads it from here
        self._again.__dict__["_iterator"] = None
        self._iterator: Iterator[Any] | None = None

    def take(self) -> tuple[Any, Drawn] | None:
        """The next batch, loaded, with the ids drawn for it; None where the sampler gives none in a whole walk."""
        while True:
            fresh = self._iterator is None
            try:
                if self._iterator is None:
                    self._iterator = self._opened()
                batch = next(self._iterator)
            except StopIteration:
                self._iterator = None
                self.ahead.clear()  # of a data set that ended the iterator itself
                if fresh and not self.taken:
                    return None
            except BaseException:
                self._iterator, self._resuming = None, True
                raise
            else:
                if not self.ahead:
                    raise not_asked(self.loader)
                return batch, self.ahead.popleft()

    def _opened(self) -> Iterator[Any]:
        """An iterator over a walk. It draws from the loader's generator what it would in a run without end."""
        # nothing for the rest of a walk, nor where workers persist, but for their first walk
        quiet = self._resuming or (self.loader.persistent_workers and self.walk >= 0)
        self._again.generator = torch.Generator().manual_seed(self.walk + 1) if quiet else self.loader.generator
        return opened(self._again)

    def __len__(self) -> int:
        """Batches of a walk that loads everything."""
        return len(self.loader.batch_sampler)  # type: ignore[arg-type]  # checked to be there

    @property
    def fixed_order(self) -> bool:
        """Whether every walk is known to have the order of the data set: not with a batch sampler of the user's own."""
        batches = self.loader.batch_sampler
        return type(batches) is BatchSampler and isinstance(batches.sampler, SequentialSampler)

    def sizes(self) -> tuple[int, int]:
        """Instances of a walk, and rows of a full batch.

        Raises:
            EmptyLoaderError: the loader has no batch.
        """
        return walk_sizes(self.loader)

    def open(self) -> tuple[list[list[int]], int]:
        """Begin a walk, or go on with one: the batches to load again, and the number of the walk."""
        again: list[list[int]] = []
        if self._resuming:
            self._resuming = False
            again = [drawn.ids for drawn in self.ahead]
        elif not self.active:
            self._begin()
        return again, self.walk

    def ask(self, number: int) -> list[int] | None:
        """Ids of the next batch of the walk of this number; None at its end."""
        if self.walk != number:
            return None
        if not self.rest and not self._plan():
            self.active = False
            return None
        drawn = self.rest.popleft()
        self.ahead.append(drawn)
        return drawn.ids

    def _begin(self) -> None:
        self.walk, self.taken, self.ended = self.walk + 1, 0, False
        self._resuming = False
        if self.on_walk is not None:
            self.on_walk(self.walk)
        replay.set_epoch(self.loader, self.walk)
        self._start = replay.snapshot(self.loader)
        self._batches = iter(self.loader.batch_sampler)  # type: ignore[arg-type]
        self.active = True

    def plan_all(self) -> int:
        """Plan what is left of a walk, or all of the next one; returns how many batches there are to come."""
        if not self.active or not (self.rest or self.ahead or self._plan()):
            self._begin()
        planned = list(self.rest)
        self.rest.clear()
        while self._plan():
            planned += self.rest
            self.rest.clear()
        self.rest.extend(planned)
        return len(self.ahead) + len(self.rest)

    def cut(self) -> None:
        """Leave the rest of a walk that a selection chose from, so that the next begins."""
        if any(drawn.selected for drawn in self.rest):
            self.rest.clear()
            self._batches, self.ended = iter(()), True

    def put_back(self, drawn: Sequence[Drawn]) -> None:
        """Give batches out again, before all others."""
        if drawn:
            self.ahead.extendleft(reversed(drawn))
            self._iterator, self._resuming = None, True

    def _plan(self) -> bool:
        """Plan windows until there is something to load; False at the end of the walk."""
        while not self.rest:
            if self.ended or not (window := self._window()):
                return False
            self.rest.extend(self.planner(window))
        return True

    def _window(self) -> list[list[int]]:
        """The sampler's batches of one window; of one that goes on after the length that it says, no more than that."""
        until, left = self._until_next(), max(0, len(self) - self.taken)
        window = [numbered(ids) for ids in itertools.islice(self._batches, left if until is None else min(until, left))]
        self.taken += len(window)
        last = until is None or until > left  # then one more is asked for: a sampler may draw numbers at its end
        if last and next(self._batches, None) is not None and not self._warned:
            self._warned = True
            warn_longer(self.loader)
        self.ended = until is None or len(window) < until
        return window

    @property
    def windows(self) -> int:
        """Windows of a walk: of about the same size, none smaller than `window`."""
        return max(1, len(self) // self.window) if self.window else 1

    def _until_next(self) -> int | None:
        """Batches from here to the end of the window; None for the whole walk."""
        total, count = len(self), self.windows
        if count < 2:
            return None
        ends = (total * number // count - self.taken for number in itertools.count(self.taken * count // total + 1))
        return next(end for end in ends if end > 0)

    def state_dict(self, out: Sequence[Drawn] = ()) -> dict[str, Any]:
        """Where the walks are, with what was drawn and not given out; ``out`` counts as not given out."""
        return {
            "version": _VERSION,
            "active": self.active,
            "walk": self.walk,
            "taken": self.taken,
            "ended": self.ended,
            "start": self._start or replay.snapshot(self.loader),
            "now": replay.snapshot(self.loader)["generators"],
            "ahead": len(out) + len(self.ahead),
            **packed([*out, *self.ahead, *self.rest]),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is damaged or of another version. The walks are then as they were.
        """
        own, before = self.state_dict(), replay.snapshot(self.loader)
        checks.same_state(own, state, ("version",), "walk")
        kinds.check(own, state, "walk")
        kinds.check_snapshot(before, state["start"], "walk")
        kinds.check_snapshot(before, {"rng": before["rng"], "generators": state["now"], "epochs": []}, "walk")
        drawn = unpacked(state)
        try:
            active, walk, taken, ended, ahead = (int(state[name]) for name in _NUMBERS)
            if walk < -1 or not 0 <= taken <= len(self):
                raise ValueError(f"{taken} batches of walk {walk}")
            batches = replay.again(self.loader, state["start"], taken) if active and not ended else iter(())
            replay.set_generators(self.loader, {"generators": state["now"], "epochs": state["start"]["epochs"]})
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            replay.set_generators(self.loader, before)
            raise StateError(f"the walk state is damaged: {error!r}. Take an undamaged checkpoint.") from error
        self.active, self.walk, self.taken, self.ended = bool(active), walk, taken, bool(ended)
        self._start = state["start"]
        self.ahead, self.rest = deque(drawn[:ahead]), deque(drawn[ahead:])
        self._batches, self._iterator = batches, None
        self._resuming = self.active or bool(self.ahead)
