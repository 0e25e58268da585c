"""The loader of an arm around the plain one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from adaselection import RecordedLoader, SelectiveLoader, SingleMethod
from adaselection.errors import ArgumentError
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import Splits
from adaselection.lab.trace import Trace

__all__ = ["fills_a_batch", "wrapped"]


def fills_a_batch(rate: float, rows: int, batch_size: int) -> bool:
    """Whether a pass over recorded losses has a batch at all."""
    return rate == 1 or rate * rows + 1e-9 >= batch_size


def wrapped(
    inner: DataLoader[Any], spec: RunSpec, splits: Splits, model: nn.Module, loss: nn.Module, trace: Trace
) -> SelectiveLoader | RecordedLoader:
    """Wrap the loader as the arm says: by recorded losses, by a scoring pass, or so that everything goes through.

    Args:
        inner: the plain loader.
        spec: the run.
        splits: its data.
        model: scores batches, where the arm does so.
        loss: one for each row.
        trace: told what was selected.

    Raises:
        ValueError: A pass over recorded losses would have no batch.
    """
    policy, preset = spec.policy(), spec.get_preset()
    if policy is not None and spec.arm().recorded:
        rows = len(splits.train)
        if not fills_a_batch(policy.rate, rows, preset.batch_size):
            raise ArgumentError(
                f"--rate {policy.rate:g} of {rows} rows is less than a batch of {preset.batch_size}, so a pass over "
                f"recorded losses would have no batch. Take a rate of at least {preset.batch_size / rows:.2g}."
            )
        steps = spec.effective_budget * preset.epochs * rows / preset.batch_size
        passes = math.ceil(steps / int(policy.rate * rows / preset.batch_size + 1e-9))
        anneal = spec.arm().anneal
        loader = RecordedLoader(inner, policy, on_walk=splits.train.set_epoch, passes=passes, anneal=anneal)
        if found := spec.irreducible_losses():
            found.check(splits.fingerprint, rows)
            loader.records.fill("irreducible", torch.arange(rows), found.losses)
        return loader
    return SelectiveLoader(
        inner,
        policy or SingleMethod("uniform", rate=1),  # rate 1 hands every batch through
        model=model,
        loss_fn=loss,
        score_mode=preset.score_mode,
        surplus="carry",
        on_select=trace.selected,
    )
