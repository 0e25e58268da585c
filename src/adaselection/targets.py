"""What a batch says that each row is, and whether it is a matter of that which losses are high."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from adaselection import functional as F  # noqa: N812
from adaselection import kinds
from adaselection._shapes import Bool, Float, Shaped
from adaselection.bulk import joined
from adaselection.processes import Processes
from adaselection.tree import Batch

_NAMES = ("labels", "label", "targets", "target", "y")
_DEEP, _PARTS = 4, 3  # how deep in a batch, and how many of its parts, are looked at
_ROWS = 8192  # of a window that are looked at
_FOUND = {"not looked": None, "none": False, "some": True}
_EACH = 8  # rows for each whole number, on average, from which on these are classes; and of a number that many have


def targets_of(batch: Batch, ids: list[int]) -> Shaped[Tensor, "b p"]:
    """What the batch says of each row, a copy. Never raises, whatever the batch is.

    Looked at are the parts ``labels``, ``label``, ``targets``, ``target`` or ``y`` of a mapping or dataclass, and all
    parts but the first of a tuple or list, and their parts: one number per row, ``[b]`` or ``[b, 1]``, or one-hot. One
    column for each, of three at most; the numbers of the instances, ``ids``, are no targets.
    """
    try:
        parts = batch[1:] if isinstance(batch, (tuple, list)) else () if isinstance(batch, Tensor) else (batch,)
        tensors = [tensor for part in parts for tensor in _within(part, _DEEP)]
        found = [values for tensor in tensors if (values := _column(tensor, len(ids))) is not None]
        found = [values for values in found if values.tolist() != ids]
        if len(found) == 1:
            return found[0].unsqueeze(1)
        return torch.stack([values.double() for values in found[:_PARTS]], 1) if found else _nothing(len(ids))
    except Exception:  # the batch is the user's, and anything
        return _nothing(len(ids))


def told(said: Any, rows: int) -> Shaped[Tensor, "b 1"] | None:
    """What a training loop says that the rows are: a tensor, array or list of numbers, or of names.

    Returns:
        One column; None if it is not one number or name for each row.
    """
    if isinstance(said, str):
        return None
    try:
        if len(said) and all(isinstance(name, str) for name in said):
            said = [zlib.crc32(name.encode()) for name in said]
        values = torch.as_tensor(said)
        own = _column(values.cpu() if values.dim() > 1 else values, rows)
    except Exception:  # whatever it is
        return None
    return None if own is None else own.unsqueeze(1)


def _within(part: Any, deep: int) -> list[Tensor]:
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
    return [tensor for value in inner if deep for tensor in _within(value, deep - 1)]


def _column(values: Tensor, rows: int) -> Shaped[Tensor, " b"] | None:
    """One number for each row, or the place of the 1 of each where they are one-hot; None if it is neither."""
    if type(values) not in (Tensor, Parameter) or values.layout is not torch.strided or values.is_meta:
        return None
    if values.dtype is torch.int64 and values.shape == (rows,):
        return values.clone()  # as most labels are; what workers share would keep their files open
    if values.dim() not in (1, 2) or values.shape[0] != rows or values.is_complex() or values.is_quantized:
        return None
    if values.dim() == 1 or values.shape[1] == 1:
        return values.detach().reshape(rows).clone()
    if values.device.type != "cpu" or not rows:
        return None  # to look at what is on another device would wait for it
    one_hot = bool(((values == 0) | (values == 1)).all()) and bool((values.sum(1) == 1).all())
    return values.detach().int().argmax(1) if one_hot else None


def _nothing(rows: int) -> Tensor:
    return torch.empty(rows, 0, dtype=torch.float64)


def together(parts: Sequence[Tensor | int]) -> Shaped[Tensor, "n p"]:
    """What several batches say, float64 where it is not all of one type: NaN in columns that not all have.

    Args:
        parts: columns ``[b, p]`` of each, or how many rows it has where nothing is known of them.
    """
    width = max((part.shape[1] for part in parts if isinstance(part, Tensor)), default=0)
    if not width:
        return _nothing(sum(part if isinstance(part, int) else len(part) for part in parts))
    return joined([_widened(_nothing(part) if isinstance(part, int) else part, width) for part in parts])


def _widened(columns: Shaped[Tensor, "b p"], width: int) -> Shaped[Tensor, "b q"]:
    if columns.shape[1] == width:
        return columns
    return torch.nn.functional.pad(columns.double(), (0, width - columns.shape[1]), value=math.nan)


class ByTarget:
    """What some of the instances are that training saw in a window, and which are of the upper group of losses.

    Attributes:
        found: whether any of all that were looked at had a target; None before.
    """

    def __init__(self) -> None:
        self.found: bool | None = None
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._integral = True  # as labels are, and no amounts that a model predicts
        self._values, self._upper = _nothing(0), torch.empty(0, dtype=torch.bool)

    def see(self, targets: Shaped[Tensor, "k p"] | None, upper: Bool[Tensor, " k"]) -> None:
        """Take instances, and whether each is of the upper group."""
        if targets is None or not len(upper):
            return
        self.found = bool(self.found or targets.shape[1])
        room = _ROWS - len(self._values)
        if not targets.shape[1] or room <= 0:
            return
        self._integral = self._integral and not targets.is_floating_point()
        self._values = together([self._values, targets[:room].cpu()]).double()
        self._upper = torch.cat((self._upper, upper[:room].cpu()))

    def told(
        self,
        explained: float,
        numbers: float,
        common: float,
        emptied: float,
        walk: int = 0,
        processes: Processes | None = None,
    ) -> tuple[float, float, float, float]:
        """What the targets tell, those of all processes together; the first four as given if none is known.

        Args:
            explained: what they told before.
            numbers: likewise.
            common: likewise.
            emptied: likewise.
            walk: instances of a walk, of which these may be few.
            processes: of a training with several.

        Returns:
            How far they explain which are of the upper group, `functional.explained` of classes and the larger of
            `functional.one_sided` and that of numbers that many rows have, the most of all columns; the share of the
            columns that are numbers; the largest share that a value of any of them has; and `functional.emptied`, the
            most of all columns, 0 for numbers. Classes are whole numbers with enough rows each: of those looked at, or,
            where they are integers, of a walk.
        """
        values, upper, integral = self._values, self._upper, self._integral
        if processes is not None:
            values, upper, integral = self._pooled(processes)
        walk = walk if integral else 0
        known = [(column.isfinite(), column) for column in values.T]
        found = [_told(column[finite], upper[finite], walk) for finite, column in known if bool(finite.any())]
        if not found:
            return explained, numbers, common, emptied
        parts, all_numbers, shares, classes = zip(*found, strict=True)
        return max(parts), sum(all_numbers) / len(found), max(shares), max(classes)

    def _pooled(self, processes: Processes) -> tuple[Tensor, Tensor, bool]:
        """Values and upper groups of all processes, of each an equal part of the rows that one would look at."""
        room = _ROWS // processes.world
        wide, upper = _widened(self._values[:room].double(), _PARTS), self._upper[:room].double()
        own = torch.stack((upper, torch.full_like(upper, self._integral)), 1)
        rows = processes.rows(torch.cat((wide, own), 1))
        return rows[:, :_PARTS], rows[:, _PARTS] == 1, bool((rows[:, _PARTS + 1] == 1).all())

    def state_dict(self) -> dict[str, Any]:
        """What was taken."""
        (found,) = (word for word, found in _FOUND.items() if found is self.found)
        values, upper = self._values.clone(), self._upper.clone()
        return {"values": values, "upper": upper, "integral": self._integral, "found": found}

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is not.
        """
        kinds.check(self.state_dict(), state, "evidence")
        if len(state["values"]) != len(state["upper"]):
            raise kinds.damaged("evidence", "upper", state["upper"])
        if state["found"] not in _FOUND:
            raise kinds.damaged("evidence", "found", state["found"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, which `check` has seen."""
        self._values, self._upper = state["values"].clone(), state["upper"].clone()
        self.found, self._integral = _FOUND[state["found"]], state["integral"]


def _told(values: Float[Tensor, " k"], upper: Bool[Tensor, " k"], walk: int) -> tuple[float, float, float, float]:
    """What one column tells."""
    distinct, places = values.unique(return_inverse=True)
    counts = places.bincount(), places[upper].bincount(minlength=len(distinct))
    rows, above = (count.double() for count in counts)
    enough = len(distinct) * _EACH <= len(values)
    if walk and not enough:
        enough = F.values_behind(len(distinct), len(values)) * _EACH <= walk
    classes = enough and bool((distinct == distinct.round()).all())
    explained = F.explained(rows, above) if classes else max(F.one_sided(rows, above), _by_frequent(rows, above))
    return explained, float(not classes), float(rows.max()) / len(values), F.emptied(rows, above) if classes else 0.0


def _by_frequent(rows: Float[Tensor, " c"], upper: Float[Tensor, " c"]) -> float:
    """How far the numbers that many rows have, most of these of the upper group, explain which are of it."""
    often = (rows >= _EACH) & (2 * upper > rows)
    return F.explained(*(torch.cat((counts[often], counts[~often].sum().reshape(1))) for counts in (rows, upper)))
