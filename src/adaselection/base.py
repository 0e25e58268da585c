"""What all policies share: the thin state around the pure step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from adaselection import checks, kinds
from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.errors import ArgumentError, NonFiniteLossError, StateError
from adaselection.gated import Gated
from adaselection.step import PolicyState, Recipe, Reduce, step
from adaselection.stepping import Stepping
from adaselection.types import Selection, Signals
from adaselection.windows import refuse_fresh, window_step

STATE_VERSION = 1
_ROUNDING = 1e-4  # of the mean loss


class Policy(Gated, Stepping):
    """What all policies share: the state around the pure `step`. Not made by users; see `AdaSelection`."""

    def __init__(self, recipe: Recipe, seed: int, settings: dict[str, Any]) -> None:
        super().__init__(recipe, seed)
        self._settings = settings
        self._warned = self._warned_below = False

    def __repr__(self) -> str:
        usual, always = self._usual(), ("method", "rate")
        told = (f"{k}={v!r}" for k, v in self._settings.items() if k in always or k not in usual or v != usual[k])
        return f"{type(self).__name__}({', '.join(told)})"

    def _usual(self) -> dict[str, Any]:
        """Settings that need not be told, as nobody asked for others."""
        return {}

    @property
    def rate(self) -> float:
        """Sampling rate: the share of the rows that is kept."""
        return self._recipe.rate

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that are mixed."""
        return tuple(info.name for info in self._recipe.methods)

    @property
    def needs(self) -> frozenset[str]:
        """Signals that the policy reads; empty if it can choose without looking at the model."""
        if self._recipe.importance is None and len(self._recipe.methods) == 1:
            return self._recipe.methods[0].needs
        return frozenset({"losses"}).union(*(info.needs for info in self._recipe.methods))

    @property
    def weighted(self) -> bool:
        """Whether its selections carry sample weights that the training loss must use."""
        first = self._recipe.methods[0]
        own = self._recipe.choice == "draw" and len(self._recipe.methods) == 1 and first.weights is not None
        return self._recipe.weight_exponent > 0 or (own and first.plane == "both")

    @property
    def weighs(self) -> bool:
        """Whether its one method gives the instances of a window weights of its own."""
        return len(self._recipe.methods) == 1 and self._recipe.methods[0].weights is not None

    @property
    def weight_exponent(self) -> float:
        """Exponent of the Horvitz-Thompson weights of what is drawn: 0 biased as the paper, 1 unbiased."""
        return self._recipe.weight_exponent

    @property
    def own_count(self) -> bool:
        """Whether its one method sets its own count on the recorded plane, so that a pass has the length it wants."""
        return len(self._recipe.methods) == 1 and self._recipe.methods[0].own_count

    @property
    def columns(self) -> dict[str, torch.dtype]:
        """Further columns that its methods need in the record."""
        return {name: dtype for info in self._recipe.methods for name, dtype in info.columns}

    @property
    def updates(self) -> list[Callable[[Signals, torch.Tensor], dict[str, torch.Tensor]]]:
        """How the further columns follow from what the record held and the new losses; of those that do."""
        return [info.update for info in self._recipe.methods if info.update is not None]

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that the policy was built from, as plain values."""
        return dict(self._settings)

    @property
    def weights(self) -> dict[str, float]:
        """Weight w of each method, summing to 1. Reading them may wait for an accelerator."""
        values = self._state.log_weights.softmax(0).tolist()
        return dict(zip(self.methods, values, strict=True))

    @property
    def nonfinite(self) -> int:
        """NaN or infinite losses seen so far. Reading it may wait for an accelerator."""
        return int(self._state.nonfinite)

    def select(
        self, signals: Float[torch.Tensor, " b"] | Signals, *, reduce: Reduce | None = None, count: int | None = None
    ) -> Selection:
        """Choose the rows of one batch to train on, and update the weights of the methods from it.

        Args:
            signals: one loss per row, shape ``[b]``, or `Signals` with more than losses.
            reduce: mean over the processes of a training, for tensors of shape ``[m + 1]``; the loaders pass it.
            count: rows to keep; ``k = max(1, round(rate * b))`` if None.

        Returns:
            The `Selection`, with k rows; none of an empty batch.

        Raises:
            LossShapeError: not one loss per row.
            ArgumentError: a signal that a method needs is missing, a method returned the wrong shape, ``count`` is no
                number of rows of this batch, or the weighting judges by the record.
            NonFiniteLossError: more NaN or infinite losses than ``max_nonfinite`` allows, or fewer finite
                ones than rows to keep. The policy is then as it was. On an accelerator, where looking at once would
                mean waiting, `check` raises it instead.
        """
        self.check_fresh()
        signals = checks.as_signals(signals)
        size = signals.losses.shape[0]
        if size == 0:
            empty = signals.losses.new_empty(0)
            return Selection(torch.empty(0, dtype=torch.int64, device=empty.device), empty, empty)
        k = F.kept_per_batch(size, self.rate) if count is None else checks.count("count", count, 1)
        if k > size:
            raise ArgumentError(f"count={k} is more than the {size} rows of the batch.")
        if count is None:
            self.warn_rounding(size, k)
        clean = False
        if signals.losses.device.type == "cpu":
            clean = checks.finite_enough(signals, k, self._recipe.max_nonfinite)
        return self._through(lambda noise: step(self._recipe, self._state, signals, noise, k, reduce, clean), signals)

    def check_fresh(self) -> None:
        """Raise ArgumentError if the weighting judges by the record, and so cannot choose from fresh losses."""
        refuse_fresh(self._recipe)

    def choose(self, signals: Signals, k: int, *, reduce: Reduce | None = None) -> Selection:
        """Choose k of a window of recorded instances by the mixture of the methods' inclusion probabilities.

        Args:
            signals: of the window, as `RecordedLosses.read` gives them, all with a record, shape ``[b]`` each.
            k: instances to draw; a method that sets its own count draws what it wants.
            reduce: as in `select`.

        Returns:
            The `Selection`, with known inclusion probabilities unless the policy takes the top k.

        Raises:
            ArgumentError: a signal that a method needs is missing.
        """
        if not self._mixes_chances:
            return self.select(signals, reduce=reduce, count=k)
        self._warn_below_zero(signals.losses)
        return self._through(lambda noise: window_step(self._recipe, self._state, signals, noise, k, reduce), signals)

    @property
    def _mixes_chances(self) -> bool:
        """Whether it draws from a mixture of inclusion probabilities on the recorded plane."""
        return True

    def check(self) -> None:
        """Raise what `select` could not on an accelerator; waits for it. `SelectiveLoader` calls it now and then.

        Raises:
            NonFiniteLossError: some batch since the last check had too many NaN or infinite losses.
        """
        if int(self._state.alarm):
            self._state = self._state._replace(alarm=torch.zeros_like(self._state.alarm))
            raise NonFiniteLossError(
                f"a batch held more NaN or infinite losses than the share {self._recipe.max_nonfinite:g} allowed, or "
                "fewer finite ones than rows to keep. Lower the learning rate, or raise max_nonfinite."
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit: tensors, numbers and strings, loadable with ``weights_only=True``."""
        tensors = {name: value.detach().cpu().clone() for name, value in self._state._asdict().items()}
        return {
            "version": STATE_VERSION,
            "policy": type(self).__name__,
            "methods": list(self.methods),
            "rate": self.rate,
            "generator": self._generator.get_state(),
            **tensors,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version, policy, method list or rate. The policy is then as it was.
        """
        own = Policy.state_dict(self)  # without what a subclass adds
        checks.same_state(own, state, ("version", "policy", "methods", "rate"), "policy")
        kinds.check(own, state, "policy")
        try:
            tensors = PolicyState(
                *(state[name].to(own[name].dtype).reshape(own[name].shape) for name in PolicyState._fields)
            )
            self._generator.set_state(state["generator"].cpu())
        except (AttributeError, RuntimeError, TypeError) as error:
            raise StateError(f"the state dict is damaged: {error}. Take an undamaged checkpoint.") from error
        self._state = PolicyState(*(value.clone() for value in tensors))

    def _warn_below_zero(self, losses: Float[torch.Tensor, " b"]) -> None:
        """Say once when a rule that counts from 0 gets losses further below it than rounding would bring them."""
        names = [repr(info.name) for info in self._recipe.methods if info.from_zero]
        if names and not self._warned_below and bool((losses < -_ROUNDING * losses.abs().mean()).any()):
            self._warned_below = True
            checks.warn(
                f"some losses are below 0, and {' and '.join(names)} cannot tell these instances apart: they count as "
                "0. Add a constant to the losses, which has no gradient, so that they stay above 0."
            )

    def warn_rounding(self, size: int, k: int) -> None:
        """Say once when rounding to whole rows moves the rate by more than a tenth; `select` does."""
        if not self._warned and abs(k / size - self.rate) > 0.1 * self.rate:
            self._warned = True
            checks.warn(
                f"a batch of {size} rows at rate {self.rate:g} keeps {k}, an effective rate of {k / size:.3g}. "
                "Use larger batches, or select over several of them with SelectiveLoader(window=...).",
            )
