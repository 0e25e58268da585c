"""Two groups of errors where the losses are squares of these, and one crowd."""

from __future__ import annotations

import torch

from adaselection import functional as F  # noqa: N812
from adaselection.conditions import WRONG
from adaselection.crowd import Crowd
from adaselection.thresholds import Evidence, Thresholds
from adaselection.types import Signals

_LATER = 10.0  # walks of ``trusted`` on end after which the cut is that of the roots, where wrong labels are known


def cut(signals: Signals) -> dict[str, float]:
    """Where the average losses are cut if their roots are, as ``threshold``, and the ``share`` above.

    In a long training the losses of what is left out rise without end, and the cut between the means of the groups with
    them, so that wrong labels that were never high come back, and are learnt by heart.
    """
    averages = signals.smoothed.double()
    roots = averages.clamp_min(0.0).sqrt()
    edge = averages[roots <= F.two_groups(roots).threshold].max()  # one of them, which a square need not be
    return {"threshold": float(edge), "share": float((averages > edge).double().mean())}


def late(walks: float, seen: Evidence, need: Thresholds) -> bool:
    """Whether `cut` holds after so many walks of ``trusted`` on end: not for numbers, nor where losses are negative."""
    return need.known and walks >= _LATER and seen.numbers != 1 and seen.negative <= 0


def by_roots(seen: Crowd, signals: Signals, need: Thresholds, level: float) -> Crowd:
    """The groups of the square roots of the average losses, where these tell what is wrong and the losses do not.

    They are the errors where losses are squared errors. Squares of errors of every size have no gap, and the largest
    few have most of their variance.

    Args:
        seen: the crowd of the losses; returned as it is where its tail is short, or there are two groups already. Where
            the roots are no two groups either, their separation alone is noted.
        signals: of the window.
        need: where the evidence suffices.
        level: mean loss after the first walk; what is wrong is above.
    """
    if not (seen.tau > need.tailed and seen.apart <= need.apart):
        return seen
    averages = signals.smoothed.double()
    groups = F.two_groups(averages.clamp_min(0.0).sqrt())
    threshold = groups.threshold.square()
    upper = averages > threshold
    sums = [torch.where(group, averages, 0.0).sum() / group.sum().clamp_min(1) for group in (~upper, upper)]
    edge, roots, share, lower, above = torch.stack([threshold, groups.separation, groups.share, *sums]).tolist()
    if not above > WRONG * level:
        return seen
    if not roots > need.rooted:
        return seen._replace(roots=roots)
    return seen._replace(threshold=edge, share=share, lower=lower, roots=roots)
