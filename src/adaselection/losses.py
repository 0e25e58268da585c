"""The user's loss as one loss per row, and its gradient norm at the model's output."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from adaselection import checks, functional
from adaselection._shapes import Float, Int
from adaselection.errors import ArgumentError, LossShapeError
from adaselection.types import LossKind

LossFn = Callable[[Any, Any], Tensor]
_FIX = 'Pass a loss with reduction="none", for example nn.CrossEntropyLoss(reduction="none").'


@dataclass(frozen=True)
class RowLoss:
    """A loss that gives one number per row.

    Attributes:
        function: the user's loss, or a copy of a built-in one with ``reduction="none"``.
        kind: what its values are.
        reduction: how a built-in loss reduced, which says how to reduce the positions of a row; None for other losses.
    """

    function: LossFn
    kind: LossKind
    reduction: str | None

    @classmethod
    def of(cls, loss_fn: LossFn) -> RowLoss:
        """Take the user's loss; a `torch.nn` loss that reduces is copied with ``reduction="none"``."""
        if not callable(loss_fn):
            raise ArgumentError(f"loss_fn must be callable as loss_fn(outputs, targets); got {loss_fn!r}.")
        if isinstance(loss_fn, type):
            raise ArgumentError(f"loss_fn is the class {loss_fn.__name__}; pass an instance, {loss_fn.__name__}().")
        reduction = None
        if isinstance(loss_fn, nn.Module) and type(loss_fn).__module__ == "torch.nn.modules.loss":
            reduction = str(loss_fn.reduction)
            if reduction != "none":
                loss_fn = copy.copy(loss_fn)
                loss_fn.reduction = "none"  # type: ignore[assignment]
        return cls(loss_fn, _kind(loss_fn), reduction)

    def losses(self, outputs: Any, targets: Any, rows: int) -> Float[Tensor, " b"]:
        """One loss per row.

        Raises:
            LossShapeError: the loss reduces, or gives another shape; the message has the fix.
        """
        values = self.function(outputs, targets)
        if not isinstance(values, Tensor) or not checks.is_dense(values):
            raise LossShapeError(f"the loss function returned {type(values).__name__}, not a dense tensor. {_FIX}")
        if values.dim() == 0:
            raise LossShapeError(
                f"the loss function reduces to one number, and selection needs one per row, shape [{rows}]. "
                f"{_FIX} The loss in your own loop stays as it is. "
                'A function can be given functools.partial(F.cross_entropy, reduction="none").'
            )
        if values.shape[0] != rows:
            raise LossShapeError(
                f"the loss function returned shape {tuple(values.shape)} for a batch of {rows} rows; selection needs "
                f"one loss per row, shape [{rows}]."
            )
        if values.dim() > 1 and values[0].numel() == 1:
            return values.reshape(rows)
        if values.dim() > 1 and self.reduction in ("mean", "sum", "batchmean"):
            return self._positions(values, targets)
        if values.dim() > 1:
            raise LossShapeError(
                f"the loss function returned shape {tuple(values.shape)}, more than one number per row. Reduce the "
                "rest in your loss, for example .flatten(1).mean(1)."
            )
        return values

    def _positions(self, values: Tensor, targets: Tensor) -> Tensor:
        """Each row's values reduced as the loss would reduce a batch of this row alone; 0 where no position counts."""
        total = values.flatten(1).sum(1)
        if self.reduction in ("sum", "batchmean"):
            return total
        ignored = getattr(self.function, "ignore_index", None)
        if ignored is None or targets.is_floating_point():
            return total / values[0].numel()
        counted: Tensor = targets != ignored
        mass = counted.to(values.dtype)
        weight = getattr(self.function, "weight", None)
        if weight is not None:
            mass = mass * weight.to(values.dtype)[torch.where(counted, targets, 0)]
        whole = mass.flatten(1).sum(1)
        return torch.where(whole > 0, total / whole, 0)

    def grad_norms(self, outputs: Tensor, targets: Any) -> Float[Tensor, " b"]:
        """Exact norm of each row's loss gradient at the outputs.

        In closed form for `torch.nn.CrossEntropyLoss` and `torch.nn.MSELoss`; otherwise one backward pass from the
        losses to the outputs, without the network.
        """
        if not isinstance(outputs, Tensor):
            raise LossShapeError(
                f"grad_norm needs the model to return one tensor; it returned {type(outputs).__name__}. "
                "Pass score=, a function that returns Signals(losses, grad_norms)."
            )
        token_reduction: Any = "mean" if self.reduction == "mean" else "sum"
        if type(self.function) is nn.CrossEntropyLoss:
            loss = self.function
            return functional.cross_entropy_grad_norm(
                outputs,
                targets,
                weight=loss.weight,
                label_smoothing=loss.label_smoothing,
                ignore_index=loss.ignore_index,
                token_reduction=token_reduction,
            )
        if type(self.function) is nn.MSELoss and isinstance(targets, Tensor) and outputs.shape == targets.shape:
            return functional.squared_error_grad_norm(outputs, targets, reduction=token_reduction)
        leaf = outputs.detach().requires_grad_()
        with torch.enable_grad():
            total = self.losses(leaf, targets, leaf.shape[0]).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        return gradient.flatten(1).norm(dim=1) if gradient.dim() > 1 else gradient.abs()


def _kind(loss_fn: Any) -> LossKind:
    """What a loss's values are; ``"cross_entropy"`` only where ``exp(-loss)`` is the probability of the label."""
    options: Mapping[str, Any] = vars(loss_fn) if isinstance(loss_fn, nn.Module) else {}
    if isinstance(loss_fn, functools.partial):
        loss_fn, options = loss_fn.func, loss_fn.keywords
    if isinstance(loss_fn, nn.CrossEntropyLoss) or loss_fn is nnf.cross_entropy:
        weight = getattr(loss_fn, "weight", None) if isinstance(loss_fn, nn.Module) else options.get("weight")
        return "cross_entropy" if weight is None and not options.get("label_smoothing") else "other"
    return "squared_error" if isinstance(loss_fn, nn.MSELoss) or loss_fn is nnf.mse_loss else "other"


def labelled_mapping(model: nn.Module, batch: Mapping[str, Any]) -> Float[Tensor, " b"]:
    """Per-row cross-entropy of a model that takes keyword arguments and returns logits, as Hugging Face models do.

    The labels are withheld, so that the model computes no reduced loss. Token labels are averaged over each row's
    labels that are not -100 (0 for a row without any), shifted by one for causal language models.

    Raises:
        LossShapeError: no logits, or their shape does not go with the labels'.
    """
    labels = batch["labels"]
    outputs = model(**{key: value for key, value in batch.items() if key != "labels"})
    logits = outputs["logits"] if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if not isinstance(logits, Tensor) or logits.dim() != labels.dim() + 1 or labels.is_floating_point():
        raise LossShapeError(
            "the model's output has no logits of the labels' shape plus one dimension for the classes, or the labels "
            "are no class numbers. Pass score=, a function (model, batch) -> losses [b]."
        )
    logits = logits.float()
    if labels.dim() == 1:
        return nnf.cross_entropy(logits, labels, reduction="none")
    inner = getattr(model, "_orig_mod", model)  # a compiled model
    if type(inner).__name__.endswith(("ForCausalLM", "LMHeadModel")):
        logits, labels = logits[:, :-1], labels[:, 1:]
    values, counts = position_losses(logits.movedim(-1, 1), labels)
    return values / counts.clamp_min(1)


def position_losses(
    logits: Float[Tensor, "b c *positions"], labels: Int[Tensor, b * positions], label_smoothing: float = 0.0
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """Cross-entropy of each row summed over its positions whose label is not -100, and how many these are.

    Args:
        logits: classes second, as in `torch.nn.functional.cross_entropy`.
        labels: class numbers; -100 where there is none.
        label_smoothing: as in `torch.nn.functional.cross_entropy`.
    """
    values = nnf.cross_entropy(logits, labels, reduction="none", ignore_index=-100, label_smoothing=label_smoothing)
    counted: Tensor = labels != -100
    rows = labels.shape[0]
    return values.reshape(rows, -1).sum(1), counted.reshape(rows, -1).sum(1)
