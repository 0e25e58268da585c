"""Hashes of arrays and files, by which data sets and their orders are known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_digests", "file_digest", "fingerprint", "rows_digest"]


def array_digests(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Return the sha256 of each array's bytes, in row-major order."""
    return {name: hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() for name, array in arrays.items()}


def fingerprint(order: str, digests: Mapping[str, str]) -> str:
    """Return ``order:sha256``, where the hash is over the names and digests of all arrays."""
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return f"{order}:{hashlib.sha256(lines.encode()).hexdigest()}"


def rows_digest(inputs: NDArray[Any], labels: NDArray[Any]) -> str:
    """Return a hash of the rows as a set, which is the same for every order of them.

    Args:
        inputs: ``[n, ...]``.
        labels: ``[n]``.

    Returns:
        The sha256 over the sorted sha256 of each row: the bytes of its input, then of its label.
    """
    rows = zip(np.ascontiguousarray(inputs), np.ascontiguousarray(labels), strict=True)
    row_digests = sorted(hashlib.sha256(x.tobytes() + y.tobytes()).digest() for x, y in rows)
    return hashlib.sha256(b"".join(row_digests)).hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
