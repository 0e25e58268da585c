"""What the visits of training say about instances with a record, between one window and the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaselection import kinds
from adaselection._shapes import Float
from adaselection.columns import fitted
from adaselection.functional.evidence import Movement
from adaselection.processes import Processes

_KEEP, _MEMORY = 0.5, 1000.0  # share of the sums, and most visits, that are carried on from window to window
_NAMES = ("sums", "progress", "found")
_LENGTHS = (len(Movement._fields), 3, 4)


class Seen(NamedTuple):
    """What the visits say.

    Attributes:
        sums: of how the upper group moved, plain numbers.
        finds: mean loss that a draw of ``hard`` finds, over that of all; 0 if unknown.
        visits: since the last window, of all instances.
        before: sum of their recorded losses.
        now: sum of their losses at the visit.
    """

    sums: Movement
    finds: float
    visits: float
    before: float
    now: float


class Visits:
    """Sums over visits, of which half are carried on to the next window."""

    def __init__(self) -> None:
        self._sums, self._progress, self._found = (torch.zeros(length, dtype=torch.float64) for length in _LENGTHS)

    def moved(self, movement: Movement) -> None:
        """Take how some of the upper group moved."""
        self._sums += torch.stack(list(movement)).cpu()

    def fell(self, old: Float[Tensor, " b"], new: Float[Tensor, " b"]) -> None:
        """Take losses by the record, and now, both as a record has them; else rounding tells which are lower."""
        self._progress[0] += len(new)
        self._progress[1:] += fitted(torch.stack((old, new)), torch.bfloat16).double().sum(1).cpu()

    def find(self, counts: Float[Tensor, "2 b"], losses: Float[Tensor, " b"]) -> None:
        """Take losses, and what each stands for: of the draws of ``hard``, and of all, as `worth.stood_for` says."""
        self._found += (counts @ torch.stack((losses, torch.ones_like(losses))).T).flatten().cpu()

    def seen(self, processes: Processes | None = None) -> Seen:
        """What the sums say, those of all processes together, as plain numbers, which cost far less than tensors."""
        numbers = torch.cat((self._sums, self._found, self._progress))
        numbers = numbers if processes is None else processes.total(numbers)
        *sums, chosen, draws, total, rows, visits, before, now = numbers.tolist()
        finds = chosen * rows / (draws * total) if draws * total > 0 else 0.0
        return Seen(Movement(*sums), finds, visits, before, now)

    def carry_on(self, visits: float, least: float) -> None:
        """Begin the next window with half of the sums, and of no more visits than are worth remembering.

        Args:
            visits: of the upper group, behind the sums; of all processes together.
            least: visits of them to remember at least, so that there are never too few to judge by.
        """
        count = max(1.0, visits)
        carried = min(max(_KEEP * count, least), _MEMORY, count)
        self._sums *= carried / count
        self._found *= _KEEP
        self._progress.zero_()

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        return {name: getattr(self, f"_{name}").clone() for name in _NAMES}

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse what is no `state_dict`.

        Raises:
            StateError: it is not.
        """
        kinds.check(self.state_dict(), state, "evidence")
        kinds.numbers(self.state_dict(), state, _NAMES, "evidence")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, which `check` has seen."""
        self._sums, self._progress, self._found = (state[name].clone() for name in _NAMES)
