"""The networks of the tasks: one row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType

from torch import nn

from adaselection.lab.models.convnet import convnet
from adaselection.lab.models.mlp import mlp
from adaselection.lab.models.resnet import resnet
from adaselection.lab.models.transformer import transformer
from adaselection.lab.naming import lookup

__all__ = ["MODELS", "Builder", "build_model"]

Builder = Callable[[Sequence[int], int | None], nn.Module]
"""(shape of one input, classes or None for one value a sample) -> network."""

_ROWS: dict[str, Builder] = {
    "mlp": partial(mlp, widths=(256, 256)),
    "mlp_small": partial(mlp, widths=(64, 64)),
    "convnet": convnet,
    "resnet8": partial(resnet, widths=(16, 32, 64), depths=(1, 1, 1)),  # 12.5 M multiply-adds for 3 x 32 x 32
    "resnet8_narrow": partial(resnet, widths=(8, 16, 32), depths=(1, 1, 1)),  # 3.2 M
    "resnet18": partial(resnet, widths=(64, 128, 256, 512), depths=(2, 2, 2, 2)),  # 556 M
    "transformer": partial(transformer, width=200, heads=2, layers=2, dropout=0.2),
    "transformer_small": partial(transformer, width=64, heads=2, layers=2),
}
MODELS = MappingProxyType(_ROWS)
"""Every network, by the name that presets use."""


def build_model(name: str, shape: Sequence[int], outputs: int | None) -> nn.Module:
    """Build a network with fresh weights from the global generator.

    Args:
        name: A row of `MODELS`.
        shape: Of one input, without the batch.
        outputs: Classes, for logits ``[b, outputs]``; None: one value a sample, ``[b]``.

    Returns:
        The network.

    Raises:
        ValueError: There is none of that name, or it cannot give such outputs.
    """
    return lookup(MODELS, name, "model")(shape, outputs)
