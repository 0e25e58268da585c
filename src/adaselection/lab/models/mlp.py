"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import nn

__all__ = ["mlp"]


def mlp(shape: Sequence[int], outputs: int | None, *, widths: Sequence[int]) -> nn.Sequential:
    """Build linear layers with ReLU between them.

    Args:
        shape: Of one input; it is flattened.
        outputs: Classes, for logits ``[b, outputs]``; None: one value a sample, ``[b]``.
        widths: Of the hidden layers.

    Returns:
        The network.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    fan_in = prod(shape)
    for width in widths:
        layers += [nn.Linear(fan_in, width), nn.ReLU()]
        fan_in = width
    layers.append(nn.Linear(fan_in, 1 if outputs is None else outputs))
    if outputs is None:
        layers.append(nn.Flatten(start_dim=0))  # [b, 1] -> [b]: beside targets [b], [b, 1] would broadcast to [b, b]
    return nn.Sequential(*layers)
