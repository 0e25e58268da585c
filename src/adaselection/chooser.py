"""What of each window of a walk is loaded: everything, what has no record yet, or what the policy chooses."""

from __future__ import annotations

import copy
import itertools
import math
from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from adaselection import agreement, kinds
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.bulk import as_tensor
from adaselection.drawn import Drawn, as_they_are
from adaselection.functional.selection import rank_rows
from adaselection.limits import Limits
from adaselection.recorder import Recorder
from adaselection.types import Selection, Signals

_Some = tuple[Tensor, Tensor | None]
"""Numbers of instances and their weights; None for equal ones."""


@dataclass
class Tally:
    """What the chooser did so far.

    Attributes:
        windows: judged by the gate; ``selected`` of them were chosen from, ``shut`` taken whole.
        offered: instances in the windows that were chosen from, and ``drawn`` of them.
        forced: drawn by force, for want of a record or because they were unseen for too long.
        effective: sum of the effective sample sizes of the draws.
        verdicts: windows by what the gate made of them.
    """

    windows: int = 0
    selected: int = 0
    shut: int = 0
    offered: int = 0
    drawn: int = 0
    forced: int = 0
    effective: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)


class Chooser:
    """Plans windows; called by the walks, at the same step on all processes of a training.

    Args:
        policy: which instances to train on.
        recorder: what is known of them.
        limits: what bounds the choice.
        first: instances of the first walk, which is whole, whatever is known of some; 0 if the record is not new.
    """

    def __init__(self, policy: Policy, recorder: Recorder, limits: Limits, first: int = 0) -> None:
        self.policy = policy
        self.recorder = recorder
        self.limits = limits
        self.tally = Tally()
        self._credit, self._first = 0.0, first
        self._left: _Some | None = None  # numbers and weights of less than a batch

    def __call__(self, window: list[list[int]]) -> list[Drawn]:
        """The batches to load of one window, given as the sampler's batches of instance numbers."""
        with self.recorder.meter.phase("select"):
            self.recorder.flush()
            batches = self._planned(window)
            fewest, quiet = agreement.least(len(batches), self.recorder.alarm.quiet)
            self.recorder.alarm.agree(quiet)
            self.tally.drawn -= sum(len(cut.ids) for cut in batches[int(fewest) :] if cut.selected)
            return batches[: int(fewest)]

    def _planned(self, window: list[list[int]]) -> list[Drawn]:
        """Everything, or a choice of it."""
        rows, first = sum(map(len, window)), self._first > 0
        self._first = max(0, self._first - rows)
        all_of_it = self.policy.rate == 1 and not self.policy.own_count
        if all_of_it or self.limits.annealing(self.recorder.passes) or rows < 2:
            return self._whole(window)
        numbers = as_tensor(array("q", itertools.chain.from_iterable(window)))
        signals = self.recorder.read(numbers)
        known = _known(signals)
        fewest, share = agreement.least(seen := int(known.sum()), seen / rows)
        if first or not fewest:
            return self._whole(window)
        self.tally.windows += 1
        opened = self.policy.opens(signals if seen == rows else signals.at(known), processes=agreement.processes())
        if verdict := self.policy.verdict:
            self.tally.verdicts[verdict] = self.tally.verdicts.get(verdict, 0) + 1
        if not opened:
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
        self.tally.forced += min(unseen, places)
        return self._full(numbers, rows, None)

    def _chosen(self, numbers: Tensor, signals: Signals, places: int, all_known: bool) -> list[Drawn]:
        """A choice of the policy, after those that must come, which have at most half of the places."""
        must, others = self._overdue(signals)[: (places + 1) // 2 if places > 1 else 0], None
        if must.shape[0] or not all_known:
            free = torch.ones_like(_known(signals)).index_fill_(0, must, False)
            others = (free & _known(signals)).nonzero().flatten()
            signals = signals.at(others)
        k = min(places - must.shape[0], signals.losses.shape[0])
        found = self.policy.choose(signals, k, reduce=agreement.reduction())
        rows = found.indices if others is None else torch.cat((must, others[found.indices]))
        self.tally.forced += must.shape[0]
        return self._full(numbers, rows, self._weights(found, must.shape[0]))

    def _weights(self, found: Selection, sure: int) -> Tensor | None:
        """Weights of some sure rows, and of those that a policy chose after them; None if all are equal."""
        exponent, chances = self.policy.weight_exponent, found.inclusion_probabilities
        if chances is not None and exponent:
            chances = chances[found.indices].cpu().double()
            return F.sample_weights(torch.cat((chances.new_ones(sure), chances)), exponent).float()
        weights = found.sample_weights
        if chances is not None and sure and self.policy.weighs and not self.policy.own_count:
            return F.with_sure(weights, sure, chances.shape[0]).cpu().float()
        return None if bool((weights == 1).all()) else torch.cat((weights.new_ones(sure), weights)).cpu().float()

    def _overdue(self, signals: Signals) -> Tensor:
        """Rows without a record or unseen for too long by the end of this walk, those that waited longest first."""
        waits = _waits(signals)
        count = int((waits >= self.limits.longest_unseen - 1).sum())
        return rank_rows(waits)[:count] if count else torch.empty(0, dtype=torch.int64, device=waits.device)

    def _places(self, rows: int) -> int:
        """Instances to draw of a window of so many: whole batches, none lost between windows."""
        if self.policy.own_count:
            return max(2, round(self.policy.rate * rows))
        self._credit += self.policy.rate * rows / self.limits.batch_size
        batches = math.floor(self._credit + 1e-9)
        self._credit -= batches
        return min(batches * self.limits.batch_size, rows)

    def _full(self, numbers: Tensor, rows: Tensor, weights: Tensor | None) -> list[Drawn]:
        """Full batches of what was left over before and of these rows; the rest is left over in turn."""
        self._count(numbers.shape[0], rows.shape[0], weights)
        rows, order = rows.cpu().sort()  # the order of the sampler
        numbers, weights = numbers[rows], None if weights is None else weights[order]
        if self._left is not None and not self.policy.own_count:
            numbers, weights = _both(self._left, (numbers, weights))
        size = self.limits.batch_size
        whole = numbers.shape[0] if self.policy.own_count else numbers.shape[0] // size * size
        left = None if weights is None else weights[whole:]
        self._left = (numbers[whole:], left) if whole < numbers.shape[0] else None
        listed, starts = numbers[:whole].tolist(), range(0, whole, size)
        parts = (listed[start : start + size] for start in starts)
        if weights is None:
            return [Drawn(part, None, True) for part in parts]
        return [Drawn(part, share, True) for part, share in zip(parts, weights[:whole].split(size), strict=False)]

    def _count(self, offered: int, drawn: int, weights: Tensor | None) -> None:
        self.tally.selected += 1
        self.tally.offered += offered
        self.tally.drawn += drawn
        self.tally.effective += drawn if weights is None else float(F.effective_sample_size(weights))

    def state_dict(self) -> dict[str, Any]:
        """Tally, credit and left over instances."""
        numbers, weights = self._left or (torch.empty(0, dtype=torch.int64), None)
        return {
            "credit": self._credit,
            "first": self._first,
            "left": numbers.clone(),
            "left_weights": torch.empty(0) if weights is None else weights.clone(),
            "tally": asdict(self.tally),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version, or damaged. The chooser is then as it was.
        """
        kinds.check(self.state_dict() | {"tally": asdict(Tally())}, state, "chooser")
        tally = state["tally"]
        kinds.entries(tally["verdicts"].values(), int, "chooser", "verdicts")
        if sum(tally["verdicts"].values()) != (tally["windows"] if self.policy.verdict else 0):
            raise kinds.damaged("chooser", "verdicts", tally["verdicts"])
        numbers, weights = state["left"].clone(), state["left_weights"].clone()
        if len(numbers) >= self.limits.batch_size:
            raise kinds.damaged("chooser", "left", numbers)
        if len(weights) not in (0, len(numbers)):
            raise kinds.damaged("chooser", "left_weights", weights)
        if not -1 < state["credit"] < 1:
            raise kinds.damaged("chooser", "credit", state["credit"])
        if state["first"] < 0:
            raise kinds.damaged("chooser", "first", state["first"])
        self._left = (numbers, weights if weights.shape[0] else None) if numbers.shape[0] else None
        self._credit, self._first = float(state["credit"]), state["first"]
        self.tally = Tally(**copy.deepcopy(state["tally"]))


def _both(first: _Some, second: _Some) -> _Some:
    """Some rows, and others after them."""
    numbers = torch.cat((first[0], second[0]))
    if first[1] is None and second[1] is None:
        return numbers, None
    weights = (torch.ones(rows.shape[0]) if given is None else given for rows, given in (first, second))
    return numbers, torch.cat(tuple(weights))


def _known(signals: Signals) -> Tensor:
    """Which instances have a record, shape ``[b]``."""
    assert signals.valid is not None  # a record says so
    return signals.valid


def _waits(signals: Signals) -> Tensor:
    """Passes that each instance waited; longest without a record."""
    assert signals.ages is not None  # a record says so
    return torch.where(_known(signals), signals.ages, torch.finfo(torch.float32).max)
