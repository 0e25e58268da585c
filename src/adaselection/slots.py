"""Where the record of an instance lies: ids in, places ``0 .. n - 1`` out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from adaselection import checks
from adaselection._shapes import Int
from adaselection.errors import ArgumentError, StateError

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_NAMED = 5  # so many unknown ids stand in an error


def splitmix64(ids: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """Mix the bits of int64 numbers: the first output of the generator splitmix64 seeded with each, as int64.

    A bijection, so that different ids never mix to the same number.

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    mixed = ids + _signed(_GOLDEN)
    mixed = (mixed ^ _shifted(mixed, 30)) * _signed(_FIRST)
    mixed = (mixed ^ _shifted(mixed, 27)) * _signed(_SECOND)
    return mixed ^ _shifted(mixed, 31)


def _signed(constant: int) -> int:
    return constant - 2**64 if constant >= 2**63 else constant


def _shifted(value: Tensor, bits: int) -> Tensor:
    """The value shifted to the right, filled with zeros; torch fills with the sign."""
    shifted: Tensor = (value >> bits) & (2 ** (64 - bits) - 1)
    return shifted


class Slots(ABC):
    """A way from ids to places. Nothing about an instance is kept here, only where its record lies."""

    kind: str

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def find(self, ids: Int[Tensor, " b"], device: torch.device) -> Int[Tensor, " b"]:
        """Places of the ids, on ``device``.

        Raises:
            ArgumentError: some ids have none; names a few.
        """

    @abstractmethod
    def grown(self, size: int | None, ids: Tensor | None) -> tuple[Slots, Int[Tensor, " n"] | None]:
        """These slots with more places, and the order that old places followed by new ones must be brought into.

        Raises:
            ArgumentError: these slots cannot grow that way.
        """

    @abstractmethod
    def within(self, size: int, index: Tensor | None) -> Tensor | slice:
        """Where in these slots the places of other ones lie, which a state dict describes.

        Raises:
            StateError: they are not a part of these.
        """

    @property
    def index(self) -> Tensor | None:
        """The sorted ids, where they have to be kept."""
        return None

    @property
    def fingerprint(self) -> int:
        """A number that is the same for the same slots, and for others hardly ever."""
        return 0

    def to(self, device: torch.device) -> None:  # noqa: B027 - most keep nothing
        """Move what is kept, if anything."""


class RangeSlots(Slots):
    """Ids are ``0 .. size - 1``: each is its own place."""

    kind = "range"

    def __init__(self, size: int) -> None:
        self._size = checks.count("size", size, 0)

    def __len__(self) -> int:
        return self._size

    def find(self, ids: Int[Tensor, " b"], device: torch.device) -> Int[Tensor, " b"]:
        """The ids, once they are known to lie in the range; looked at where they are."""
        if ids.shape[0]:
            low, high = torch.aminmax(ids)
            if int(low) < 0 or int(high) >= self._size:
                span = f"ids go from 0 to {self._size - 1}" if self._size else "there are none so far"
                fix = "If the data set grew, call grow(size); if ids are not 0 to n - 1, build it with ids= or slots=."
                raise _unknown(ids[(ids < 0) | (ids >= self._size)], f"in a record of size {self._size} {span}. {fix}")
        return ids.to(device)

    def grown(self, size: int | None, ids: Tensor | None) -> tuple[Slots, Int[Tensor, " n"] | None]:
        """A longer range; new places come after the old ones."""
        if size is None or ids is not None:
            raise ArgumentError("a record of ids 0 to n - 1 grows to a size: grow(size).")
        if checks.count("size", size, 0) < self._size:
            raise ArgumentError(f"size={size} is below the {self._size} instances there are; a record only grows.")
        return RangeSlots(size), None

    def within(self, size: int, index: Tensor | None) -> Tensor | slice:
        """The first ``size`` places."""
        if size > self._size:
            raise StateError(f"the record state holds {size} instances, and this one {self._size}. Call grow({size}).")
        return slice(0, size)


class IndexSlots(Slots):
    """Any distinct ids, kept sorted at 8 bytes each; a place is found by bisection."""

    kind = "index"

    def __init__(self, ids: Tensor) -> None:
        self._index = id_vector(ids).sort().values
        same = self._index[1:] == self._index[:-1]
        if bool(same.any()):
            raise ArgumentError(f"ids must be distinct; id {int(self._index[1:][same][0])} stands there twice.")
        self._fingerprint = int(splitmix64(self._index).sum())

    def __len__(self) -> int:
        return self._index.shape[0]

    def find(self, ids: Int[Tensor, " b"], device: torch.device) -> Int[Tensor, " b"]:
        """Places by bisection."""
        ids = ids.to(device)
        places = torch.searchsorted(self._index, ids).clamp_max(max(len(self) - 1, 0))
        missing = self._index[places] != ids if len(self) else torch.ones_like(ids, dtype=torch.bool)
        if bool(missing.any()):
            where = f"in the index of {len(self)} ids that this record was built with."
            raise _unknown(ids[missing], f"{where} If the data set grew, call grow(ids=new_ids).")
        return places

    def grown(self, size: int | None, ids: Tensor | None) -> tuple[Slots, Int[Tensor, " n"] | None]:
        """An index with the new ids sorted in."""
        if ids is None or size is not None:
            raise ArgumentError("a record with an index grows by new ids: grow(ids=new_ids).")
        both = torch.cat((self._index, id_vector(ids).to(self._index.device)))
        return IndexSlots(both), both.argsort()

    def within(self, size: int, index: Tensor | None) -> Tensor | slice:
        """The places of the other index's ids."""
        if index is None:
            raise StateError("the record state has no index: it is damaged. Take an undamaged checkpoint.")
        try:
            return self.find(index, self._index.device)
        except ArgumentError as error:
            raise StateError(f"the record state has instances that this record lacks: {error}") from error

    @property
    def index(self) -> Tensor | None:
        """The sorted ids."""
        return self._index

    @property
    def fingerprint(self) -> int:
        """Of all ids."""
        return self._fingerprint

    def to(self, device: torch.device) -> None:
        """Move the index."""
        self._index = self._index.to(device)


class HashSlots(Slots):
    """Ids of any number, hashed to a fixed number of places.

    Two ids that hash to one place share a record: the one trained on last is read for both, and visits add up. Of n
    ids in s places a share of about ``1 - exp(-n / s)`` shares its place: 10 % at 10 places an id, 1 % at 100.
    """

    kind = "hash"

    def __init__(self, slots: int) -> None:
        self._slots = checks.count("slots", slots, 1)

    def __len__(self) -> int:
        return self._slots

    def find(self, ids: Int[Tensor, " b"], device: torch.device) -> Int[Tensor, " b"]:
        """Every id has a place."""
        return _shifted(splitmix64(ids.to(device)), 1) % self._slots

    def grown(self, size: int | None, ids: Tensor | None) -> tuple[Slots, Int[Tensor, " n"] | None]:
        """Refused: with another number of places every id would lie elsewhere."""
        raise ArgumentError(
            f"a record of {self._slots} slots takes any number of ids and does not grow. For fewer that share a "
            "place, build it with more slots."
        )

    def within(self, size: int, index: Tensor | None) -> Tensor | slice:
        """All places, if there are as many."""
        if size != self._slots:
            raise StateError(f"the record state has {size} slots, and this one {self._slots}. Build it with as many.")
        return slice(0, size)


def make_slots(size: int | None, ids: Tensor | None, slots: int | None) -> Slots:
    """The way that exactly one of the three arguments asks for.

    Raises:
        ArgumentError: none or several are given, or the one cannot work.
    """
    if sum(value is not None for value in (size, ids, slots)) != 1:
        raise ArgumentError(
            "give exactly one of size=n (ids are 0 to n - 1), ids=tensor (any distinct ids) and slots=count (a stream "
            "of unknown length, by hashing)."
        )
    if ids is not None:
        return IndexSlots(ids)
    return RangeSlots(size) if size is not None else HashSlots(0 if slots is None else slots)


def id_vector(ids: Tensor) -> Int[Tensor, " b"]:
    """The ids as int64.

    Raises:
        ArgumentError: not a tensor of whole numbers of shape ``[b]``.
    """
    if not isinstance(ids, Tensor):
        raise ArgumentError(f"ids must be a tensor of shape [b]; got {type(ids).__name__}. Use torch.as_tensor(ids).")
    whole = not (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool)
    if not whole or not checks.is_dense(ids) or ids.dim() != 1:
        raise ArgumentError(
            f"ids must be whole numbers, shape [b]; got {ids.dtype} of shape {tuple(ids.shape)}. Pass the indices in "
            "the data set of the rows, as int64."
        )
    return ids.to(torch.int64)


def _unknown(ids: Tensor, rest: str) -> ArgumentError:
    """The error that names the first unknown ids."""
    shown = ", ".join(map(str, ids[:_NAMED].tolist())) + (", ..." if ids.shape[0] > _NAMED else "")
    return ArgumentError(f"{ids.shape[0]} ids are unknown ({shown}): {rest}")
