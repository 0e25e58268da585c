"""What the evidence of recorded losses speaks for: which member of the earned mixture gets the weight, and why not."""

from __future__ import annotations

from collections.abc import Sequence

from adaselection.condition import Condition
from adaselection.conditions import ASKED
from adaselection.keeping import KEPT
from adaselection.thresholds import Asks, Evidence, Thresholds

RARE = "rare targets"
BY_TARGETS = ("trusted", "uncertain")  # members that targets alone may shut


def stands(member: str, seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether the evidence speaks for a member; ``now``: whether it has the weight now, and is asked for less."""
    return any(all(each.met for each in asks(seen, need)) for asks in _ways(member, now=now))


def lacks(member: str, seen: Evidence, need: Thresholds, *, now: bool) -> tuple[Condition, ...]:
    """The conditions that a member lacks of the way that it is nearest to; nothing where it is there."""
    unmet = [tuple(each for each in asks(seen, need) if not each.met) for asks in _ways(member, now=now)]
    return min(unmet, key=lambda conditions: (bool(conditions), shortness(conditions)))


def which(member: str, seen: Evidence, need: Thresholds) -> int:
    """The place in `ASKED` of the first way on which a member opens that `stands`."""
    return [all(each.met for each in way.asks(seen, need)) for way in ASKED[member]].index(True)


def shortness(conditions: Sequence[Condition]) -> float:
    """How far all of them are from being met."""
    return sum(each.short for each in conditions)


def lacking(seen: Evidence, need: Thresholds) -> dict[str, tuple[Condition, ...]]:
    """What each member that may get the weight lacks, in their order."""
    return {member: lacks(member, seen, need, now=False) for member in ASKED if member in need.members}


def ruling(seen: Evidence, need: Thresholds, *, now: str) -> str:
    """The member that gets the weight, or `RARE` where targets alone speak against another than ``uniform``.

    While ``hard`` has it nobody looks at targets: what they may speak against gets a whole walk first.

    Args:
        seen: the evidence.
        need: where it suffices.
        now: the member that has the weight now.
    """
    for member in ASKED:
        if member in need.members and stands(member, seen, need, now=now == member):
            return "uniform" if now == "hard" and member in BY_TARGETS else member
    return RARE if rare(seen, need) else "uniform"


def rare(seen: Evidence, need: Thresholds) -> bool:
    """Whether only the targets speak against taking the upper group for wrong, or for doubtful, and do so clearly."""
    if seen.explained < need.explained and seen.emptied < need.emptied:
        return False  # what is hard is a matter of them to some small part
    alike = seen._replace(explained=0.0, emptied=0.0)
    return any(
        stands(member, alike, need, now=False) and not stands(member, seen, need, now=False)
        for member in BY_TARGETS
        if member in need.members
    )


def _ways(member: str, *, now: bool) -> tuple[Asks, ...]:
    """What it is asked on each way to the weight, or to keep it."""
    return KEPT[member] if now else tuple(way.asks for way in ASKED[member])
