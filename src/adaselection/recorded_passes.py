"""The passes of a recorded loader: so many batches each, of walks that know nothing of passes."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from adaselection import agreement, checks, distributed, kinds
from adaselection.base import Policy
from adaselection.chooser import Chooser
from adaselection.drawn import Drawn, check_numbers
from adaselection.errors import AdaSelectionError, EmptyLoaderError, StateError
from adaselection.inflight import count, forgotten, unheard
from adaselection.limits import Limits
from adaselection.place import NEWER
from adaselection.recorder import Recorder
from adaselection.tree import Batch
from adaselection.walks import Planner, Walks

STATE_VERSION = 9
_IN_FLIGHT = 2  # batches that a framework may hold when a pass ends, untrained


class RecordedPasses:
    """What a recorded loader does while it runs, and where it is.

    Args:
        policy: which instances to train on.
        walks: where the batches come from; this plans them.
        recorder: where their losses go.
        limits: what bounds the choice.
        stop: whether passes are empty once the policy says that nothing more is learnt.

    Attributes:
        given: batches handed out in the pass that runs.
        planned: batches that it has, or that the last one had.
    """

    def __init__(self, policy: Policy, walks: Walks, recorder: Recorder, limits: Limits, stop: bool) -> None:
        self.policy = policy
        self.walks = walks
        self.recorder = recorder
        new = recorder.records.unseen == len(recorder.records)
        self.chooser = Chooser(policy, recorder, limits, walks.sizes()[0] if new else 0)
        self.given = 0
        walks.planner = _planner(self.chooser, walks.loader.dataset)
        self.planned = self.steady_length()
        self._serial = 0
        self._resumed, self._stop = False, stop
        self._carried = new and (bool(policy.lacking) or policy.opened is not None)
        self._left = False  # whether the loop dropped the iterator of the pass before its end was seen

    def steady_length(self) -> int:
        """Batches of a pass: ``floor(rate * n / b)``; all of the loader's at rate 1."""
        if self.policy.rate == 1 or self.policy.own_count:
            return len(self.walks)
        rows, size = self.walks.sizes()
        return int(self.policy.rate * rows / size + 1e-9)

    def length(self) -> int:
        """Batches of the pass that runs or comes next."""
        if self.given:
            return self.planned
        if self._stop and self.policy.idle:
            return 0
        return self.walks.plan_all() if self.policy.own_count else self.steady_length()

    def start(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state; what was not recorded is handed out again."""
        self._warn_carried()
        if not self.recorder.sharded:
            distributed.refuse_unsharded(self.walks.loader)
        silent, back = self.recorder.waiting.silent, self.recorder.take_back()
        self.walks.put_back(back)
        self.given = max(0, self.given - len(back))
        if silent and len(back) > _IN_FLIGHT:
            raise AdaSelectionError(unheard(len(back)))
        if self.given and not self._resumed:
            self._end()
        if self.chooser.limits.annealing(self.recorder.passes):
            self.walks.cut()
        self._resumed = self._left = False
        self.planned = self.length()
        if distributed.world_size() > 1:
            self._compare()
        self._serial += 1
        return self._run(self._serial)

    def _warn_carried(self) -> None:
        """Say once if the policy came with evidence, and still no record did when the first pass begins."""
        carried, self._carried = self._carried, False
        if carried and self.recorder.records.unseen == len(self.recorder.records):
            checks.warn(
                "the policy brings the evidence of another training, and nothing is recorded yet: its gate was judged "
                "by the losses of another model. Build a new policy for each training, as for each fold; to go on with "
                "a training, hand over its records too: RecordedLoader(..., records=former_loader.records)."
            )

    def _compare(self) -> None:
        """Refuse processes that begin the pass differently, in one exchange."""
        settings = self._settings() | {"stop": self._stop}
        rows, *_ = (settings.pop(name) for name in ("rows", "order", "processes"))
        digests = {name: zlib.crc32(repr(value).encode()) for name, value in settings.items()}
        digests["policies"] = agreement.policy_digest(self.policy, whole=False)
        digests["weights of the methods or members"] = zlib.crc32(repr(self.policy.weights).encode())
        numbers = {
            "passes ended": self.recorder.passes,
            "passes in the record": self.recorder.now,
            "batches used of a pass to go on with": self.given,
        }
        agreement.same_pass(rows, self.planned - self.given, numbers, digests)

    def leave(self) -> None:
        """Let the next pass begin anew instead of going on with that of a loaded state."""
        self._resumed = False

    def _run(self, serial: int) -> Iterator[Batch]:
        """The batches of one pass."""
        if serial != self._serial:  # since it was made, a state was loaded or a newer pass made
            yield from self.start()
            return
        meter, before = self.recorder.meter, self.given
        while self.given < self.planned:
            self.recorder.alarm.check()
            batch, drawn = self._load()
            self.given += 1
            self.recorder.hand_out(drawn, batch)
            started = time.perf_counter()
            try:
                yield batch
            except GeneratorExit:
                self._left = serial == self._serial
                raise
            meter.charge("train", time.perf_counter() - started)
            if serial != self._serial:
                raise AdaSelectionError(NEWER)
        out, waiting = self.given - before, len(self.recorder.waiting)
        self._end()
        self.recorder.alarm.check()
        if waiting == out > _IN_FLIGHT:
            checks.warn(f"the pass handed out {out} batches, and {forgotten('none of their losses came')}")
        elif 0 < self.recorder.waiting.most <= waiting:
            checks.warn(f"the pass is over, and {forgotten(f'the losses of {count(waiting)} never came')}")

    def _load(self) -> tuple[Batch, Drawn]:
        """The next batch; the time of planning that it may need is charged to the selection."""
        meter = self.recorder.meter
        started, selecting = time.perf_counter(), meter.seconds["select"]
        found = self.walks.take()
        selecting = meter.seconds["select"] - selecting
        meter.charge("load", time.perf_counter() - started - selecting)
        if found is None:
            raise EmptyLoaderError("the loader gave no batch. Check its data set, and its sampler's shard.")
        return found

    def _end(self) -> None:
        """The pass is over."""
        with self.recorder.meter.phase("select"):
            self.recorder.end_pass()
        self.given = 0

    def state_dict(self) -> dict[str, Any]:
        """Where the passes are, after the batch that was recorded last, and what all parts hold."""
        back = list(self.recorder.waiting)
        given = max(0, self.given - len(back))
        over = {"left": True} if self._left and given == self.planned else {}  # so the next pass is a new one
        return over | {
            "version": STATE_VERSION,
            "settings": self._settings(),
            "rank": distributed.rank(),
            "given": given,
            "length": self.planned,
            "walks": self.walks.state_dict(back),
            "recorder": self.recorder.state_dict(),
            "records": self.recorder.records.state_dict(),
            "policy": self.policy.state_dict(),
            "chooser": self.chooser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`; the next pass starts after the batch recorded last.

        Raises:
            StateError: a part of the state does not fit. Everything is then as it was.
        """
        kinds.refuse_other_loader(state, "place", "SelectiveLoader", "RecordedLoader")
        own = self.state_dict()
        checks.same_state(own, state, ("version",), "loader")
        agreement.same_world(state)
        checks.same_state(own, state, ("settings",), "loader")
        kinds.check({"rank": 0, "given": 0, "length": 0, "records": {}, "policy": {}}, state, "loader")
        agreement.same_process(state, distributed.world_size() > 1)
        parts: dict[str, Any] = {"policy": self.policy, "chooser": self.chooser, "records": self.recorder.records}
        try:
            given, length = int(state["given"]), int(state["length"])
            if not 0 <= given <= length <= len(self.walks):
                raise ValueError(f"{given} of {length} batches given")
            recorder = self.recorder.parsed(state["recorder"])
            for name, part in parts.items():
                part.load_state_dict(state[name])
            if (last := self.recorder.records.last_pass) > recorder["now"]:
                raise StateError(
                    f"the state dict is damaged: losses of pass {last} are recorded, and pass {recorder['now']} runs. "
                    "Take an undamaged checkpoint."
                )
            kinds.check(own["walks"], state["walks"], "walk")
            check_numbers(state, len(self.walks.loader.dataset))  # type: ignore[arg-type]  # checked to have a length
            self.walks.load_state_dict(state["walks"])  # last, for it alone cannot be put back
        except Exception as error:
            for name, part in parts.items():
                part.load_state_dict(own[name])
            if isinstance(error, AdaSelectionError):
                raise
            raise StateError(f"the state dict is damaged: {error!r}. Take an undamaged checkpoint.") from error
        self.recorder.go_on(recorder)
        self._left, self._carried = given == length and state.get("left") is True, False
        self.given, self.planned, self._resumed = given, length, not self._left
        self._serial += 1

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        rows, size = self.walks.sizes()
        limits = self.chooser.limits
        return {
            "rate": self.policy.rate,
            "rows": rows,
            "batch_size": size,
            "order": "of the data set" if self.walks.fixed_order else "shuffled, or of a sampler",
            "window": self.walks.window,
            "wrong_labels": self.policy.wrong_labels,
            "longest_unseen": limits.longest_unseen,
            "anneal": limits.anneal,
            "passes": limits.passes or 0,
            "processes": distributed.world_size(),
            "sharded": self.recorder.sharded,
        }


def _planner(chooser: Chooser, dataset: Any) -> Planner:
    """Plans a window, after making place in the record for a data set that grew; holds nothing that holds it."""

    def plan(window: list[list[int]]) -> list[Drawn]:
        chooser.recorder.grow(len(dataset))
        return chooser(window)

    return plan
