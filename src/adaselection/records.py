"""What training saw last of each instance, in a constant number of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from adaselection import checks
from adaselection._shapes import Bool, Float, Int
from adaselection.bulk import ordered
from adaselection.columns import MOST, Rows, differs, fitted, last_rows
from adaselection.errors import ArgumentError, LossShapeError
from adaselection.kept import Kept
from adaselection.slots import id_vector, make_slots
from adaselection.types import Signals


class RecordedLosses(Kept):
    """Last loss, moving average of the losses, age and visits of every instance of a data set: 8 bytes each.

    Kept are the loss and its average as bfloat16 (three digits), the pass of the last visit in 16 bits (wraps around:
    ages are right up to 65,535 passes and then start again at 0) and the visits in 16 bits (stop at 65,535). With 0
    visits there is no record; nothing else marks it.

    Exactly one of ``size``, ``ids`` and ``slots`` says how ids become places.

    Args:
        size: ids are ``0 .. size - 1``, as a map-style data set has them.
        ids: any distinct ids, shape ``[n]``; the index takes 8 further bytes an instance (``index_bytes``).
        slots: for streams of unknown length, ids are hashed to so many places. Ids that share one share its record: of
            n ids a share of about ``1 - exp(-n / slots)``.
        columns: further columns that methods need, name to torch type. Columns named ``grad_norms`` or
            ``irreducible`` also fill those of `Signals`.
        momentum: weight of the old average against a new loss, in ``[0, 1)``. Beyond .9 the three digits of the
            average begin to hold it back.
        device: where the record is kept. On an accelerator, ids on the CPU of a record by ``size`` or ``slots`` are
            looked up without waiting for it.
        track: note which records change, which `merge` needs: 12 bytes a visit or less. None notes it while a process
            group of more than one is there.

    Raises:
        ArgumentError: an argument cannot work.

    Example:
        >>> import torch
        >>> record = RecordedLosses(4)
        >>> record.update(torch.tensor([2, 0]), torch.tensor([1.5, 0.25]), now=1)
        >>> signals = record.read(torch.arange(4), now=3)
        >>> signals.losses, signals.ages, signals.valid
        (tensor([0.2500, 0.0000, 1.5000, 0.0000]), tensor([2., 3., 2., 3.]), tensor([ True, False,  True, False]))
        >>> len(record), record.unseen, record.bytes_per_instance
        (4, 2, 8)
    """

    def __init__(
        self,
        size: int | None = None,
        *,
        ids: Tensor | None = None,
        slots: int | None = None,
        columns: Mapping[str, torch.dtype] | None = None,
        momentum: float = 0.5,
        device: torch.device | str = "cpu",
        track: bool | None = None,
    ) -> None:
        if not 0 <= checks.number("momentum", momentum) < 1:
            raise ArgumentError(f"momentum={momentum!r} is outside [0, 1): it is the weight of the old average.")
        if track is not None and not isinstance(track, bool):
            raise ArgumentError(f"track must be True, False or None; got {track!r}.")
        self._momentum = float(momentum)
        columns = {} if columns is None else columns
        if not isinstance(columns, Mapping):
            raise ArgumentError(f"columns must be a mapping of names to torch types; got {columns!r:.80}.")
        super().__init__(make_slots(size, ids, slots), columns, _place(device), track)

    def update(self, ids: Tensor, losses: Tensor, *, now: int | Tensor, **columns: Tensor) -> None:
        """Record what training saw.

        Where an id stands several times its last row counts, and each is a visit. A row with a NaN or an infinity is
        counted and otherwise left out. Losses beyond what bfloat16 holds count as its largest number.

        Args:
            ids: of the instances, shape ``[b]``.
            losses: one each, shape ``[b]``.
            now: number of the pass, which never goes back; or that of each row, int64 of shape ``[b]``.
            **columns: further columns, shape ``[b]`` each; those not given stay as they are.

        Raises:
            ArgumentError: unknown ids or columns, or a pass that went back. Nothing is recorded then.
            LossShapeError: not one number per id.
        """
        self._record(ids, losses, now, columns)

    def exchange(self, ids: Tensor, losses: Tensor, *, now: int | Tensor, **columns: Tensor) -> Signals:
        """Record what training saw as `update` does, and return what `read` said of the rows before it.

        Where an id stands several times, all its rows get the record from before the call. Raises what `update` does.
        """
        return _signals(*self._record(ids, losses, now, columns))

    def _record(
        self, ids: Tensor, losses: Tensor, now: int | Tensor, columns: Mapping[str, Tensor]
    ) -> tuple[Rows, int | Tensor]:
        """Record what training saw; returns what was there before, and the pass of it."""
        places = self._slots.find(id_vector(ids), self.device)
        size = places.shape[0]
        now = self._check_pass(now, size)
        new = self._losses(losses, size)
        given = {name: self._column(name, value, size) for name, value in columns.items()}
        finite = new.isfinite()
        for value in given.values():
            finite = finite & value.isfinite()
        stamps = now & MOST if isinstance(now, Tensor) else torch.full_like(places, now & MOST)
        extra = {name: fitted(value, self._columns.dtypes[name]) for name, value in given.items()}
        before, rows = self._columns.take(places), Rows(new, new, stamps, torch.ones_like(places), extra)
        if _each_once(places, finite):
            self._columns.put(places, self._mixed(before, rows))
            fresh = before.visits == 0
        else:
            ordered, order, last, visits = last_rows(places, finite)
            old, some = before.at(order), visits > 0
            rows = self._mixed(old, replace(rows.at(last), visits=visits))
            self._columns.put(ordered, rows.where(some, old))
            fresh = some & (old.visits == 0) & differs(ordered)
            self._nonfinite = self._nonfinite + (~finite).sum()
        self._seen = self._seen + fresh.sum()
        self._note(places, finite, now)
        return before, now

    def _mixed(self, old: Rows, new: Rows) -> Rows:
        """What the record holds after some visits of a loss and a number each."""
        averages = self._momentum * old.averages + (1 - self._momentum) * new.losses
        averages = torch.where(old.visits == 0, new.losses, averages)
        return replace(new, averages=averages, visits=(old.visits + new.visits).clamp_max(MOST))

    def fill(self, name: str, ids: Tensor, values: Tensor) -> None:
        """Set a further column that training does not change, such as ``irreducible``; this is no visit.

        It does not travel in a `merge`: fill it on every process.

        Args:
            name: of the column.
            ids: of the instances, shape ``[b]``; where one stands several times, its last row counts.
            values: one each, shape ``[b]``; rows with a NaN or an infinity are counted and left out.

        Raises:
            ArgumentError: unknown ids or column.
            LossShapeError: not one number per id.
        """
        places = self._slots.find(id_vector(ids), self.device)
        given = self._column(name, values, places.shape[0])
        finite, column = given.isfinite(), self._columns.extra[name]
        places, _, last, count = last_rows(places, finite)
        column[places] = torch.where(count > 0, fitted(given, column.dtype)[last], column[places])
        self._nonfinite = self._nonfinite + (~finite).sum()

    def read(self, ids: Tensor, *, now: int | Tensor) -> Signals:
        """What is known of some instances.

        Args:
            ids: shape ``[b]``; they may repeat.
            now: number of the pass, or that of each row, int64 of shape ``[b]``.

        Returns:
            `Signals` with ``losses``, ``averages``, ``ages``, ``visits``, ``valid`` (there is a record) and all
            ``columns``, on the record's device; floats as float32. Without a record losses, averages and visits are
            0, and the age counts from pass 0.

        Raises:
            ArgumentError: unknown ids, or a pass before the last one recorded.
        """
        places = self._slots.find(id_vector(ids), self.device)
        now = self._check_pass(now, places.shape[0])
        return _signals(self._columns.take(places), now)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit: tensors, numbers and strings, loadable with ``weights_only=True``.

        Holds copies on the CPU. Of several processes each has its own state; after a `merge` all have the same.
        """
        return {**super().state_dict(), "momentum": self._momentum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; instances that came after it was saved have no record.

        Raises:
            StateError: the state is of another version, kind of ids, momentum or columns, or has instances that this
                record lacks. The record is then as it was.
        """
        checks.same_state({"momentum": self._momentum}, state, ("momentum",), "record")
        super().load_state_dict(state)

    def _losses(self, losses: Tensor, size: int) -> Float[Tensor, " b"]:
        values = checks.as_signals(losses).losses
        if values.shape[0] != size:
            raise LossShapeError(f"there are {size} ids and {values.shape[0]} losses; give one of each per row.")
        values = values.to(self.device)
        if values.dtype == torch.float32:
            return values
        return torch.where(values.isfinite(), fitted(values, torch.float32), values.to(torch.float32))


def _place(device: torch.device | str) -> torch.device:
    """The device of that name.

    Raises:
        ArgumentError: there is no such kind of device.
    """
    try:
        return torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(f"device={device!r:.80} names no device: {error}".splitlines()[0]) from error


def _signals(rows: Rows, now: int | Tensor) -> Signals:
    """What records say in a pass, or in that of each row."""
    real = torch.float32
    columns = {name: value.to(real) if value.is_floating_point() else value for name, value in rows.extra.items()}
    return Signals(
        losses=rows.losses,
        averages=rows.averages,
        ages=((now - rows.stamps) & MOST).to(real),
        visits=rows.visits,
        valid=rows.visits > 0,
        columns=columns,
        grad_norms=columns.get("grad_norms"),
        irreducible=columns.get("irreducible"),
    )


def _each_once(places: Int[Tensor, " b"], counted: Bool[Tensor, " b"]) -> bool:
    """Whether every row counts and no place stands twice; only asked where looking costs no waiting."""
    return places.device.type == "cpu" and bool(counted.all()) and bool(differs(ordered(places)).all())
