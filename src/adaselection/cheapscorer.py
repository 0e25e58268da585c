"""Scores for less than a forward pass, and the account of what they cost and are worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from adaselection import kinds, tree
from adaselection._shapes import Int
from adaselection.cheap import CheapScores
from adaselection.errors import ArgumentError, BatchStructureError
from adaselection.meter import Meter
from adaselection.records import RecordedLosses
from adaselection.reusing import BatchIds, Reuse
from adaselection.scoring import ModelScorer
from adaselection.tree import Batch
from adaselection.types import Signals
from adaselection.watching import ScoreWatch


class CheapScorer:
    """Scores windows in the cheap ways asked for, and watches them.

    Args:
        options: the ways.
        plain: scores as without them.
        loader: the user's loader.
        rate: sampling rate of the policy.

    Attributes:
        watch: what came of the scores.

    Raises:
        ArgumentError: options that do not go with the loader or with each other.
    """

    def __init__(self, options: CheapScores, plain: ModelScorer, loader: Iterable[Batch], rate: float) -> None:
        self.options = options
        self.watch = ScoreWatch(options.measure_every)
        self._plain = plain
        self._cheap = plain.variant(options.proxy, options.autocast)
        self._shrink = options.shrinking()
        self._ids: BatchIds | None = None
        self._reuse: Reuse | None = None
        if options.reuse > 1:
            if plain.mode == "train":
                raise ArgumentError(
                    'reuse= scores parts of a window, and in score_mode="train" the losses depend on which rows are '
                    'scored together. Pass score_mode="eval", or reuse=1.'
                )
            self._ids = BatchIds(loader, options.ids)
            store = _store(loader, plain) if options.store is None else options.store
            threshold = 1 - rate if options.threshold is None else options.threshold
            self._reuse = Reuse(store, options.reuse, options.ambiguous, threshold, plain.grad_norms)

    def source(self, loader: Iterable[Batch]) -> Iterable[Batch]:
        """The loader to read batches from: the user's, or a copy of it that notes which instances it gives."""
        return loader if self._ids is None else self._ids.loader

    def begin(self, loader: Iterable[Batch], skipped: int | None = None) -> None:
        """A pass over the user's loader begins, or goes on after so many batches."""
        if self._reuse is not None and skipped is None:
            own = self.options.store is None
            self._reuse.begin(len(loader.dataset) if own else None)  # type: ignore[attr-defined]
        if self._ids is not None:
            self._ids.begin(skipped or 0)

    def ids(self, rows: Batch, batches: int) -> Int[Tensor, " b"] | None:
        """Ids of the rows of the next batches; None where nothing asks for them. To be called once for each window."""
        return None if self._ids is None else self._ids.of(rows, batches)

    def __call__(self, rows: Batch, ids: Int[Tensor, " b"] | None, meter: Meter) -> Signals:
        """Signals of a window on the model's device, its time and rows charged to the meter."""
        size, measured = tree.length(rows), self.watch.due()
        if measured and not self.watch.measured:
            with meter.phase("measure"):
                self._plain(rows)  # warms up what the first pass of a shape has to set up
        wait = _waiter((self._plain.device, self._cheap.device) if measured else ())
        wait()
        with meter.phase("score"):
            started = time.perf_counter()
            signals, scored = (self._score(rows), size) if ids is None else self._recorded(rows, ids)
            wait()
            cheap = time.perf_counter() - started
        meter.count(scored=scored)
        self.watch.judged(size, scored)
        if measured:
            with meter.phase("measure"):
                started = time.perf_counter()
                losses = self._plain(rows).losses
                wait()
                self.watch.timed((scored, cheap), (size, time.perf_counter() - started))
                self.watch.compare(signals.losses, losses, whole=True)
        return signals

    def _recorded(self, rows: Batch, ids: Int[Tensor, " b"]) -> tuple[Signals, int]:
        assert self._reuse is not None  # there are ids only where scores are used again
        signals, scored = self._reuse(rows, ids, self._score)
        return _to(signals, self._plain.device), scored

    def _score(self, rows: Batch) -> Signals:
        """Score all these rows now."""
        size, device = tree.length(rows), self._plain.device
        small = rows
        if self._shrink is not None:
            small = self._shrink(rows)
            if tree.length(small) != size:
                raise BatchStructureError(
                    f"shrink= made a batch of {tree.length(small)} rows of one of {size}. It must keep the rows, and "
                    "make each of them smaller."
                )
        if self._cheap.device is not None and self._cheap.device != device:
            small = tree.to(small, self._cheap.device)
        try:
            return _to(self._cheap(small), device)
        except RuntimeError as error:
            if self._shrink is not None:
                error.add_note(
                    "This came up while scoring a batch that shrink= made smaller. If the model takes one size only, "
                    "pass proxy=, a model that takes the smaller one, or leave shrink out."
                )
            raise

    @property
    def facts(self) -> dict[str, float | None]:
        """What the report says of the scores."""
        watch = self.watch
        return {
            "score_correlation": watch.kept.value,
            "window_correlation": watch.window.value,
            "score_cost": watch.cost,
        }

    def state_dict(self) -> dict[str, Any]:
        """The scores on record, and what was watched."""
        recorded = {} if self._reuse is None else self._reuse.state_dict()
        return {"recorded": recorded, "watch": self.watch.state_dict()}

    def check(self, state: Any) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is none.
        """
        own = self.state_dict()
        kinds.check(own, state, "score")
        self.watch.check(state["watch"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        if self._reuse is not None:
            self._reuse.load_state_dict(state["recorded"])
        self.watch.load_state_dict(state["watch"])


def _store(loader: Iterable[Batch], plain: ModelScorer) -> RecordedLosses:
    """A record of the size of the loader's data set, where the model is."""
    try:
        size = len(loader.dataset)  # type: ignore[attr-defined]
    except TypeError as error:
        raise ArgumentError(
            "the data set has no length, so how many scores there are to keep is not known. Pass "
            "CheapScores(store=RecordedLosses(slots=2**20)), with about ten times as many slots as instances."
        ) from error
    columns = {"grad_norms": torch.bfloat16} if plain.grad_norms else {}
    return RecordedLosses(size, columns=columns, device=plain.device or "cpu")


def _to(signals: Signals, device: torch.device | None) -> Signals:
    """The signals on a device."""
    if device is None or signals.losses.device == device:
        return signals
    norms = None if signals.grad_norms is None else signals.grad_norms.to(device)
    return replace(signals, losses=signals.losses.to(device), grad_norms=norms)


def _waiter(devices: Iterable[torch.device | None]) -> Callable[[], None]:
    """A function that waits until the accelerators among the devices are done."""
    busy = {device for device in devices if device is not None and device.type not in ("cpu", "meta")}

    def wait() -> None:
        for device in busy:
            torch.accelerator.synchronize(device)

    return wait
