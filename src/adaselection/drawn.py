"""Batches of ids that were drawn and wait to be loaded, and how they are written down."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adaselection.errors import ArgumentError, StateError


@dataclass(frozen=True, slots=True)
class Drawn:
    """One batch of ids that is to be loaded.

    Attributes:
        ids: of the instances, as the sampler gave them.
        weights: of their losses, shape ``[b]``; None for equal ones.
        selected: whether a selection chose them; False in a whole walk.
    """

    ids: list[int]
    weights: Tensor | None = None
    selected: bool = False


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
        ArgumentError: the sampler gives no numbers.
    """
    try:
        return list(map(operator.index, ids))
    except TypeError as error:
        raise ArgumentError(
            f"the sampler must give the numbers of the instances, a list of ints for each batch; got {ids!r:.80}. Use "
            "SelectiveLoader, which scores the batches as they come."
        ) from error
