"""Labels of a batch, where it says them, and whether it is a matter of them which losses are high."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection import kinds
from adaselection._shapes import Bool, Int
from adaselection.tree import Batch

_NAMES = ("labels", "label", "targets", "target", "y")
_MOST = 2**16  # labels that are counted; larger ones are numbers of something else


def labels_of(batch: Batch, rows: int) -> Int[Tensor, " b"] | None:
    """The class of each row, shape ``[b]``, int64, a copy; None where the batch does not say it.

    They are the part ``labels``, ``label``, ``targets``, ``target`` or ``y`` of a mapping or dataclass, or the first
    part but the inputs of a tuple or list, that `classes` takes for one; parts of such a part are looked at too.
    """
    if isinstance(batch, Tensor):
        return None
    parts = batch[1:] if isinstance(batch, (tuple, list)) else (batch,)
    return next((labels for part in parts if (labels := _within(part, rows)) is not None), None)


def _within(part: Any, rows: int) -> Int[Tensor, " b"] | None:
    """Labels in a part that is not the inputs."""
    if isinstance(part, Tensor):
        return classes(part, rows)
    if isinstance(part, Mapping):
        parts = [part[name] for name in _NAMES if name in part]
    elif is_dataclass(part):
        parts = [getattr(part, name) for name in _NAMES if hasattr(part, name)]
    elif isinstance(part, (tuple, list)) and part and isinstance(part[0], Tensor):
        parts = list(part)
    else:
        return None
    return next((labels for inner in parts if (labels := _within(inner, rows)) is not None), None)


def classes(values: Any, rows: int) -> Int[Tensor, " b"] | None:
    """A tensor, if it says a class for each row: whole numbers or 0.0 and 1.0, ``[b]`` or ``[b, 1]``, or one-hot."""
    if not isinstance(values, Tensor) or values.dim() not in (1, 2) or values.shape[0] != rows or values.is_complex():
        return None
    if values.dtype == torch.int64 and values.dim() == 1:
        return values.clone()  # what workers share would keep their files open
    one_hot = values.dim() == 2 and values.shape[1] > 1
    if one_hot or values.is_floating_point():
        if values.device.type != "cpu":
            return None  # to look at what is there would wait for it
        if not bool(((values == 0) | (values == 1)).all()) or (one_hot and not bool((values.sum(1) == 1).all())):
            return None
    return values.detach().argmax(1) if one_hot else values.detach().reshape(rows).to(torch.int64, copy=True)


def told(targets: Any, found: Int[Tensor, " b"] | None, rows: int) -> Int[Tensor, " b"]:
    """The classes that a training loop says, else those that were found in the batch, else -1."""
    labels = found if targets is None or (said := classes(targets, rows)) is None else said
    return torch.full((rows,), -1) if labels is None else labels


class ByLabel:
    """Counts, by label, of the instances that training saw, and of those of the upper group of losses."""

    def __init__(self) -> None:
        self._counts = torch.zeros(2, 0, dtype=torch.int64)

    def see(self, labels: Int[Tensor, " k"] | None, upper: Bool[Tensor, " k"]) -> None:
        """Count instances, and whether each is of the upper group; labels below 0 and from 65,536 on do not count."""
        if labels is None:
            return
        places = labels.clamp(-1, _MOST).add_(1).cpu()  # those that do not count at both ends
        size = 1 + self._counts.shape[1]
        rows = places.bincount(minlength=size)
        above = places[upper.cpu()].bincount(minlength=len(rows))
        counts = torch.stack((rows, above))[:, 1 : _MOST + 1]
        counts[:, : size - 1] += self._counts
        self._counts = counts

    def explained(self, otherwise: float) -> float:
        """The share of the variance of being of the upper group that labels explain; ``otherwise`` without any."""
        return F.explained(*self._counts.double()) if self._counts.shape[1] else otherwise

    def clear(self) -> None:
        """Count anew."""
        self._counts = self._counts[:, :0]

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {"counts": self._counts.clone()}

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is not.
        """
        kinds.check(self.state_dict(), state, "evidence")
        if state["counts"].shape[0] != 2:
            raise kinds.damaged("evidence", "counts", state["counts"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, which `check` has seen."""
        self._counts = state["counts"].clone()
