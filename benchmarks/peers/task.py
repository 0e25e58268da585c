"""The task that every arm trains on: the lab's digits, written to files that need nothing but torch to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from adaselection.lab.holdout import HoldoutSpec, train_holdout
from adaselection.lab.irreducible import Origin
from adaselection.lab.tasks import LoadOptions, get_task

TASK, PRESET, CLASSES = "digits", "cpu", 10


def facts() -> dict[str, Any]:
    """What the task is, for the record."""
    preset = get_task(TASK).preset(PRESET)
    names = ("model", "epochs", "batch_size", "momentum", "schedule")
    return {"task": TASK, "preset": PRESET, **{name: getattr(preset, name) for name in names}}


def write(folder: Path, noise: float, seed: int, *, hold_out: bool) -> Path:
    """Write the rows of one seed, with the irreducible losses of those that train.

    Args:
        folder: Where to.
        noise: Share of wrong training labels.
        seed: Draws them.
        hold_out: Judge on a validation split of the training rows; else on the test rows.

    Returns:
        The file.
    """
    task = get_task(TASK)
    preset = task.preset(PRESET)
    splits = task.load(preset, LoadOptions(seed, noise, hold_out=hold_out))
    judged = splits.validation if hold_out else splits.test
    part = "validation" if hold_out else "test"
    losses, _ = train_holdout(HoldoutSpec(Origin(TASK, PRESET, "plain", noise, part, seed)))
    path = folder / f"{part}_{noise:g}_{seed}.pt"
    parts = {
        "noise": noise,
        "seed": seed,
        "classes": CLASSES,
        "train": (splits.train.inputs, splits.train.targets),
        "test": (judged.inputs, judged.targets),
        "irreducible": losses.losses,
        "irreducible_units": losses.units,
        **{name: getattr(preset, name) for name in ("model", "epochs", "batch_size", "momentum")},
    }
    torch.save(parts, path)
    return path
