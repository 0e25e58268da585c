"""Rows pushed in, full batches popped out (algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from adaselection import kinds, tree
from adaselection.errors import BatchStructureError
from adaselection.tree import Batch


class Accumulator:
    """The set C of algorithm 2: kept rows wait here until they make a full batch.

    Differs from the paper in: a batch is full when ``|C| >= b``, and what is over waits on; as printed, ``|C| = |B|``
    never holds where k does not divide b.

    Args:
        join: puts the rows of several batches into one.
    """

    def __init__(self, join: Callable[[Sequence[Batch]], Batch] = tree.cat) -> None:
        self._join = join
        self._parts: list[Batch] = []
        self._rows = 0
        self._restored: list[Any] | None = None

    def __len__(self) -> int:
        """Rows that wait."""
        return self._rows

    def push(self, rows: Batch) -> None:
        """Add rows."""
        self.shape_like(rows)
        self._parts.append(rows)
        self._rows += tree.length(rows)

    def pop(self, size: int) -> Batch:
        """Take the first ``size`` rows out as one batch.

        Raises:
            BatchStructureError: fewer rows wait, or their structures differ.
        """
        if not 0 < size <= self._rows or self._restored is not None:
            raise BatchStructureError(f"{self._rows} rows wait, so {size} cannot be taken out.")
        joined = self._join(self._parts)
        self._parts = [tree.narrow(joined, size, self._rows)] if size < self._rows else []
        self._rows -= size
        return joined if not self._parts else tree.narrow(joined, 0, size)

    def clear(self) -> None:
        """Drop what waits."""
        self._parts, self._rows, self._restored = [], 0, None

    @property
    def shapeless(self) -> bool:
        """Whether restored rows wait for a batch that tells their structure."""
        return self._restored is not None

    def shape_like(self, batch: Batch) -> None:
        """Give restored rows the structure and devices of a batch."""
        if self._restored is None:
            return
        saved, self._restored = self._restored, None
        likes = tree.leaves(batch)
        if len(likes) == len(saved):
            saved = [_placed(row, like) for row, like in zip(saved, likes, strict=True)]
        self._parts = [tree.with_leaves(batch, saved)]

    def state_dict(self) -> dict[str, Any]:
        """The rows that wait as flat parts: tensors and lists, without the structure around them."""
        if self._restored is not None:
            return {"rows": self._rows, "parts": list(self._restored)}
        flat = tree.leaves(self._join(self._parts)) if self._rows else []
        parts = [leaf.detach().cpu().clone() if isinstance(leaf, Tensor) else list(leaf) for leaf in flat]
        return {"rows": self._rows, "parts": parts}

    @staticmethod
    def check(state: Any) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is none.
        """
        own = {"rows": 0, "parts": []}
        kinds.check(own, state, "waiting")
        kinds.entries(state["parts"], (Tensor, list), "waiting", "parts")
        for part in state["parts"]:
            if (isinstance(part, Tensor) and not part.dim()) or len(part) != state["rows"]:
                raise kinds.damaged("waiting", "parts", part)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take rows back; they regain their structure from the next batch."""
        self.clear()
        self._rows = int(state["rows"])
        self._restored = list(state["parts"]) if self._rows else None


def _placed(rows: Any, like: Any) -> Any:
    """Saved rows on the device, or as the kind of list, of the same part of a batch."""
    if isinstance(rows, Tensor) and isinstance(like, Tensor):
        return rows.to(like.device)
    return type(like)(rows) if isinstance(rows, list) and isinstance(like, (list, tuple)) else rows
