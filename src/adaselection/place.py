"""Where a loader is in its passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from adaselection import kinds

NEWER = "a newer pass over this loader has begun; only one can run at a time."
_SAVED = ("active", "exhausted", "position", "yielded", "windows", "passes", "opening", "start")


@dataclass
class Place:
    """Counters of a loader.

    Attributes:
        active: whether a pass has begun and not ended.
        exhausted: whether the loader inside has given its last batch of this pass.
        position: incoming batches used in this pass.
        yielded: batches handed out in this pass.
        windows: windows selected from since the loader was made.
        passes: passes ended.
        opening: rows that waited, and windows seen, when this pass began.
        start: random states at the start of this pass (`replay.snapshot`).
        serial: number of the newest iterator; older ones must stop.
    """

    active: bool = False
    exhausted: bool = False
    position: int = 0
    yielded: int = 0
    windows: int = 0
    passes: int = 0
    opening: list[int] = field(default_factory=lambda: [0, 0])
    start: dict[str, Any] = field(default_factory=dict)
    serial: int = 0

    def begin(self, waiting: int) -> None:
        """A pass begins with this many rows waiting; ``start`` is known when the loader is opened."""
        self.active, self.exhausted, self.position, self.yielded = True, False, 0, 0
        self.opening, self.start = [waiting, self.windows], {}

    def end(self) -> None:
        """The pass is over."""
        self.active, self.exhausted, self.position, self.yielded = False, False, 0, 0
        self.passes += 1

    def state_dict(self) -> dict[str, Any]:
        """The counters."""
        return {name: getattr(self, name) for name in _SAVED}

    def check(self, state: Any, now: dict[str, Any]) -> None:
        """Refuse what is no `state_dict`.

        Args:
            state: what may be none.
            now: a `replay.snapshot`, for what ``start`` holds once a pass was opened.

        Raises:
            StateError: it is none.
        """
        own = self.state_dict() | {"start": {}}
        kinds.check(own, state, "place")
        kinds.entries(state["opening"], int, "place", "opening")
        if len(state["opening"]) != len(own["opening"]):
            raise kinds.damaged("place", "opening", state["opening"])
        if state["start"]:
            kinds.check_snapshot(now, state["start"], "place")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        for name in _SAVED:
            setattr(self, name, state[name])
