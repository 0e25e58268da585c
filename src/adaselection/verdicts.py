"""What the evidence of recorded losses speaks for: thresholds, and one pure function per member of the earned mixture.

A number that is not known is NaN, which is neither above nor below anything: it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from adaselection import functional as F  # noqa: N812

_WRONG, _KNOWN = 1.1, 0.5  # of the mean loss after the first walk: what is wrong is above, and what is learnt below
_HALF_KNOWN = 0.6  # as `_KNOWN`, where it need not be clear yet which are wrong
_OPPOSITE = 0.75  # what the upper group is worse by, over what the lower one is better by, since then
_SURE = 5  # times the visits that are behind other decisions
_STUCK = 0.9  # share of visits at which the upper group stays, above which nothing is being learnt
_RISEN = 1.1  # mean loss over the lowest so far, above which something learnt has become wrong
_SLACK = 1.5  # the thresholds of ``hard`` are so much wider while it has the weight


@dataclass(frozen=True)
class Thresholds:
    """Where the evidence suffices.

    Attributes:
        apart: share of the variance between the groups, above which they are two.
        stays: share of visits at which the upper group stays, above which ``trusted`` opens.
        lost: share below which it shuts.
        learnt: relative gain of the upper group in a walk through training on others, below which it is wrong: the
            estimate and one standard error are held against it.
        least: least share of the upper group; leaving out less is not worth it.
        audit: chance of an instance of the upper group to be drawn all the same.
        visits: least visits behind a decision.
        reduces: variance reduction tau of drawing in proportion to the loss, above which most of it is in a few.
            Squared errors that follow a Laplace distribution have 2.45, and nothing is hard there.
        moves: share of visits at which the upper group stays, below which it is learnt.
        finds: mean loss that such a draw finds, over that of all, above which the record tells where the loss is.
        left: mean loss as a share of that after the first walk, above which there is something left to learn.
        doubtful: share of visits at which the upper group stays, above which ``uncertain`` opens; it shuts where that
            share less what is learnt is below ``lost``.
        slowly: as ``learnt``, below which ``uncertain`` opens.
        many: least share of the upper group for ``uncertain``, to open and to stay. Rare classes, too, are worse than
            they were while the common ones are learnt.
        explained: how far targets explain which are in the upper group, from which on it is rare classes or numbers
            that are not learnt rather than wrong ones: neither ``trusted`` nor ``uncertain`` opens.
    """

    apart: float = F.UNIMODAL
    stays: float = 0.7
    lost: float = 0.35
    learnt: float = 0.07
    least: float = 0.02
    audit: float = 0.05
    visits: int = 20
    reduces: float = 3.0
    moves: float = 0.2
    finds: float = 1.5
    left: float = 0.02
    doubtful: float = 0.5
    slowly: float = 0.12
    many: float = 0.35
    explained: float = 0.4


class Evidence(NamedTuple):
    """What one window and the visits before it say.

    Attributes:
        apart: share of the variance of the average losses that is between two groups.
        share: of the instances that is in the upper group.
        lower: mean of the average losses of the lower group, over the mean loss after the first walk.
        mean: mean loss, over that after the first walk.
        risen: mean loss, over the lowest that a window had so far.
        upper: mean loss at the visits of the upper group, over the mean loss after the first walk.
        tau: variance reduction of drawing in proportion to the loss.
        finds: mean loss that such a draw finds, over that of all.
        visits: of the upper group.
        stays: share of them at which the instance was of it again.
        learnt: part of the upper group's loss that goes away in a walk through training on others; NaN if unknown.
        error: standard error of that.
        negative: share of the losses that are below 0.
        explained: how far targets explain which are in the upper group, from 0 to 1; 0 where they are not known.
    """

    apart: float
    share: float
    lower: float
    mean: float
    risen: float
    upper: float
    tau: float
    finds: float
    visits: float
    stays: float
    learnt: float
    error: float
    negative: float
    explained: float


def wrong(seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether the upper group is wrong rather than hard, and is to be left out; ``now``: whether it is left out now."""
    enough = seen.visits >= need.visits
    if now:
        return seen.share > 0 and (seen.stays > need.lost or not enough)
    misfit = seen.upper > _WRONG and seen.lower < _KNOWN
    two = misfit and seen.apart > need.apart and seen.share >= need.least and seen.explained < need.explained
    return enough and two and seen.stays > need.stays and seen.learnt + seen.error < need.learnt


def doubtful(seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether many of the upper group are wrong, though not which; ``now``: whether that is so now.

    The model learns the opposite of what they say: they are worse than all were at the beginning by more than three
    quarters of what the others are better. And it knows the others: where it is far from that, or says the same to all,
    it needs every row, and so it does where labels become wrong in the middle of a training.
    """
    if not seen.share >= need.many or seen.negative > 0:  # of negative losses P (1 - P) says nothing
        return False
    if now:
        return seen.visits < need.visits or seen.stays - max(0.0, seen.learnt) >= need.lost
    opposite = seen.upper > _WRONG and seen.upper - 1 > _OPPOSITE * (1 - seen.lower)
    known = seen.lower < _HALF_KNOWN and seen.risen <= _RISEN and seen.explained < need.explained
    lasting = need.doubtful < seen.stays < _STUCK and seen.learnt + seen.error < need.slowly
    return seen.visits >= _SURE * need.visits and opposite and known and lasting


def learnable(seen: Evidence, need: Thresholds, *, now: bool) -> bool:
    """Whether the loss is in few instances, which are learnt; ``now``: whether these are drawn more often now."""
    enough = seen.visits >= need.visits
    if not (seen.finds >= need.finds and seen.mean >= need.left):
        return False
    if now:
        return seen.tau > need.reduces / _SLACK and (seen.stays < need.moves * _SLACK or not enough)
    few = seen.tau > need.reduces and seen.apart < need.apart
    return enough and few and seen.stays < need.moves and seen.learnt + seen.error > 0


RULES = {"trusted": wrong, "uncertain": doubtful, "hard": learnable}
MEMBERS = ("uniform", "trusted", "hard", "uncertain")
RARE = "rare targets"
BY_TARGETS = ("trusted", "uncertain")  # members that targets may speak against


def ruling(seen: Evidence, need: Thresholds, *, now: str) -> str:
    """The member that gets the weight, or `RARE` where targets alone speak against another than ``uniform``.

    Args:
        seen: the evidence.
        need: where it suffices.
        now: the member that has the weight now.
    """
    for member, rule in RULES.items():
        if rule(seen, need, now=now == member):
            return member
    return RARE if rare(seen, need) else "uniform"


def rare(seen: Evidence, need: Thresholds) -> bool:
    """Whether only the targets speak against taking the upper group for wrong, or for doubtful."""
    alike = seen._replace(explained=0.0)
    return seen.explained >= need.explained and any(RULES[member](alike, need, now=False) for member in BY_TARGETS)
