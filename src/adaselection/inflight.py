"""Batches on their way through the training loop."""

from __future__ import annotations

from collections import deque

from adaselection.drawn import Drawn
from adaselection.errors import AdaSelectionError


class InFlight(deque[Drawn]):
    """Batches handed out whose losses have not come, the oldest first.

    Losses are matched with batches by order alone, so a batch that is passed over would give all later losses to the
    wrong instances. A loop hands in losses at one distance: when the first losses of a pass come in, one batch waits,
    or some more in a loop that looks ahead or gathers batches; later never more.

    Attributes:
        most: batches that waited when the first losses of this pass came in; 0 before.
        silent: whether none of this pass got `record` or `skip`.
    """

    most = 0
    silent = True

    def clear(self) -> None:
        """Forget all of them, how many waited, and whether losses came."""
        super().clear()
        self.most, self.silent = 0, True

    def popleft(self) -> Drawn:
        """The oldest, whose losses came or will not come."""
        self.silent = False
        return super().popleft()

    def oldest(self) -> Drawn:
        """The batch whose losses come now.

        Raises:
            AdaSelectionError: none waits, or a batch before it was passed over. Nothing has changed then.
        """
        if not self:
            raise AdaSelectionError(
                "record() was called more often than batches were handed out. Call it once for each batch, in training "
                "steps only: not in a validation step, and not after the pass."
            )
        self.most, self.silent = self.most or len(self), False
        if len(self) > self.most:
            missing = len(self) - self.most
            raise AdaSelectionError(
                f"{count(missing)} handed out before this one got no record(), and losses are matched with batches by "
                "their order. Call loader.record(per_sample_losses) once for each batch, or loader.skip() for one "
                "that you leave out."
            )
        return self[0]


def count(batches: int) -> str:
    """So many batches, in words."""
    return f"{batches} batch{'es' * (batches != 1)}"


def forgotten(what: str) -> str:
    """What to do about losses that did not come; ``what`` says which."""
    return (
        f"{what}, so nothing can be chosen from them. Write loss = loader.record(per_sample_losses) in the loop, once "
        "for each batch, in the order of the batches."
    )


def unheard(batches: int) -> str:
    """What to do about a pass that was left after so many batches, none of which got `record` or `skip`."""
    what = f"the last pass was left after {count(batches)}, none of which got record() or skip()"
    return (
        f"{forgotten(what)} They are handed out again by the next pass. To look at batches without training, iterate "
        "over loader.plain."
    )
