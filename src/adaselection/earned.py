"""AdaSelection's default on the recorded plane: weights that are earned by evidence, behind a gate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adaselection import checks
from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.functional.evidence import Movement
from adaselection.types import Signals

MEMBERS = ("uniform", "trusted")
_KEEP, _MEMORY = 0.5, 100.0  # share of the sums, and most visits, that are carried on from window to window
_IDLE_WINDOWS = 3
_NUMBERS = ("threshold", "separation", "share", "open", "idle", "opened", "predicted", "realised", "kept", "passed")


class Earned:
    """Walks over everything, and leaves out what has shown to be wrong rather than hard.

    Two members: ``uniform`` (whole walks) and ``trusted`` (walks without the upper of two classes of the moving
    average of each instance's losses, but for a few that are drawn to be looked at again). ``trusted`` has the weight 1
    while three pieces of evidence agree, else 0: the classes stand apart more than the halves of any unimodal crowd
    would, the instances of the upper class are of it again at later visits, and they do not get better through
    training on others. The gate shuts when those that are looked at again are no longer of that class. Every window
    gives new evidence, so the weights follow a change.

    Args:
        rate: of the passes; turns passes into walks.
        separation: least share of the variance between the classes.
        persistence: least share of visits at which the class stays, to open.
        lost: share below which the gate shuts.
        learnt: most relative gain of the upper class in a walk through training on others, to open.
        least: least share of the upper class; leaving out less is not worth it.
        audit: chance of an instance of the upper class to be drawn all the same.
        visits: least visits behind a decision.
    """

    def __init__(
        self,
        rate: float,
        *,
        separation: float = F.UNIMODAL,
        persistence: float = 0.7,
        lost: float = 0.35,
        learnt: float = 0.05,
        least: float = 0.04,
        audit: float = 0.05,
        visits: int = 20,
    ) -> None:
        self._rate = rate
        self._separation = separation
        self._persistence = persistence
        self._lost = lost
        self._learnt = learnt
        self._least = least
        self._audit = audit
        self._visits = visits
        self._sums = torch.zeros(len(Movement._fields), dtype=torch.float64)
        self._progress = torch.zeros(3, dtype=torch.float64)  # visits, losses before, losses now
        self._now: dict[str, float] = dict.fromkeys(_NUMBERS, 0.0)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each member: all on one of them."""
        return {"uniform": 1.0 - self._now["open"], "trusted": self._now["open"]}

    @property
    def idle(self) -> bool:
        """Whether recorded losses did not fall for some windows on end."""
        return self._now["idle"] >= _IDLE_WINDOWS

    @property
    def gains(self) -> tuple[float | None, float | None]:
        """Expected and seen worth of a chosen instance over one at random, averaged over the windows chosen from.

        A chosen instance is worth 1 if it is of the lower class and 0 if not. Expected: all chosen are, but for those
        drawn to be looked at again. Seen: those that were when training came to them.
        """
        now = self._now
        if not now["opened"]:
            return None, None
        expected = now["predicted"] / now["opened"]
        seen = now["kept"] / now["passed"] if now["passed"] else None
        return expected, None if seen is None else seen * now["realised"] / now["opened"]

    def opens(self, signals: Signals, reduce: Any = None) -> bool:
        """Judge the evidence, and whether to leave anything out of this window."""
        averages = signals.averages if signals.averages is not None else signals.losses
        split = F.two_classes(averages)
        found = torch.stack([*split, *self._sums, *self._progress])
        if reduce is not None:
            found = reduce(found)
        threshold, separation, share, *rest = found.tolist()
        sums = Movement(*torch.tensor(rest[:7], dtype=torch.float64))
        now = self._now
        now["open"] = float(self._judge(separation, share, sums, bool(now["open"])))
        now["threshold"], now["separation"], now["share"] = threshold, separation, share
        visits, before, after = rest[7:]
        if visits:
            now["idle"] = now["idle"] + 1 if after >= before else 0.0
        self._sums *= min(_KEEP, _MEMORY / max(1.0, float(sums.visits)))
        self._progress *= 0
        if now["open"]:
            kept = 1 - share
            now["opened"] += 1
            now["predicted"] += 1 / (kept + self._audit * share)
            now["realised"] += 1 / max(kept, 1e-9)
        return bool(now["open"])

    def _judge(self, separation: float, share: float, sums: Movement, was: bool) -> bool:
        """Whether the upper class is to be left out."""
        stays = F.persistence(sums)
        enough = float(sums.visits) >= self._visits
        if was:
            return share > 0 and (stays > self._lost or not enough)
        stands_apart = separation > self._separation and share >= self._least
        return enough and stands_apart and stays > self._persistence and F.learnt_from_others(sums) < self._learnt

    def chances(self, signals: Signals) -> Float[Tensor, " b"]:
        """Chance of each instance of a window: 1, or that of a second look, shape ``[b]``."""
        averages = signals.averages if signals.averages is not None else signals.losses
        return F.trusted(averages, self._audit)

    def observe(self, before: Signals, losses: Float[Tensor, " b"]) -> None:
        """Gather evidence from losses that training has just seen."""
        known = before.valid if before.valid is not None else torch.ones_like(losses, dtype=torch.bool)
        known = known & losses.isfinite()
        averages = before.averages if before.averages is not None else before.losses
        ages = before.ages if before.ages is not None else torch.ones_like(losses)
        if not bool(known.any()):
            return
        now, old = losses[known].double(), before.losses[known].double()
        self._progress += torch.stack([torch.ones_like(now).sum(), old.sum(), now.sum()]).cpu()
        if not self._now["threshold"]:
            return
        threshold = torch.tensor(self._now["threshold"], dtype=torch.float64, device=losses.device)
        upper = averages[known].double() > threshold
        gaps = ages[known].double() * self._rate
        self._sums += torch.stack(list(F.movement(upper, old, now, gaps, threshold))).cpu()
        if self._now["open"]:
            self._now["passed"] += float(now.shape[0])
            self._now["kept"] += float((now <= threshold).sum())

    def state_dict(self) -> dict[str, Any]:
        """Evidence and decisions."""
        return {"sums": self._sums.clone(), "progress": self._progress.clone(), "now": dict(self._now)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version.
        """
        checks.same_state(self.state_dict(), state, (), "evidence")
        self._sums, self._progress = state["sums"].clone(), state["progress"].clone()
        self._now = {name: float(state["now"][name]) for name in _NUMBERS}
