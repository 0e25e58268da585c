"""SVHN: digits of house numbers, cropped, in colour, 73,257 + 26,032; the extra rows of the set are left out.

Networks and presets are those of `cifar10`, without its augmentation: a mirrored digit is another picture.
"""

from __future__ import annotations

from adaselection.lab.tasks.arrays import Normalize
from adaselection.lab.tasks.pictures import picture_task

__all__ = ["TASK"]

TASK = picture_task(
    "svhn",
    "32 x 32 colour pictures of cropped house numbers, 73,257 + 26,032; the networks of cifar10",
    classes=10,
    normalize=Normalize(mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970)),  # of the training set
    augment=False,
)
