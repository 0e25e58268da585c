"""The rows of a `TensorDataset`, all at once instead of one by one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset, default_collate

from adaselection.bulk import as_tensor

Gather = Callable[[Sequence[Any]], "list[Tensor] | None"]
"""The collated rows with these numbers, of any integer type; None where they must be taken one by one."""


def gathering(dataset: Any, collate: Any) -> Gather | None:
    """What takes the rows of a batch out of whole tensors.

    The values are those of taking row after row and collating them, for about a tenth of the time. Only for torch's own
    `TensorDataset`, and torch's own `Subset` of it, with torch's own collating; a class of someone's own may do more.

    Args:
        dataset: of the loader.
        collate: its collate function.

    Returns:
        None where the data set is none of these.
    """
    if collate is not default_collate:
        return None
    if type(dataset) is Subset:
        return _of_subset(dataset, gathering(dataset.dataset, collate))
    if type(dataset) is not TensorDataset or not all(map(_plain, dataset.tensors)):
        return None
    tensors = dataset.tensors
    return lambda numbers: _gathered(tensors, numbers)


def _of_subset(subset: Subset[Any], inner: Gather | None) -> Gather | None:
    places = subset.indices
    return None if inner is None else lambda numbers: inner([places[number] for number in numbers])


def _plain(tensor: Tensor) -> bool:
    """Whether stacking its rows is the same as selecting them."""
    return type(tensor) is Tensor and tensor.layout is torch.strided and tensor.is_contiguous()


def _gathered(tensors: Sequence[Tensor], numbers: Sequence[Any]) -> list[Tensor] | None:
    """The rows; None for numbers that only looking them up one by one can judge, such as -1 or one too large."""
    try:
        whole = array("q", numbers)  # far faster than making a tensor of them
    except (TypeError, OverflowError):
        return None
    if not whole or not 0 <= min(whole) <= max(whole) < len(tensors[0]):
        return None
    index = as_tensor(whole)
    return [tensor.index_select(0, index.to(tensor.device)) for tensor in tensors]
