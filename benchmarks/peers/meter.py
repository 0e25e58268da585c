"""What a loop is given, and the count of what it does: by hooks on the model, so that no peer's own word is taken.

A forward pass of a row costs 1 unit, a backward pass 2. The learning rate follows the share of the budget that is used
up, and `Spent` ends the loop before a step that the budget does not pay for, whoever owns the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import TensorDataset

FORWARD, STEP = 1, 3
WARM = 0.2  # share of the budget in which the learning rate rises, as in the lab's one-cycle schedule
ENDLESS = 100_000


class Spent(Exception):  # noqa: N818  # no error: the budget is used up
    """The budget does not pay for the next forward pass."""


class Meter:
    """Counts rows by hooks on a model.

    Args:
        model: Its forward passes are counted.
        allowed: Units that may be used.

    Attributes:
        scored: Rows of forward passes without a graph.
        trained: Rows of forward passes with one.
        backward: Rows of the gradients that reached the model's output.
        used: Units, by the forward passes; a pass with a graph is charged with its backward pass.
    """

    def __init__(self, model: nn.Module, allowed: float) -> None:
        self.allowed = allowed
        self.scored = self.trained = self.backward = self.steps = 0
        self.used = 0.0
        self._with_gradient = torch.zeros((), dtype=torch.int64)
        self._hooks = [model.register_forward_pre_hook(self._before), model.register_forward_hook(self._after)]

    @property
    def share(self) -> float:
        """Share of the budget that is used up."""
        return self.used / self.allowed

    @property
    def with_gradient(self) -> int:
        """Rows whose gradient at the model's output was not zero."""
        return int(self._with_gradient)

    def close(self) -> None:
        """Count no more."""
        for hook in self._hooks:
            hook.remove()

    def _before(self, model: nn.Module, given: tuple[Tensor, ...]) -> None:
        rows, graph = len(given[0]), torch.is_grad_enabled()
        cost = rows * (STEP if graph else FORWARD)
        if self.used + cost > self.allowed + 1e-6:
            raise Spent
        self.used += cost
        if graph:
            self.trained += rows
        else:
            self.scored += rows

    def _after(self, model: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(self._count_backward)

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward += len(gradient)
        self.steps += 1
        self._with_gradient += gradient.ne(0).any(dim=1).sum()


def factor(share: float) -> float:
    """Factor on the learning rate where a share of the budget is used up: up in a fifth of it, then down to 0."""
    return share / WARM if share < WARM else max(0.0, (1 - share) / (1 - WARM))


@dataclass
class Run:
    """What a loop trains.

    Attributes:
        data: Inputs and labels.
        model: Its network.
        optimizer: SGD.
        schedule: Of its learning rate; to be stepped after the optimizer.
        meter: Counts, and ends the loop.
        batch_size: Rows of a batch.
        order: Of a shuffling loader.
        seed: Of a rule that draws.
        rule: Name of the rule, for a loop that trains by any.
        irreducible: Loss of each row under models that did not train on it, ``[n]``, where the rule reads it.
        epochs: More than any budget pays for.
    """

    data: TensorDataset
    model: nn.Module
    optimizer: torch.optim.Optimizer
    meter: Meter
    batch_size: int
    seed: int
    rule: str = ""
    irreducible: Tensor | None = None
    epochs: int = ENDLESS
    schedule: LambdaLR = field(init=False)
    order: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.order = torch.Generator().manual_seed(self.seed)
        half = 0.5 * STEP * self.batch_size / self.meter.allowed  # the middle of the next step counts
        self.schedule = LambdaLR(self.optimizer, lambda _: factor(self.share + half))

    @property
    def share(self) -> float:
        """Share of the budget that is used up."""
        return self.meter.share


Loop = Callable[[Run], None]
