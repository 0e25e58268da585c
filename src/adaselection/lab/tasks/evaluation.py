"""The metrics, and the check that a model has not collapsed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from adaselection.lab.tasks.arrays import ArrayDataset
from adaselection.lab.tasks.base import Evaluation

__all__ = ["evaluate_classification", "evaluate_language", "evaluate_regression"]

BATCH = 500
SEQUENCES = 20  # at a time: the logits of a sequence are a million numbers
ONE_CLASS_SHARE = 0.95
"""A classifier has collapsed when one class has more than this share of its answers."""
FLAT_SHARE = 0.01
"""A regression has collapsed when its outputs spread less than this share of the targets' spread."""


def evaluate_classification(model: nn.Module, data: ArrayDataset) -> Evaluation:
    """Accuracy in percent, over all rows and of the worst class, and mean cross-entropy.

    Args:
        model: Inputs ``[b, ...]`` to logits ``[b, classes]``. Its training flags are put back.
        data: The rows, with int64 targets.

    Returns:
        The evaluation. ``collapsed`` says that one class has more than 95 % of the predictions, though no class
        has such a share of the targets.

    Raises:
        ValueError: There are no rows.
    """
    logits, targets = _outputs(model, data)
    predictions = logits.argmax(dim=1)
    accuracy = (predictions == targets).double().mean().item()
    loss = nn.functional.cross_entropy(logits.double(), targets).item()
    collapsed = _top_share(predictions) > ONE_CLASS_SHARE >= _top_share(targets)
    return Evaluation(100.0 * accuracy, loss, collapsed, worst_class=100.0 * _worst_class(predictions, targets))


def evaluate_regression(model: nn.Module, data: ArrayDataset) -> Evaluation:
    """Mean squared error, in the targets' unit squared.

    Args:
        model: Inputs ``[b, ...]`` to values ``[b]``. Its training flags are put back.
        data: The rows, with float32 targets.

    Returns:
        The evaluation. ``collapsed`` says that the outputs spread less than 1 % of the targets' spread.

    Raises:
        ValueError: There are no rows.
    """
    outputs, targets = _outputs(model, data)
    outputs, targets = outputs.double(), targets.double()
    error = nn.functional.mse_loss(outputs, targets).item()
    collapsed = bool(outputs.std(correction=0) < FLAT_SHARE * targets.std(correction=0))
    return Evaluation(value=error, loss=error, collapsed=collapsed)


def evaluate_language(model: nn.Module, data: ArrayDataset) -> Evaluation:
    """Mean cross-entropy of the next word, in nats a word.

    Args:
        model: Words ``[b, length]`` to logits ``[b, length, words]``. Its training flags are put back.
        data: The sequences, with int64 targets ``[n, length]``.

    Returns:
        The evaluation. ``collapsed`` says that one word has more than 95 % of the predictions, though none has such a
        share of the text.

    Raises:
        ValueError: There are no rows.
    """
    total, predictions = 0.0, []
    for logits, targets in _batches(model, data, SEQUENCES):
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        total += losses.double().sum().item()
        predictions.append(logits.argmax(dim=2).flatten())
    loss = total / data.targets.numel()
    collapsed = _top_share(torch.cat(predictions)) > ONE_CLASS_SHARE >= _top_share(data.targets.flatten())
    return Evaluation(value=loss, loss=loss, collapsed=collapsed)


def _outputs(model: nn.Module, data: ArrayDataset) -> tuple[Tensor, Tensor]:
    """All outputs and all targets, on the CPU, in the order of the rows."""
    return torch.cat([outputs for outputs, _ in _batches(model, data, BATCH)]), data.targets


def _batches(model: nn.Module, data: ArrayDataset, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs and targets of so many rows at a time, on the CPU, in the order of the rows."""
    if len(data) == 0:
        raise ValueError(
            "no rows to evaluate on. With hold_out=True there is no test set, without it no validation set: "
            "evaluate on the part that was handed out."
        )
    parameter = next(model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    with _eval_mode(model):
        for first in range(0, len(data), rows):
            inputs, targets = data.__getitems__(range(first, min(first + rows, len(data))))
            with torch.inference_mode():
                outputs = model(inputs.to(device)).float().cpu()
            yield outputs, targets


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode, and give each module its own flag back, a frozen part's included."""
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


def _top_share(classes: Tensor) -> float:
    return torch.bincount(classes).max().item() / len(classes)


def _worst_class(predictions: Tensor, targets: Tensor) -> float:
    """The lowest share of right answers among the classes that have rows."""
    rows = torch.bincount(targets)
    right = torch.bincount(targets[predictions == targets], minlength=len(rows))
    return float((right[rows > 0].double() / rows[rows > 0]).min())
