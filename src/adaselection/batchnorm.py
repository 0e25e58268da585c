"""Statistics of batch normalisation that belong to all data, at the end of a training on chosen instances."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from adaselection import checks, replay, tree
from adaselection.errors import ArgumentError, EmptyLoaderError
from adaselection.recorded import RecordedLoader
from adaselection.scoring import BufferKeeper, undisturbed
from adaselection.tree import Batch

Forward = Callable[[nn.Module, Batch], Any]


def recalibrate_batchnorm(
    model: nn.Module, loader: Iterable[Batch], batches: int | None = None, *, forward: Forward | None = None
) -> int:
    """Compute the running mean and variance of every batch normalisation layer anew, over plain batches.

    Training on chosen instances leaves running statistics of those; evaluation needs them of all data. Call it once,
    before evaluating. Only running statistics change: flags, momenta, parameters, other buffers, gradients and random
    states, those of the loader included, are afterwards what they were. Each layer sees batches as in training, all
    else, dropout for example, is as in evaluation. Of several processes each has the statistics of its own batches.

    Args:
        model: it may be in train or eval mode.
        loader: any loader of batches of about one size; of a `RecordedLoader`, the plain loader inside is walked over.
        batches: so many at most; a whole pass if None.
        forward: ``forward(model, batch)``; of a pair the first part goes into the model if None, and a tensor as it is.

    Returns:
        The number of batches seen; 0 for a model that has no such statistics, whose loader is not touched.

    Raises:
        ArgumentError: an argument that cannot work.
        EmptyLoaderError: the loader has no batch. As with any other error, the model is then as it was.

    Source: the mean over the batches of their means and variances (`torch`'s momentum of None), as Izmailov et al. 2018
    (1803.05407) do for averaged weights.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model must be a torch.nn.Module; got {type(model).__name__}.")
    most = None if batches is None else checks.count("batches", batches, 1)
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]
    if not layers:
        return 0
    plain = loader.plain if isinstance(loader, RecordedLoader) else loader
    found: list[tuple[Tensor, Tensor]] = []
    seen = 0
    order = replay.snapshot(plain)
    with undisturbed(model, "eval", BufferKeeper()), torch.no_grad(), _averaging(layers):
        try:
            for batch in itertools.islice(plain, most):
                _run(model, batch, forward)
                seen += 1
        finally:
            replay.set_generators(plain, order)
        if not seen:
            raise EmptyLoaderError("the loader gave no batch, so there is nothing to compute statistics from.")
        found = [(buffer, buffer.clone()) for layer in layers for buffer in layer.buffers(recurse=False)]
    for buffer, value in found:
        buffer.data.copy_(value)
    return seen


@contextmanager
def _averaging(layers: list[_BatchNorm]) -> Iterator[None]:
    """Let the layers start anew and average over all batches that come."""
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.training, layer.momentum = True, None
            layer.reset_running_stats()
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def _run(model: nn.Module, batch: Batch, forward: Forward | None) -> None:
    """One batch through the model, on its device."""
    device = next((value.device for value in itertools.chain(model.parameters(), model.buffers())), None)
    batch = batch if device is None else tree.to(batch, device)
    if forward is not None:
        forward(model, batch)
        return
    if not isinstance(batch, (tuple, list, Tensor)):
        raise ArgumentError(
            f"model(x) needs batches that are tensors or begin with one, as (x, y); got a {type(batch).__name__}. Pass "
            "forward=, a function (model, batch) that runs the model."
        )
    model(batch if isinstance(batch, Tensor) else batch[0])
