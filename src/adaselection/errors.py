"""The errors of the library; all derive from `AdaSelectionError`."""

from __future__ import annotations

from collections.abc import Sequence


class AdaSelectionError(Exception):
    """Base of every error that the library raises on purpose."""


class ArgumentError(AdaSelectionError, ValueError):
    """An argument that cannot work; raised where it was given."""


class LossShapeError(AdaSelectionError, ValueError):
    """Losses that are not one number per row of the batch."""


class BatchStructureError(AdaSelectionError, ValueError):
    """A batch whose parts cannot be taken apart row by row or put together again."""


class EmptyLoaderError(AdaSelectionError, ValueError):
    """A loader that has no batch to give."""


class StateError(AdaSelectionError, ValueError):
    """A state dict of another version, policy, method list or loader set-up."""


class ShardingError(AdaSelectionError, RuntimeError):
    """Several processes that would all train on the same rows."""


class ReplayError(AdaSelectionError, RuntimeError):
    """A loader whose pass cannot be taken up again in the middle."""


class UnknownLengthError(AdaSelectionError, TypeError):
    """`len()` of a loader whose batch sizes cannot be known beforehand.

    A `TypeError`, because frameworks read that as "this loader has no length".
    """


class CopyError(AdaSelectionError, TypeError):
    """A loader that was to be copied or pickled.

    A `TypeError`, as Python says of anything else that cannot be pickled.
    """


class NonFiniteLossError(AdaSelectionError, FloatingPointError):
    """Too many NaN or infinite losses.

    Attributes:
        rows: positions in the batch of the losses that are not finite, where they are known.
    """

    def __init__(self, message: str, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.rows = tuple(rows)
