"""One window of rows scored and reduced to those worth a gradient, with every phase charged."""

from __future__ import annotations

from collections.abc import Callable

import torch

from adaselection import distributed, tree
from adaselection.base import Policy
from adaselection.meter import Meter
from adaselection.scoring import ModelScorer
from adaselection.tree import Batch
from adaselection.types import Selection, Signals

Watch = Callable[[Signals, Selection], None]


class Selector:
    """Scores and selects.

    Args:
        policy: which rows to keep.
        scorer: where their signals come from; not asked if the policy needs none.
        meter: what the phases are charged to.
        watch: called with the signals and the selection of each window, charged to no phase.
    """

    def __init__(self, policy: Policy, scorer: ModelScorer, meter: Meter, watch: Watch | None = None) -> None:
        self.policy = policy
        self.scorer = scorer
        self.meter = meter
        self.watch = watch

    def place(self, rows: Batch) -> Batch:
        """The rows on the model's device."""
        device = self.scorer.device
        return rows if device is None else tree.to(rows, device)

    def keep(self, rows: Batch, whole: bool = False) -> Batch:
        """The rows kept; a pair of them and their sample weights where the policy gives such.

        Args:
            rows: a window of rows on the model's device.
            whole: keep all of them unscored.
        """
        size = tree.length(rows)
        device = self.scorer.device or torch.device("cpu")
        if whole:
            return (rows, torch.ones(size, device=device)) if self.policy.weighted else rows
        signals = Signals.blank(size, device)
        if self.policy.needs:
            with self.meter.phase("score"):
                signals = self.scorer(rows)
            self.meter.count(scored=size)
        with self.meter.phase("select"):
            reduce = distributed.mean if distributed.world_size() > 1 else None
            selection = self.policy.select(signals, reduce=reduce)
            kept = tree.take(rows, selection.indices)
        if self.watch is not None:
            self.watch(signals, selection)
        return (kept, selection.sample_weights) if self.policy.weighted else kept

    def check(self) -> None:
        """Raise what the policy could not raise on an accelerator without waiting for it."""
        device = self.scorer.device
        if device is not None and device.type != "cpu":
            self.policy.check()
