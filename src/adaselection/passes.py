"""The passes over a loader: windows of rows in, full batches of selected rows out (algorithms 1 and 2)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor

from adaselection import agreement, alike, checks, distributed, kinds, replay, tree
from adaselection.accumulate import Accumulator
from adaselection.errors import AdaSelectionError, EmptyLoaderError
from adaselection.place import NEWER, Place
from adaselection.plan import Plan
from adaselection.selecting import Selector
from adaselection.through import handed_through
from adaselection.tree import Batch


class Passes:
    """What a selective loader does while it runs, and where it is.

    Args:
        loader: the loader inside.
        plan: how many batches come out.
        selector: scores and selects.

    Attributes:
        weights: sample weights of the batch handed out last; None without such.
        scores: losses that its rows were scored with, until they were compared; None without cheap scores.
    """

    def __init__(self, loader: Iterable[Batch], plan: Plan, selector: Selector) -> None:
        self.loader = loader
        self.plan = plan
        self.selector = selector
        selector.full = plan.sizes.grouped(plan.window).largest if plan.sizes else 0
        self.cheap = selector.cheap
        self.meter = selector.meter
        self.place = Place()
        self.waiting = Accumulator(selector.join)
        self.weights: Tensor | None = None
        self.scores: Tensor | None = None
        self._resuming = False
        self._incoming: Iterator[Batch] = iter(())

    def lengths(self) -> Iterator[int]:
        """Batches of the pass that runs or comes next, the one after, and so on."""
        place = self.place
        return self.plan.passes(*(place.opening if place.active else (len(self.waiting), place.windows)))

    def start(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state; its first batch is loaded when it is asked for."""
        distributed.refuse_unsharded(self.loader)
        if distributed.world_size() > 1:
            alike.start(self.plan, self.place, self.selector, len(self.waiting), self._resuming)
        place = self.place
        if not self._resuming:
            self._complete()
            if self.plan.surplus != "carry":
                self.waiting.clear()
            place.begin(len(self.waiting))
        place.serial += 1
        return self._run(place.serial)

    def leave(self) -> None:
        """Let the next pass begin anew instead of going on with that of a loaded state."""
        if self._resuming:
            self._open()

    def _complete(self) -> None:
        """Take in what was left of a pass after its last batch, where the loop counted and did not ask for more."""
        place = self.place
        if self.plan.rate < 1 and self.plan.sizes and place.position and place.yielded == next(self.lengths()):
            while incoming := self._next_window(self._incoming):
                self._take_in(incoming)
            place.end()

    def _open(self) -> None:
        """Open the loader for the pass that starts, or for what is left of the one of a loaded state."""
        place = self.place
        source = self.cheap.source(self.loader) if self.cheap else self.loader
        if self.cheap:
            self.cheap.begin(self.loader, place.position if self._resuming else None)
        if self._resuming and place.start:
            if self.plan.update == "accumulate" and len(self.waiting) >= (self.plan.batch_size or 1):
                self._shape_waiting()
            self._incoming = iter(() if place.exhausted else replay.resumed(source, place.start, place.position))
        else:
            place.start = replay.snapshot(self.loader)
            self._incoming = iter(source)
        self._resuming = False

    def _run(self, serial: int) -> Iterator[Batch]:
        """The batches of one pass."""
        if serial != self.place.serial:  # since it was made, a state was loaded or a newer pass made
            yield from self.start()
            return
        self._open()
        yield from self._full_batches(serial)  # those of the last window that a killed run did not come to
        if self.plan.rate == 1:
            yield from handed_through(self._incoming, self.place, self.meter)
        while self.plan.rate < 1 and (incoming := self._next_window(self._incoming)):
            self._take_in(incoming)
            yield from self._full_batches(serial)
        if not self.place.position:
            raise EmptyLoaderError("the loader gave no batch. Check its data set, and its sampler's shard.")
        if self.plan.surplus == "flush" and len(self.waiting):
            self._shape_waiting()
            yield from self._hand_out(self.waiting.pop(len(self.waiting)), serial)
        if self.plan.surplus != "carry":
            self.waiting.clear()
        self.selector.check(last=True)
        self._compare_length()
        self.place.end()

    def _compare_length(self) -> None:
        """Warn where a pass was not as long as `len` said, which schedules trusted."""
        expected = next(self.lengths()) if self.plan.sizes else self.place.yielded
        if self.place.yielded != expected:
            checks.warn(
                f"len() promised {expected} batches and the pass gave {self.place.yielded}: the incoming batches did "
                "not have the rows that their sampler said. Keep the number of rows in the collate function, or pass "
                "incoming_sizes=."
            )

    def _next_window(self, iterator: Iterator[Batch]) -> list[Batch]:
        """The incoming batches that the next selection looks at; empty at the end."""
        wanted = self.plan.window
        with self.meter.phase("load"):
            incoming = list(itertools.islice(iterator, wanted))
        if self.plan.rate < 1 and distributed.world_size() > 1:
            alike.window(self.loader, self.plan, self.place, self.selector, incoming)
        self.place.position += len(incoming)
        self.place.exhausted = len(incoming) < wanted
        return incoming

    def _take_in(self, incoming: list[Batch]) -> None:
        """Select from one window; its kept rows wait."""
        if self.plan.batch_size is None:
            self.plan = replace(self.plan, batch_size=tree.length(incoming[0]))
        with self.meter.phase("load"):
            rows = self.selector.join_rows(incoming)
            ids = self.cheap.ids(rows, len(incoming)) if self.cheap else None
            rows = self.selector.place(rows)
        self.meter.count(loaded=tree.length(rows))
        kept = self.selector.keep(rows, self.place.windows < self.plan.warmup, ids)
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
        batch, self.weights, self.scores = self.selector.apart(batch)
        self.selector.check()
        self.place.yielded += 1
        self.meter.count(trained=tree.length(batch), steps=1)
        started = time.perf_counter()
        yield batch
        self.meter.charge("train", time.perf_counter() - started)
        if serial != self.place.serial:
            raise AdaSelectionError(NEWER)

    def observe(self, losses: Tensor) -> None:
        """Compare the losses of the batch handed out last with its scores, once."""
        rows = None if self.scores is None else len(self.scores)
        checks.row_losses(losses, rows, "observe()")
        if self.scores is None or self.cheap is None:
            return
        scores, self.scores = self.scores, None
        self.cheap.watch.compare(scores, losses.detach().to(scores.device))

    def state_dict(self) -> dict[str, Any]:
        """Where the passes are, after the batch handed out last, and what the policy and the meter hold."""
        inner = self.loader.state_dict() if replay.is_stateful(self.loader) else {}  # type: ignore[attr-defined]
        cheap = {"cheap": self.cheap.state_dict()} if self.cheap else {}
        return {
            **cheap,
            "rank": distributed.rank(),
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
        self._check(state)
        agreement.same_process(state, replay.is_stateful(self.loader) or bool(state["waiting"]["rows"]))
        self._load_parts(state)
        for name, part in (("meter", self.meter), ("place", self.place), ("waiting", self.waiting)):
            part.load_state_dict(state[name])
        self.plan = replace(self.plan, batch_size=int(state["batch_size"]) or None)
        self.weights = self.scores = None
        self._resuming = self.place.active
        self.place.serial += 1

    def _check(self, state: dict[str, Any]) -> None:
        """Refuse a state that is damaged, before any of it is used."""
        now, own = replay.snapshot(self.loader), {"rank": 0, "batch_size": 0, "policy": {}, "generators": {}}
        self.meter.check(state["meter"])
        self.place.check(state["place"], now)
        self.waiting.check(state["waiting"])
        kinds.check(own if replay.is_stateful(self.loader) else {**own, "inner": {}}, state, "loader")
        kinds.check_snapshot(now, state["generators"], "loader")
        if self.cheap is not None:
            self.cheap.check(state["cheap"])

    def _load_parts(self, state: dict[str, Any]) -> None:
        """Load the policy, the scores on record and the place of the loader inside: all, or none if one refuses."""
        parts = {"policy": self.selector.policy} | ({"cheap": self.cheap} if self.cheap else {})
        before, now = {name: part.state_dict() for name, part in parts.items()}, replay.snapshot(self.loader)
        try:
            for name, part in parts.items():
                part.load_state_dict(state[name])
            replay.set_generators(self.loader, state["generators"])
            if replay.is_stateful(self.loader):
                self.loader.load_state_dict(state["inner"])  # type: ignore[attr-defined]
        except BaseException:
            for name, part in parts.items():
                part.load_state_dict(before[name])
            replay.set_generators(self.loader, now)
            raise
