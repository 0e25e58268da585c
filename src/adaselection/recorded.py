"""`RecordedLoader`: batches chosen from the losses that training saw last, so that the others are not even loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from torch import Tensor
from torch.utils.data import DataLoader

from adaselection import checks, distributed
from adaselection.base import Policy
from adaselection.errors import CopyError, UnknownLengthError
from adaselection.limits import Limits, check_policy, window_batches
from adaselection.meter import Meter
from adaselection.recorded_passes import RecordedPasses
from adaselection.recorded_report import RecordedReport
from adaselection.recorder import Recorder
from adaselection.records import RecordedLosses
from adaselection.tree import Batch
from adaselection.walks import Walks


class RecordedLoader:
    """Batches of instances chosen by their recorded losses: no scoring pass, and what is left out is not loaded.

    Walks over the data set in the order of the loader's sampler, window by window. The policy chooses of each window
    from the losses that training saw last, and only those instances are loaded. Instances without a record come first,
    so the first walk takes all of them. While the policy's gate is shut, walks are whole: batch for batch what the
    plain loader gives. The loop changes in one place:

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
        longest_unseen: passes after which an instance that was not drawn is drawn by force; if None ``3 / rate``, or
            ``30 / rate`` where the policy was told of wrong labels. At most half of the draws are forced, so an
            instance waits for so many passes and a walk over all data at most.
        window: instances that the policy sees at once; a whole walk of up to 262,144 instances if None.
        on_walk: called with the number of each walk before it starts, for a data set's ``set_epoch`` for example. A
            sampler's ``set_epoch`` is called without it.
        stop: make all later passes empty once `stopped` says that nothing more is learnt.
        sharded: with several processes, each has a data set of its own, of one length on all. Its record then holds
            that share alone and stays with it; otherwise all records are brought together after each pass.

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
        sharded: bool = False,
    ) -> None:
        check_policy(policy)
        if not sharded:
            distributed.refuse_unsharded(loader)
        self.policy = policy
        walks = Walks(loader, on_walk=checks.function("on_walk", on_walk, optional=True))
        rows, self.batch_size = walks.sizes()
        walks.window = window_batches(window, rows, self.batch_size, policy)
        limits = Limits.of(policy, self.batch_size, longest_unseen, passes, anneal)
        recorder = Recorder(records, policy, ids, len(loader.dataset), sharded)  # type: ignore[arg-type]  # as the walks saw
        self._passes = RecordedPasses(policy, walks, recorder, limits, stop)
        policy.use_records(walks.windows)
        if not self._passes.steady_length():
            checks.warn(
                f"a pass keeps {policy.rate:g} of {rows} instances, fewer than one batch of {self.batch_size}, so it "
                "yields nothing. Give the DataLoader a smaller batch_size, or a higher rate."
            )

    def __repr__(self) -> str:
        return f"RecordedLoader({self.policy!r}, batch_size={self.batch_size})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse: a copy would share the walk that runs with this loader, and a pickle cannot hold it."""
        raise CopyError(
            "a RecordedLoader cannot be copied or pickled, as it is in the middle of a walk over its data. Build "
            "another, RecordedLoader(train_loader, policy), with a policy of its own, and let it go on from this one: "
            "other.load_state_dict(loader.state_dict()). For other processes build it in each of them."
        )

    @property
    def records(self) -> RecordedLosses:
        """What training saw last of each instance."""
        self._passes.recorder.flush()
        return self._passes.recorder.records

    @property
    def meter(self) -> Meter:
        """Counts and clocks."""
        return self._passes.recorder.meter

    @property
    def plain(self) -> DataLoader[Any]:
        """The loader inside, which gives plain passes over all data."""
        return self._passes.walks.loader

    @property
    def dataset(self) -> Any:
        """The data set of the loader inside."""
        return self.plain.dataset

    @property
    def walk(self) -> int:
        """Number of the walk over the data that runs, from 0; -1 before the first."""
        return self._passes.walks.walk

    @property
    def position(self) -> int:
        """Batches of the pass that runs handed out and recorded so far; 0 between passes."""
        return max(0, self._passes.given - self.waiting)

    @property
    def waiting(self) -> int:
        """Batches handed out whose losses `record` has not taken."""
        return len(self._passes.recorder.waiting)

    @property
    def sample_weights(self) -> Tensor | None:
        """Weights of the rows whose losses `record` takes next, shape ``[b]``; None where all are equal."""
        waiting = self._passes.recorder.waiting
        return waiting[0].weights if waiting else None

    @property
    def stopped(self) -> bool:
        """The stop indicator: for some windows on end, no method was expected to lower a loss any more."""
        return self.policy.idle

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the sampler inside is told the number of each walk, which is not that of the pass."""

    def __len__(self) -> int:
        """Exactly how many batches the coming pass yields, or the one that runs."""
        return self._passes.length()

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
        return self._passes.steady_length() * checks.count("passes", passes, 0)

    def __iter__(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state. What was not recorded is handed out again.

        Raises:
            AdaSelectionError: none of several batches of the last pass got `record` or `skip`.
            ShardingError: the processes begin the pass differently.
        """
        return self._passes.start()

    def record(
        self,
        losses: Tensor,
        *,
        outputs: Tensor | None = None,
        targets: Any = None,
        features: Tensor | None = None,
        grad_norms: Tensor | None = None,
    ) -> Tensor:
        """Take the losses of a batch, in the order in which batches were handed out, and reduce them for `backward`.

        Args:
            losses: one per row, with their graph, shape ``[b]``.
            outputs: of the model; needed, with the targets, by methods that read gradient norms.
            targets: of the batch: a class, number or name for each row, as a tensor, array or list. They go before
                those that the batch says. With outputs they may have the form that these need.
            features: what goes into the model's last layer, shape ``[b, ...]``, for the bound over its parameters.
            grad_norms: the gradient norms themselves, shape ``[b]``, in the place of these three.

        Returns:
            The mean of the losses, weighted where the draw has weights: a scalar with its graph.

        Raises:
            LossShapeError: not one loss per row of the batch that waits.
            ArgumentError: a method needs outputs and targets, or targets alone are not one for each row.
            NonFiniteLossError: no loss is finite. Single ones are counted and not recorded; the mean is then NaN.
            AdaSelectionError: no batch waits, or one before it got neither `record` nor `skip`.
        """
        return self._passes.recorder.record(
            losses, outputs=outputs, targets=targets, features=features, grad_norms=grad_norms
        )

    def skip(self) -> None:
        """Leave out the oldest batch whose losses have not come, in the place of `record`: nothing is recorded of it.

        Raises:
            AdaSelectionError: no batch waits.
        """
        self._passes.recorder.skip()

    def report(self) -> RecordedReport:
        """What the loader did so far, what it cost, and what its gate expected and got."""
        passes, walks = self._passes, self._passes.walks
        return RecordedReport.of(
            self.meter, self.policy, passes.chooser.tally, passes.planned, len(walks), walks.fixed_order
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, after the batch that was recorded last: resume gives the same batches and weights.

        Save it with the model, the optimizer and torch's random state. Tensors, numbers, strings, lists and dicts only.
        """
        return self._passes.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; the next pass starts after the batch recorded last.

        Raises:
            StateError: the state is of another version, policy, set-up or process. The loader is then as it was.
        """
        self._passes.load_state_dict(state)

    def end_pass(self) -> None:
        """After `load_state_dict`, let the next pass begin anew instead of going on with the one that was saved.

        For loops that leave a pass before it ends, by `break` or as frameworks do that count batches. Not needed where
        a loop broke off at the very last batch: the state says so.
        """
        self._passes.leave()
