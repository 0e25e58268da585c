"""Losses of some batches that wait for the next window, and what came with them."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaselection import kinds
from adaselection._shapes import Float, Int, Shaped
from adaselection.bulk import as_tensor, joined, stamps_of
from adaselection.errors import StateError
from adaselection.targets import together

_ROWS = ("numbers", "losses", "targets")


class Lot(NamedTuple):
    """All that waited, in the order in which it came.

    Attributes:
        numbers: of the instances in the data set.
        stamps: pass of each, or of all of them.
        losses: one each, where the last of them is.
        targets: what batches said of them, as far as the policy asked.
        columns: further numbers by name.
    """

    numbers: Int[Tensor, " n"]
    stamps: int | Int[Tensor, " n"]
    losses: Float[Tensor, " n"]
    targets: Shaped[Tensor, "n p"]
    columns: dict[str, Tensor]


class Pending:
    """Gathers losses batch by batch at the least cost for each; whole tensors are made once for all."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._runs: list[list[int]] = []  # pass, and how many in a row came in it
        self._losses: list[Tensor] = []
        self._targets: list[Tensor | int] = []
        self._columns: dict[str, list[Tensor]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(
        self, numbers: list[int], now: int, losses: Tensor, targets: Tensor | int, columns: Mapping[str, Tensor]
    ) -> None:
        """Take a batch.

        Args:
            numbers: of its instances.
            now: number of the pass.
            losses: one each.
            targets: what is known of each, ``[b, p]``, or how many there are where the policy does not ask.
            columns: further numbers by name, the same names every time.
        """
        self._numbers.extend(array("q", numbers))  # far faster than one by one
        if self._runs and self._runs[-1][0] == now:
            self._runs[-1][1] += len(numbers)
        else:
            self._runs.append([now, len(numbers)])
        self._losses.append(losses)
        self._targets.append(targets)
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values)

    def lot(self) -> Lot:
        """All that waits, at least one batch; nothing may be added any more."""
        columns = {name: joined(values) for name, values in self._columns.items()}
        losses, targets = joined(self._losses), together(self._targets)
        return Lot(as_tensor(self._numbers), stamps_of(self._runs), losses, targets, columns)

    def first_nonfinite(self) -> int | None:
        """Number of the first instance whose loss is not finite."""
        bad = (~joined(self._losses).isfinite()).nonzero().flatten().tolist()
        return self._numbers[bad[0]] if bad else None

    def state_dict(self) -> dict[str, Any]:
        """All that waits, on the CPU."""
        return {
            "numbers": torch.tensor(self._numbers, dtype=torch.int64),
            "runs": [list(run) for run in self._runs],
            "losses": joined(self._losses).cpu(),
            "targets": (targets := together(self._targets)).cpu().double(),
            "integral": not targets.is_floating_point(),
            "columns": {name: joined(values).cpu() for name, values in self._columns.items()},
        }

    @classmethod
    def of(cls, state: Mapping[str, Any], names: Collection[str]) -> Pending:
        """What a `state_dict` says.

        Args:
            state: what it gave.
            names: of the columns.

        Raises:
            StateError: the state is damaged.
        """
        kinds.check(cls().state_dict(), state, "recorder")
        kinds.entries(state["columns"], Tensor, "recorder", "columns")
        kinds.entries(state["runs"], list, "recorder", "runs")
        for run in state["runs"]:
            kinds.entries(run, int, "recorder", "runs")
            if len(run) != 2:
                raise kinds.damaged("recorder", "runs", run)
        rows, columns = sum(many for _, many in state["runs"]), state["columns"]
        if rows and set(columns) != set(names):
            raise kinds.damaged("recorder", "columns", list(columns))
        for name, values in {**{name: state[name] for name in _ROWS}, **columns}.items():
            if values.shape[:1] != (rows,):
                raise StateError(
                    f"the recorder state is damaged: {name} is of shape {tuple(values.shape)}, and {rows} rows wait. "
                    "Take an undamaged checkpoint."
                )
        found, targets = cls(), state["targets"].long() if state["integral"] else state["targets"]
        if rows:
            found._numbers, found._runs = array("q", state["numbers"].tolist()), [list(run) for run in state["runs"]]
            found._losses, found._targets = [state["losses"].clone()], [targets.clone()]
            found._columns = {name: [values.clone()] for name, values in columns.items()}
        return found
