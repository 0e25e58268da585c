"""What the evidence of recorded losses speaks for: one pure function per member of the earned mixture."""

from __future__ import annotations

from adaselection.conditions import earns
from adaselection.thresholds import Evidence, Thresholds

_SLACK = 1.5  # the thresholds of ``hard`` are so much wider while it has the weight
_GROWN = 1.2  # loss of the upper group over the mean after the first walk, from which on ``hard`` is given up
_STAYED = 0.75  # share of visits at which the upper group stays, from which on ``hard`` is given up
_LITTLE = 0.1  # mean loss over that after the first walk, below which ``hard`` is given up
RARE = "rare targets"
BY_TARGETS = ("trusted", "uncertain")  # members that targets alone may shut


def wrong(seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether the upper group is wrong rather than hard, and is to be left out; ``now``: whether it is left out now."""
    if now:
        return seen.share > 0 and (seen.stays > need.lost or seen.visits < need.visits)
    return earns("trusted", seen, need)


def doubtful(seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether many of the upper group are wrong, though not which; ``now``: whether that is so now.

    The model learns the opposite of what they say: they are worse than all were at the beginning by more than three
    quarters of what the others are better. And it knows the others: where it is far from that, or says the same to all,
    it needs every row, and so it does where labels become wrong in the middle of a training.
    """
    if now:
        many = seen.share >= need.many and seen.negative <= 0
        return many and (seen.visits < need.visits or seen.stays - max(0.0, seen.learnt) >= need.lost)
    return earns("uncertain", seen, need)


def learnable(seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether what is hard is learnt, or the loss is in few instances; ``now``: whether these are drawn more often now.

    What others teach the hard falls as these are known. It takes more to give them up: that the loss is not in few
    instances any more, and that the hard get worse, stand apart, or stay, as wrong ones do, or that little is left.
    """
    if now:
        return _few(seen, need) or _calm(seen, need)
    return earns("hard", seen, need)


def _few(seen: Evidence, need: Thresholds) -> bool:
    """Whether most of the loss is still in few instances, which are learnt."""
    finds = seen.finds >= need.finds and seen.mean >= need.left and seen.tau > need.reduces / _SLACK
    return finds and (seen.stays < need.moves * _SLACK or seen.visits < need.visits)


def _calm(seen: Evidence, need: Thresholds) -> bool:
    """Whether nothing speaks against the hard that came to the weight as others taught them."""
    one_crowd = seen.apart < need.apart and seen.upper < _GROWN and seen.stays < _STAYED
    return seen.before >= 1 and one_crowd and seen.numbers <= 0 and seen.negative <= 0 and seen.mean >= _LITTLE


RULES = {"trusted": wrong, "uncertain": doubtful, "hard": learnable}


def ruling(seen: Evidence, need: Thresholds, *, now: str) -> str:
    """The member that gets the weight, or `RARE` where targets alone speak against another than ``uniform``.

    While ``hard`` has it nobody looks at targets: what they may speak against gets a whole walk first.

    Args:
        seen: the evidence.
        need: where it suffices.
        now: the member that has the weight now.
    """
    for member, rule in RULES.items():
        if member in need.members and rule(seen, need, now=now == member):
            return "uniform" if now == "hard" and member in BY_TARGETS else member
    return RARE if rare(seen, need) else "uniform"


def rare(seen: Evidence, need: Thresholds) -> bool:
    """Whether only the targets speak against taking the upper group for wrong, or for doubtful."""
    alike = seen._replace(explained=0.0, emptied=0.0)
    return any(
        RULES[member](alike, need, now=False) and not RULES[member](seen, need, now=False)
        for member in BY_TARGETS
        if member in need.members
    )
