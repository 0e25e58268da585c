"""Batches of ids that were drawn and wait to be loaded, and how they are written down."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from adaselection import kinds
from adaselection.errors import ArgumentError, StateError


@dataclass(frozen=True, slots=True)
class Drawn:
    """One batch of ids that is to be loaded.

    Attributes:
        ids: of the instances, as the sampler gave them.
        weights: of their losses, shape ``[b]``; None for equal ones.
        selected: whether a selection chose them; False in a whole walk.
        targets: of the instances, shape ``[b, p]``, once they are loaded.
    """

    ids: list[int]
    weights: Tensor | None = None
    selected: bool = False
    targets: Tensor | None = None


@runtime_checkable
class Source(Protocol):
    """What gives a loader its batches of ids."""

    def __len__(self) -> int: ...

    def open(self) -> tuple[list[list[int]], int]:
        """Batches that come first, and the number to `ask` for more with."""

    def ask(self, number: int) -> list[int] | None:
        """The next batch; None at the end."""


class Lent:
    """A batch sampler of a source that it does not keep alive, so that workers end with the loader that they serve."""

    def __init__(self, source: Source) -> None:
        self._source = weakref.ref(source)

    def __len__(self) -> int:
        source = self._source()
        return 0 if source is None else len(source)

    def __iter__(self) -> Iterator[list[int]]:
        """Ids batch by batch, for as long as the source is there."""
        source = self._source()
        if source is None:
            return
        first, number = source.open()
        del source
        yield from first
        while (ids := self._ask(number)) is not None:
            yield ids

    def _ask(self, number: int) -> list[int] | None:
        source = self._source()
        return None if source is None else source.ask(number)


def as_they_are(window: Sequence[list[int]]) -> list[Drawn]:
    """Every batch of a window whole."""
    return [Drawn(batch) for batch in window]


def packed(entries: Sequence[Drawn]) -> dict[str, Any]:
    """Batches of ids as a few tensors and lists."""
    weights = [entry.weights for entry in entries if entry.weights is not None]
    return {
        "sizes": [len(entry.ids) for entry in entries],
        "ids": torch.tensor([number for entry in entries for number in entry.ids], dtype=torch.int64),
        "weighted": [entry.weights is not None for entry in entries],
        "selected": [entry.selected for entry in entries],
        "weights": torch.cat(weights) if weights else torch.empty(0),
    }


def unpacked(state: Mapping[str, Any]) -> list[Drawn]:
    """The batches of ids that `packed` wrote down.

    Raises:
        StateError: the state is damaged.
    """
    try:
        sizes = state["sizes"]
        kinds.entries(sizes, int, "walk", "sizes")
        kinds.entries([*state["weighted"], *state["selected"]], bool, "walk", "weighted or selected")
        if sum(sizes) != len(state["ids"]):
            raise ValueError("as many ids as sizes say")
        ids = state["ids"].split(sizes) if sizes else ()
        kept = [size for size, weighted in zip(sizes, state["weighted"], strict=True) if weighted]
        weights = iter(state["weights"].split(kept) if kept else ())
        return [
            Drawn(own.tolist(), next(weights) if weighted else None, bool(selected))
            for own, weighted, selected in zip(ids, state["weighted"], state["selected"], strict=True)
        ]
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise StateError(f"the state of the walks is damaged: {error!r}. Take an undamaged checkpoint.") from error


def numbered(ids: Sequence[int]) -> list[int]:
    """One batch of the sampler.

    Raises:
        ArgumentError: the sampler gives no numbers, or one below 0.
    """
    try:
        found = list(map(operator.index, ids))
        if found and min(found) < 0:
            raise ArgumentError(
                f"the sampler gives the number {min(found)}, and instances are numbered from 0. Let it count from the "
                "beginning of the data set: number + len(dataset)."
            )
        return found
    except TypeError as error:
        raise ArgumentError(
            f"the sampler must give the numbers of the instances, a list of ints for each batch; got {ids!r:.80}. Use "
            "SelectiveLoader, which scores the batches as they come."
        ) from error


def check_numbers(state: Mapping[str, Any], size: int) -> None:
    """Refuse instances in the state of a recorded loader that a data set of this size lacks.

    Raises:
        StateError: there is one.
    """
    pending = state["recorder"]["pending"]
    for place, numbers in (
        ("walks.ids", state["walks"]["ids"]),
        ("chooser.left", state["chooser"]["left"]),
        ("recorder.pending.numbers", pending["numbers"]),
    ):
        for number in (int(numbers.min()), int(numbers.max())) if len(numbers) else ():
            if not 0 <= number < size:
                raise StateError(
                    f"the state dict is damaged: {place} has instance {number}, and the data set has {size}. Take an "
                    "undamaged checkpoint."
                )
