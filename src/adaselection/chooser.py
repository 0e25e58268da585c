"""What of each window of a walk is loaded: everything, what has no record yet, or what the policy chooses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adaselection import agreement, checks
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.drawn import Drawn, as_they_are
from adaselection.functional.selection import rank_rows
from adaselection.limits import Limits
from adaselection.recorder import Recorder
from adaselection.types import Signals


@dataclass
class Tally:
    """What the chooser did so far.

    Attributes:
        windows: judged by the gate; ``selected`` of them were chosen from, ``shut`` taken whole.
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
    """Plans windows; called by the walks, at the same step on all processes of a training.

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
        self._left: tuple[Tensor, Tensor] | None = None  # numbers and weights of less than a batch

    def __call__(self, window: list[list[int]]) -> list[Drawn]:
        """The batches to load of one window, given as the sampler's batches of instance numbers."""
        with self.recorder.meter.phase("select"):
            self.recorder.flush()
            batches = self._planned(window)
            return batches[: int(agreement.least(len(batches))[0])]

    def _planned(self, window: list[list[int]]) -> list[Drawn]:
        """Everything, or a choice of it."""
        all_of_it = self.policy.rate == 1 and not self.policy.own_count
        numbers = torch.tensor([number for batch in window for number in batch], dtype=torch.int64)
        if all_of_it or numbers.shape[0] < 2 or self.limits.annealing(self.recorder.passes):
            return self._whole(window)
        signals = self.recorder.read(numbers)
        known, rows = _known(signals), numbers.shape[0]
        fewest, share = agreement.least(seen := int(known.sum()), seen / rows)
        if not fewest:
            return self._whole(window)
        self.tally.windows += 1
        if not self.policy.opens(signals if seen == rows else _at(signals, known), reduce=agreement.reduction()):
            self.tally.shut += 1
            return self._whole(window)
        unseen = math.ceil((1 - share) * rows - 1e-6)
        places = self._places(rows)
        turn = places == 1 and self.tally.selected % 2 == 1  # half of one place: every second time
        if turn or unseen > self.policy.rate * rows / 2:
            return self._longest_first(numbers, signals, places, unseen)
        return self._chosen(numbers, signals, places, seen == rows) if places else []

    def _whole(self, window: list[list[int]]) -> list[Drawn]:
        """The window as it is."""
        self._left = None  # they come with the others
        return as_they_are(window)

    def _longest_first(self, numbers: Tensor, signals: Signals, places: int, unseen: int) -> list[Drawn]:
        """What waited longest: all that have no record, in whole batches, and others if there is place."""
        size = 1 if self.policy.own_count else self.limits.batch_size
        places = max(places, unseen // size * size)
        rows = rank_rows(_waits(signals))[:places]
        self._count(numbers.shape[0], min(unseen, places), torch.ones(places))
        return self._full(numbers, rows, torch.ones(places))

    def _chosen(self, numbers: Tensor, signals: Signals, places: int, all_known: bool) -> list[Drawn]:
        """A choice of the policy, after those that must come, which have at most half of the places."""
        must, others = self._overdue(signals)[: (places + 1) // 2 if places > 1 else 0], None
        if must.shape[0] or not all_known:
            free = torch.ones_like(_known(signals)).index_fill_(0, must, False)
            others = (free & _known(signals)).nonzero().flatten()
            signals = _at(signals, others)
        k = min(places - must.shape[0], signals.losses.shape[0])
        found = self.policy.choose(signals, k, reduce=agreement.reduction())
        rows = found.indices if others is None else torch.cat((must, others[found.indices]))
        sure = torch.ones(must.shape[0], dtype=torch.float64)
        weights = torch.cat((sure, found.sample_weights.cpu().double()))
        if found.inclusion_probabilities is not None and self.policy.weight_exponent:
            chances = torch.cat((sure, found.inclusion_probabilities[found.indices].cpu().double()))
            weights = F.sample_weights(chances, self.policy.weight_exponent)
        self._count(numbers.shape[0], must.shape[0], weights)
        return self._full(numbers, rows, weights.float())

    def _overdue(self, signals: Signals) -> Tensor:
        """Rows without a record or unseen for too long by the end of this walk, those that waited longest first."""
        known, waits = _known(signals), _waits(signals)
        overdue = waits >= self.limits.longest_unseen - 1
        count = int(overdue.sum())
        return rank_rows(waits)[:count] if count else known.new_empty(0, dtype=torch.int64)

    def _places(self, rows: int) -> int:
        """Instances to draw of a window of so many: whole batches, none lost between windows."""
        if self.policy.own_count:
            return max(2, round(self.policy.rate * rows))
        self._credit += self.policy.rate * rows / self.limits.batch_size
        batches = math.floor(self._credit + 1e-9)
        self._credit -= batches
        return min(batches * self.limits.batch_size, rows)

    def _full(self, numbers: Tensor, rows: Tensor, weights: Tensor) -> list[Drawn]:
        """Full batches of what was left over before and of these rows; the rest is left over in turn."""
        rows, order = rows.cpu().sort()  # the order of the sampler
        numbers, weights = numbers[rows], weights[order]
        if self._left is not None and not self.policy.own_count:
            numbers, weights = torch.cat((self._left[0], numbers)), torch.cat((self._left[1], weights))
        size = self.limits.batch_size
        whole = numbers.shape[0] if self.policy.own_count else numbers.shape[0] // size * size
        self._left = (numbers[whole:], weights[whole:]) if whole < numbers.shape[0] else None
        parts = numbers[:whole].tolist()
        starts = range(0, whole, size)
        if bool((weights == 1).all()):
            return [Drawn(parts[start : start + size], None, True) for start in starts]
        shares = weights[:whole].split(size)
        return [Drawn(parts[start : start + size], share, True) for start, share in zip(starts, shares, strict=True)]

    def _count(self, offered: int, forced: int, weights: Tensor) -> None:
        self.tally.selected += 1
        self.tally.offered += offered
        self.tally.drawn += weights.shape[0]
        self.tally.forced += forced
        self.tally.effective += float(F.effective_sample_size(weights))

    def state_dict(self) -> dict[str, Any]:
        """Tally, credit and left over instances."""
        numbers, weights = self._left or (torch.empty(0, dtype=torch.int64), torch.empty(0))
        return {
            "credit": self._credit,
            "left": numbers.clone(),
            "left_weights": weights.clone(),
            "tally": dict(vars(self.tally)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version. The chooser is then as it was.
        """
        own = self.state_dict()
        checks.same_state(own, state, (), "chooser")
        checks.same_state(own["tally"], state["tally"], (), "tally")
        numbers, weights = state["left"].clone(), state["left_weights"].clone()
        self._left = (numbers, weights) if numbers.shape[0] else None
        self._credit, self.tally = float(state["credit"]), Tally(**state["tally"])


def _known(signals: Signals) -> Tensor:
    """Which instances have a record, shape ``[b]``."""
    assert signals.valid is not None  # a record says so
    return signals.valid


def _waits(signals: Signals) -> Tensor:
    """Passes that each instance waited; longest without a record."""
    assert signals.ages is not None  # a record says so
    return torch.where(_known(signals), signals.ages, torch.finfo(torch.float32).max)


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
