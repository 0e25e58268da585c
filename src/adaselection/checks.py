"""Checks of what users pass in: each says what is wrong, why, and the exact fix."""

from __future__ import annotations

import difflib
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch

from adaselection import advice, kinds
from adaselection.errors import ArgumentError, LossShapeError, NonFiniteLossError, StateError
from adaselection.types import Signals

_T = TypeVar("_T")
_INSIDE = ("adaselection", "torch", "contextlib", "jaxtyping", "beartype")  # no line of these is the user's


def number(name: str, value: float) -> float:
    """The value as a number; `ArgumentError` if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{name} must be a number; got {value!r}.")
    try:
        return float(value)
    except OverflowError:
        raise ArgumentError(f"{name} must be a number that a float can hold; got a larger one.") from None


def rate(value: float) -> float:
    """A sampling rate in ``(0, 1]``."""
    if not 0 < number("rate", value) <= 1:
        raise ArgumentError(
            f"rate={value!r} is outside (0, 1]: it is the share of the rows to train on. "
            "Pass for example rate=0.3, or rate=1 to train on all."
        )
    return value


def within(name: str, value: float, low: float, high: float) -> float:
    """A number in ``[low, high]``."""
    if not low <= number(name, value) <= high:
        raise ArgumentError(f"{name}={value!r} is outside [{low:g}, {high:g}].")
    return value


def finite(name: str, value: float) -> float:
    """A finite number."""
    if not math.isfinite(number(name, value)):
        raise ArgumentError(f"{name} must be a finite number; got {value!r}.")
    return value


def positive(name: str, value: float) -> float:
    """A finite number above 0."""
    if not finite(name, value) > 0:
        raise ArgumentError(f"{name} must be above 0; got {value!r}.")
    return value


def count(name: str, value: int, least: int) -> int:
    """A whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}; got {value!r}.")
    return value


def seed(value: int) -> int:
    """A seed that `torch.Generator` takes."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ArgumentError(f"seed must be a whole number from 0 to 2**63 - 1; got {value!r}.")
    return value


def one_of(name: str, value: _T, choices: Sequence[str], *, optional: bool = False) -> _T:
    """One of several words, or None where ``optional``."""
    if (optional and value is None) or (isinstance(value, str) and value in choices):
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    allowed = ", ".join(map(repr, choices)) + (" or None" if optional else "")
    raise ArgumentError(f"{name}={value!r} is unknown.{hint} Take {allowed}.")


def function(name: str, value: _T, *, optional: bool = False) -> _T:
    """Something that can be called, or None where ``optional``."""
    if not callable(value) and not (optional and value is None):
        raise ArgumentError(f"{name} must be a function; got {value!r:.80}.")
    return value


def float_type(name: str, value: torch.dtype | None) -> torch.dtype | None:
    """A torch type of real numbers to compute in, or None."""
    if value is not None and not (isinstance(value, torch.dtype) and value.is_floating_point):
        raise ArgumentError(f"{name} must be a type such as torch.bfloat16; got {value!r:.80}.")
    return value


def refuse_prepared(loader: object) -> None:
    """Refuse a loader that accelerate prepared: it ends its passes, and skips batches, on its own account.

    Raises:
        ArgumentError: it did.
    """
    if hasattr(loader, "gradient_state"):
        raise ArgumentError(
            "this loader was prepared by accelerate, which would count its batches and not the selected ones. Use "
            "PreparedSelectiveLoader or PreparedRecordedLoader of adaselection.integrations.accelerate in its place."
        )


def as_signals(given: torch.Tensor | Signals) -> Signals:
    """Losses or signals as detached `Signals` of one loss per row.

    Raises:
        LossShapeError: not a dense tensor of numbers, or not one per row.
        ArgumentError: the gradient norms are on another device.
    """
    signals = given if isinstance(given, Signals) else Signals(losses=_tensor("losses", given))
    losses = _vector("losses", signals.losses)
    norms = signals.grad_norms
    if norms is not None:
        norms = _vector("grad_norms", norms)
        if norms.shape != losses.shape:
            raise LossShapeError(
                f"grad_norms has {norms.shape[0]} rows and losses has {losses.shape[0]}; give one of each per row."
            )
        if norms.device != losses.device:
            raise ArgumentError(f"grad_norms is on {norms.device} and losses on {losses.device}; put both on one.")
    return replace(signals, losses=losses, grad_norms=norms, noise=None, valid=None, scale=None)


def _tensor(name: str, value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise LossShapeError(f"{name} must be a tensor of shape [b]; got {type(value).__name__}. Use torch.as_tensor.")
    return value


def _vector(name: str, value: torch.Tensor) -> torch.Tensor:
    value = _tensor(name, value).detach()
    if not is_dense(value):
        raise LossShapeError(
            f"{name} must be a dense tensor of numbers, shape [b]; this one is sparse, nested, quantised or on the "
            "meta device. Convert it first, for example by .to_dense()."
        )
    if value.dim() == 0:
        raise LossShapeError(
            f'{name} is a single number, and selection needs one per row, shape [b]. Use a loss with reduction="none".'
        )
    if value.dim() != 1:
        raise LossShapeError(
            f"{name} has shape {tuple(value.shape)}, and selection needs one number per row, shape [{value.shape[0]}]. "
            f"Reduce the rest, for example {name}.flatten(1).mean(1)."
        )
    if value.is_complex():
        raise LossShapeError(f"{name} is complex; give real numbers.")
    wide = value.is_floating_point() and value.element_size() > 1  # torch has no sums in 8 bits
    return value if wide else value.to(torch.float32)


def is_dense(value: torch.Tensor) -> bool:
    """Whether a tensor is a plain one, whose numbers are there."""
    return value.layout == torch.strided and not (value.is_nested or value.is_quantized or value.is_meta)


def form(value: object) -> tuple[int, ...] | str:
    """The shape of a dense tensor; the name of its type of anything else."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) and is_dense(value) else type(value).__name__


def row_losses(losses: torch.Tensor, rows: int | None, caller: str) -> None:
    """Refuse what is not one loss for each row of a batch; of any number of rows where that is None.

    Raises:
        LossShapeError: it is not.
    """
    got = form(losses)
    if isinstance(got, str) or len(got) != 1 or rows not in (None, *got) or not losses.is_floating_point():
        shape, kind = "b" if rows is None else rows, f" of {losses.dtype}" if isinstance(got, tuple) else ""
        said = f"{caller} needs one loss for each row, shape [{shape}]; got {got}{kind}."
        raise LossShapeError(f"{said} {advice.one_each(got, rows, skips=caller == 'record()')}")


def some_finite(losses: torch.Tensor, mean: torch.Tensor) -> None:
    """Raise NonFiniteLossError where no loss of a batch is finite; on the CPU, where looking costs no waiting."""
    if losses.device.type == "cpu" and not math.isfinite(mean.item()) and not bool(losses.isfinite().any()):
        raise NonFiniteLossError(
            f"all {len(losses)} losses of the batch are NaN or infinite. Lower the learning rate, or look at the batch."
        )


def finite_enough(signals: Signals, k: int, share: float) -> bool:
    """Refuse a batch with too many losses that are not finite; reads the values, so only where that is free.

    Returns:
        Whether every signal is finite.

    Raises:
        NonFiniteLossError: more than ``share`` of the rows are bad, or fewer than ``k`` are good. Names the rows.
    """
    norms = signals.grad_norms
    total = float(signals.losses.sum()) + (0.0 if norms is None else float(norms.sum()))
    if math.isfinite(total):
        return True  # no NaN and no infinity has a finite sum
    good = signals.losses.isfinite()
    if norms is not None:
        good = good & norms.isfinite()
    if bool(good.all()):
        return True
    size = good.shape[0]
    rows = (~good).nonzero().flatten().tolist()
    if len(rows) > share * size or size - len(rows) < k:
        shown = ", ".join(map(str, rows[:20])) + (", ..." if len(rows) > 20 else "")
        raise NonFiniteLossError(
            f"{len(rows)} of {size} losses are NaN or infinite (rows {shown}); allowed is a share of {share:g}, and at "
            f"least {k} finite ones are needed. Look at these rows, lower the learning rate, or raise max_nonfinite.",
            rows,
        )
    return False


def warn(message: str) -> None:
    """Warn at the nearest line of other people's code, however deep in this library it is found out."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def same_state(own: Mapping[str, Any], given: Mapping[str, Any], keys: Sequence[str], what: str) -> None:
    """Refuse a state dict that does not fit.

    Raises:
        StateError: an entry is missing, or one of ``keys`` differs; names both values.
    """
    kinds.present(own, given, what)
    for key in keys:
        if not kinds.same(own[key], given[key]):
            ours, theirs = kinds.apart(own[key], given[key])
            raise StateError(
                f"the {what} state has {key}={theirs!r}, and this {what} has {key}={ours!r}. Build it as it was when "
                "the state was saved."
            )
