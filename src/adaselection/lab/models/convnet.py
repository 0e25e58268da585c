"""A small convolutional network for small grey pictures."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

__all__ = ["convnet"]


def convnet(shape: Sequence[int], outputs: int | None, *, widths: tuple[int, int] = (16, 32)) -> nn.Sequential:
    """Build two 3 x 3 convolutions, each with ReLU and 2 x 2 max pooling, and a linear layer.

    With the default widths: 1.03 M multiply-adds for a picture of 1 x 28 x 28.

    Args:
        shape: ``(channels, height, width)`` of one picture.
        outputs: Classes.
        widths: Channels of the two convolutions.

    Returns:
        The network: pictures ``[b, c, h, w]`` to logits ``[b, outputs]``.

    Raises:
        ValueError: ``outputs`` is None: this network is for classification.
    """
    if outputs is None:
        raise ValueError("convnet is for classification and needs a number of classes, not outputs=None.")
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, widths[0], 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(widths[0], widths[1], 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(widths[1] * (height // 4) * (width // 4), outputs),
    )
