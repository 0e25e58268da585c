"""AdaSelection's default on the recorded plane: weights that are earned by evidence, behind a gate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection import kinds
from adaselection._shapes import Float
from adaselection.functional.evidence import Movement
from adaselection.step import Reduce
from adaselection.types import Signals
from adaselection.worth import Worth, how_often

MEMBERS = ("uniform", "trusted", "hard")
_UNIFORM, _TRUSTED, _HARD = range(3)
_KEEP, _MEMORY = 0.5, 1000.0  # share of the sums, and most visits, that are carried on from window to window
_IDLE_WINDOWS = 3
_WRONG, _KNOWN = 1.1, 0.5  # of the mean loss after the first walk: what is wrong is above, and what is learnt below
_SLACK = 1.5  # the thresholds of ``hard`` are so much wider while it has the weight
_NUMBERS = ("open", "judged", "level", "threshold", "share", "lower", "mean", "idle")


class Earned:
    """Whole walks, until evidence speaks for leaving something out.

    Three members, of which one has all the weight; every window judges anew, so the weights follow a change.

    ``uniform``: whole walks.

    ``trusted``: walks without the upper of two classes of the average losses, but for a few that are looked at again.
    Earned while these are wrong rather than hard: they fit worse than all did at the beginning and the others better,
    the classes stand apart more than the halves of a uniform crowd would, the instances of the upper class are of it
    again at later visits, and they do not get better through training on others. Lost when those that are looked at
    again are no longer of that class.

    ``hard``: half of the places drawn evenly, half in proportion to the loss. Earned while most of the loss is in a few
    instances, and these are learnt: the losses are one crowd with a long tail, the instances of the upper class are
    rarely of it again, training on others does not make them worse, and such a draw finds losses well above the mean.

    Args:
        rate: of the passes; turns passes into walks, and is the share that ``hard`` draws.
        apart: share of the variance between the classes, above which they are two.
        stays: share of visits at which the class stays, above which the gate opens.
        lost: share below which it shuts.
        learnt: relative gain of the upper class in a walk through training on others, below which it is wrong: the
            estimate and one standard error are held against it.
        least: least share of the upper class; leaving out less is not worth it.
        audit: chance of an instance of the upper class to be drawn all the same.
        visits: least visits behind a decision.
        reduces: variance reduction tau of drawing in proportion to the loss, above which most of it is in a few.
        moves: share of visits at which the upper class stays, below which it is learnt.
        finds: mean loss that such a draw finds, over that of all, above which the record tells where the loss is.
        left: mean loss as a share of that after the first walk, above which there is something left to learn.
    """

    def __init__(
        self,
        rate: float,
        *,
        apart: float = F.UNIMODAL,
        stays: float = 0.7,
        lost: float = 0.35,
        learnt: float = 0.07,
        least: float = 0.02,
        audit: float = 0.05,
        visits: int = 20,
        reduces: float = 2.0,
        moves: float = 0.2,
        finds: float = 1.5,
        left: float = 0.02,
    ) -> None:
        self._rate = rate
        self._apart, self._stays, self._lost, self._learnt = apart, stays, lost, learnt
        self._least, self._audit, self._visits = least, audit, visits
        self._reduces, self._moves, self._finds, self._left = reduces, moves, finds, left
        names = ("apart", "stays", "lost", "learnt", "least", "audit", "visits", "reduces", "moves", "finds", "left")
        self.settings = {"members": list(MEMBERS), **{name: getattr(self, f"_{name}") for name in names}}
        self._sums = torch.zeros(len(Movement._fields), dtype=torch.float64)
        self._progress = torch.zeros(3, dtype=torch.float64)  # visits, losses before, losses now
        self._found = torch.zeros(4, dtype=torch.float64)  # losses that ``hard`` would find, draws; losses of all, all
        self._now: dict[str, float] = dict.fromkeys(_NUMBERS, 0.0)
        self._worth = Worth()

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each member: all on one of them."""
        return {name: float(number == self._now["open"]) for number, name in enumerate(MEMBERS)}

    @property
    def idle(self) -> bool:
        """Whether recorded losses did not fall for some windows on end."""
        return self._now["idle"] >= _IDLE_WINDOWS

    @property
    def gains(self) -> tuple[float | None, float | None]:
        """Expected and seen worth of a chosen instance over one at random, averaged; None before the gate opened.

        For ``trusted`` an instance is worth 1 in the lower class and 0 in the upper; for ``hard`` it is worth its loss.
        Expected is from the record. Seen is from the losses when training came to those chosen.
        """
        return self._worth.gains

    def opens(self, signals: Signals, reduce: Reduce | None = None) -> bool:
        """Judge the evidence, and whether to leave anything out of this window."""
        averages, losses = _averages(signals), signals.losses.double()
        classes = F.two_classes(averages)
        lower = averages[averages <= classes.threshold].double().mean()
        level = torch.stack([*classes, lower, losses.mean(), losses.square().mean(), (losses < 0).double().mean()])
        gathered = (self._sums, self._found, self._progress)
        found = torch.cat((level, *(part.to(level.device) for part in gathered)))
        if reduce is not None:
            found = reduce(found)
        threshold, apart, share, lower_mean, mean, square, negative, *rest = found.tolist()
        tau = math.sqrt(square) / mean if negative == 0 and mean > 0 else 1.0  # the `variance_gain` of the losses
        (chosen, draws, total, rows), (visits, before, after) = rest[-7:-3], rest[-3:]
        sums = Movement(*rest[:-7])  # plain numbers, which cost far less than tensors
        finds = chosen * rows / (draws * total) if draws * total > 0 else 0.0
        now = self._now
        if not now["judged"]:
            now["level"] = mean
        now["threshold"], now["share"], now["mean"], now["judged"] = threshold, share, mean, 1.0
        now["lower"] = lower_mean
        now["open"] = float(self._judge(apart, share, tau, finds, sums))
        if visits:
            now["idle"] = now["idle"] + 1 if after >= before else 0.0
        count = max(1.0, float(sums.visits))
        carried = min(max(_KEEP * count, 2.0 * self._visits), _MEMORY, count)  # never too few to judge by
        self._sums *= carried / count
        self._found *= _KEEP
        self._progress.zero_()
        return bool(now["open"])

    def _judge(self, apart: float, share: float, tau: float, finds: float, sums: Movement) -> int:
        """Which member has the weight."""
        if self._wrong(apart, share, sums):
            return _TRUSTED
        return _HARD if self._learnable(apart, tau, finds, sums) else _UNIFORM

    def _wrong(self, apart: float, share: float, sums: Movement) -> bool:
        """Whether the upper class is to be left out."""
        stays, enough = F.persistence(sums), float(sums.visits) >= self._visits
        if self._now["open"] == _TRUSTED:
            return share > 0 and (stays > self._lost or not enough)
        level = self._now["level"]
        misfit = float(sums.losses) > _WRONG * level * float(sums.visits) and self._now["lower"] < _KNOWN * level
        two = misfit and apart > self._apart and share >= self._least
        at_most = F.learnt_from_others(sums) + F.learnt_error(sums)
        return enough and two and stays > self._stays and at_most < self._learnt

    def _learnable(self, apart: float, tau: float, finds: float, sums: Movement) -> bool:
        """Whether the loss is in few instances, which are learnt."""
        stays, enough = F.persistence(sums), float(sums.visits) >= self._visits
        if finds < self._finds or self._now["mean"] < self._left * self._now["level"]:
            return False
        if self._now["open"] == _HARD:
            return tau > self._reduces / _SLACK and (stays < self._moves * _SLACK or not enough)
        few = tau > self._reduces and apart < self._apart
        at_least = F.learnt_from_others(sums) + F.learnt_error(sums)
        return enough and few and stays < self._moves and at_least > 0

    def chances(self, signals: Signals, k: int) -> Float[Tensor, " b"]:
        """Chance of each instance of a window that the gate opened, shape ``[b]``; ``k`` is the places of ``hard``."""
        if self._now["open"] == _TRUSTED:
            chances = F.trusted(_averages(signals), self._audit)
            self._worth.expect(chances, (chances == 1).double())
            return chances
        losses = signals.losses.double()
        chances = F.with_floor(F.proportional(losses, k), 0.5, k)
        self._worth.expect(chances, losses)
        return chances

    def observe(self, before: Signals, losses: Float[Tensor, " b"]) -> None:
        """Gather evidence from losses that training has just seen."""
        known = losses.isfinite() if before.valid is None else before.valid & losses.isfinite()
        seen = int(known.sum())
        if not seen:
            return
        if seen < known.shape[0]:
            before, losses = before.at(known), losses[known]
        new, old, now = losses.double(), before.losses.double(), self._now
        self._progress += torch.stack((torch.ones_like(new), old, new)).sum(1).cpu()
        if not now["judged"]:
            return
        threshold = torch.tensor(now["threshold"], dtype=torch.float64, device=losses.device)
        ages = torch.ones_like(new) if before.ages is None else before.ages.double()
        upper = _averages(before).double() > threshold
        self._sums += torch.stack(list(F.movement(upper, old, new, ages * self._rate, threshold))).cpu()
        if now["open"] == _TRUSTED:
            self._worth.see(
                (new <= threshold).double(), torch.where(upper, how_often(upper, now["share"], self._audit), 1.0)
            )
        elif now["mean"] > 0:
            self._find(old, new)

    def _find(self, old: Float[Tensor, " b"], new: Float[Tensor, " b"]) -> None:
        """Gather what ``hard`` finds, or would have found of a whole walk."""
        often = ((1 + old / self._now["mean"]) / 2).clamp(0.5, 1 / self._rate)  # chances over that of one at random
        ones = torch.ones_like(new)
        if self._now["open"] == _HARD:
            self._worth.see(new, often * self._rate)
            counts = torch.stack((ones, 1 / often))  # of what ``hard`` would draw, and of all
        else:
            counts = torch.stack((often, ones))
        self._found += (counts @ torch.stack((new, ones)).T).flatten().cpu()

    def state_dict(self) -> dict[str, Any]:
        """Evidence and decisions."""
        return {
            "sums": self._sums.clone(),
            "progress": self._progress.clone(),
            "found": self._found.clone(),
            "now": dict(self._now),
            "worth": self._worth.state_dict(),
        }

    def check(self, state: dict[str, Any]) -> None:
        """Refuse what is no `state_dict` of this version.

        Raises:
            StateError: it is not.
        """
        own = self.state_dict()
        kinds.check(own, state, "evidence")
        for name in ("sums", "progress", "found"):
            if state[name].shape != own[name].shape:
                raise kinds.damaged("evidence", name, state[name])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version.
        """
        self.check(state)
        self._sums, self._progress = state["sums"].clone(), state["progress"].clone()
        self._found = state["found"].clone()
        self._now = {name: float(state["now"][name]) for name in _NUMBERS}
        self._worth.load_state_dict(state["worth"])


def _averages(signals: Signals) -> Tensor:
    """Moving averages of the losses; the losses where there are none."""
    return signals.losses if signals.averages is None else signals.averages
