"""Running statistics of BatchNorm layers, made anew from plain batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from adaselection import checks
from adaselection.errors import EmptyLoaderError
from adaselection.tree import Batch

Forward = Callable[[nn.Module, Any], Any]
_BatchNorm = nn.modules.batchnorm._BatchNorm


def recalibrate_batchnorm(
    model: nn.Module, loader: Iterable[Batch], batches: int | None = None, *, forward: Forward | None = None
) -> int:
    """Replace the running statistics of all BatchNorm layers by the average over plain batches.

    A training that leaves instances out has running statistics of the others. Call this at its end with the plain
    loader; it costs one forward pass a batch. Everything but the statistics is as before: training flags, momentum,
    gradients and random numbers. A model without BatchNorm is left alone.

    Args:
        model: on its device; batches must be there too, or ``forward`` must move them.
        loader: of plain batches; of a pair, the first part goes into the model.
        batches: how many to take; all of one pass if None.
        forward: called as ``forward(model, batch)`` in the place of ``model(batch)``.

    Returns:
        Batches taken; 0 for a model without running statistics.

    Raises:
        ArgumentError: ``batches`` is below 1.
        EmptyLoaderError: the loader gave no batch. The statistics are then as they were.
    """
    if batches is not None:
        checks.count("batches", batches, 1)
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not layers:
        return 0
    taken = 0
    with torch.no_grad(), torch.random.fork_rng(), _averaging(model, layers):
        for batch in itertools.islice(iter(loader), batches):
            if not taken:
                for layer in layers:
                    layer.reset_running_stats()
            taken += 1
            if forward is not None:
                forward(model, batch)
            else:
                model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    if not taken:
        raise EmptyLoaderError("the loader gave no batch to take statistics of. Check its data set.")
    return taken


@contextmanager
def _averaging(model: nn.Module, layers: list[Any]) -> Iterator[None]:
    """Everything in eval mode but the layers, which average over all batches alike; put back afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    momenta = [(layer, layer.momentum) for layer in layers]
    model.eval()
    for layer in layers:
        layer.training, layer.momentum = True, None
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training
        for layer, momentum in momenta:
            layer.momentum = momentum
