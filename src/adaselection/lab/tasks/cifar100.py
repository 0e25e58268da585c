"""CIFAR-100: small colour pictures of a hundred kinds of things, 50,000 + 10,000, with the fine labels.

Networks and presets are those of `cifar10`.
"""

from __future__ import annotations

from adaselection.lab.tasks.arrays import Normalize
from adaselection.lab.tasks.pictures import picture_task

__all__ = ["TASK"]

TASK = picture_task(
    "cifar100",
    "32 x 32 colour pictures of 100 kinds, 50,000 + 10,000; the networks of cifar10",
    classes=100,
    normalize=Normalize(mean=(0.5071, 0.4866, 0.4409), std=(0.2673, 0.2564, 0.2762)),  # of the training set
)
