"""AdaSelection's default on the recorded plane: weights that are earned by evidence, behind a gate."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adaselection import checks, kinds
from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.condition import Condition
from adaselection.conditions import on_end
from adaselection.crowd import Crowd, crowd
from adaselection.gated import Gate
from adaselection.processes import Processes, agreed, pooled
from adaselection.roots import by_roots, cut, late
from adaselection.targets import ByTarget
from adaselection.tenure import Opening, Tenure
from adaselection.thresholds import Evidence, Thresholds
from adaselection.types import Signals
from adaselection.verdicts import lacking
from adaselection.visits import Visits
from adaselection.worth import Worth, doubts, how_often, stood_for

_IDLE_WINDOWS, _TINY = 3, sys.float_info.min
_PARTS = ("visits", "targets", "tenure", "worth")  # of the state
_TOLD = ("explained", "numbers", "common", "emptied")  # by the targets
_KEPT = ("threshold", "share", "mean")  # of how a window lay
_COUNTS = ("before", "idle", "long")
_NUMBERS = (*_KEPT, *_TOLD, *_COUNTS, "judged", "level", "lowest", "upper", "doubt")


class Earned(Gate):
    """Whole walks, until evidence speaks for leaving something out.

    Members, of which one has all the weight; every window judges anew, by `conditions` and, who has it, by `keeping`.
    ``uniform``: whole walks.
    ``trusted``: walks without the upper of two groups of the average losses, but for a few that are looked at again;
    where it is wrong rather than hard, or learnt by heart, and no matter of its targets. Roots may tell it, of numbers.
    ``hard``: half of the places even, half in proportion to the loss; where a few have most of it, and are learnt, or,
    of classes, the hard surely get better through others.
    ``uncertain``: places drawn by P (1 - P), which is low for what is known and for what is hopeless, where many look
    wrong, but it is not clear yet which. P is that of `doubts`.

    Args:
        rate: of the passes; turns passes into walks, and is the share that ``hard`` and ``uncertain`` draw.
        need: where the evidence suffices, and which members it may speak for; the defaults if None.
    """

    def __init__(self, rate: float, need: Thresholds | None = None) -> None:
        self._rate, self._need = rate, need or Thresholds()
        self.settings, self.known = self._need.as_settings(), self._need.known
        self._visits, self._by_target = Visits(), ByTarget()  # the targets of whole walks, since the last window
        self._tenure, self._worth = Tenure(self._need), Worth()
        self._seen, self._pooled = Evidence.none(), False  # of the last window; whether it was of several processes
        self._now: dict[str, float] = dict.fromkeys(_NUMBERS, 0.0)
        parts = self._visits, self._by_target, self._tenure, self._worth
        self._parts: Mapping[str, Any] = dict(zip(_PARTS, parts, strict=True))

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each member that may get it: all on one of them."""
        return {name: float(name == self._tenure.member) for name in self._need.members}

    @property
    def verdict(self) -> str:
        """The `ruling` on the last window."""
        return self._tenure.verdict

    @property
    def lacking(self) -> dict[str, tuple[Condition, ...]]:
        """By member, what the last window lacked to open for it; nothing before the first, and while one is open."""
        return lacking(self._seen, self._need) if self.reads_targets else {}

    @property
    def opened(self) -> Opening | None:
        """How the member that came to the weight last did; None before any did."""
        return self._tenure.opened

    @property
    def given_up(self) -> dict[str, tuple[Condition, ...]]:
        """The member that lost the weight last, and what it lacked to keep it, if anything."""
        return self._tenure.given_up

    @property
    def idle(self) -> bool:
        """Whether recorded losses did not fall for some windows on end."""
        return self._now["idle"] >= _IDLE_WINDOWS

    @property
    def reads_targets(self) -> bool:
        """Whether `observe` looks at targets now: of whole walks, once there is a record to compare them with."""
        return self._now["judged"] == 1 and self._tenure.member == "uniform"

    @property
    def targets_found(self) -> bool | None:
        """Whether any batch of these said what its rows are; None before one was looked at."""
        return self._by_target.found

    @property
    def targets_numeric(self) -> bool | None:
        """Whether they were taken for numbers, not for classes; None before a window was judged by any."""
        return self._now["numbers"] == 1 if self._now["common"] else None

    @property
    def gains(self) -> tuple[float | None, float | None]:
        """Expected and seen `Worth` of a chosen instance over one at random; None before the gate opened."""
        return self._worth.gains

    def opens(self, signals: Signals, processes: Processes | None = None) -> bool:
        """Judge the evidence, and whether to leave anything out of this window."""
        now, was = self._now, self._tenure.member
        window, self._pooled = signals if processes is None else pooled(signals, processes), processes is not None
        visited = self._visits.seen(processes)
        sums, seen = visited.sums, self._look_at(window, processes)
        now |= {name: getattr(seen, name) for name in _KEPT} | {"judged": 1.0, "lowest": min(now["lowest"], seen.mean)}
        now["upper"] = float(sums.losses) / float(sums.visits) if sums.visits else now["upper"]
        levels = {name: now[name] for name in ("level", "lowest", "upper", "explained", "emptied")}
        levels |= {name: now[name] if now["common"] else math.nan for name in ("numbers", "common")}
        levels["before"] = now["before"] * (visited.visits > 0 or was == "hard")  # else the evidence is the last one's
        self._seen = Evidence.of(seen, sums, finds=visited.finds, **levels)
        if visited.visits:
            now["before"] = on_end(self._seen, self._need) if was == "uniform" else now["before"]
            now["idle"] = now["idle"] + 1 if visited.now >= visited.before else 0.0
        member = self._tenure.judge(self._seen)
        now["long"] = now["long"] + 1 if member == was == "trusted" else 0.0
        if self._late:
            edge = cut(window)
            now |= zip(edge, agreed(edge.values(), processes), strict=True)
        now["before"] *= member in (was, "hard")  # while ``hard`` has the weight they say on which way it came
        self._visits.carry_on(float(sums.visits), 2.0 * self._need.visits)
        self._by_target.clear()
        return member != "uniform"

    def _look_at(self, window: Signals, processes: Processes | None) -> Crowd:
        """How a window lies; takes what its targets tell on the way, which says how to look."""
        now, rows = self._now, self.windows * len(window.losses)
        told = self._by_target.told(now["explained"], now["numbers"], now["common"], now["emptied"], rows, processes)
        found = agreed((*told, *crowd(window)), processes)
        seen = Crowd(*found[len(_TOLD) :])
        now |= zip(_TOLD, found, strict=False)
        if not now["judged"]:
            now["level"] = now["lowest"] = seen.mean
        if now["numbers"] == 1 and now["common"] <= self._need.common:
            return Crowd(*agreed(by_roots(seen, window, self._need, now["level"]), processes))
        return seen

    def chances(self, signals: Signals, k: int) -> Float[Tensor, " b"]:
        """Chance of each instance of a window that the gate opened, shape ``[b]``; ``trusted`` needs no ``k``."""
        losses = signals.losses.double()
        if self._tenure.member == "trusted":
            common = self._pooled or self._late or self._seen.roots > self._need.rooted
            threshold = self._now["threshold"] if common else None
            chances = F.trusted(signals.smoothed, self._need.audit, threshold=threshold)
            worth = (chances == 1).double()
        elif self._tenure.member == "uncertain":
            worth = doubts(losses, self._now["upper"])
            self._now["doubt"] = float(worth.mean())
            chances = F.proportional(worth, k)
        else:
            chances, worth = F.with_floor(F.proportional(losses, k), 0.5, k), losses
        self._worth.expect(chances, worth)
        return chances

    @property
    def _late(self) -> bool:
        return late(self._now["long"] / self.windows, self._seen, self._need)

    def observe(self, before: Signals, losses: Float[Tensor, " b"]) -> None:
        """Gather evidence from losses that training has just seen."""
        known = losses.isfinite() if before.valid is None else before.valid & losses.isfinite()
        if not (seen := int(known.sum())):
            return
        if seen < known.shape[0]:
            before, losses = before.at(known), losses[known]
        new, old, now = losses.double(), before.losses.double(), self._now
        self._visits.fell(old, new)
        if not now["judged"]:
            return
        threshold = torch.tensor(now["threshold"], dtype=torch.float64, device=losses.device)
        ages = torch.ones_like(new) if before.ages is None else before.ages.double()
        upper = before.smoothed.double() > threshold
        self._by_target.see(before.targets if self.reads_targets else None, upper)
        self._visits.moved(F.movement(upper, old, new, ages * self._rate, threshold))
        if self._tenure.member == "trusted":
            again = how_often(upper, now["share"], self._need.audit)
            fine = (new <= threshold).double() / max(1 - now["share"], _TINY)
            self._worth.see(fine, torch.where(upper, again, 1.0))
        elif self._tenure.member == "uncertain":
            self._doubt(old, new)
        elif now["mean"] > 0:
            self._find(old, new)

    def _doubt(self, old: Float[Tensor, " b"], new: Float[Tensor, " b"]) -> None:
        """See what those that ``uncertain`` drew are worth; up to half of the places are filled by force."""
        if (anyone := self._now["doubt"]) > 0:  # else it has not drawn yet
            before, now = (doubts(losses, self._now["upper"]) / anyone for losses in (old, new))
            self._worth.see(now, (before * self._rate).clamp(0.5 * self._rate, 1.0))

    def _find(self, old: Float[Tensor, " b"], new: Float[Tensor, " b"]) -> None:
        """Gather what ``hard`` finds, or would have found of a whole walk."""
        drawn = self._tenure.member == "hard"
        often, counts = stood_for(old / self._now["mean"], self._rate, drawn=drawn)
        if drawn:
            self._worth.see(new / self._now["mean"], often * self._rate)
        self._visits.find(counts, new)

    def state_dict(self) -> dict[str, Any]:
        """Evidence and decisions."""
        return {
            "members": list(self._need.members),
            "wrong_labels": self.known,
            "seen": self._seen.packed(),
            "now": dict(self._now),
            **{name: part.state_dict() for name, part in self._parts.items()},
        }

    def check(self, state: dict[str, Any]) -> None:
        """Refuse what is no `state_dict` of this version.

        Raises:
            StateError: it is not.
        """
        own = self.state_dict()
        kinds.check(own, state, "evidence")
        checks.same_state(own, state, ("members", "wrong_labels"), "policy")
        kinds.numbers(own, state, ("seen",), "evidence")
        kinds.numbers(own["now"], state["now"], _NUMBERS, "evidence")
        for name in _COUNTS:
            if state["now"][name] < 0 or state["now"][name] % 1:
                raise kinds.damaged("evidence", name, state["now"][name])
        for name, part in self._parts.items():
            part.check(state[name])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version, or of other members.
        """
        self.check(state)
        self._seen = Evidence.unpacked(state["seen"])
        self._now = {name: float(state["now"][name]) for name in _NUMBERS}
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
