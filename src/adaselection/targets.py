"""What a batch says that each row is, and whether it is a matter of that which losses are high."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection import kinds
from adaselection._shapes import Bool, Shaped
from adaselection.tree import Batch

_NAMES = ("labels", "label", "targets", "target", "y")
_MOST = 2**16  # classes that are counted; larger numbers are those of something else


def targets_of(batch: Batch, ids: list[int]) -> Shaped[Tensor, " b"] | None:
    """The `classes` of the rows, or else their `numbers`, shape ``[b]``, a copy; None where the batch does not say.

    They are the part ``labels``, ``label``, ``targets``, ``target`` or ``y`` of a mapping or dataclass, or the first
    part but the inputs of a tuple or list that fits; parts of such a part are looked at too. The numbers of the
    instances, ``ids``, are no targets.
    """
    if isinstance(batch, Tensor):
        return None
    parts = batch[1:] if isinstance(batch, (tuple, list)) else (batch,)
    tensors = [tensor for part in parts for tensor in _within(part)]
    for fitting in (classes, numbers):
        for tensor in tensors:
            found = fitting(tensor, len(ids))
            if found is not None and (len(tensors) == 1 or found.tolist() != ids):
                return found
    return None


def _within(part: Any) -> list[Tensor]:
    """Tensors in a part that is not the inputs."""
    if isinstance(part, Tensor):
        return [part]
    inner: list[Any] = []
    if isinstance(part, Mapping):
        inner = [part[name] for name in _NAMES if name in part]
    elif is_dataclass(part):
        inner = [getattr(part, name) for name in _NAMES if hasattr(part, name)]
    elif isinstance(part, (tuple, list)) and part and isinstance(part[0], Tensor):
        inner = list(part)
    return [tensor for value in inner for tensor in _within(value)]


def classes(values: Tensor, rows: int) -> Shaped[Tensor, " b"] | None:
    """The class of each row, int64: whole numbers ``[b]`` or ``[b, 1]``, or the place of the one 1 among 0s ``[b, c]``.

    Rows with several labels, or none, are of a class for each number of them.
    """
    if values.dim() not in (1, 2) or values.shape[0] != rows or values.is_complex():
        return None
    if values.dtype == torch.int64 and values.dim() == 1:
        return values.clone()
    if values.dim() == 1 or values.shape[1] == 1:
        return None if values.is_floating_point() else values.reshape(rows).to(torch.int64, copy=True)
    if values.device.type != "cpu" or not bool(((values == 0) | (values == 1)).all()):
        return None  # to look at what is on another device would wait for it
    ones = values.detach().sum(1).long()
    return torch.where(ones == 1, values.detach().int().argmax(1), values.shape[1] + ones)


def numbers(values: Tensor, rows: int) -> Shaped[Tensor, " b"] | None:
    """The number of each row, float32: ``[b]`` or ``[b, 1]``."""
    if values.shape not in ((rows,), (rows, 1)) or not values.is_floating_point():
        return None
    return values.detach().reshape(rows).to(torch.float32, copy=True)


def told(said: Any, found: Shaped[Tensor, " b"] | None, rows: int) -> Shaped[Tensor, " b"]:
    """The targets that a training loop says, else those that were found in the batch, else -1."""
    if isinstance(said, Tensor):
        own = classes(said, rows)
        found = found if own is None and (own := numbers(said, rows)) is None else own
    return torch.full((rows,), -1) if found is None else found


class ByTarget:
    """Counts of the instances that training saw and of those of the upper group of losses, by what they are."""

    def __init__(self) -> None:
        self._counts = torch.zeros(2, 0, dtype=torch.int64)  # of each class
        self._sums = torch.zeros(5, dtype=torch.float64)  # see `F.explained_by_numbers`
        self._origin = 0.0  # of the numbers, so that nothing is lost where they are far from 0

    def see(self, targets: Shaped[Tensor, " k"] | None, upper: Bool[Tensor, " k"]) -> None:
        """Count instances, and whether each is of the upper group.

        Classes below 0 and from 65,536 on, and numbers that are not finite, do not count.
        """
        if targets is None or not len(targets):
            return
        if targets.is_floating_point():
            self._add(targets.double().cpu(), upper.cpu())
            return
        places = targets.clamp(-1, _MOST).add_(1).cpu()  # those that do not count at both ends
        size = 1 + self._counts.shape[1]
        rows = places.bincount(minlength=size)
        above = places[upper.cpu()].bincount(minlength=len(rows))
        counts = torch.stack((rows, above))[:, 1 : _MOST + 1]
        counts[:, : size - 1] += self._counts
        self._counts = counts

    def _add(self, values: Tensor, upper: Tensor) -> None:
        known = values.isfinite()
        values, upper = values[known], upper[known].double()
        if not self._sums[0] and len(values):
            self._origin = float(values[0])
        values -= self._origin
        ones = torch.ones_like(values)
        self._sums += torch.stack((ones, upper, values, values.square(), upper * values)).sum(1)

    def explained(self, otherwise: float) -> float:
        """The share of the variance of being of the upper group that targets explain; ``otherwise`` without any."""
        if self._sums[0]:
            return F.explained_by_numbers(*self._sums.tolist())
        return F.explained(*self._counts.double()) if self._counts.shape[1] else otherwise

    def clear(self) -> None:
        """Count anew."""
        self._counts = self._counts[:, :0]
        self._sums.zero_()

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {"counts": self._counts.clone(), "sums": self._sums.clone(), "origin": self._origin}

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is not.
        """
        kinds.check(self.state_dict(), state, "evidence")
        for name, size in (("counts", 2), ("sums", 5)):
            if state[name].shape[0] != size:
                raise kinds.damaged("evidence", name, state[name])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, which `check` has seen."""
        self._counts, self._sums = state["counts"].clone(), state["sums"].clone()
        self._origin = float(state["origin"])
