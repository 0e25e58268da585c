"""What of each window of a walk is loaded: everything, what has no record yet, or what the policy chooses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adaselection import distributed
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.functional.selection import rank_rows
from adaselection.recorder import Recorder
from adaselection.step import Reduce
from adaselection.types import Signals
from adaselection.walks import Drawn


@dataclass(frozen=True)
class Limits:
    """What bounds the choice.

    Attributes:
        batch_size: rows of a full batch.
        longest_unseen: passes after which an instance is drawn by force.
        passes: planned passes of the training, or None.
        anneal: share of them, at the end, that walks over all data.
    """

    batch_size: int
    longest_unseen: float
    passes: int | None
    anneal: float


@dataclass
class Tally:
    """What the chooser did so far.

    Attributes:
        windows: planned after the first walk; ``selected`` of them were chosen from, ``shut`` taken whole by the gate.
        offered: instances in the windows that were chosen from, and ``drawn`` of them.
        forced: drawn by force, for want of a record or because they were unseen for too long.
        effective: sum of the effective sample sizes of the draws.
    """

    windows: int = 0
    selected: int = 0
    shut: int = 0
    offered: int = 0
    drawn: int = 0
    forced: int = 0
    effective: float = 0.0


class Chooser:
    """Plans windows; called by the walks.

    Args:
        policy: which instances to train on.
        recorder: what is known of them.
        limits: what bounds the choice.
    """

    def __init__(self, policy: Policy, recorder: Recorder, limits: Limits) -> None:
        self.policy = policy
        self.recorder = recorder
        self.limits = limits
        self.tally = Tally()
        self._credit = 0.0
        self._left: list[int] = []

    def __call__(self, window: list[list[int]]) -> list[Drawn]:
        """The batches to load of one window, given as the sampler's batches of instance numbers."""
        with self.recorder.meter.phase("select"):
            self.recorder.flush()
            if self._whole():
                return _as_they_are(window)
            numbers = torch.tensor([number for batch in window for number in batch], dtype=torch.int64)
            signals = self.recorder.read(numbers)
            known = _known(signals)
            unseen = numbers.shape[0] - int(known.sum())
            if self._agreed(unseen) > self.policy.rate * numbers.shape[0]:
                whole = unseen == numbers.shape[0] or _reduce() is not None
                return _as_they_are(window) if whole else self._batches(numbers[~known.cpu()], None)
            self.tally.windows += 1
            if not self.policy.opens(_at(signals, known), reduce=_reduce()):
                self.tally.shut += 1
                return _as_they_are(window)
            return self._chosen(numbers, signals, known)

    def _whole(self) -> bool:
        """Whether this window is taken whole whatever the policy says."""
        limits, done = self.limits, self.recorder.now
        ending = limits.passes is not None and done >= limits.passes - math.floor(limits.anneal * limits.passes + 1e-9)
        return (self.policy.rate == 1 and not self.policy.own_count) or (limits.anneal > 0 and ending)

    def _chosen(self, numbers: Tensor, signals: Signals, known: Tensor) -> list[Drawn]:
        """A choice of the policy, with those that must come before all others."""
        places = self._places(numbers.shape[0])
        if places == 0 and not self.policy.own_count:
            return []
        overdue = ~known | (signals.ages >= self.limits.longest_unseen)  # type: ignore[operator]  # a record has ages
        must = rank_rows(torch.where(overdue, _waited(signals, known), -torch.inf))[: min(places, int(overdue.sum()))]
        free = known.clone().index_fill_(0, must, False)
        others = free.nonzero().flatten()
        rest, planned = _at(signals, others), min(places - must.shape[0], others.shape[0])
        total = self._agreed(must.shape[0] + (self.policy.wanted(rest, planned) if planned > 0 else 0))
        must = must[:total]
        rows, chances = must, torch.ones(must.shape[0], dtype=torch.float64)
        weights = torch.ones_like(chances)
        if others.shape[0] and (self.policy.own_count or total > must.shape[0]):
            count = planned if self.policy.own_count else min(total - must.shape[0], others.shape[0])
            found = self.policy.choose(rest, count, reduce=_reduce(), exact=not self.policy.own_count)
            rows = torch.cat((must, others[found.indices])).cpu()
            weights = torch.cat((weights, found.sample_weights.cpu().double()))
            if found.inclusion_probabilities is not None and self.policy.weight_exponent:
                chances = torch.cat((chances, found.inclusion_probabilities[found.indices].cpu().double()))
                weights = F.sample_weights(chances, self.policy.weight_exponent)
        self._count(numbers.shape[0], must.shape[0], weights)
        order = rows.cpu().argsort()  # the order of the sampler
        return self._full(numbers[rows.cpu()[order]], weights[order].float())

    def _agreed(self, count: int) -> int:
        """How many to draw of a window: equally many in every process, so that their collectives stay in step."""
        reduce = None if self.policy.own_count else _reduce()
        if reduce is None:
            return count
        return round(float(reduce(torch.tensor([float(count)], device=self.recorder.records.device))))

    def _places(self, rows: int) -> int:
        """Instances to draw of a window of so many: whole batches, none lost between windows."""
        if self.policy.own_count:
            return max(1, round(self.policy.rate * rows))
        self._credit += self.policy.rate * rows / self.limits.batch_size
        batches = math.floor(self._credit + 1e-9)
        self._credit -= batches
        return min(batches * self.limits.batch_size, rows)

    def _full(self, numbers: Tensor, weights: Tensor) -> list[Drawn]:
        """Full batches of the instances that were left over before and of these; the rest is left over in turn."""
        if self._left and not self.policy.own_count:
            numbers, weights = (
                torch.cat((torch.tensor(self._left), numbers)),
                torch.cat((torch.ones(len(self._left)), weights)),
            )
        size = self.limits.batch_size
        whole = numbers.shape[0] if self.policy.own_count else numbers.shape[0] // size * size
        self._left = numbers[whole:].tolist()
        weighted = bool((weights != 1).any())
        return self._batches(numbers[:whole], weights[:whole] if weighted else None)

    def _batches(self, numbers: Tensor, weights: Tensor | None) -> list[Drawn]:
        """Instances, in batches."""
        size = self.limits.batch_size
        parts = numbers.split(size)
        shares = [None] * len(parts) if weights is None else list(weights.split(size))
        return [Drawn(part.tolist(), share, True) for part, share in zip(parts, shares, strict=True)]

    def _count(self, offered: int, forced: int, weights: Tensor) -> None:
        self.tally.selected += 1
        self.tally.offered += offered
        self.tally.drawn += weights.shape[0]
        self.tally.forced += forced
        self.tally.effective += float(F.effective_sample_size(weights))

    def state_dict(self) -> dict[str, Any]:
        """Tally, credit and left over instances."""
        return {"credit": self._credit, "left": list(self._left), "tally": dict(vars(self.tally))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._credit, self._left, self.tally = float(state["credit"]), list(state["left"]), Tally(**state["tally"])


def _reduce() -> Reduce | None:
    """Mean over the processes, where there are several."""
    return distributed.mean if distributed.world_size() > 1 else None


def _as_they_are(window: list[list[int]]) -> list[Drawn]:
    return [Drawn(batch) for batch in window]


def _known(signals: Signals) -> Tensor:
    """Which instances have a record, shape ``[b]``."""
    assert signals.valid is not None  # a record says so
    return signals.valid


def _waited(signals: Signals, known: Tensor) -> Tensor:
    """Passes that each instance waited; longest without a record."""
    assert signals.ages is not None  # a record says so
    return torch.where(known, signals.ages, torch.finfo(torch.float32).max)


def _at(signals: Signals, rows: Tensor) -> Signals:
    """Signals of some rows of a window."""

    def part(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[rows]

    return Signals(
        losses=signals.losses[rows],
        grad_norms=part(signals.grad_norms),
        kind=signals.kind,
        averages=part(signals.averages),
        ages=part(signals.ages),
        visits=part(signals.visits),
        irreducible=part(signals.irreducible),
        columns={name: value[rows] for name, value in signals.columns.items()},
    )
