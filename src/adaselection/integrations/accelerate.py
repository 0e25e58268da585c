"""Selection in an Accelerate script: prepare first, wrap last.

::

    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    loader = PreparedRecordedLoader(loader, AdaSelection(rate=0.3), accelerator=accelerator)
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection.base import Policy
from adaselection.errors import ArgumentError, ShardingError
from adaselection.integrations import shares
from adaselection.integrations.padding import Padding
from adaselection.integrations.prepared import PreparedLoader
from adaselection.loaders import SelectiveLoader
from adaselection.recorded import RecordedLoader
from adaselection.records import RecordedLosses
from adaselection.tree import Batch

try:
    from accelerate import Accelerator
    from accelerate.utils import synchronize_rng_states
except ImportError as error:
    raise ImportError("this module needs accelerate: pip install '.[accelerate]' in a clone of adaselection") from error


class PreparedSelectiveLoader(PreparedLoader):
    """A `SelectiveLoader` over a prepared loader.

    Args:
        prepared: what ``accelerator.prepare`` returned for the loader.
        policy: which rows to keep.
        accelerator: the script's.
        model: the model that trains, prepared or not; it scores the batches and is left as it was.
        checkpoint: whether ``accelerator.save_state`` and ``load_state`` take the loader along.
        name: of its files there; give each of several loaders its own.
        options: what else `SelectiveLoader` takes: ``loss_fn``, ``score``, ``surplus`` and so on.

    Raises:
        ArgumentError: the loader was not prepared, or an argument that cannot work.
        ShardingError: the processes would get different numbers of batches.
    """

    inside: SelectiveLoader

    def __init__(
        self,
        prepared: Any,
        policy: Policy,
        *,
        accelerator: Accelerator,
        model: nn.Module,
        checkpoint: bool = True,
        name: str = "adaselection",
        **options: Any,
    ) -> None:
        base, sizes = _taken_apart(prepared, accelerator)
        source: Iterable[Batch] = _Dispatched(prepared) if shares.is_dispatched(prepared) else base
        if sizes is not None:
            options.setdefault("incoming_sizes", sizes)
        self.inside = SelectiveLoader(source, policy, model=model, **options)
        join = options.get("join")
        self._weights: deque[Tensor] = deque()
        self._trim = join.trim if isinstance(join, Padding) and policy.rate < 1 else None
        super().__init__(prepared, accelerator, checkpoint, name)

    def _begin(self) -> None:
        self._weights.clear()
        _synchronize(self.prepared)
        self.prepared.set_epoch(self._epoch)

    def _out(self, batch: Batch) -> Batch:
        if self.inside.sample_weights is not None:
            self._weights.append(self.inside.sample_weights)
        return super()._out(self._trim(batch) if self._trim else batch)

    def observe(self, losses: Tensor) -> None:
        """As `SelectiveLoader.observe`."""
        self.inside.observe(losses)

    def next_weights(self) -> Tensor | None:
        """Weights of the oldest batch not yet asked about, for loops that take several ahead; None without such."""
        return self._weights.popleft() if self._weights else None

    def reduce(self, losses: Tensor) -> Tensor:
        """As `SelectiveLoader.reduce`."""
        self._weights.clear()
        return self.inside.reduce(losses)


class PreparedRecordedLoader(PreparedLoader):
    """A `RecordedLoader` over a prepared loader; the loop calls ``loss = loader.record(losses)``.

    Args:
        prepared: what ``accelerator.prepare`` returned for the loader.
        policy: which instances to train on.
        accelerator: the script's.
        checkpoint: whether ``accelerator.save_state`` and ``load_state`` take the loader along.
        name: of its files there; give each of several loaders its own.
        on_walk: called with the number of each walk before it starts.
        options: what else `RecordedLoader` takes: ``records``, ``window``, ``longest_unseen`` and so on.

    Raises:
        ArgumentError: the loader was not prepared, one process loads for all, or an argument that cannot work.
        ShardingError: the processes would get different numbers of batches.
    """

    inside: RecordedLoader

    def __init__(
        self,
        prepared: Any,
        policy: Policy,
        *,
        accelerator: Accelerator,
        checkpoint: bool = True,
        name: str = "adaselection",
        on_walk: Callable[[int], None] | None = None,
        **options: Any,
    ) -> None:
        base, _ = _taken_apart(prepared, accelerator)
        if shares.is_dispatched(prepared):
            raise ArgumentError(
                "recorded losses need every process to load its own instances, and this loader has the first one load "
                "for all. Build the Accelerator with DataLoaderConfiguration(dispatch_batches=False), and give it a "
                "map-style data set."
            )

        def walk(number: int) -> None:
            _synchronize(prepared)
            if on_walk is not None:
                on_walk(number)

        self.inside = RecordedLoader(base, policy, on_walk=walk, **options)
        super().__init__(prepared, accelerator, checkpoint, name)

    @property
    def records(self) -> RecordedLosses:
        """What training saw last of each instance."""
        return self.inside.records

    def next_weights(self) -> Tensor | None:
        """Weights of the rows whose losses `record` takes next; None where all are equal."""
        return self.inside.sample_weights

    def record(self, losses: Tensor, **more: Tensor | None) -> Tensor:
        """As `RecordedLoader.record`."""
        return self.inside.record(losses, **more)


class _Dispatched:
    """A loader by which one process loads for all, as a plain iterable: its own batches cannot be replayed by index."""

    def __init__(self, prepared: Any) -> None:
        self._prepared = prepared
        self.batch_sampler = prepared.base_dataloader.batch_sampler

    def __iter__(self) -> Iterator[Batch]:
        yield from self._prepared


def _taken_apart(prepared: Any, accelerator: Any) -> tuple[DataLoader[Any], list[int] | None]:
    """The loader inside a prepared one, which gives this process its share; and its rows a batch, where known."""
    if not isinstance(accelerator, Accelerator):
        raise ArgumentError(f"accelerator must be the script's Accelerator; got {type(accelerator).__name__}.")
    if isinstance(prepared, PreparedLoader):
        raise ArgumentError("this loader selects already; wrap what accelerator.prepare returned, once.")
    if not hasattr(prepared, "base_dataloader"):
        raise ArgumentError(
            f"{type(prepared).__name__} was not prepared, so every process would train on the same rows. Call "
            "loader = accelerator.prepare(loader) first, and wrap what it returns last."
        )
    base: DataLoader[Any] = prepared.base_dataloader
    sizes = shares.incoming(prepared, base)
    if sizes is not None and any(other != sizes[0] for other in sizes):
        raise ShardingError(
            "the processes would get different numbers of rows, and then wait for each other for ever. Use "
            "even_batches=True, which is accelerate's default, or drop_last=True in the DataLoader."
        )
    batches = base.batch_sampler
    if getattr(batches, "split_batches", False):
        base = copy.copy(base)
        base.__dict__["batch_sampler"] = shares.Share(batches)  # DataLoader forbids setting it, but reads it from here
    several = sizes is not None and len(sizes) > 1
    return base, sizes[0] if sizes is not None and several else None


def _synchronize(prepared: Any) -> None:
    """Give the sampler of every process the random state of the first."""
    if getattr(prepared, "rng_types", None):
        synchronize_rng_states(prepared.rng_types, prepared.synchronized_generator)
