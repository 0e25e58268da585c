"""Read data files in the formats that their authors publish them in.

Each reader takes the paths of one layout and gives arrays by name. What is wrong with a file comes out as one
of `READ_ERRORS`; `adaselection.lab.data` says then which file it was and what to do.
"""

from __future__ import annotations

import csv
import gzip
import io
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BIKE_COLUMNS",
    "READ_ERRORS",
    "FormatError",
    "read_bike_csv",
    "read_bike_zip",
    "read_cifar10_archive",
    "read_cifar100_archive",
    "read_mnist_idx",
    "read_npz",
    "read_svhn_mat",
]

Arrays = dict[str, NDArray[Any]]

BIKE_COLUMNS = (
    "season", "yr", "mnth", "holiday", "weekday", "workingday", "weathersit",
    "temp", "atemp", "hum", "windspeed", "casual", "registered", "cnt",
)  # fmt: skip
"""The columns of day.csv that are numbers and not the row's own: all but ``instant`` and ``dteday``."""

_IDX_BYTES = 0x08  # the type code of unsigned bytes
_RECONSTRUCT = np.zeros(0).__reduce__()[0]  # NumPy's function for unpickling, wherever this version keeps it
_PICKLE_NAMES = MappingProxyType(
    {
        ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): lambda text, encoding: str(text).encode(encoding),
    }
)


class FormatError(ValueError):
    """The bytes are not what the format says."""


READ_ERRORS = (
    OSError, EOFError, ValueError, KeyError, IndexError, TypeError,
    pickle.UnpicklingError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Everything that a reader raises on a file that is truncated or is something else."""


def read_npz(paths: Sequence[Path]) -> Arrays:
    """Read all arrays of one npz file."""
    # opened here, because np.load leaves a file open that turns out to be no archive
    with paths[0].open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def read_cifar10_archive(paths: Sequence[Path]) -> Arrays:
    """Read ``cifar-10-python.tar.gz``: five training batches and a test batch, pickled.

    Returns:
        ``x_train``, ``x_test`` uint8 ``[n, 32, 32, 3]`` and ``y_train``, ``y_test`` uint8 ``[n]``, in the
            official order.

    Raises:
        FormatError: A batch is missing or is something else.
    """
    wanted = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    return _cifar_archive(paths[0], wanted, b"labels")


def read_cifar100_archive(paths: Sequence[Path]) -> Arrays:
    """Read ``cifar-100-python.tar.gz``: one training and one test batch, pickled; the 100 fine labels.

    Returns:
        As `read_cifar10_archive`.

    Raises:
        FormatError: A batch is missing or is something else.
    """
    return _cifar_archive(paths[0], {"train": ["train"], "test": ["test"]}, b"fine_labels")


def _cifar_archive(path: Path, wanted: Mapping[str, Sequence[str]], labels: bytes) -> Arrays:
    with tarfile.open(path, "r:gz") as archive:
        members = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
        arrays: Arrays = {}
        for split, names in wanted.items():
            if missing := [name for name in names if name not in members]:
                raise FormatError(f"the archive lacks {', '.join(missing)}")
            batches = [_cifar_batch(archive.extractfile(members[name]), labels) for name in names]
            arrays[f"x_{split}"] = np.concatenate([images for images, _ in batches])
            arrays[f"y_{split}"] = np.concatenate([classes for _, classes in batches])
    return arrays


def _cifar_batch(file: Any, labels: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read one batch: rows of 3,072 bytes, all red pixels first, and a list of labels."""
    batch = _ArrayUnpickler(file, encoding="bytes").load()
    images = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.asarray(batch[labels], dtype=np.uint8)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles plain containers and NumPy arrays, and refuses anything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _PICKLE_NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which is no array") from None


def read_mnist_idx(paths: Sequence[Path]) -> Arrays:
    """Read four gzipped idx files: training pictures, their labels, test pictures, their labels.

    Returns:
        ``x_train``, ``x_test`` uint8 ``[n, 28, 28]`` and ``y_train``, ``y_test`` uint8 ``[n]``.

    Raises:
        FormatError: A header does not announce bytes, or the length is not what the header says.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    return {name: _read_idx(path) for name, path in zip(names, paths, strict=True)}


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one idx file: two zeros, a type code, the number of axes, their sizes (big-endian), the values."""
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path.name}: {error}") from error
    if len(content) < 4 or content[:3] != bytes([0, 0, _IDX_BYTES]):
        raise FormatError(f"{path.name} is no idx file of unsigned bytes")
    values = 4 + 4 * content[3]
    shape = [int.from_bytes(content[start : start + 4], "big") for start in range(4, values, 4)]
    if len(content) - values != np.prod(shape, dtype=np.int64):
        raise FormatError(f"{path.name} announces {shape} values but has {len(content) - values} bytes of them")
    return np.frombuffer(content, dtype=np.uint8, offset=values).reshape(shape).copy()


def read_bike_csv(paths: Sequence[Path]) -> Arrays:
    """Read ``day.csv``.

    Returns:
        ``days``: float64 ``[n, 14]``, the columns `BIKE_COLUMNS`.

    Raises:
        FormatError: A column is missing.
    """
    return _bike_days(paths[0].read_text(encoding="ascii"))


def read_bike_zip(paths: Sequence[Path]) -> Arrays:
    """Read ``day.csv`` out of the archive that UCI hands out; gives the same as `read_bike_csv`."""
    with zipfile.ZipFile(paths[0]) as archive:
        return _bike_days(archive.read("day.csv").decode("ascii"))


def _bike_days(text: str) -> Arrays:
    rows: list[Mapping[str, str]] = list(csv.DictReader(io.StringIO(text)))
    if missing := [name for name in BIKE_COLUMNS if not rows or name not in rows[0]]:
        raise FormatError(f"the table lacks the columns {', '.join(missing)}")
    return {"days": np.array([[float(row[name]) for name in BIKE_COLUMNS] for row in rows], dtype=np.float64)}


def read_svhn_mat(paths: Sequence[Path]) -> Arrays:
    """Read the cropped digits: ``train_32x32.mat`` and ``test_32x32.mat``, of Matlab, with the digit 0 labelled 10.

    Returns:
        ``x_train``, ``x_test`` uint8 ``[n, 32, 32, 3]`` and ``y_train``, ``y_test`` uint8 ``[n]``, the digits 0 to 9.

    Raises:
        FormatError: A file lacks ``X`` or ``y``, or they do not go together.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    arrays: Arrays = {}
    for split, path in zip(("train", "test"), paths, strict=True):
        try:
            stored = loadmat(path, variable_names=["X", "y"])
        except (MatReadError, NotImplementedError) as error:  # the latter: a newer format, which is another file
            raise FormatError(f"{path.name}: {error}") from error
        if missing := [name for name in ("X", "y") if name not in stored]:
            raise FormatError(f"{path.name} lacks {', '.join(missing)}")
        images, labels = stored["X"], stored["y"].reshape(-1)
        if images.ndim != 4 or images.shape[3] != len(labels) or not ((labels >= 1) & (labels <= 10)).all():
            raise FormatError(f"{path.name}: X {list(images.shape)} and y {list(labels.shape)} are no cropped digits")
        arrays[f"x_{split}"] = np.ascontiguousarray(images.transpose(3, 0, 1, 2))
        arrays[f"y_{split}"] = (labels % 10).astype(np.uint8)
    return arrays
