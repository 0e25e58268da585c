"""One loss per row, beside the one number that the Trainer computes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from adaselection.errors import LossShapeError
from adaselection.integrations.sequences import RowLosses, row_losses
from adaselection.types import Signals

RowLossFn = Callable[[Any, Mapping[str, Any]], Tensor]
"""``row_losses(outputs, inputs)`` with one loss per row, shape ``[b]``."""


class TrainerLosses:
    """Row by row what a Trainer's loss is made of.

    Args:
        trainer: whose settings say what the loss is: label smoothing, the kind of problem.
        function: the user's losses of rows, in the place of those of the logits and labels.
        shifted: whether each position predicts the next label, as in causal language models.
    """

    def __init__(self, trainer: Any, function: RowLossFn | None, shifted: bool) -> None:
        self._trainer = trainer
        self._shifted = shifted
        self._function = function

    def rows(self, outputs: Any, inputs: Mapping[str, Any]) -> RowLosses:
        """Losses of the rows of a batch.

        Args:
            outputs: of the model.
            inputs: the batch, with its labels.

        Raises:
            LossShapeError: not one loss per row, or the model has no logits that go with the labels.
        """
        if self._function is not None:
            return _given(self._function(outputs, inputs))
        trainer = self._trainer
        return row_losses(
            outputs,
            inputs.get("labels"),
            shifted=self._shifted,
            smoothing=trainer.args.label_smoothing_factor if trainer.label_smoother is not None else 0.0,
            problem=getattr(getattr(trainer.model, "config", None), "problem_type", None),
        )

    def score(self, model: nn.Module, batch: Any, norms: bool) -> Signals:
        """Signals of a batch by a forward pass without its labels, so that the model computes no loss of its own.

        Args:
            model: scores the batch.
            batch: a mapping.
            norms: whether to give gradient norms.
        """
        inputs = self._trainer._prepare_inputs(batch)
        withheld = {"labels", *self._trainer.label_names} - _needed(model, inputs)
        rows = self.rows(model(**{name: part for name, part in inputs.items() if name not in withheld}), inputs)
        return Signals(rows.means, rows.grad_norms() if norms else None, rows.kind)

    def weighted(self, loss: Tensor, rows: RowLosses, weights: Tensor) -> Tensor:
        """The Trainer's loss with a weight for each row; with weights of 1 it is the Trainer's own, bit for bit.

        Args:
            loss: the Trainer's, a mean over the labels of the batch, or that times a number of its own.
            rows: the losses of the rows, with the graph.
            weights: of the rows, shape ``[b]``, mean 1.
        """
        labels = rows.counts.sum()
        mean = rows.sums.detach().sum() / labels
        factor = torch.where(mean == 0, 1, loss.detach() / mean)
        return loss + ((weights.to(rows.sums) - 1) * rows.sums).sum() / labels * factor


def _given(losses: Any) -> RowLosses:
    """The user's own losses."""
    if not isinstance(losses, Tensor) or losses.dim() != 1:
        got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise LossShapeError(f"row_losses must return one loss per row, a tensor of shape [b]; got {got}.")
    return RowLosses(losses, torch.ones_like(losses, dtype=torch.int64), "other", None, None)


def _needed(model: nn.Module, inputs: Mapping[str, Any]) -> set[str]:
    """Labels without which the model cannot run: it asks for them, or makes the decoder's inputs of them."""
    asked = {
        name
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }
    decodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    return asked | ({"labels"} if decodes and "decoder_input_ids" not in inputs else set())
