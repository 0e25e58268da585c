"""A selection over a loader that accelerate prepared, which looks to accelerate as a prepared loader does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import IterableDataset

from adaselection import checks, tree
from adaselection.base import Policy
from adaselection.errors import ArgumentError, ReplayError, StateError
from adaselection.integrations import checkpoints
from adaselection.loaders import SelectiveLoader
from adaselection.meter import Report
from adaselection.recorded import RecordedLoader
from adaselection.recorded_report import RecordedReport
from adaselection.tree import Batch

STATE_VERSION = 1


class PreparedLoader:
    """What the two loaders have in common: a selection over a loader that ``accelerator.prepare`` returned.

    It looks to accelerate as a prepared loader does: it ends the accumulation of gradients with its own last batch, is
    saved by ``save_state``, and ``skip_first_batches`` goes on with the selection. ``batch_size`` is None, as that of
    a prepared loader is.
    """

    batch_size = sampler = prefetch_factor = None
    drop_last = False

    def __init__(self, prepared: Any, accelerator: Any, checkpoint: bool, name: str) -> None:
        self.prepared = prepared
        self.accelerator = accelerator
        self.generator = torch.Generator()  # for accelerate's SkipDataLoader, which would draw from the global one
        self.end_of_dataloader = False
        self.remainder = 0
        self.inside: SelectiveLoader | RecordedLoader
        self._epoch = 0
        self._open = self._loaded = False  # whether a pass has begun and not ended; whether a state was loaded
        self._running: Iterator[Batch] = iter(())
        if checkpoint:
            checkpoints.register(accelerator, self, name)

    @property
    def policy(self) -> Policy:
        """Which rows are kept."""
        return self.inside.policy

    @property
    def dataset(self) -> Any:
        """The selected batches as a data set, which is where ``skip_first_batches`` looks.

        The data set of the rows is ``prepared.dataset``.
        """
        return _Batches(self)

    @staticmethod
    def collate_fn(batch: Batch) -> Batch:
        """The batch as it is, for ``skip_first_batches``."""
        return batch

    def set_epoch(self, epoch: int) -> None:
        """Say which pass comes next; without it they are counted."""
        self._epoch = checks.count("epoch", epoch, 0)

    def __len__(self) -> int:
        """Exactly how many batches the coming pass yields on each process.

        Raises:
            UnknownLengthError: it cannot be known beforehand (a `TypeError`).
        """
        return len(self.inside)

    def total_batches(self, passes: int) -> int:
        """Exactly how many batches the next passes yield together."""
        return self.inside.total_batches(passes)

    def __iter__(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state.

        Raises:
            ArgumentError: gradients accumulate, and the length of a pass is not known.
        """
        self._finish()
        resumed, self._loaded = self._loaded and self._open, False
        if not resumed:
            self._begin()
            self._epoch += 1
        handed_out, length = self.inside.position if resumed else 0, self._length()
        self._running, self._open = iter(self.inside), True
        return self._run(self._running, handed_out, length)

    def _run(self, batches: Iterator[Batch], handed_out: int, length: int | None) -> Iterator[Batch]:
        """The batches of one pass, with accelerate told which is the last."""
        state = self.accelerator.gradient_state
        self.end_of_dataloader = False
        try:
            for number, batch in enumerate(batches, handed_out + 1):
                self.end_of_dataloader = number == length
                if state.active_dataloader is not self:
                    state._remove_dataloader(self)
                    state._add_dataloader(self)
                yield self._out(batch)
            self._open = False
        finally:
            state._remove_dataloader(self)

    def _length(self) -> int | None:
        """Batches of the coming pass, None where nobody knows."""
        try:
            return len(self)
        except TypeError as error:
            state = self.accelerator.gradient_state
            if state.num_steps > 1 and state.sync_with_dataloader:
                raise ArgumentError(
                    "gradients accumulate and must be used up at the end of a pass, and the last batch is not known "
                    "beforehand. Pass incoming_sizes=, the rows of each incoming batch, or build the Accelerator with "
                    "GradientAccumulationPlugin(num_steps=..., sync_with_dataloader=False)."
                ) from error
            return None

    def _finish(self) -> None:
        """End a pass whose last batch was handed out, though nobody asked for one more."""
        length = self._length() if self._open else None
        if length and self.inside.position >= length:
            next(iter(self.inside) if self._loaded else self._running, None)
            self._open = self._loaded = False

    def _begin(self) -> None:
        """Make the order of the rows of a new pass the same on all processes, and another than in the last."""

    def _out(self, batch: Batch) -> Batch:
        """The batch where the user wants it."""
        device = getattr(self.prepared, "device", None)
        return batch if device is None else tree.to(batch, device)

    def report(self) -> Report | RecordedReport:
        """What the loader of this process did so far and what it cost."""
        return self.inside.report()

    def state_dict(self) -> dict[str, Any]:
        """Where the loader of this process is. Tensors, numbers, strings, lists and dicts only."""
        return {
            "version": STATE_VERSION,
            "plane": "recorded" if isinstance(self.inside, RecordedLoader) else "fresh",
            "processes": self.accelerator.num_processes,
            "process": self.accelerator.process_index,
            "epoch": self._epoch,
            "open": self._open,
            "inside": self.inside.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the `state_dict` of the same process; the next pass starts after the batch handed out last.

        Raises:
            StateError: the state is of another process or set-up. The loader is then as it was.
        """
        own = {key: value for key, value in self.state_dict().items() if key != "inside"}
        checks.same_state({**own, "inside": None}, state, ("version", "plane", "processes", "process"), "loader")
        self.inside.load_state_dict(state["inside"])
        self._epoch, self._open, self._loaded = int(state["epoch"]), bool(state["open"]), True

    def _again(self) -> Iterator[Batch]:
        """The pass that runs from its beginning, with `AlreadyTrained` in the place of what was handed out."""
        if not self._loaded:
            raise ReplayError(
                "skip_first_batches needs the state of the run that trained on the first batches, as others would be "
                "selected without it. Load it first, with accelerator.load_state or loader.load_state_dict."
            )
        yield from itertools.repeat(AlreadyTrained(), self.inside.position)
        yield from self


class AlreadyTrained:
    """Stands for a batch that was trained on before the checkpoint; ``skip_first_batches`` leaves it out.

    Raises:
        StateError: somebody wants to train on it: the number of batches to skip is not that of the checkpoint.
    """

    def _refuse(self, *_: Any) -> Any:
        raise StateError(
            "skip_first_batches skipped fewer batches than were trained on when the loader's state was saved. Skip as "
            "many, with the same batch size and gradient accumulation, or iterate over the loader itself: it goes on "
            "where it was."
        )

    __getitem__ = __iter__ = __contains__ = __len__ = _refuse


class _Batches(IterableDataset[Batch]):
    """A loader's batches as a data set."""

    def __init__(self, loader: PreparedLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        return self._loader._again()
