"""`RecordedLoader`: batches chosen from the losses that training saw last, so that the others are not even loaded."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from adaselection import checks, distributed, tree
from adaselection.base import Policy
from adaselection.chooser import Chooser, Limits
from adaselection.errors import AdaSelectionError, ArgumentError, EmptyLoaderError, UnknownLengthError
from adaselection.incoming import incoming_sizes
from adaselection.meter import Meter
from adaselection.recorded_report import RecordedReport
from adaselection.recorder import Recorder, grad_norms
from adaselection.records import RecordedLosses
from adaselection.tree import Batch
from adaselection.walks import Walks

STATE_VERSION = 1
_WINDOW_ROWS = 2**18


class RecordedLoader:
    """Batches of instances chosen by their recorded losses: no scoring pass, and what is left out is not loaded.

    Walks over the data set in the order of the loader's sampler, window by window. The policy chooses of each window
    from the losses that training saw last, and only those instances are loaded. Instances without a record come first,
    so the first walk takes all of them. While the policy's gate is shut, walks are whole: batch for batch what the
    plain loader gives. The loop changes in one place::

        loader = RecordedLoader(train_loader, AdaSelection(rate=0.3))
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))  # losses [b] of the batch in, one (weighted) number out

    A pass has ``floor(rate * n / b)`` batches from the first one on, so whole walks take ``1 / rate`` passes. With
    ``rate=1`` every pass is one whole walk. A method that sets its own count makes each pass as long as it wants.

    Args:
        loader: a `torch.utils.data.DataLoader` over a map-style data set. Its sampler, workers, pinned memory, collate
            function and batch size stay in use.
        policy: which instances to train on.
        records: a `RecordedLosses` to go on from, or with ids of its own; made for the data set's length if None.
        ids: for each number that the sampler gives, the id in ``records``, shape ``[n]``; the number itself if None.
        passes: how many passes the training will make, for ``anneal``.
        anneal: share of the planned passes, at the end, that walk over all data; needs ``passes``.
        longest_unseen: passes after which an instance that was not drawn is drawn by force; ``3 / rate`` if None.
        window: instances that the policy sees at once; a whole walk of up to 262,144 instances if None.
        on_walk: called with the number of each walk before it starts, for a data set's ``set_epoch`` for example. A
            sampler's ``set_epoch`` is called without it.
        stop: make all later passes empty once `stopped` says that nothing more is learnt.

    Raises:
        ArgumentError: an argument that cannot work, or a loader whose instances have no numbers.
        EmptyLoaderError: the loader has no batch.
        ShardingError: several processes would train on the same rows.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        policy: Policy,
        *,
        records: RecordedLosses | None = None,
        ids: Tensor | None = None,
        passes: int | None = None,
        anneal: float = 0.0,
        longest_unseen: float | None = None,
        window: int | None = None,
        on_walk: Callable[[int], None] | None = None,
        stop: bool = False,
    ) -> None:
        _check_policy(policy)
        distributed.refuse_unsharded(loader)
        self.policy = policy
        policy.use_records()
        self._walks = Walks(loader, self._plan, on_walk=on_walk)
        self._rows, self.batch_size = _sizes(loader)
        rows = _WINDOW_ROWS if window is None else checks.count("window", window, 1)
        self._walks.window = 0 if policy.own_count else max(1, rows // self.batch_size)
        limits = Limits(
            self.batch_size,
            checks.positive("longest_unseen", 3 / policy.rate if longest_unseen is None else longest_unseen),
            None if passes is None else checks.count("passes", passes, 1),
            checks.within("anneal", anneal, 0, 1),
        )
        if anneal and passes is None:
            raise ArgumentError(f"anneal={anneal:g} is a share of the planned passes; say how many with passes=.")
        store = RecordedLosses(len(loader.dataset), columns=policy.columns) if records is None else records  # type: ignore[arg-type]
        self._recorder = Recorder(store, policy, ids)
        self._chooser = Chooser(policy, self._recorder, limits)
        self._source = self._walks.batches()
        self._length = self._steady_length()
        self._given = 0
        self._serial = 0
        self._stop = stop

    def _plan(self, window: list[list[int]]) -> list[Any]:
        """Plan one window of a walk."""
        return self._chooser(window)

    def _steady_length(self) -> int:
        """Batches of every pass: ``floor(rate * n / b)``; all of the loader's at rate 1."""
        if self.policy.rate == 1 or self.policy.own_count:
            return len(self._walks)
        length = int(self.policy.rate * self._rows / self.batch_size + 1e-9)
        if not length:
            warnings.warn(
                f"a pass keeps {self.policy.rate:g} of {self._rows} instances, fewer than one batch of "
                f"{self.batch_size}, so it yields nothing. Give the DataLoader a smaller batch_size, or a higher rate.",
                stacklevel=3,
            )
        return length

    @property
    def records(self) -> RecordedLosses:
        """What training saw last of each instance."""
        self._recorder.flush()
        return self._recorder.records

    @property
    def meter(self) -> Meter:
        """Counts and clocks."""
        return self._recorder.meter

    @property
    def dataset(self) -> Any:
        """The data set of the loader inside."""
        return self._walks.loader.dataset

    @property
    def walk(self) -> int:
        """Number of the walk over the data that runs, from 0; -1 before the first."""
        return self._walks.walk

    @property
    def stopped(self) -> bool:
        """The stop indicator: for some windows on end, no method was expected to lower a loss any more."""
        return self.policy.idle

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the sampler inside is told the number of each walk, which is not that of the pass."""

    def __len__(self) -> int:
        """Exactly how many batches the coming pass yields, or the one that runs."""
        if self._given:
            return self._length
        if self._stop and self.stopped:
            return 0
        return self._walks.plan_all() if self.policy.own_count else self._length

    def total_batches(self, passes: int) -> int:
        """Exactly how many batches the next passes yield together, for schedules.

        Raises:
            UnknownLengthError: the method sets its own count, which is known one pass ahead only.
        """
        if self.policy.own_count:
            raise UnknownLengthError(
                f"{self.policy.methods[0]!r} sets its own count anew for each pass. Build the schedule from the "
                "share of the budget that is used, or from len(loader) at the start of each pass."
            )
        return self._length * checks.count("passes", passes, 0)

    def __iter__(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state."""
        distributed.refuse_unsharded(self._walks.loader)
        self._length = len(self)
        self._serial += 1
        return self._run(self._serial)

    def _run(self, serial: int) -> Iterator[Batch]:
        """The batches of one pass."""
        while self._given < self._length:
            with self.meter.phase("load"):
                found = next(self._source, None)
            if found is None:
                raise EmptyLoaderError("the loader gave no batch. Check its data set, and its sampler's shard.")
            batch, drawn = found
            self._given += 1
            self._recorder.hand_out(drawn)
            rows = tree.length(batch)
            self.meter.count(loaded=rows, trained=rows, steps=1)
            started = time.perf_counter()
            yield batch
            self.meter.charge("train", time.perf_counter() - started)
            if serial != self._serial:
                raise AdaSelectionError("a newer pass over this loader has begun; only one can run at a time.")
        with self.meter.phase("select"):
            self._recorder.end_pass()
        self._given = 0
        if not self.policy.own_count:
            self._length = self._steady_length()

    def record(
        self,
        losses: Tensor,
        *,
        outputs: Tensor | None = None,
        targets: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Take the losses of a batch, in the order in which batches were handed out, and reduce them for `backward`.

        Args:
            losses: one per row, with their graph, shape ``[b]``.
            outputs: of the model; needed, with the targets, by methods that read gradient norms.
            targets: of the batch.
            features: what goes into the model's last layer, shape ``[b, ...]``, for the bound over its parameters.

        Returns:
            The mean of the losses, weighted where the draw has weights: a scalar with its graph.

        Raises:
            LossShapeError: not one loss per row of the batch that waits.
            ArgumentError: a method needs outputs and targets.
        """
        columns = {}
        if "grad_norms" in self._recorder.records.columns:
            if outputs is None or targets is None:
                raise ArgumentError(
                    "the policy reads gradient norms: call loader.record(losses, outputs=model_outputs, targets=y)."
                )
            columns["grad_norms"] = grad_norms(outputs, targets, features)
        return self._recorder.record(losses, columns)

    def report(self) -> RecordedReport:
        """What the loader did so far, what it cost, and what its gate expected and got."""
        return RecordedReport.of(self.meter, self.policy, self._chooser.tally, self._length, len(self._walks))

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, after the batch that was recorded last: resume gives the same batches and weights.

        Save it with the model, the optimizer and torch's random state. Tensors, numbers, strings, lists and dicts only.
        """
        self._recorder.flush()
        return {
            "version": STATE_VERSION,
            "settings": self._settings(),
            "given": self._given,
            "length": self._length,
            "now": self._recorder.now,
            "walks": self._walks.state_dict(),
            "records": self._recorder.records.state_dict(),
            "policy": self.policy.state_dict(),
            "chooser": self._chooser.state_dict(),
            "meter": self.meter.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; the next pass starts after the batch recorded last.

        Raises:
            StateError: the state is of another version, policy or loader set-up. The loader is then as it was.
        """
        checks.same_state(self.state_dict(), state, ("version", "settings"), "loader")
        self.policy.load_state_dict(state["policy"])
        self._recorder.records.load_state_dict(state["records"])
        self._walks.load_state_dict(state["walks"])
        self._chooser.load_state_dict(state["chooser"])
        self.meter.load_state_dict(state["meter"])
        self._recorder.forget()
        self._recorder.now, self._given, self._length = int(state["now"]), int(state["given"]), int(state["length"])
        self._source = self._walks.batches()

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        limits = self._chooser.limits
        return {
            "rows": self._rows,
            "batch_size": self.batch_size,
            "window": self._walks.window,
            "longest_unseen": limits.longest_unseen,
            "anneal": limits.anneal,
            "passes": limits.passes or 0,
            "processes": distributed.world_size(),
        }


def _check_policy(policy: object) -> None:
    """Refuse what is no policy, and counts that would differ between processes."""
    if not isinstance(policy, Policy):
        raise ArgumentError(f"policy must be a policy such as AdaSelection(rate=0.3); got {policy!r}.")
    if policy.own_count and distributed.world_size() > 1:
        raise ArgumentError(
            f"{policy.methods[0]!r} sets its own count, which would differ between the processes. Take a method of "
            "fixed count, or mix it: AdaSelection(methods=(...), rate=...)."
        )


def _sizes(loader: DataLoader[Any]) -> tuple[int, int]:
    """Instances of a walk, and rows of a full batch.

    Raises:
        EmptyLoaderError: the loader has no batch.
    """
    known = incoming_sizes(loader, None)
    if known is not None and known.windows:
        return known.total(int), known.largest
    batches = len(loader)
    size = loader.batch_size or 0
    if not batches or not size:
        raise EmptyLoaderError(
            "the loader has no batch, or does not say how many rows a batch has. Check its data set, and give a batch "
            "sampler of your own a batch_size."
        )
    return batches * size, size
