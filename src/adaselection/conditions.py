"""What is asked of the evidence of recorded losses before a member gets the weight.

A number that is not known is NaN, which is neither above nor below anything: it opens nothing.
"""

from __future__ import annotations

from adaselection.condition import Condition
from adaselection.thresholds import Evidence, Thresholds, Way

WRONG = 1.1  # of the mean loss after the first walk: what is wrong is above
_KNOWN = 0.5  # and what is learnt below
_HALF_KNOWN = 0.6  # as `_KNOWN`, where it need not be clear yet which are wrong
_OPPOSITE = 0.75  # what the upper group is worse by, over what the lower one is better by, since then
_SURE = 5  # times the visits that are behind other decisions
_AMPLE = 100  # times the visits that are behind other decisions: it was tried on 6,300 pictures, not on fewer
_NEARLY_APART = 0.6  # separation that one crowd has too, below which there is no upper group to speak of
_OFTEN_STAYS = 0.6  # share of visits at which the upper group stays, above which it is not mostly learnt
_FORGOTTEN = -0.02  # as learnt from others: what was learnt by heart comes back while the model trains on these
_LARGEST_CLASS = 0.2  # at most this share of the rows, where classes count as many
_EVEN = 0.7  # separation below which the losses are surely one crowd
_BEGUN = 0.8  # as `_KNOWN`, where little need be known yet
_TELLS = 1.05  # mean loss that drawing in proportion to it finds, above which the record tells anything of it
_MOST = 0.6  # mean loss as a share of that after the first walk, above which most is left to learn
_STAYS = 0.65  # share of visits at which the upper group stays, above which it is hardly learnt
_STUCK = 0.9  # share of visits at which the upper group stays, above which nothing is being learnt
_RISEN = 1.1  # mean loss over the lowest so far, above which something learnt has become wrong


def asked_of_wrong(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """What is asked before the upper group is taken for wrong rather than hard, and left out."""
    rooted = Condition("separation of the roots", seen.roots, ">", need.rooted)
    groups = rooted if seen.roots else Condition("separation", seen.apart, ">", need.apart)
    numbers = seen.numbers == 1
    tail = (Condition("tau", seen.tau, ">", need.tailed),) if numbers else ()
    return (
        Condition("visits", seen.visits, ">=", need.visits),
        groups,
        *tail,
        Condition("share of the upper group", seen.share, ">=", need.least),
        Condition("loss of the upper group", seen.upper, ">", need.far if numbers else WRONG),
        Condition("loss of the lower group", seen.lower, "<", _KNOWN),
        Condition("staying", seen.stays, ">", need.stays),
        Condition("learnt from others", seen.learnt + seen.error, "<", need.learnt),
        Condition("explained by targets", seen.explained, "<", need.explained),
        Condition("share left out of one class", seen.emptied, "<", need.emptied),
    )


def asked_of_memorized(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """Otherwise: that it is learnt by heart, and spread over many classes as by chance, though it does not stand apart.

    A network learns wrong labels by heart while most is still to be learnt, and they lie among hard ones then. What is
    learnt by heart others do not teach: it is forgotten again between the visits. Of many classes some are harder than
    others, so that targets explain what is hard; wrong labels can be anywhere. Of few classes, as hard as each other,
    that says nothing, and of few instances neither. Where labels become wrong in the middle of a training, they will
    stand apart.
    """
    return (
        Condition("visits", seen.visits, ">=", _AMPLE * need.visits),
        Condition("share of the largest class", seen.common, "<=", _LARGEST_CLASS),
        Condition("targets that are numbers", seen.numbers, "<=", 0.0),
        Condition("losses below 0", seen.negative, "<=", 0.0),
        Condition("explained by targets", seen.explained, "<", need.scattered),
        Condition("share left out of one class", seen.emptied, "<", need.emptied),
        Condition("separation", seen.apart, ">", _NEARLY_APART),
        Condition("share of the upper group", seen.share, ">=", need.least),
        Condition("loss of the upper group", seen.upper, ">", WRONG),
        Condition("loss of the lower group", seen.lower, "<", _BEGUN),
        Condition("rise of the mean loss", seen.risen, "<=", _RISEN),
        Condition("staying", seen.stays, ">", _OFTEN_STAYS),
        Condition("learnt from others", seen.learnt + seen.error, "<", _FORGOTTEN),
    )


def asked_of_doubtful(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """What is asked before many of the upper group are taken for wrong, though not which.

    The model learns the opposite of what they say: they are worse than all were at the beginning by more than three
    quarters of what the others are better. And it knows the others: where it is far from that, or says the same to all,
    it needs every row, and so it does where labels become wrong in the middle of a training. Of negative losses
    P (1 - P) says nothing.
    """
    return (
        Condition("visits", seen.visits, ">=", _SURE * need.visits),
        Condition("losses below 0", seen.negative, "<=", 0.0),
        Condition("share of the upper group", seen.share, ">=", need.many),
        Condition("loss of the upper group", seen.upper, ">", WRONG),
        Condition("growing apart", seen.upper - 1, ">", _OPPOSITE * (1 - seen.lower)),
        Condition("loss of the lower group", seen.lower, "<", _HALF_KNOWN),
        Condition("rise of the mean loss", seen.risen, "<=", _RISEN),
        Condition("staying", seen.stays, ">", need.doubtful),
        Condition("staying", seen.stays, "<", _STUCK),
        Condition("learnt from others", seen.learnt + seen.error, "<", need.slowly),
        Condition("explained by targets", seen.explained, "<", need.explained),
    )


def asked_of_learnable(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """What is asked before few instances that have most of the loss, and are learnt, are drawn more often."""
    return (
        Condition("visits", seen.visits, ">=", need.visits),
        Condition("tau", seen.tau, ">", need.reduces),
        Condition("find", seen.finds, ">=", need.finds),
        Condition("loss left", seen.mean, ">=", need.left),
        Condition("separation", seen.apart, "<", need.apart),
        Condition("staying", seen.stays, "<", need.moves),
        Condition("learnt from others", seen.learnt + seen.error, ">", 0.0),
    )


def teaches(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """What `asked_of_taught` asks of one window.

    Wrong labels that stand apart are not learnt from others, and rare classes are one thing with their targets. Numbers
    are left to the other way: there a few instances have most of the loss, and what these teach is another matter.
    """
    return (
        Condition("visits", seen.visits, ">=", _SURE * need.visits),
        Condition("targets that are numbers", seen.numbers, "<=", 0.0),
        Condition("losses below 0", seen.negative, "<=", 0.0),
        Condition("find", seen.finds, ">=", _TELLS),
        Condition("loss left", seen.mean, ">=", _MOST),
        Condition("separation", seen.apart, "<", _EVEN),
        Condition("loss of the upper group", seen.upper, "<", WRONG),
        Condition("loss of the lower group", seen.lower, "<", _BEGUN),
        Condition("staying", seen.stays, "<", _STAYS),
        Condition("learnt from others", seen.learnt - seen.error, ">", need.taught),
        Condition("explained by targets", seen.explained, "<", need.explained),
    )


def asked_of_taught(seen: Evidence, need: Thresholds) -> tuple[Condition, ...]:
    """Otherwise: in two windows on end, that the hard are surely learnt from others."""
    now = teaches(seen, need)
    before = Condition("windows of that kind before", seen.before, ">=", 1.0)
    return (*now, before) if all(each.met for each in now) else now


def on_end(seen: Evidence, need: Thresholds) -> float:
    """How many windows met `teaches` on end, this one included; 0 if it does not."""
    return seen.before + 1 if all(each.met for each in teaches(seen, need)) else 0.0


ASKED: dict[str, tuple[Way, ...]] = {
    "trusted": (
        Way("what is high stands apart, stays, and is not learnt from others", asked_of_wrong),
        Way("what is high is being learnt by heart, and lies in all classes alike", asked_of_memorized),
    ),
    "uncertain": (Way("many look wrong, but it is not clear yet which", asked_of_doubtful),),
    "hard": (
        Way("few have most of the loss, and are being learnt", asked_of_learnable),
        Way("the hard surely get better while the model trains on others", asked_of_taught),
    ),
}
"""By member, the ways to the weight: of one of them every condition must be met."""
