"""The gate of a policy: whether to choose from recorded instances at all, and what training teaches about that."""

from __future__ import annotations

from torch import Tensor

from adaselection._shapes import Float
from adaselection.condition import Condition
from adaselection.processes import Processes
from adaselection.tenure import Opening
from adaselection.types import Signals


class Gate:
    """None: always open, and nothing learnt from what training sees. What each answer means stands in `Gated`."""

    @property
    def verdict(self) -> str | None:
        """None, as it judges nothing."""
        return None

    @property
    def lacking(self) -> dict[str, tuple[Condition, ...]]:
        """Nothing."""
        return {}

    @property
    def opened(self) -> Opening | None:
        """None, as it was never shut."""
        return None

    @property
    def given_up(self) -> dict[str, tuple[Condition, ...]]:
        """Nothing, as it never shuts."""
        return {}

    @property
    def idle(self) -> bool:
        """Never."""
        return False

    @property
    def gains(self) -> tuple[float | None, float | None]:
        """None."""
        return None, None

    @property
    def reads_targets(self) -> bool:
        """Never."""
        return False

    @property
    def targets_found(self) -> bool | None:
        """None, as it looks at none."""
        return None

    @property
    def targets_numeric(self) -> bool | None:
        """None, as it looks at none."""
        return None

    windows = 1
    """Of a walk."""
    known = False
    """Whether wrong labels are known to be there."""

    def opens(self, signals: Signals, processes: Processes | None = None) -> bool:
        """Whether to leave anything out of a window."""
        return True

    def observe(self, before: Signals, losses: Float[Tensor, " b"]) -> None:
        """Learn from losses that training has just seen."""


class Gated:
    """What a recorded loader asks of a policy beyond the choice."""

    _gate = Gate()
    _on_records = False

    def use_records(self, windows: int = 1) -> None:
        """Say that the policy chooses from recorded losses from now on; `RecordedLoader` does.

        Args:
            windows: of a walk over the data.
        """
        self._on_records = True
        if self._gate is not Gated._gate:  # that one is of all policies
            self._gate.windows = windows

    @property
    def wrong_labels(self) -> bool:
        """Whether the user said that some labels are wrong, so that what is left out waits for longer."""
        return self._gate.known

    def opens(self, signals: Signals, *, processes: Processes | None = None) -> bool:
        """Whether to choose from a window of recorded instances at all, or to train on all of it.

        Always, but for the default of `AdaSelection`, which judges the evidence first.

        Args:
            signals: of the window, shape ``[b]`` each.
            processes: of a training with several: each judges its windows and those of the others as one.
        """
        return self._gate.opens(signals, processes)

    @property
    def observes(self) -> bool:
        """Whether `observe` learns anything, so that it must be told what the record held before."""
        return type(self).observe is not Gated.observe or type(self._gate) is not Gate

    def observe(self, before: Signals, losses: Float[Tensor, " b"]) -> None:
        """Learn from losses that training has just seen.

        Args:
            before: what the record held of these instances until then, shape ``[b]`` each.
            losses: their losses now.
        """
        self._gate.observe(before, losses)

    @property
    def verdict(self) -> str | None:
        """What `opens` made of the last window; None where it judges no evidence.

        The member of the earned mixture that the window got, or ``"rare targets"`` if targets alone shut the gate.
        """
        return self._gate.verdict

    @property
    def lacking(self) -> dict[str, tuple[Condition, ...]]:
        """By member of the earned mixture, the conditions that kept the gate shut for it in the last window.

        Empty while it is open, before the first window is judged, and where no evidence is judged.
        """
        return self._gate.lacking

    @property
    def opened(self) -> Opening | None:
        """How the member of the earned mixture that came to the weight last did: its window, and what was met then.

        None before any did, and where no evidence is judged.
        """
        return self._gate.opened

    @property
    def given_up(self) -> dict[str, tuple[Condition, ...]]:
        """The member of the earned mixture that lost the weight last, and the conditions to keep it that it lacked.

        No condition where it lacked none, and another member took over. Empty while none has lost it, and where no
        evidence is judged.
        """
        return self._gate.given_up

    @property
    def idle(self) -> bool:
        """The stop indicator: whether no method is expected to lower a loss any more."""
        return self._gate.idle

    @property
    def gains(self) -> tuple[float | None, float | None]:
        """What the gate expected of a chosen instance over one at random, and what was seen; None before it opened."""
        return self._gate.gains

    @property
    def reads_targets(self) -> bool:
        """Whether `observe` looks at ``before.targets`` now, so that batches are searched for them."""
        return self._gate.reads_targets

    @property
    def targets_found(self) -> bool | None:
        """Whether any batch said what its rows are, of those whose targets `observe` looked at; None without one."""
        return self._gate.targets_found

    @property
    def targets_numeric(self) -> bool | None:
        """Whether targets were taken for numbers, not for classes; None before a window was judged by any."""
        return self._gate.targets_numeric
