"""What is kept of each instance: 8 bytes packed into one word, and further columns by declaration."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int, Shaped
from adaselection.errors import ArgumentError, StateError

MOST = 2**16 - 1  # of 16 bits
DTYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
)
_TAKEN = frozenset({"self", "ids", "losses", "now", "loss", "average", "stamp", "visits"})


@dataclass(frozen=True)
class Rows:
    """Some instances' records, taken out.

    Attributes:
        losses: last loss, float32.
        averages: moving average of the losses, float32.
        stamps: 16 bits of the pass of the last visit, int64.
        visits: number of visits, at most 65,535, int64; 0 means no record.
        extra: further columns.
    """

    losses: Float[Tensor, " b"]
    averages: Float[Tensor, " b"]
    stamps: Int[Tensor, " b"]
    visits: Int[Tensor, " b"]
    extra: Mapping[str, Shaped[Tensor, " b"]] = field(default_factory=dict)

    def at(self, which: Int[Tensor, " k"]) -> Rows:
        """These rows of the rows."""
        extra = {name: value[which] for name, value in self.extra.items()}
        return Rows(self.losses[which], self.averages[which], self.stamps[which], self.visits[which], extra)

    def where(self, some: Bool[Tensor, " b"], others: Rows) -> Rows:
        """These rows where it says so, and others elsewhere; the others may have more columns."""
        extra = {name: torch.where(some, value, others.extra[name]) for name, value in self.extra.items()}
        return Rows(
            torch.where(some, self.losses, others.losses),
            torch.where(some, self.averages, others.averages),
            torch.where(some, self.stamps, others.stamps),
            torch.where(some, self.visits, others.visits),
            extra,
        )


class Columns:
    """The store itself, by place. A place that was never written is all zeros: 0 visits.

    The four numbers of the default, 16 bits each, share one int64, so that a random place costs one access to memory.
    """

    def __init__(self, size: int, dtypes: Mapping[str, torch.dtype], device: torch.device) -> None:
        for name, dtype in dtypes.items():
            if not isinstance(name, str) or not name.isidentifier() or name in _TAKEN:
                raise ArgumentError(f"a column cannot be named {name!r}: take an identifier that is not in use.")
            if not isinstance(dtype, torch.dtype) or dtype not in DTYPES:
                raise ArgumentError(f"column {name!r} cannot be {dtype}; take {', '.join(map(str, DTYPES))}.")
        self.packed = torch.zeros(size, dtype=torch.int64, device=device)
        self.extra = {name: torch.zeros(size, dtype=dtype, device=device) for name, dtype in dtypes.items()}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """Types of the further columns, by name."""
        return {name: value.dtype for name, value in self.extra.items()}

    @property
    def fingerprint(self) -> int:
        """A number that is the same for the same further columns, and for others hardly ever."""
        return zlib.crc32(repr(self.dtypes).encode())

    @property
    def bytes_per_instance(self) -> int:
        """Bytes of one instance in all columns."""
        return self.packed.element_size() + sum(value.element_size() for value in self.extra.values())

    def seen(self) -> Int[Tensor, ""]:
        """Number of places with a record; reads them all."""
        return torch.count_nonzero(self.packed.view(torch.int16).view(-1, 4)[:, 3])

    def take(self, places: Int[Tensor, " b"]) -> Rows:
        """Read records."""
        return _unpacked(self.packed[places], {name: value[places] for name, value in self.extra.items()})

    def put(self, places: Int[Tensor, " b"], rows: Rows) -> None:
        """Write records. Where a place is named several times, its rows must be equal."""
        self.packed[places] = _packed(rows)
        for name, value in rows.extra.items():
            self.extra[name][places] = value

    def replaced(self, change: Callable[[Tensor], Tensor]) -> None:
        """Put a changed tensor in the place of each, one after the other."""
        self.packed = change(self.packed)
        self.extra = {name: change(value) for name, value in self.extra.items()}

    def encode(self, places: Int[Tensor, " b"]) -> Shaped[Tensor, "b w"]:
        """Records as bytes, to travel between processes."""
        parts = (self.packed, *self.extra.values())
        return torch.cat([as_bytes(value[places]) for value in parts], dim=1)

    def decode(self, rows: Shaped[Tensor, "b w"]) -> Rows:
        """Records from `encode`, of this or another process."""
        found, start = {}, self.packed.element_size()
        for name, value in self.extra.items():
            found[name] = from_bytes(rows[:, start : start + value.element_size()], value.dtype)
            start += value.element_size()
        return _unpacked(from_bytes(rows[:, : self.packed.element_size()], torch.int64), found)

    def state(self) -> dict[str, Tensor]:
        """Copies of all tensors on the CPU, by name."""
        tensors = {"packed": self.packed, **self.extra}
        return {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}

    def load(self, state: Mapping[str, Tensor], size: int, at: Tensor | slice) -> None:
        """Write a `state` of ``size`` places at those places, and zeros everywhere else.

        Raises:
            StateError: it has other columns, types or lengths. Nothing is changed then.
        """
        own = {"packed": self.packed, **self.extra}
        wanted = {name: (value.dtype, (size,)) for name, value in own.items()}
        given = {name: (value.dtype, tuple(value.shape)) for name, value in state.items()}
        if given != wanted:
            raise StateError(f"the record state has columns {given}, and {wanted} are expected. Declare the same.")
        for name, value in own.items():
            value.zero_()[at] = state[name].to(value.device)


def _packed(rows: Rows) -> Int[Tensor, " b"]:
    real = fitted(torch.stack((rows.losses, rows.averages), dim=1), torch.bfloat16).view(torch.int16)
    whole = torch.stack((rows.stamps, rows.visits), dim=1).to(torch.int16)
    return torch.cat((real, whole), dim=1).view(torch.int64).flatten()


def _unpacked(packed: Int[Tensor, " b"], extra: Mapping[str, Tensor]) -> Rows:
    words = packed.view(torch.int16).view(-1, 4)
    losses, averages = words[:, :2].contiguous().view(torch.bfloat16).to(torch.float32).unbind(1)
    stamps, visits = (words[:, 2:].to(torch.int64) & MOST).unbind(1)
    return Rows(losses, averages, stamps, visits, extra)


def fitted(values: Shaped[Tensor, " *b"], dtype: torch.dtype) -> Shaped[Tensor, " *b"]:
    """The values in a type that may be narrower: what is finite stays finite, at the nearest number there is."""
    if dtype == torch.bool or values.dtype == dtype:
        return values.to(dtype)
    limits = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    return values.to(torch.promote_types(values.dtype, dtype)).clamp(limits.min, limits.max).to(dtype)


def as_bytes(values: Shaped[Tensor, " b"]) -> Shaped[Tensor, "b w"]:
    """The bytes of each number."""
    return values.contiguous().view(torch.uint8).reshape(values.shape[0], values.element_size())


def from_bytes(rows: Shaped[Tensor, "b w"], dtype: torch.dtype) -> Shaped[Tensor, " b"]:
    """Numbers from their bytes."""
    return rows.clone(memory_format=torch.contiguous_format).view(dtype).flatten()


def differs(places: Int[Tensor, " b"]) -> Bool[Tensor, " b"]:
    """Where a sorted place is not that of the next row: True once for each place."""
    ends = torch.ones_like(places, dtype=torch.bool)
    torch.ne(places[1:], places[:-1], out=ends[:-1])
    return ends


def last_rows(
    places: Int[Tensor, " b"], counted: Bool[Tensor, " b"]
) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"]]:
    """Sort the places; for each find the last counted row of that place, and how many counted ones it has.

    Shapes are fixed, so nothing waits for an accelerator.

    Returns:
        The places sorted, repeats included, the rows in that order, the last row for each, and the count, which is 0
        where no row counts.
    """
    keys, order = (2 * places + counted).sort(stable=True)
    counting = keys | 1
    end = torch.searchsorted(keys, counting, right=True)
    return keys >> 1, order, order[end - 1], end - torch.searchsorted(keys, counting)
