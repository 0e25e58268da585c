"""The store behind a recorded loader: made for its data set, or the user's, and what goes into its columns."""

from __future__ import annotations

from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.errors import ArgumentError
from adaselection.records import RecordedLosses
from adaselection.slots import id_vector

Given = RecordedLosses | None
"""The user's store, or none."""


def checked_ids(ids: Tensor, size: int) -> Tensor:
    """The ids on the CPU, one for each instance of the data set.

    Raises:
        ArgumentError: they are no whole numbers, or not as many.
    """
    ids = id_vector(ids)
    if ids.shape[0] != size:
        raise ArgumentError(f"ids names {ids.shape[0]} instances, and the data set has {size}; give one id for each.")
    return ids.cpu()


def store_for(records: Given, policy: Policy, ids: Tensor | None, size: int, sharded: bool) -> RecordedLosses:
    """The user's store; or one for the data set, with the columns that the policy needs. Ids may repeat and then share.

    Raises:
        ArgumentError: the user's does not do.
    """
    if records is not None:
        return _checked(records, policy, sharded)
    track = False if sharded else None
    if ids is not None:
        return RecordedLosses(ids=ids.unique(), columns=policy.columns, track=track)
    return RecordedLosses(size, columns=policy.columns, track=track)


def _checked(records: RecordedLosses, policy: Policy, sharded: bool) -> RecordedLosses:
    """The user's store.

    Raises:
        ArgumentError: it is none, lacks a column that the policy needs, or would note for ever what nobody asks for.
    """
    if not isinstance(records, RecordedLosses):
        raise ArgumentError(f"records must be a RecordedLosses; got {type(records).__name__}.")
    missing = {name: dtype for name, dtype in policy.columns.items() if name not in records.columns}
    if missing:
        raise ArgumentError(
            f"the policy needs the columns {', '.join(missing)} of the record. Build it with RecordedLosses(..., "
            f"columns={missing})."
        )
    if sharded and records._track is None:
        raise ArgumentError(
            "with sharded=True nothing is merged, and this record would note what changed for ever. Build it with "
            "RecordedLosses(..., track=False)."
        )
    return records


def bound_norms(
    outputs: Tensor | None = None,
    targets: Tensor | None = None,
    features: Tensor | None = None,
    grad_norms: Tensor | None = None,
) -> Tensor:
    """Bound of each row's gradient norm from the last layer: the norm at the logits, times that of its input.

    Args:
        outputs: of the model.
        targets: of the batch.
        features: what goes into the last layer.
        grad_norms: norms that the user knows, in the place of all that; shape ``[b]``.

    Source: Katharopoulos & Fleuret 2018 (1803.00942).
    """
    if grad_norms is not None:
        return grad_norms.detach()
    if outputs is None or targets is None:
        raise ArgumentError(
            "the policy reads gradient norms: call loader.record(losses, outputs=model_outputs, targets=y)."
        )
    outputs = outputs.detach()
    if targets.is_floating_point():
        norms = F.squared_error_grad_norm(outputs, targets)
    else:
        norms = F.cross_entropy_grad_norm(outputs, targets)
    return norms if features is None else norms * (features.detach().flatten(1).square().sum(1) + 1).sqrt()
