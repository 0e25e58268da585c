"""What a member of the earned mixture needs to keep the weight: less than it took to get it."""

from __future__ import annotations

from adaselection.condition import Condition
from adaselection.thresholds import Asks, Evidence, Thresholds

_SLACK = 1.5  # the thresholds of ``hard`` are so much wider while it has the weight
_GROWN = 1.2  # loss of the upper group over the mean after the first walk, from which on ``hard`` is given up
_STAYED = 0.75  # share of visits at which the upper group stays, from which on ``hard`` is given up
_LITTLE = 0.1  # mean loss over that after the first walk, below which ``hard`` is given up


def kept_wrong(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """While those that are looked at again are still of the upper group."""
    there = Condition("share of the upper group", seen.share, ">", 0.0)
    return there, *_known(seen, need, Condition("staying", seen.stays, ">", need.lost))


def kept_doubtful(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """While many are still of the upper group, whatever they are learnt."""
    stays = Condition("staying, less what is learnt", seen.stays - max(0.0, seen.learnt), ">=", need.lost)
    many = Condition("share of the upper group", seen.share, ">=", need.many)
    return many, Condition("losses below 0", seen.negative, "<=", 0.0), *_known(seen, need, stays)


def kept_few(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """While most of the loss is still in few instances, which are learnt."""
    return (
        Condition("find", seen.finds, ">=", need.finds),
        Condition("loss left", seen.mean, ">=", need.left),
        Condition("tau", seen.tau, ">", need.reduces / _SLACK),
        *_known(seen, need, Condition("staying", seen.stays, "<", need.moves * _SLACK)),
    )


def kept_calm(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """While nothing speaks against the hard that came to the weight as others taught them.

    What others teach the hard falls as these are known. It takes more to give them up: that they get worse, stand
    apart, or stay, as wrong ones do, or that little is left.
    """
    return (
        Condition("windows of that kind before", seen.before, ">=", 1.0),
        Condition("separation", seen.apart, "<", need.apart),
        Condition("loss of the upper group", seen.upper, "<", _GROWN),
        Condition("targets that are numbers", seen.numbers, "<=", 0.0),
        Condition("losses below 0", seen.negative, "<=", 0.0),
        Condition("staying", seen.stays, "<", _STAYED),
        Condition("loss left", seen.mean, ">=", _LITTLE),
    )


KEPT: dict[str, tuple[Asks, ...]] = {
    "trusted": (kept_wrong,),
    "uncertain": (kept_doubtful,),
    "hard": (kept_few, kept_calm),
}
"""By member, the ways to keep the weight, as `conditions.ASKED`."""


def _known(seen: Evidence, need: Thresholds, condition: Condition) -> tuple[Condition, ...]:
    """The condition, or none while there are too few visits to hold it against."""
    return () if seen.visits < need.visits else (condition,)
