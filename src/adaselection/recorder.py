"""Losses on their way from the training loop into the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from adaselection import agreement, checks, distributed, kinds
from adaselection.alarm import Alarm
from adaselection.base import Policy
from adaselection.bulk import first_of_each
from adaselection.drawn import Drawn
from adaselection.errors import AdaSelectionError, ArgumentError, NonFiniteLossError
from adaselection.inflight import InFlight, count, forgotten
from adaselection.meter import Meter
from adaselection.pending import Pending
from adaselection.stores import Given, bound_norms, checked_ids, store_for
from adaselection.targets import targets_of, told
from adaselection.tree import Batch
from adaselection.types import Signals

_FORGOTTEN = 256  # batches handed out and not recorded that are too many to be in flight
_MANY = 2**16  # losses that wait for the next window at most


class Recorder:
    """Matches losses with the instances of the batches handed out, first in, first out, and records them in bulk.

    Args:
        records: the store; made for the data set if None.
        policy: told about every loss that comes in.
        ids: number of an instance in the data set to its id in the store, shape ``[n]``; the number itself if None.
        size: instances of the data set.
        sharded: whether it is that of this process alone, whose records are not brought together with others'.

    Attributes:
        now: number of the pass. It goes on from that of a store that was used before.
        passes: passes since the training began.
        waiting: batches handed out whose losses have not come.
        alarm: what is wrong with losses that were put into the store.

    Raises:
        ArgumentError: the store lacks a column that the policy needs, or the ids do not fit.
    """

    def __init__(self, records: Given, policy: Policy, ids: Tensor | None, size: int, sharded: bool) -> None:
        self._ids = None if ids is None else checked_ids(ids, size)
        self.records = store_for(records, policy, self._ids, size, sharded)
        self.policy, self.sharded = policy, sharded
        self.meter, self.waiting = Meter(), InFlight()
        self.now, self.passes = self.records.last_pass, 0
        self._over, self._pending = False, Pending()
        self._names = ("grad_norms",) if "grad_norms" in self.records.columns else ()
        self._compares = bool(policy.updates) or policy.observes
        self.alarm = Alarm()

    def hand_out(self, drawn: Drawn, batch: Batch = None) -> None:
        """Note that a batch goes to the training loop, with the targets that it says if the policy looks at them."""
        if self._over:
            self.waiting.most = 0
        if self.policy.reads_targets:
            drawn = Drawn(drawn.ids, drawn.weights, drawn.selected, targets_of(batch, drawn.ids))
        self.waiting.append(drawn)
        self.meter.handed_out(len(drawn.ids))
        self._over = False
        if len(self.waiting) > _FORGOTTEN:
            raise AdaSelectionError(forgotten(f"{_FORGOTTEN} batches went out and none of their losses came back"))

    def take_back(self) -> list[Drawn]:
        """Batches handed out in a pass that was left, and not trained on.

        Raises:
            AdaSelectionError: the pass was not left but ended.
        """
        self._catch_up()
        back = list(self.waiting)
        self.waiting.clear()
        if back and self._over:
            raise AdaSelectionError(forgotten(f"the losses of {count(len(back))} of the last pass never came"))
        self.meter.count(trained=-sum(len(drawn.ids) for drawn in back), steps=-len(back))
        return back

    def record(self, losses: Tensor, **more: Any) -> Tensor:
        """Take the losses of the oldest batch that waits; returns their mean, weighted where the draw has weights."""
        drawn = self.waiting.oldest()
        checks.row_losses(losses, len(drawn.ids), "record()")
        reduced = losses.mean() if drawn.weights is None else (losses * drawn.weights.to(losses)).mean()
        try:
            checks.some_finite(losses, reduced)
        except NonFiniteLossError as error:
            self._name_the_first(error)
            raise
        columns = {name: bound_norms(len(drawn.ids), **more) for name in self._names}
        targets = self._targets(drawn, **more)
        self.waiting.popleft()
        self._pending.add(drawn.ids, self.now, losses.detach().clone(), targets, columns)  # loops reuse buffers
        return reduced

    def _targets(self, drawn: Drawn, targets: Any = None, outputs: Tensor | None = None, **_: Any) -> Tensor | int:
        """What is known of the rows of a batch: as the loop says, else the batch; how many rows, if nobody asks.

        Raises:
            ArgumentError: what the loop says is not one number or name for each row. With ``outputs`` it is for methods
                that read gradients, and may have any form.
        """
        rows = len(drawn.ids)
        if drawn.targets is None and outputs is not None:
            return rows
        own = None if targets is None else told(targets, rows)
        if targets is not None and own is None and outputs is None:
            got = tuple(targets.shape) if isinstance(targets, Tensor) else f"{type(targets).__name__} {targets!r:.60}"
            raise ArgumentError(
                f"targets must say what each of the {rows} rows is, one number or name for each; got {got}. Hand in "
                "those of this batch, for example its labels."
            )
        if drawn.targets is None:
            return rows
        return drawn.targets if own is None else own

    def skip(self) -> None:
        """Give up the oldest batch that waits: it was not trained on, and nothing is recorded of it."""
        if not self.waiting:
            raise AdaSelectionError("skip() was called, and no batch waits for its losses.")
        drawn = self.waiting.popleft()
        self.meter.count(trained=-len(drawn.ids), steps=-1)

    def _name_the_first(self, error: NonFiniteLossError) -> None:
        """Say which instance was the first whose loss was not finite, where an earlier batch had one."""
        if (number := self._pending.first_nonfinite()) is not None:
            error.add_note(f"The first such loss since the last window was that of instance {number}.")

    def read(self, numbers: Tensor, now: int | Tensor | None = None) -> Signals:
        """What is known of instances of the data set, in the pass that runs, or in that of each."""
        return self.records.read(self._to_ids(numbers), now=self.now if now is None else now)

    def _to_ids(self, numbers: Tensor) -> Tensor:
        """Ids in the store of instances of the data set."""
        return numbers if self._ids is None else self._ids[numbers]

    def flush(self) -> None:
        """Put the losses that came in since the last flush into the store; `alarm` says what is wrong with them."""
        if not self._pending:
            return
        numbers, stamps, losses, targets, columns = self._pending.lot()
        self._pending = Pending()
        losses = losses.to(self.records.device).float()
        finite = losses.isfinite().cpu()
        if not bool(finite.all()):  # the store counts them, and no more
            self.alarm.look(numbers, finite)
        if not self._compares:
            self.records.update(self._to_ids(numbers), losses, now=stamps, **columns)
            return
        if updates := self.policy.updates:
            before = self.read(numbers, stamps)
            for info in updates:
                columns |= info(before, losses)
        before = self.records.exchange(self._to_ids(numbers), losses, now=stamps, **columns)
        before = replace(before, targets=targets.to(losses.device))
        if (once := first_of_each(numbers)) is not None:  # the record says nothing of the visits in between
            before, losses = before.at(once), losses[once]
        self.policy.observe(before, losses)

    def end_pass(self) -> None:
        """A pass is over: later losses belong to the next one."""
        several = distributed.world_size() > 1 and not self.sharded
        if several or len(self._pending) > _MANY:
            self.flush()
        self._over = True
        self.now, self.passes = self.now + 1, self.passes + 1
        if several:
            self.alarm.agree(*agreement.least(self.alarm.quiet))
            self.records.merge()

    def _catch_up(self) -> None:
        """Go on from the last pass of records that the user loaded into the store."""
        self.now = max(self.now, self.records.last_pass)

    def grow(self, size: int) -> None:
        """Before a window is planned, make place for the instances of a data set that grew.

        Raises:
            ArgumentError: instances have ids of their own, and those of the new ones are not known.
        """
        self._catch_up()
        if self._ids is not None and size > self._ids.shape[0]:
            raise ArgumentError(
                f"the data set has {size} instances now, and ids= names {self._ids.shape[0]}. Build a new loader with "
                "longer ids, and hand it the records of this one."
            )
        if self._ids is None and self.records._slots.kind == "range" and size > len(self.records):
            self.records.grow(size)

    def state_dict(self) -> dict[str, Any]:
        """Pass, and the losses that are not in the store yet. Batches that wait were not trained on."""
        rows, counts = sum(len(drawn.ids) for drawn in self.waiting), dict(self.meter.counts)
        counts["trained"] -= rows
        counts["steps"] -= len(self.waiting)
        return {
            "now": self.now,
            "passes": self.passes,
            "pending": self._pending.state_dict(),
            "meter": {"counts": counts, "seconds": dict(self.meter.seconds)},
        }

    def parsed(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """What a `state_dict` says, for `go_on`.

        Raises:
            StateError: the state is damaged.
        """
        kinds.check(self.state_dict() | {"pending": {}, "meter": {}}, state, "recorder")
        for name in ("now", "passes"):
            if state[name] < 0:
                raise kinds.damaged("recorder", name, state[name])
        meter = Meter()
        meter.load_state_dict(state["meter"])
        pending = Pending.of(state["pending"], self._names)
        stamps = [stamp for stamp, _ in state["pending"]["runs"]]
        if [0, *stamps, state["now"]] != sorted([0, *stamps, state["now"]]):
            raise kinds.damaged("recorder", "runs", state["pending"]["runs"])
        return {"now": int(state["now"]), "passes": int(state["passes"]), "meter": meter, "_pending": pending}

    def go_on(self, parsed: dict[str, Any]) -> None:
        """Go on from `parsed`; batches that wait are forgotten."""
        vars(self.meter).update(vars(parsed["meter"]))
        vars(self).update(parsed | {"meter": self.meter})
        self.waiting.clear()
        self._over, self.alarm = False, Alarm()
