"""What is around a record of instances: its places, its bytes, its growth, its merge over processes, its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from adaselection import checks, kinds
from adaselection._shapes import Shaped
from adaselection.columns import Columns
from adaselection.errors import ArgumentError, LossShapeError, StateError
from adaselection.slots import Slots
from adaselection.touched import Touched, agreed, exchange, ranks

STATE_VERSION = 1


class Kept:
    """Columns by place, and what changed in them. Not made by users; see `RecordedLosses`."""

    def __init__(
        self, slots: Slots, dtypes: Mapping[str, torch.dtype], device: torch.device, track: bool | None
    ) -> None:
        self._slots, self._track = slots, track
        self._columns = Columns(len(slots), dtypes, device)
        self._touched, self._untracked = Touched(), False
        self._now = 0
        self._seen = self._nonfinite = torch.zeros((), dtype=torch.int64)
        self.to(device)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def last_pass(self) -> int:
        """Number of the last pass that was recorded."""
        return self._now

    @property
    def device(self) -> torch.device:
        """Where the record is kept."""
        return self._columns.packed.device

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the further columns."""
        return tuple(self._columns.dtypes)

    @property
    def bytes_per_instance(self) -> int:
        """8, and those of the further columns."""
        return self._columns.bytes_per_instance

    @property
    def index_bytes(self) -> int:
        """Bytes of the index of explicit ids, all together; 0 without."""
        index = self._slots.index
        return 0 if index is None else index.nbytes

    @property
    def tracked_bytes(self) -> int:
        """Bytes of the note of what changed since the last merge."""
        return self._touched.nbytes

    @property
    def unseen(self) -> int:
        """Places without a record. Reading it may wait for an accelerator."""
        return len(self) - int(self._seen)

    @property
    def nonfinite(self) -> int:
        """Rows left out, as a number in them was NaN or infinite. Reading it may wait for an accelerator."""
        return int(self._nonfinite)

    def to(self, device: torch.device | str) -> None:
        """Move the record, one column after the other."""
        device = torch.device(device)
        self._slots.to(device)
        self._columns.replaced(lambda column: column.to(device))
        self._touched.to(device)
        self._seen, self._nonfinite = self._seen.to(device), self._nonfinite.to(device)

    def grow(self, size: int | None = None, *, ids: Tensor | None = None) -> None:
        """Make place for more instances, without a record yet: up to ``size``, or new ``ids`` for the index.

        Every call copies the columns, one after the other: grow by many at once.

        Raises:
            ArgumentError: not what this record grows by, a smaller size, known ids, or a record of slots.
        """
        slots, order = self._slots.grown(size, ids)
        more = len(slots) - len(self)

        def longer(column: Tensor) -> Tensor:
            column = torch.cat((column, column.new_zeros(more)))
            return column if order is None else column[order]

        if order is not None:  # places move, and those noted with them
            moved = torch.empty_like(order)
            moved[order] = torch.arange(order.shape[0], device=order.device)
            places, counts = self._touched.summed(self.device)
            self._touched.replace(moved[places], counts)
        self._columns.replaced(longer)
        self._slots = slots

    def merge(self, group: dist.ProcessGroup | None = None) -> int:
        """Bring the records of all processes together: afterwards they are equal, bit for bit.

        Every process of the group must call it. Only records that changed since the last merge travel, at 20 bytes
        each in the default, to every other process. Of several processes' records of one instance the youngest counts
        (of equally young ones that of the highest rank), and visits add up. Without a process group nothing happens.

        Args:
            group: the processes; all of them if None.

        Returns:
            The number of records that changed on some process.

        Raises:
            ArgumentError: the processes' records have different places or columns, or changes were not noted
                (``track``). Raised on every process, and nothing is changed.
        """
        written = 0
        if ranks(group) > 1:
            touched = self._touched.summed(self.device)
            head = {
                "places": len(self),
                "slots": self._slots.fingerprint,
                "columns": self._columns.fingerprint,
                "untracked": int(self._untracked),
                "touched": touched[0].shape[0],
                "now": self._now,
            }
            head = agreed(head, group, self.device)
            written, fresh = exchange(self._columns, touched, head, group)
            self._seen, self._now = self._seen + fresh, head["now"]
            self._touched = Touched()
        return written

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit: tensors, numbers and strings, loadable with ``weights_only=True``.

        Holds copies on the CPU. Of several processes each has its own state; after a `merge` all have the same.
        """
        places, counts = self._touched.summed(self.device)
        return {
            "version": STATE_VERSION,
            "kind": self._slots.kind,
            "size": len(self),
            "index": None if self._slots.index is None else self._slots.index.to("cpu", copy=True),
            "columns": self._columns.state(),
            "touched": [places.to("cpu", copy=True), counts.to("cpu", copy=True)],
            "now": self._now,
            "nonfinite": self.nonfinite,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; instances that came after it was saved have no record.

        Raises:
            StateError: the state is of another version, kind of ids or columns, or has instances that this record
                lacks. The record is then as it was.
        """
        own: dict[str, Any] = {"version": STATE_VERSION, "kind": self._slots.kind}
        fixed = tuple(own)
        own |= {"size": 0, "index": self._slots.index, "columns": {}, "touched": [], "now": 0, "nonfinite": 0}
        checks.same_state(own, state, fixed, "record")
        kinds.check(own, state, "record")
        try:
            at = self._slots.within(state["size"], state["index"])
            places, counts = (value.to(self.device) for value in state["touched"])
            if places.shape != counts.shape or places.dim() != 1 or places.is_floating_point():
                raise ValueError("touched is a list of places and one of counts")
            places = places if isinstance(at, slice) else at[places]
            nonfinite = torch.tensor(state["nonfinite"], dtype=torch.int64, device=self.device)
            now = int(state["now"])
            self._columns.load(state["columns"], state["size"], at)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, StateError):
                raise
            raise StateError(f"the state dict is damaged: {error}. Take an undamaged checkpoint.") from error
        self._touched, self._untracked = Touched(), False
        self._touched.replace(places, counts)
        self._now, self._nonfinite, self._seen = now, nonfinite, self._columns.seen()

    def _note(self, places: Tensor, counted: Tensor, now: int | Tensor) -> None:
        """Remember that places were visited, where a merge may want to know."""
        if isinstance(now, Tensor):
            now = max(self._now, int(now.max())) if now.shape[0] else self._now
        self._now = now
        if self._track or (self._track is None and ranks() > 1):
            self._touched.add(places, counted)
        else:
            self._untracked = True

    def _check_pass(self, now: int | Tensor, size: int) -> int | Tensor:
        """The pass, or that of each of ``size`` rows on the record's device."""
        first = now
        if isinstance(now, Tensor):
            if not checks.is_dense(now) or now.shape != (size,) or now.dtype != torch.int64:
                raise ArgumentError(f"now must be a number, or int64 of shape [{size}]; got {now!r:.80}.")
            first = int(now.min()) if size else self._now
            now = now.to(self.device)
        if checks.count("now", first, 0) < self._now:  # type: ignore[arg-type]  # a number by now
            raise ArgumentError(f"now={first} is before pass {self._now}, the last one recorded; passes never go back.")
        return now

    def _column(self, name: str, values: Tensor, size: int) -> Shaped[Tensor, " b"]:
        """The values for a further column, in its type, checked."""
        if name not in self._columns.extra:
            there = ", ".join(self._columns.extra) or "none"
            raise ArgumentError(
                f"the record has no column {name!r} (it has: {there}). Declare it, as in "
                f"RecordedLosses(..., columns={{{name!r}: torch.bfloat16}})."
            )
        dtype = self._columns.dtypes[name]
        got = checks.form(values)
        if got != (size,):
            raise LossShapeError(f"{name} must be a tensor with one number per id, shape {(size,)}; got {got}.")
        if values.is_complex() or (values.is_floating_point() and not dtype.is_floating_point):
            raise ArgumentError(f"column {name!r} holds {dtype}, and {values.dtype} was given. Convert it first.")
        return values.detach().to(self.device)
