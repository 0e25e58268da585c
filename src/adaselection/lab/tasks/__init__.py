"""The tasks: one file each, one row each."""

from __future__ import annotations

from types import MappingProxyType

from adaselection.lab.naming import lookup
from adaselection.lab.tasks import bike, cifar10, cifar100, digits, mnist, regression, svhn, wikitext2
from adaselection.lab.tasks.arrays import ArrayDataset
from adaselection.lab.tasks.base import Evaluation, LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.regimes import REGIMES, Regime, setting_in_words

__all__ = [
    "REGIMES",
    "TASKS",
    "ArrayDataset",
    "Evaluation",
    "LoadOptions",
    "Metric",
    "Preset",
    "Regime",
    "Splits",
    "Task",
    "get_task",
    "setting_in_words",
]

TASKS = MappingProxyType(
    {
        task.name: task
        for task in (
            digits.TASK,
            mnist.TASK,
            cifar10.TASK,
            cifar100.TASK,
            svhn.TASK,
            regression.TASK,
            bike.TASK,
            wikitext2.TASK,
        )
    }
)
"""Every task, by name, in the order that lists show them."""


def get_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        ValueError: There is none of that name; the message has the nearest.
    """
    return lookup(TASKS, name, "task")
