"""Which member of the earned mixture has the weight, how it came to it, and why the one before lost it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from adaselection import kinds
from adaselection.condition import Condition
from adaselection.conditions import ASKED
from adaselection.errors import StateError
from adaselection.thresholds import Evidence, Thresholds
from adaselection.verdicts import RARE, lacks, ruling, which

_TENSORS = ("began", "ended")


class Opening(NamedTuple):
    """How a member came to the weight.

    Attributes:
        member: its name.
        way: what the losses showed, in words.
        window: in which window, the first being 1.
        met: the conditions of that way, with their numbers then.
    """

    member: str
    way: str
    window: int
    met: tuple[Condition, ...]

    def __str__(self) -> str:
        """All but the conditions."""
        return f"{self.member} in window {self.window}: {self.way}"


class Tenure:
    """Who has the weight; ``uniform`` until `judge` saw enough for another.

    Attributes:
        member: that has it.
        verdict: the `ruling` on the last window.
    """

    def __init__(self, need: Thresholds) -> None:
        self._need = need
        self.member = self.verdict = "uniform"
        self._came = self._gave = "uniform"  # of the others, who came to the weight last, and who lost it last
        self._way = 0  # on which it came, in `ASKED`
        self._windows = self._since = 0
        self._began = self._ended = Evidence.none()  # what was seen then

    @property
    def opened(self) -> Opening | None:
        """How the member that came to the weight last did; None before any did."""
        if self._came == "uniform":
            return None
        says, asks = ASKED[self._came][self._way]
        return Opening(self._came, says, self._since, asks(self._began, self._need))

    @property
    def given_up(self) -> dict[str, tuple[Condition, ...]]:
        """The member that lost the weight last, and what it lacked to keep it, if anything."""
        if self._gave == "uniform":
            return {}
        return {self._gave: lacks(self._gave, self._ended, self._need, now=True)}

    def judge(self, seen: Evidence) -> str:
        """Give the weight to the member that the evidence of a window speaks for; returns it."""
        was = self.member
        self.verdict = ruling(seen, self._need, now=was)
        self.member = "uniform" if self.verdict == RARE else self.verdict
        self._windows += 1
        if was not in ("uniform", self.member):
            self._gave, self._ended = was, seen
        if self.member not in ("uniform", was):
            self._came, self._began, self._since = self.member, seen, self._windows
            self._way = which(self.member, seen, self._need)
        return self.member

    def state_dict(self) -> dict[str, Any]:
        """Who has it, and what is known of the changes."""
        return {
            "member": self.member,
            "verdict": self.verdict,
            "came": self._came,
            "gave": self._gave,
            "way": self._way,
            "windows": self._windows,
            "since": self._since,
            "began": self._began.packed(),
            "ended": self._ended.packed(),
        }

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse what is no `state_dict`, or of members that may not get the weight.

        Raises:
            StateError: it is not.
        """
        own = self.state_dict()
        kinds.check(own, state, "evidence")
        kinds.numbers(own, state, _TENSORS, "evidence")
        for name, what in (("member", "the weight is on"), ("came", "it came to"), ("gave", "it was taken from")):
            if state[name] not in self._need.members:
                raise StateError(
                    f"the state dict is damaged: {what} member {state[name]!r}. Take an undamaged checkpoint."
                )
        ways = max(1, len(ASKED.get(state["came"], ())))
        sound = {
            "verdict": state["verdict"] == state["member"] or (state["verdict"], state["member"]) == (RARE, "uniform"),
            "came": state["member"] in ("uniform", state["came"]),
            "way": 0 <= state["way"] < ways,
            "since": 0 <= state["since"] <= state["windows"],
        }
        for name, right in sound.items():
            if not right:
                raise kinds.damaged("evidence", name, state[name])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, which `check` has seen."""
        self.member, self.verdict = state["member"], state["verdict"]
        self._came, self._gave, self._way = state["came"], state["gave"], state["way"]
        self._windows, self._since = state["windows"], state["since"]
        self._began, self._ended = (Evidence.unpacked(state[name]) for name in _TENSORS)
