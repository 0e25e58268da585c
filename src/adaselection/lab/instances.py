"""The instance file of a run: what the record of losses knew of every training row at the end.

It lies beside the run's record, `<folder>/<task>/<run_id>.instances.npz`, and is no part of the committed results.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaselection import RecordedLoader, Signals
from adaselection.errors import AdaSelectionError, ArgumentError
from adaselection.lab.record import Record
from adaselection.lab.store import RecordStore, StoreError
from adaselection.lab.tasks import Splits, get_task

__all__ = [
    "InstanceFileError",
    "Instances",
    "instances_path",
    "keep_instances",
    "read_instances",
    "write_bytes",
    "write_instances",
]

FORMAT = 1
_COLUMNS = ("losses", "averages", "ages", "visits", "valid")
_Kind = Literal["cross_entropy", "squared_error", "other"]
_KINDS: tuple[_Kind, ...] = ("cross_entropy", "squared_error", "other")


class InstanceFileError(AdaSelectionError, ValueError):
    """A file that is no usable instance file. The message names the file, the reason and the fix."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(f"{path} is no usable instance file: {reason}. Do its run again with --instances.")

    def __reduce__(self) -> tuple[type[InstanceFileError], tuple[str, str]]:
        """Let it come back whole from another process."""
        return type(self), (self.path, self.reason)


@dataclass(frozen=True)
class Instances:
    """What is known of the ``n`` training rows of a run.

    Attributes:
        signals: losses, averages, ages, visits and valid of all rows, in their order.
        extra: further columns by name, shape ``[n]`` each. `targets` are the labels trained on, `wrong` says which of
            them the lab made wrong; both may be missing.
    """

    signals: Signals
    extra: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.signals.losses)


def instances_path(record: str | Path) -> Path:
    """Where the instance file of a run is, given the path of its record.

    >>> instances_path("runs/digits/0123456789abcdef.json").as_posix()
    'runs/digits/0123456789abcdef.instances.npz'
    """
    record = Path(record)
    return record.with_name(f"{record.name.removesuffix('.json')}.instances.npz")


def write_instances(path: str | Path, signals: Signals, extra: Mapping[str, Tensor] | None = None) -> Path:
    """Write an instance file, whole or not at all. The same columns give the same bytes.

    Args:
        path: As `instances_path` gives it. Its folder is created where missing.
        signals: Of all training rows; averages, ages and visits must be there.
        extra: Further columns: `targets`, `wrong`, or any other name that is not one of the signals'.

    Returns:
        The path.

    Raises:
        ArgumentError: A column is missing, has another length, or a name is taken.
        StoreError: If it cannot be written.
    """
    path, columns = Path(path), _columns(signals)
    for name, column in (extra or {}).items():
        if name in columns or name in ("format", "kind"):
            raise ArgumentError(f"extra column {name!r} has the name of another column; choose another.")
        columns[name] = column
    for name, column in columns.items():
        if column.shape != signals.losses.shape:
            raise ArgumentError(f"{name} has shape {tuple(column.shape)}; there are {len(signals.losses)} instances.")
    arrays: dict[str, Any] = {name: _small(column) for name, column in columns.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, format=np.int64(FORMAT), kind=np.str_(signals.kind), **arrays)
    write_bytes(path, buffer.getvalue())
    return path


def keep_instances(store: RecordStore, record: Record, loader: RecordedLoader, splits: Splits) -> None:
    """Write the instance file of a run that has just ended, beside where its record goes.

    Args:
        store: Where its record goes.
        record: Of the run.
        loader: That it trained with.
        splits: What it trained on.

    Raises:
        StoreError: If it cannot be written.
    """
    records = loader.records
    signals = records.read(torch.arange(len(splits.train)), now=records.last_pass)
    kind: _Kind = "cross_entropy" if get_task(record.config.task).kind == "classification" else "squared_error"
    extra = {"targets": splits.train.targets, "wrong": splits.train_noisy}
    write_instances(instances_path(store.path(record)), replace(signals, kind=kind), extra)


def read_instances(path: str | Path) -> Instances:
    """Read an instance file.

    Raises:
        FileNotFoundError: There is none. The message says how to get one.
        InstanceFileError: It is damaged, or of another version.
    """
    path = Path(path)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no instance file {path}: it is written by runs that record losses, when asked to. Do the run again with "
            "--instances."
        ) from error
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InstanceFileError(path, str(error) or type(error).__name__) from error
    return _checked(path, arrays)


def _columns(signals: Signals) -> dict[str, Tensor]:
    if signals.averages is None or signals.ages is None or signals.visits is None:
        raise ArgumentError("an instance file needs averages, ages and visits. Take RecordedLosses.read(ids, now=...).")
    valid = signals.visits > 0 if signals.valid is None else signals.valid
    found = (signals.losses, signals.averages, signals.ages, signals.visits, valid)
    return dict(zip(_COLUMNS, found, strict=True))


def _small(column: Tensor) -> NDArray[Any]:
    """The column with the fewest bytes that keep its values: float32, or the smallest integers."""
    column = column.detach().cpu()
    if column.is_floating_point():
        return column.float().numpy()
    array: NDArray[Any] = column.numpy()
    if array.dtype == bool or not array.size:
        return array
    return array.astype(np.result_type(np.min_scalar_type(array.min()), np.min_scalar_type(array.max())))


def _checked(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Instances:
    if missing := [name for name in ("format", "kind", *_COLUMNS) if name not in arrays]:
        raise InstanceFileError(path, f"it lacks {', '.join(missing)}")
    if arrays["format"].shape != () or arrays["format"] != FORMAT:
        raise InstanceFileError(path, f"format {arrays['format']} is not {FORMAT}, the one this version reads")
    size, kind = arrays["losses"].shape, str(arrays["kind"])
    if kind not in _KINDS or len(size) != 1:
        raise InstanceFileError(path, f"losses of kind {kind!r} and shape {size}")
    columns = {}
    for name, array in arrays.items():
        if name in ("format", "kind"):
            continue
        if array.shape != size or array.dtype.kind not in "biuf":
            raise InstanceFileError(path, f"column {name} has shape {array.shape} and type {array.dtype}")
        columns[name] = torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array)
    known: dict[str, Any] = {name: columns.pop(name) for name in _COLUMNS}
    for name, sort in (("losses", "f"), ("averages", "f"), ("ages", "f"), ("visits", "iu"), ("valid", "b")):
        if arrays[name].dtype.kind not in sort:
            raise InstanceFileError(path, f"column {name} has type {arrays[name].dtype}")
    return Instances(Signals(kind=_KINDS[_KINDS.index(kind)], **known), columns)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or none; its folder is created where missing.

    Raises:
        StoreError: If it cannot be written.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
