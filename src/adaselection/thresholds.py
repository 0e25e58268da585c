"""The evidence of recorded losses, and the thresholds that are held against it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.condition import Condition
from adaselection.crowd import Crowd
from adaselection.functional.evidence import Movement
from adaselection.members import MEMBERS


@dataclass(frozen=True)
class Thresholds:
    """Where the evidence suffices, and which members it may speak for.

    Attributes:
        members: that may get the weight.
        apart: share of the variance between the groups, above which they are two.
        rooted: where targets are numbers, as ``apart``, of the square roots of the losses: outliers of every size are
            no group among the squares. Roots of squared normal errors have 0.67.
        common: largest share of the rows that one target may have there; where many are 0, the others are a group.
        tailed: where targets are numbers, ``tau`` above which ``trusted`` opens. Squared normal errors have 1.73, and
            1.34 where targets of all sizes are as frequent and nothing is learnt of them: these are two groups too.
        far: where targets are numbers, mean loss of the upper group over that of all after the first walk, above which
            ``trusted`` opens. A target that is taken for another is off by twice the variance, and one that is not
            learnt by no more than at first: above any threshold that is twice the mean where all are as frequent.
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
        taught: as ``learnt``, above which ``hard`` opens: one standard error less than the estimate is held against it.
        many: least share of the upper group for ``uncertain``, to open and to stay. Rare classes, too, are worse than
            they were while the common ones are learnt.
        explained: how far targets explain which are in the upper group, from which on it is rare classes or numbers
            that are not learnt rather than wrong ones: neither ``trusted`` nor ``uncertain`` opens, nor ``hard`` where
            others teach the hard.
        scattered: as ``explained``, below which what is above the threshold is spread over the classes as by chance, so
            that ``trusted`` opens where it is learnt by heart, though the groups do not stand apart.
        emptied: share of a class that is surely in the upper group, from which on ``trusted`` does not open: a class
            of which hardly anything is left is not learnt.
        known: whether wrong labels are known to be there. In a long training the cut between the groups of ``trusted``
            becomes lower then.
    """

    members: tuple[str, ...] = MEMBERS
    apart: float = F.UNIMODAL
    rooted: float = 0.7
    common: float = 0.125
    tailed: float = 1.75
    far: float = 3.0
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
    taught: float = 0.05
    many: float = 0.35
    explained: float = 0.4
    scattered: float = 0.03
    emptied: float = 0.8
    known: bool = False

    def as_settings(self) -> dict[str, Any]:
        """Plain values; without ``known`` where it is not, as in the settings of runs before there was such a thing."""
        return {
            name: list(value) if name == "members" else value
            for name, value in asdict(self).items()
            if name != "known" or value
        }


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
        emptied: largest share of a class that is surely in the upper group, likewise.
        numbers: share of the columns of targets that are numbers, 0 where all are classes; NaN if none is known.
        common: largest share of the rows that one target has; NaN if none is known.
        roots: as ``apart``, of the square roots of the average losses, where these were looked at; else 0.
        before: windows just before this one, on end, that met `conditions.teaches`; while ``hard`` has the weight,
            those before it came to it.
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
    emptied: float
    numbers: float
    common: float
    roots: float
    before: float

    @classmethod
    def none(cls) -> Evidence:
        """Nothing known."""
        return cls(*[math.nan] * len(cls._fields))

    @classmethod
    def unpacked(cls, packed: Tensor) -> Evidence:
        """Evidence from what `packed` made of it."""
        numbers, unknown = packed
        return cls(*numbers.masked_fill(unknown.bool(), math.nan).tolist())

    def packed(self) -> Float[Tensor, "2 n"]:
        """Its numbers, and which of them are not known, so that equal states compare as equal."""
        numbers = torch.tensor(self, dtype=torch.float64)
        return torch.stack((numbers.nan_to_num(), numbers.isnan()))

    @classmethod
    def of(
        cls,
        seen: Crowd,
        sums: Movement,
        *,
        level: float,
        lowest: float,
        upper: float,
        finds: float,
        explained: float,
        emptied: float,
        numbers: float,
        common: float,
        before: float,
    ) -> Evidence:
        """Put together what a window says, in units of the mean loss after the first walk.

        Args:
            seen: the window.
            sums: of the visits.
            level: mean loss after the first walk.
            lowest: mean loss of a window so far.
            upper: mean loss at the visits of the upper group.
            finds: as in the evidence.
            explained: likewise.
            emptied: likewise.
            numbers: likewise.
            common: likewise.
            before: likewise.
        """
        lower, mean, high = (of / level if level > 0 else math.nan for of in (seen.lower, seen.mean, upper))
        risen = seen.mean / lowest if lowest > 0 else math.nan
        moved = float(sums.visits), F.persistence(sums), F.learnt_from_others(sums), F.learnt_error(sums)
        window = seen.apart, seen.share, lower, mean, risen, high, seen.tau, finds
        return cls(*window, *moved, seen.negative, explained, emptied, numbers, common, seen.roots, before)


Asks = Callable[[Evidence, Thresholds], tuple[Condition, ...]]
"""What a member is asked: where every condition is met, it is there."""


class Way(NamedTuple):
    """One way to the weight.

    Attributes:
        says: what the losses show there, in words.
        asks: what is asked.
    """

    says: str
    asks: Asks
