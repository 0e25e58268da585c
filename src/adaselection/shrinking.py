"""Smaller copies of a batch to score it on: pictures of lower resolution, shorter sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as nnf

from adaselection import checks, tree
from adaselection._shapes import Float
from adaselection.errors import ArgumentError, BatchStructureError
from adaselection.tree import Batch

Shrink = Callable[[Batch], Batch]
_PICTURES = "pixel_values"


def smaller_pictures(factor: float) -> Shrink:
    """A function that divides the height and the width of a batch's pictures by ``factor``, by averaging areas.

    It takes pictures ``[b, c, h, w]`` of real numbers, alone, as the first part of a tuple or list, or as
    ``pixel_values`` of a mapping. The other parts of the batch stay as they are.

    Args:
        factor: above 1; 2 makes a picture of 32 x 32 one of 16 x 16.

    Raises:
        ArgumentError: a factor that is not above 1.
    """
    if checks.finite("shrink", factor) <= 1:
        raise ArgumentError(f"shrink={factor!r} makes no picture smaller; pass a factor above 1, such as 2, or None.")

    def shrink(batch: Batch) -> Batch:
        if isinstance(batch, Tensor):
            return _averaged(_pictures(batch, batch), factor)
        if isinstance(batch, Mapping):
            pictures = _pictures(batch.get(_PICTURES), batch)
            _refuse_maps(pictures, [value for key, value in batch.items() if key != _PICTURES])
            return tree.rebuild(batch, {**batch, _PICTURES: _averaged(pictures, factor)})
        parts = tree.children(batch) if isinstance(batch, (tuple, list)) else None
        if not parts:
            raise BatchStructureError(_refusal(f"a batch of type {type(batch).__name__}"))
        pictures = _pictures(parts[0], batch)
        _refuse_maps(pictures, [value for key, value in parts.items() if key != 0])
        return tree.rebuild(batch, {**parts, 0: _averaged(pictures, factor)})

    return shrink


def _pictures(value: Any, batch: Batch) -> Tensor:
    if not isinstance(value, Tensor) or value.dim() != 4 or not value.is_floating_point():
        what = f"{value.dtype} of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        where = f"a batch of type {type(batch).__name__} whose pictures would be {what}"
        raise BatchStructureError(_refusal(f"this, {where}," if value is not batch else f"this, a tensor of {what},"))
    return value


def _refusal(what: str) -> str:
    return (
        f"a number as shrink= makes pictures [b, c, h, w] of real numbers smaller, and {what} holds none where they "
        "are looked for: alone, as the first part of a pair, or as 'pixel_values'. Pass shrink=, a function from a "
        "batch to a smaller batch with the same rows; short_sequences(length) is one for sequences."
    )


def _refuse_maps(pictures: Tensor, others: list[Any]) -> None:
    """Refuse targets that have one value per pixel: they would no longer fit the pictures."""
    for other in others:
        if isinstance(other, Tensor) and other.dim() >= 3 and other.shape[-2:] == pictures.shape[-2:]:
            raise BatchStructureError(
                f"a part of the batch has the height and width of its pictures, shape {list(other.shape)}, and would "
                "not fit smaller ones. Pass shrink=, a function from a batch to a batch that makes both smaller."
            )


def _averaged(pictures: Float[Tensor, "b c h w"], factor: float) -> Float[Tensor, "b c p q"]:
    """Pictures with areas averaged to one pixel, in the memory layout that they came in."""
    height, width = (max(1, round(side / factor)) for side in pictures.shape[-2:])
    if factor == int(factor) and pictures.shape[-2] % int(factor) == pictures.shape[-1] % int(factor) == 0:
        return nnf.avg_pool2d(pictures, int(factor))
    return nnf.interpolate(pictures, size=(height, width), mode="area")


def short_sequences(length: int, *, keep: Literal["start", "end"] = "start") -> Shrink:
    """A function that cuts the sequences of a batch to ``length`` positions, for ``CheapScores(shrink=...)``.

    In a mapping with ``input_ids``, every tensor of their length is cut along its second dimension
    (``attention_mask``, token ``labels``, ...); labels ``[b]`` stay whole. In a tensor, tuple or list, the first tensor
    of at least two dimensions says the length, and all with it are cut. Shorter sequences stay as they are.

    Args:
        length: positions to keep, at least 1.
        keep: which: ``"start"``, or ``"end"`` for padding on the left, or answers behind long prompts whose labels are
            masked: a row without any label left scores 0.

    Raises:
        ArgumentError: an argument that cannot work.
    """
    checks.count("length", length, 1)
    part = slice(0, length) if checks.one_of("keep", keep, ("start", "end")) == "start" else slice(-length, None)

    def shrink(batch: Batch) -> Batch:
        whole = _sequence_length(batch)
        return tree.map_leaves(lambda leaf: leaf[:, part] if _is_long(leaf, whole) else leaf, batch)

    return shrink


def _is_long(leaf: Any, length: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() >= 2 and leaf.shape[1] == length


def _sequence_length(batch: Batch) -> int:
    """Positions of the batch's sequences.

    Raises:
        BatchStructureError: it has none.
    """
    named = batch.get("input_ids") if isinstance(batch, Mapping) else None
    for leaf in (named, *tree.leaves(batch)):
        if isinstance(leaf, torch.Tensor) and leaf.dim() >= 2:
            return int(leaf.shape[1])
    raise BatchStructureError(
        "short_sequences cuts tensors [b, t, ...], and this batch has none. Pass shrink=, a function from a batch to a "
        "smaller batch with the same rows."
    )
