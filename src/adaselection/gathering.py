"""The rows of a `TensorDataset`, all at once instead of one by one."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset, default_collate
from torch.utils.data._utils.collate import collate_tensor_fn, default_collate_fn_map

from adaselection.bulk import as_tensor


def gathered(dataset: Any, numbers: Sequence[Any], collate: Any) -> list[Tensor] | None:
    """The collated rows with these numbers, taken out of whole tensors.

    The values are those of taking row after row and collating them, for about a tenth of the time. Only of torch's own
    `TensorDataset`, and torch's own `Subset` of it, with torch's own collating, as these are now; a class of someone's
    own may do more.

    Args:
        dataset: of the loader.
        numbers: of the rows.
        collate: the loader's collate function.

    Returns:
        None where the rows must be taken one by one: of all other data sets, and for numbers that only looking them up
        can judge, such as -1 or one too large.
    """
    if collate is not default_collate or not _collates_as_usual():
        return None
    while type(dataset) is Subset and "__getitems__" not in vars(dataset):
        if not _whole(numbers):
            return None
        places = dataset.indices
        numbers, dataset = [places[number] for number in numbers], dataset.dataset
    if type(dataset) is not TensorDataset or "__getitems__" in vars(dataset) or not all(map(_plain, dataset.tensors)):
        return None
    if not numbers or not _whole(numbers):
        return None
    least, most, size = min(numbers), max(numbers), min(map(len, dataset.tensors))
    if not 0 <= least <= most < size:
        return None
    index = as_tensor(array("q", numbers))  # far faster than making a tensor of a list
    return [tensor.index_select(0, index.to(tensor.device)) for tensor in dataset.tensors]


def _collates_as_usual() -> bool:
    """Whether nobody told torch to collate tensors, or tuples of them, in another way."""
    return default_collate_fn_map.get(Tensor) is collate_tensor_fn and tuple not in default_collate_fn_map


def _plain(tensor: Tensor) -> bool:
    """Whether stacking its rows is the same as selecting them."""
    usual = type(tensor) is Tensor and tensor.layout is torch.strided and not tensor.is_nested
    return usual and tensor.dim() > 0 and tensor.is_contiguous()


def _whole(numbers: Sequence[Any]) -> bool:
    """Whether these are whole numbers of Python or numpy; truth values and tensors index in ways of their own."""
    return all(issubclass(kind, Integral) and not issubclass(kind, bool) for kind in set(map(type, numbers)))
