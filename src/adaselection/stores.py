"""The store behind a recorded loader: made for its data set, or the user's, and what goes into its columns."""

from __future__ import annotations

from torch import Tensor

from adaselection import checks
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.errors import ArgumentError
from adaselection.records import RecordedLosses
from adaselection.slots import id_vector

_IGNORED = -100  # class number of positions without a loss
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
    rows: int,
    outputs: Tensor | None = None,
    targets: Tensor | None = None,
    features: Tensor | None = None,
    grad_norms: Tensor | None = None,
) -> Tensor:
    """Bound of each row's gradient norm from the last layer: the norm at the logits, times that of its input.

    Args:
        rows: of the batch.
        outputs: of the model.
        targets: of the batch.
        features: what goes into the last layer.
        grad_norms: norms that the user knows, in the place of all that; shape ``[b]``.

    Raises:
        ArgumentError: they are not there, or do not go with each other.

    Source: Katharopoulos & Fleuret 2018 (1803.00942).
    """
    if grad_norms is not None:
        _fit(rows, grad_norms=grad_norms)
        if grad_norms.dim() != 1 or grad_norms.is_complex():
            raise ArgumentError(f"grad_norms must be real numbers of shape [{rows}]; got {tuple(grad_norms.shape)}.")
        return grad_norms.detach().clone()
    if outputs is None or targets is None:
        raise ArgumentError(
            "the policy reads gradient norms: call loader.record(losses, outputs=model_outputs, targets=y)."
        )
    _fit(rows, outputs=outputs, targets=targets, **{} if features is None else {"features": features})
    _check_targets(outputs, targets)
    outputs = outputs.detach()
    if targets.is_floating_point():
        norms = F.squared_error_grad_norm(outputs, targets)
    else:
        norms = F.cross_entropy_grad_norm(outputs, targets)
    return norms if features is None else norms * (features.detach().flatten(1).square().sum(1) + 1).sqrt()


def _fit(rows: int, **parts: Tensor) -> None:
    """Refuse what has no row for each loss.

    Raises:
        ArgumentError: it has not.
    """
    for name, part in parts.items():
        got = checks.form(part)
        if isinstance(got, str) or got[:1] != (rows,):
            raise ArgumentError(f"{name} must be a dense tensor with one row for each of the {rows} losses; got {got}.")


def _check_targets(outputs: Tensor, targets: Tensor) -> None:
    """Refuse targets whose loss at these outputs is no cross-entropy and no squared error.

    Raises:
        ArgumentError: shapes do not go together, or a class is unknown; looked at where it is free, on the CPU.
    """
    classes = targets.shape == (outputs.shape[0], *outputs.shape[2:]) and outputs.dim() > 1
    if not (outputs.is_floating_point() and outputs.device == targets.device) or not (
        targets.shape == outputs.shape if targets.is_floating_point() else classes and not targets.is_complex()
    ):
        raise ArgumentError(
            f"targets {tuple(targets.shape)} of {targets.dtype} do not go with outputs {tuple(outputs.shape)} of "
            f"{outputs.dtype}: take class numbers [{outputs.shape[0]}, ...], or real numbers of the outputs' shape."
        )
    if not targets.is_floating_point() and targets.device.type == "cpu" and targets.numel():
        wrong = targets[(targets != _IGNORED) & ((targets < 0) | (targets >= outputs.shape[1]))]
        if wrong.numel():
            raise ArgumentError(f"targets has class {int(wrong[0])}, and the outputs have {outputs.shape[1]} classes.")
