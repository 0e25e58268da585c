"""What a Hugging Face model puts out, as one loss per row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as nnf

from adaselection import functional
from adaselection._shapes import Float, Int, Shaped
from adaselection.errors import LossShapeError
from adaselection.losses import position_losses
from adaselection.types import LossKind

_FIX = "Pass row_losses=, a function (outputs, inputs) -> losses [b]."


@dataclass(frozen=True)
class RowLosses:
    """The losses of a batch, row by row.

    Attributes:
        sums: over each row's labels, shape ``[b]``.
        counts: labels of each row, shape ``[b]``; 1 where a row has one label.
        kind: what the losses are.
        logits: classes second, and ``labels`` to go with them; None where the user gives the losses.
    """

    sums: Float[Tensor, " b"]
    counts: Int[Tensor, " b"]
    kind: LossKind
    logits: Tensor | None
    labels: Tensor | None
    smoothing: float = 0.0

    @property
    def means(self) -> Float[Tensor, " b"]:
        """Mean over each row's own labels; 0 for a row without any."""
        return self.sums / self.counts.clamp_min(1)

    def grad_norms(self) -> Float[Tensor, " b"]:
        """Norm of the gradient of each row's mean loss at the logits.

        Raises:
            LossShapeError: there is no closed form for these labels.
        """
        logits, labels = self.classified()
        return functional.cross_entropy_grad_norm(
            logits.detach(), labels, label_smoothing=self.smoothing, token_reduction="mean"
        )

    def classified(self) -> tuple[Tensor, Tensor]:
        """Logits and class numbers.

        Raises:
            LossShapeError: there are none.
        """
        if self.logits is None or self.labels is None or self.labels.is_floating_point():
            raise LossShapeError(
                "gradient norms need logits and class labels, and these losses come from others. Take a method that "
                "reads losses alone."
            )
        return self.logits, self.labels


def row_losses(
    outputs: Any, labels: Any, *, shifted: bool = False, smoothing: float = 0.0, problem: str | None = None
) -> RowLosses:
    """Losses of a model's outputs, as the model itself computes their mean.

    Args:
        outputs: with ``logits``, or a tuple that has them before anything else with dimensions.
        labels: class numbers ``[b]`` or ``[b, positions]``, -100 where there is none; targets ``[b]`` or ``[b, c]``;
            or marks ``[b, c]`` of several classes.
        shifted: whether each position predicts the next label, as in causal language models.
        smoothing: label smoothing.
        problem: ``config.problem_type`` of the model.

    Raises:
        LossShapeError: no logits, no labels, or shapes that do not go together; the message has the fix.

    Differs from the model's own loss in: each row is averaged over its own labels, not over those of the batch.
    """
    logits = _logits(outputs)
    if not isinstance(labels, Tensor):
        raise LossShapeError(f"the batch has no labels, so there is no loss for each row. {_FIX}")
    logits = logits.float()
    if labels.is_floating_point():
        return _of_numbers(logits, labels, problem)
    if logits.dim() != labels.dim() + 1:
        raise LossShapeError(
            f"logits of shape {tuple(logits.shape)} do not go with labels of shape {tuple(labels.shape)}. {_FIX}"
        )
    if shifted:
        logits, labels = logits[:, :-1], labels[:, 1:]
    logits = logits.movedim(-1, 1)
    sums, counts = position_losses(logits, labels, smoothing)
    return RowLosses(sums, counts, "other" if smoothing else "cross_entropy", logits, labels, smoothing)


def _of_numbers(logits: Tensor, labels: Tensor, problem: str | None) -> RowLosses:
    """Squared errors, or those of several classes at once."""
    if logits.numel() != labels.numel() or logits.shape[0] != labels.shape[0]:
        raise LossShapeError(
            f"logits of shape {tuple(logits.shape)} do not go with targets of shape {tuple(labels.shape)}. {_FIX}"
        )
    logits, labels = logits.reshape(logits.shape[0], -1), labels.reshape(labels.shape[0], -1).float()
    several = problem == "multi_label_classification" or (problem is None and logits.shape[1] > 1)
    loss = nnf.binary_cross_entropy_with_logits if several else nnf.mse_loss
    means = loss(logits, labels, reduction="none").mean(1)
    ones = torch.ones(means.shape, dtype=torch.int64, device=means.device)
    return RowLosses(means, ones, "other" if several else "squared_error", logits, labels)


def _logits(outputs: Any) -> Shaped[Tensor, " b *rest"]:
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if found is None and isinstance(outputs, (tuple, list)):
        found = next((part for part in outputs if isinstance(part, Tensor) and part.dim() > 0), None)
    if isinstance(outputs, Tensor):
        found = outputs
    if not isinstance(found, Tensor) or found.dim() == 0:
        shown = list(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise LossShapeError(
            f"the model's outputs have no logits ({shown}), so there is no loss for each row. {_FIX} With "
            "use_liger_kernel, turn fused_linear_cross_entropy off."
        )
    return found
