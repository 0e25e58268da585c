"""CIFAR-10: small colour pictures of ten kinds of things, 50,000 + 10,000.

``paper`` has the paper's network and optimiser; what the paper does not name is in
`adaselection.lab.paper.assumptions`. ``cpu`` is a small residual network on the first 15,000 rows, ``brief`` a smaller
one on 5,000; ``gpu`` is the paper's network for 30 passes over the rows of ``cpu``. In the shuffled order and in the
official one any prefix is a random subset, but not the same subset: compare runs of one fingerprint only.
"""

from __future__ import annotations

from adaselection.lab.tasks.arrays import Normalize
from adaselection.lab.tasks.pictures import picture_task

__all__ = ["TASK"]

TASK = picture_task(
    "cifar10",
    "32 x 32 colour pictures, 50,000 + 10,000; ResNet-18 as in the paper, or a small ResNet for CPUs",
    classes=10,
    normalize=Normalize(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),  # of the training set
)
