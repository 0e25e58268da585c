"""How many batches a pass will yield: the arithmetic behind an exact `len`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from adaselection.errors import UnknownLengthError
from adaselection.functional import kept_per_batch
from adaselection.incoming import Sizes

Surplus = Literal["drop", "carry", "flush"]
Update = Literal["accumulate", "every_batch"]
NOTHING = (
    "a pass over this loader keeps fewer rows than one batch and drops them, so it yields nothing. "
    'Pass surplus="carry" or "flush", a smaller batch_size, or a higher rate.'
)


@dataclass(frozen=True)
class Plan:
    """The settings of a loader that decide how many batches come out.

    Attributes:
        sizes: rows of the incoming batches of a pass; None where they cannot be known.
        rate: share of the rows kept; 1 hands every incoming batch through.
        batch_size: rows of a full batch; None before it is known.
        surplus: what happens to left over rows at the end of a pass.
        update: whether kept rows gather to full batches.
        window: incoming batches that one selection looks at.
        warmup: windows at the very start that are handed on whole.
    """

    sizes: Sizes | None
    rate: float
    batch_size: int | None
    surplus: Surplus
    update: Update
    window: int
    warmup: int

    def passes(self, waiting: int, done: int) -> Iterator[int]:
        """Batches of the coming pass, of the one after, and so on.

        Args:
            waiting: rows that wait in the accumulator.
            done: windows seen so far, which count against the warm-up.

        Raises:
            UnknownLengthError: the sizes of the incoming batches are not known.
        """
        if self.sizes is None:
            raise UnknownLengthError(
                "how many batches come out depends on the sizes of the incoming ones, and this loader cannot tell them "
                "beforehand. Pass incoming_sizes=, the rows of each incoming batch of a pass."
            )
        if self.rate == 1:
            while True:
                yield self.sizes.windows
        windows = self.sizes.grouped(self.window)
        if self.update == "every_batch":
            while True:
                yield windows.windows
        waiting = waiting if self.surplus == "carry" else 0
        while True:
            rows = waiting + windows.total(lambda size: kept_per_batch(size, self.rate), max(0, self.warmup - done))
            batches, left = divmod(rows, self.batch_size or 1)
            yield batches + (self.surplus == "flush" and left > 0)
            waiting = left if self.surplus == "carry" else 0
            done += windows.windows
