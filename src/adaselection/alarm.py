"""The alarm about losses that are not finite: one process finds them, and all stop at the same step."""

from __future__ import annotations

from torch import Tensor

from adaselection import distributed
from adaselection.errors import NonFiniteLossError

_BAD_SHARE = 0.25
_OTHERS = (
    "too many losses of another process are NaN or infinite; its own error names the instances. Lower the learning "
    "rate, or look at these instances."
)


class Alarm:
    """What was found wrong with recorded losses and not raised yet.

    With several processes nothing is raised before they agreed, as the others would wait for one that stops alone.
    """

    def __init__(self) -> None:
        self._found: NonFiniteLossError | None = None
        self._agreed = False

    @property
    def quiet(self) -> bool:
        """Whether nothing is wrong."""
        return self._found is None

    def look(self, numbers: Tensor, finite: Tensor) -> None:
        """Note if more than a quarter of the losses of these instances are not finite."""
        self._found = _refusal(numbers[~finite], numbers.shape[0]) or self._found

    def agree(self, quiet: float) -> None:
        """Take in whether it is quiet on all processes, the smallest over them; called at the same step by all."""
        if not quiet:
            self._found, self._agreed = self._found or NonFiniteLossError(_OTHERS), True

    def check(self) -> None:
        """Raise what was found.

        Raises:
            NonFiniteLossError: more than a quarter of the losses were NaN or infinite; names the instances of this
                process.
        """
        if self._found is None or not (self._agreed or distributed.world_size() == 1):
            return
        found, self._found, self._agreed = self._found, None, False
        raise found


def _refusal(lost: Tensor, size: int) -> NonFiniteLossError | None:
    """The error where too many losses were not finite."""
    if lost.shape[0] <= _BAD_SHARE * size:
        return None
    rows = lost.tolist()
    shown = ", ".join(map(str, rows[:20])) + (", ..." if len(rows) > 20 else "")
    return NonFiniteLossError(
        f"{len(rows)} of the last {size} losses are NaN or infinite (instances {shown}); these were not recorded. "
        "Lower the learning rate, or look at these instances.",
        rows,
    )
