"""The words of the library as types.

Shape legend, used in every docstring and annotation: ``b`` rows of a batch or window, ``k`` rows kept of it,
``m`` methods, ``n`` instances of a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from adaselection._shapes import Bool, Float, Int, Shaped

LossKind = Literal["cross_entropy", "squared_error", "other"]


@dataclass(frozen=True)
class Signals:
    """What is known about the rows of one batch when methods judge them.

    Attributes:
        losses: one loss per row, shape ``[b]``.
        grad_norms: norm of the loss's gradient at the model's output, shape ``[b]``; needed by ``grad_norm``.
        kind: what the losses are. ``"cross_entropy"`` lets ``adaboost`` turn a loss into the probability of the
            label; ``"other"`` is always sound.
        noise: uniform random numbers in ``[0, 1)``, shape ``[b]``, from the policy's own generator. Filled in by the
            policy; a method of your own that needs chance takes it from here.
        valid: True where the row's signals are finite (on the recorded plane: where there is a record), shape ``[b]``.
            Filled in by the policy, which also puts the mean of the valid losses in the place of the others, so that
            averages stay what they are.
        scale: running mean of the absolute loss, a scalar. Filled in by the policy.
        averages: moving average of each instance's own losses, shape ``[b]``. This and what follows is known on the
            recorded plane only, where the rows are a window of instances and ``losses`` are what training saw last.
        ages: passes since the instance was trained on last, shape ``[b]``, at least 0.
        visits: how often the instance was trained on, shape ``[b]``, int64.
        irreducible: loss of each instance under a model trained on other data, shape ``[b]``; for ``rho_loss``.
        targets: what the batches say that each instance is, classes or numbers, one column for each part that may say
            it, NaN where it is not known, shape ``[b, p]``; float64, or integers where all are such. Filled in for
            `Policy.observe`, of batches handed out while `Policy.reads_targets`.
        columns: further columns of the record, by name, shape ``[b]`` each.
    """

    losses: Float[Tensor, " b"]
    grad_norms: Float[Tensor, " b"] | None = None
    kind: LossKind = "other"
    noise: Float[Tensor, " b"] | None = None
    valid: Bool[Tensor, " b"] | None = None
    scale: Float[Tensor, ""] | None = None
    averages: Float[Tensor, " b"] | None = None
    ages: Float[Tensor, " b"] | None = None
    visits: Int[Tensor, " b"] | None = None
    irreducible: Float[Tensor, " b"] | None = None
    targets: Shaped[Tensor, "b p"] | None = None
    columns: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def smoothed(self) -> Float[Tensor, " b"]:
        """Moving averages of the losses; the losses where there are none, shape ``[b]``."""
        return self.losses if self.averages is None else self.averages

    @classmethod
    def blank(cls, size: int, device: torch.device | str = "cpu") -> Signals:
        """Signals of a batch of ``size`` rows for a policy that needs none: every loss is 0."""
        return cls(losses=torch.zeros(size, device=device))

    def at(self, rows: Tensor) -> Signals:
        """Signals of some rows: their numbers, shape ``[k]``, or True for each, shape ``[b]``."""

        def part(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[rows]

        return Signals(
            losses=self.losses[rows],
            grad_norms=part(self.grad_norms),
            kind=self.kind,
            noise=part(self.noise),
            valid=part(self.valid),
            scale=self.scale,
            averages=part(self.averages),
            ages=part(self.ages),
            visits=part(self.visits),
            irreducible=part(self.irreducible),
            targets=part(self.targets),
            columns={name: value[rows] for name, value in self.columns.items()},
        )


Method = Callable[[Signals], Float[Tensor, " b"]]
"""A candidate subsampling rule g_m (eq. 2): one raw score per row, larger is more wanted."""


@dataclass(frozen=True)
class Selection:
    """Which rows of a batch to train on.

    Attributes:
        indices: the rows kept, in the order of the batch, shape ``[k]``, int64.
        scores: the score s of every row (eq. 5), shape ``[b]``; minus infinity where a loss was not finite.
        sample_weights: weight of each kept row in the training loss, mean 1, shape ``[k]``.
        inclusion_probabilities: chance that each row had of being kept, shape ``[b]``, or None where the choice was
            deterministic.
    """

    indices: Int[Tensor, " k"]
    scores: Float[Tensor, " b"]
    sample_weights: Float[Tensor, " k"]
    inclusion_probabilities: Float[Tensor, " b"] | None = None
