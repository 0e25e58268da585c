"""Rows of nested batches: take them, put them together, count them, move them.

A batch is a tensor, or a tuple, list, named tuple, mapping or dataclass of batches. Its leaves are tensors whose first
dimension is the rows, and lists of one value per row (strings, numbers, any object without a length). Tensors without
dimensions, plain values and None belong to the batch as a whole. Anything else is refused: its rows cannot be taken.
"""

from __future__ import annotations

import copy
import dataclasses
import numbers
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from adaselection._shapes import Int
from adaselection.checks import is_dense
from adaselection.errors import BatchStructureError

Batch = Any
_PLAIN = (str, bytes, numbers.Number, type(None))


def is_rows(value: Any) -> bool:
    """Whether this is a leaf that has one entry per row: a tensor with a dimension, or a list of one value per row."""
    if isinstance(value, Tensor):
        return value.dim() > 0
    return type(value) in (list, tuple) and len(value) > 0 and all(map(_is_single, value))


def _is_single(item: Any) -> bool:
    """Whether an item of a list is one value, and no batch or array."""
    if isinstance(item, _PLAIN):
        return True
    return not (isinstance(item, Tensor) or dataclasses.is_dataclass(item) or hasattr(item, "__len__"))


def children(node: Any) -> dict[Any, Any] | None:
    """The parts of a container by key, or None for a leaf."""
    if isinstance(node, Tensor):
        return None  # at once: there are many of them, and the questions below take longer
    if isinstance(node, Mapping):
        return dict(node)
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    if isinstance(node, (list, tuple)) and not is_rows(node):
        return dict(enumerate(node))
    return None


def rebuild(node: Any, parts: Mapping[Any, Any]) -> Any:
    """A container like ``node`` with other parts; ``node`` stays as it is, and no ``__post_init__`` runs again."""
    if isinstance(node, (dict, UserDict)) or (isinstance(node, MutableMapping) and hasattr(node, "__copy__")):
        new = copy.copy(node)
        for key, value in parts.items():
            new[key] = value
        return new
    if isinstance(node, Mapping):
        return type(node)(parts)  # type: ignore[call-arg]
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        other = copy.copy(node)
        for name, value in parts.items():
            object.__setattr__(other, name, value)  # frozen ones included
        return other
    values = [parts[index] for index in range(len(node))]
    if hasattr(node, "_fields"):
        return type(node)(*values)
    return type(node)(values)


def walk(batch: Batch, path: str = "batch") -> Iterator[tuple[str, Any]]:
    """Every leaf with the path to it, such as ``batch['x'][0]``."""
    parts = children(batch)
    if parts is None:
        yield path, batch
        return
    for key, value in parts.items():
        yield from walk(value, f"{path}[{key!r}]")


def map_leaves(function: Callable[..., Any], batch: Batch, *others: Batch, path: str = "batch") -> Batch:
    """Apply ``function(leaf, *leaves at the same place of the others)`` to every leaf that has rows.

    Raises:
        BatchStructureError: the batches do not have the same structure, or differ in a value without rows.
    """
    parts = children(batch)
    if parts is None:
        if is_rows(batch):
            return function(batch, *others)
        for other in others:
            if not _same(batch, other):
                raise BatchStructureError(
                    f"{path} has no rows and is {batch!r} in one batch and {other!r} in the next, so the rows of both "
                    "cannot go into one. Give it one value per row, or leave it out."
                )
        return batch
    columns = [children(other) for other in others]
    if any(column is None or column.keys() != parts.keys() for column in columns):
        raise BatchStructureError(
            f"{path} is {type(batch).__name__} with parts {list(parts)} in one batch and differs in the next; "
            "every batch must have the same structure."
        )
    new = {
        key: map_leaves(function, value, *(column[key] for column in columns if column), path=f"{path}[{key!r}]")
        for key, value in parts.items()
    }
    return rebuild(batch, new)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other.to(one.device))
    return type(one) is type(other) and bool(one == other)


def leaves(batch: Batch) -> list[Any]:
    """The leaves that have rows, in a fixed order."""
    return [leaf for _, leaf in walk(batch) if is_rows(leaf)]


def with_leaves(batch: Batch, new: Sequence[Any]) -> Batch:
    """A batch of the same structure with other leaves, in the order of `leaves`."""
    if len(new) != len(leaves(batch)):
        raise BatchStructureError(f"a batch with {len(leaves(batch))} parts cannot take {len(new)} saved ones.")
    rest = iter(new)
    return map_leaves(lambda _: next(rest), batch)


def length(batch: Batch) -> int:
    """Number of rows.

    Raises:
        BatchStructureError: no part has rows, the parts have different numbers of rows, or one can have no rows taken.
    """
    if type(batch) in (tuple, list) and all(type(part) is Tensor and is_dense(part) and part.dim() for part in batch):
        found: set[int] = {part.shape[0] for part in batch}  # without the paths that only an error needs
        if len(found) == 1:
            return found.pop()
    lengths = {}
    for path, leaf in walk(batch):
        if isinstance(leaf, Tensor) and (leaf.is_nested or leaf.is_meta):
            raise BatchStructureError(f"{path} is nested, or on the meta device, and no rows can be taken of it.")
        if is_rows(leaf):
            lengths[path] = len(leaf)
        elif not isinstance(leaf, (Tensor, *_PLAIN)):
            raise BatchStructureError(
                f"{path} is {type(leaf).__name__}, and rows can be taken only of tensors and of lists with one value "
                "per row. Turn it into a tensor or a list in the collate function of the loader."
            )
    if not lengths:
        raise BatchStructureError(
            f"no rows found in a batch of type {type(batch).__name__}; a batch is a tensor, or a tuple, list, mapping, "
            "named tuple or dataclass of tensors whose first dimension is the rows."
        )
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{path}: {rows}" for path, rows in lengths.items())
        raise BatchStructureError(
            f"the parts of a batch differ in their number of rows ({shown}); the same rows of each are taken. "
            "Give every part one entry per row, or wrap a value for the whole batch in a tensor without dimensions."
        )
    return next(iter(lengths.values()))


def take(batch: Batch, indices: Int[Tensor, " k"]) -> Batch:
    """The given rows of every part."""
    listed: list[int] | None = None

    def pick(leaf: Any) -> Any:
        nonlocal listed
        if isinstance(leaf, Tensor):
            return laid_out(leaf.index_select(0, indices.to(leaf.device)), leaf)
        listed = indices.tolist() if listed is None else listed
        return type(leaf)(leaf[i] for i in listed)

    return map_leaves(pick, batch)


def laid_out(rows: Tensor, like: Tensor) -> Tensor:
    """The rows in the memory format of a tensor of the same dimensions, such as ``torch.channels_last``."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(like.dim())
    if layout is None or like.is_contiguous() or not like.is_contiguous(memory_format=layout):
        return rows
    return rows.contiguous(memory_format=layout)


def narrow(batch: Batch, start: int, stop: int) -> Batch:
    """Rows ``start`` to ``stop`` of every part."""
    return map_leaves(lambda leaf: leaf[start:stop], batch)


def cat(batches: Sequence[Batch]) -> Batch:
    """The rows of several batches of one structure, one after the other.

    Raises:
        BatchStructureError: structures or shapes differ.
    """
    if len(batches) == 1:
        return batches[0]

    def join(first: Any, *rest: Any) -> Any:
        if not isinstance(first, Tensor):
            return type(first)(item for part in (first, *rest) for item in part)
        shapes = {tuple(part.shape[1:]) for part in (first, *rest)}
        if len(shapes) > 1:
            raise BatchStructureError(
                f"rows of shapes {sorted(shapes)} cannot go into one batch. Pad every batch to one fixed length in "
                "the collate function of the loader."
            )
        return torch.cat((first, *rest))

    return map_leaves(join, batches[0], *batches[1:])


def to(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""

    def move(leaf: Any) -> Any:
        return leaf.to(device, non_blocking=True) if isinstance(leaf, Tensor) else leaf

    parts = children(batch)
    if parts is None:
        return move(batch)
    return rebuild(batch, {key: to(value, device) for key, value in parts.items()})
