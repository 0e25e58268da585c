"""The passes over a loader: windows of rows in, full batches of selected rows out (algorithms 1 and 2)."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor

from adaselection import checks, distributed, replay, tree
from adaselection.accumulate import Accumulator
from adaselection.errors import AdaSelectionError, EmptyLoaderError
from adaselection.place import Place
from adaselection.plan import Plan
from adaselection.selecting import Selector
from adaselection.tree import Batch


class Passes:
    """What a selective loader does while it runs, and where it is.

    Args:
        loader: the loader inside.
        plan: how many batches come out.
        selector: scores and selects.

    Attributes:
        weights: sample weights of the batch handed out last; None without such.
    """

    def __init__(self, loader: Iterable[Batch], plan: Plan, selector: Selector) -> None:
        self.loader = loader
        self.plan = plan
        self.selector = selector
        self.meter = selector.meter
        self.place = Place()
        self.waiting = Accumulator()
        self.weights: Tensor | None = None
        self._resuming = False

    def lengths(self) -> Iterator[int]:
        """Batches of the pass that runs or comes next, the one after, and so on."""
        place = self.place
        return self.plan.passes(*(place.opening if place.active else (len(self.waiting), place.windows)))

    def start(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state."""
        distributed.refuse_unsharded(self.loader)
        place = self.place
        if self._resuming:
            if self.plan.update == "accumulate" and len(self.waiting) >= (self.plan.batch_size or 1):
                self._shape_waiting()
            rest = () if place.exhausted else replay.resumed(self.loader, place.start, place.position)
            iterator: Iterator[Batch] = iter(rest)
            self._resuming = False
        else:
            place.active = False
            if self.plan.surplus != "carry":
                self.waiting.clear()
            place.begin(len(self.waiting), replay.snapshot(self.loader))
            iterator = iter(self.loader)
        place.serial += 1
        return self._run(iterator, place.serial)

    def _run(self, iterator: Iterator[Batch], serial: int) -> Iterator[Batch]:
        """The batches of one pass."""
        yield from self._full_batches(serial)  # those of the last window that a killed run did not come to
        while incoming := self._next_window(iterator):
            if self.plan.rate == 1:
                self.meter.count(loaded=tree.length(incoming[0]))
                yield from self._hand_out(incoming[0], serial)
            else:
                self._take_in(incoming)
                yield from self._full_batches(serial)
        if not self.place.position:
            raise EmptyLoaderError("the loader gave no batch. Check its data set, and its sampler's shard.")
        if self.plan.surplus == "flush" and len(self.waiting):
            self._shape_waiting()
            yield from self._hand_out(self.waiting.pop(len(self.waiting)), serial)
        if self.plan.surplus != "carry":
            self.waiting.clear()
        self._compare_length()
        self.place.end()

    def _compare_length(self) -> None:
        """Warn where a pass was not as long as `len` said, which schedules trusted."""
        expected = next(self.lengths()) if self.plan.sizes else self.place.yielded
        if self.place.yielded != expected:
            warnings.warn(
                f"len() promised {expected} batches and the pass gave {self.place.yielded}: the incoming batches did "
                "not have the rows that their sampler said. Keep the number of rows in the collate function, or pass "
                "incoming_sizes=.",
                stacklevel=2,
            )

    def _next_window(self, iterator: Iterator[Batch]) -> list[Batch]:
        """The incoming batches that the next selection looks at; empty at the end."""
        wanted = 1 if self.plan.rate == 1 else self.plan.window
        with self.meter.phase("load"):
            incoming = list(itertools.islice(iterator, wanted))
        self.place.position += len(incoming)
        self.place.exhausted = len(incoming) < wanted
        return incoming

    def _take_in(self, incoming: list[Batch]) -> None:
        """Select from one window; its kept rows wait."""
        if self.plan.batch_size is None:
            self.plan = replace(self.plan, batch_size=tree.length(incoming[0]))
        with self.meter.phase("load"):
            rows = self.selector.place(tree.cat(incoming))
        self.meter.count(loaded=tree.length(rows))
        kept = self.selector.keep(rows, whole=self.place.windows < self.plan.warmup)
        self.place.windows += 1
        with self.meter.phase("select"):
            self.waiting.push(kept)

    def _full_batches(self, serial: int) -> Iterator[Batch]:
        """Hand out the full batches among the rows that wait."""
        every = self.plan.update == "every_batch"
        size = (len(self.waiting) if every else self.plan.batch_size) or 1
        while len(self.waiting) >= size:
            with self.meter.phase("select"):
                full = self.waiting.pop(size)
            yield from self._hand_out(full, serial)

    def _shape_waiting(self) -> None:
        """Give rows of a loaded state their structure where none comes in before they go out."""
        if self.waiting.shapeless:
            like = replay.read_again(self.loader, self.place.start, self.place.position - 1)
            self.waiting.shape_like(self.selector.keep(self.selector.place(like), whole=True))

    def _hand_out(self, batch: Batch, serial: int) -> Iterator[Batch]:
        """Yield one batch and charge the time until the next is asked for to training."""
        if self.selector.policy.weighted and self.selector.policy.rate < 1:
            batch, self.weights = batch
        self.selector.check()
        self.place.yielded += 1
        self.meter.count(trained=tree.length(batch), steps=1)
        started = time.perf_counter()
        yield batch
        self.meter.charge("train", time.perf_counter() - started)
        if serial != self.place.serial:
            raise AdaSelectionError("a newer pass over this loader has begun; only one can run at a time.")

    def state_dict(self) -> dict[str, Any]:
        """Where the passes are, after the batch handed out last, and what the policy and the meter hold."""
        inner = self.loader.state_dict() if replay.is_stateful(self.loader) else {}  # type: ignore[attr-defined]
        return {
            "policy": self.selector.policy.state_dict(),
            "meter": self.meter.state_dict(),
            "place": self.place.state_dict(),
            "waiting": self.waiting.state_dict(),
            "batch_size": self.plan.batch_size or 0,
            "generators": replay.snapshot(self.loader),
            "inner": inner,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; the next pass starts after the batch handed out last.

        Raises:
            StateError: a part of the state does not fit. Everything is then as it was.
        """
        for name, part in (("meter", self.meter), ("place", self.place), ("waiting", self.waiting)):
            checks.same_state(part.state_dict(), state[name], (), name)
        self.selector.policy.load_state_dict(state["policy"])
        self.meter.load_state_dict(state["meter"])
        self.place.load_state_dict(state["place"])
        self.waiting.load_state_dict(state["waiting"])
        self.plan = replace(self.plan, batch_size=int(state["batch_size"]) or None)
        self.weights = None
        self._resuming = self.place.active
        replay.set_generators(self.loader, state["generators"])
        if replay.is_stateful(self.loader):
            self.loader.load_state_dict(state["inner"])  # type: ignore[attr-defined]
