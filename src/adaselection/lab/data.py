"""Find a data set's files, check them, and download what is missing.

A set is looked for in the folder that the caller names, then in ``$ADASELECTION_DATA``, then in the user's
cache (`cache_dir`), and is downloaded into the cache otherwise. In each folder its files may lie flat or in a
sub-folder of the set's name. What was read is compared with known hashes *of the decoded arrays*, so it does
not matter how a file was compressed. Files are never changed and never deleted.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from adaselection.errors import AdaSelectionError
from adaselection.lab.digests import array_digests, file_digest, fingerprint, rows_digest
from adaselection.lab.formats import READ_ERRORS
from adaselection.lab.naming import lookup
from adaselection.lab.sources import SOURCES, Layout, Source

__all__ = [
    "ACCEPT_VARIABLE",
    "FOLDER_VARIABLE",
    "DataDamagedError",
    "DataError",
    "DataNotFoundError",
    "LoadedArrays",
    "cache_dir",
    "load_arrays",
]

FOLDER_VARIABLE = "ADASELECTION_DATA"
ACCEPT_VARIABLE = "ADASELECTION_ACCEPT_DATA"


class DataError(AdaSelectionError):
    """A data set cannot be used; the message says why and how to mend it."""


class DataNotFoundError(DataError):
    """The files are in none of the folders and could not be downloaded."""


class DataDamagedError(DataError):
    """A file is there but is truncated, of another format, or holds other values than it should."""


@dataclass(frozen=True)
class LoadedArrays:
    """A checked data set.

    Attributes:
        values: The arrays by name.
        order: Name of the order that the rows are in.
        fingerprint: ``order:sha256`` of all arrays together.
        paths: The files that they came from.
    """

    values: Mapping[str, NDArray[Any]]
    order: str
    fingerprint: str
    paths: tuple[Path, ...]


def cache_dir() -> Path:
    """Return this library's folder in the user's cache (XDG on Linux); it need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "adaselection"


def load_arrays(name: str, data_dir: Path | None = None) -> LoadedArrays:
    """Find, read and check a data set.

    Args:
        name: A row of `adaselection.lab.sources.SOURCES`.
        data_dir: Looked in first.

    Returns:
        The arrays, with the name of their order.

    Raises:
        ValueError: There is no data set of that name.
        DataNotFoundError: A named folder does not exist, or the files are nowhere and could not be
            downloaded.
        DataDamagedError: A file is truncated, of another format, or has unknown content.
    """
    source = lookup(SOURCES, name, "data set")
    folders = _folders(data_dir)
    found = _find(source, [folder for folder, _ in folders])
    if found is None:
        found = source.published, _download(source, folders)
    layout, paths = found
    arrays = _read(source, layout, paths)
    digests = array_digests(arrays)
    order = _order(source, layout, arrays, digests, paths)
    return LoadedArrays(arrays, order, fingerprint(order, digests), paths)


def _folders(data_dir: Path | None) -> list[tuple[Path, str]]:
    """List where to look, each with how it was named. A folder that somebody named must be there."""
    named = [(data_dir, "--data-dir")] if data_dir is not None else []
    if variable := os.environ.get(FOLDER_VARIABLE):
        named.append((Path(variable).expanduser(), f"${FOLDER_VARIABLE}"))
    for folder, origin in named:
        if not folder.is_dir():
            raise DataNotFoundError(f"{origin} names {folder}, which is no folder. Correct it, or leave it out.")
    return [*named, (cache_dir(), "the cache")]


def _find(source: Source, folders: list[Path]) -> tuple[Layout, tuple[Path, ...]] | None:
    for folder in folders:
        for place in (folder, folder / source.name):
            for layout in source.layouts:
                paths = tuple(place / file for file in layout.files)
                if all(path.is_file() for path in paths):
                    return layout, paths
    return None


def _download(source: Source, folders: list[tuple[Path, str]]) -> tuple[Path, ...]:
    """Fetch the published files into the cache, each under a temporary name until its hash is checked."""
    layout, folder = source.published, cache_dir() / source.name
    hashes = layout.sha256 or (None,) * len(layout.files)
    try:
        import pooch

        return tuple(
            Path(pooch.retrieve(url, None if sha256 is None else f"sha256:{sha256}", fname=file, path=folder))
            for url, sha256, file in zip(layout.urls, hashes, layout.files, strict=True)
        )
    except ImportError:
        reason = "downloading needs the package pooch: pip install '.[data]' in a clone of adaselection"
    except (OSError, ValueError) as error:  # no network, a full disk; or another hash than the published one
        reason = f"the download failed: {error}"
    raise DataNotFoundError(_not_found(source, folders, folder, reason)) from None


def _not_found(source: Source, folders: list[tuple[Path, str]], folder: Path, reason: str) -> str:
    layout = source.published
    hashes = layout.sha256 or ("checked once decoded",) * len(layout.files)
    lines = [f"{source.title} is not here, and {reason}", "Looked in:"]
    lines += [f"  {place} ({origin})" for place, origin in folders]
    lines.append(f"for one of these, flat or in a sub-folder {source.name}/:")
    lines += [f"  {' + '.join(other.files)}" for other in source.layouts]
    lines.append("To fix it, fetch the published files:")
    for file, url, sha256 in zip(layout.files, layout.urls, hashes, strict=True):
        lines.append(f"  curl -fL --create-dirs -o {shlex.quote(str(folder / file))} '{url}'  # sha256 {sha256}")
    lines.append(f"or put the files in a folder of yours and name it with --data-dir or ${FOLDER_VARIABLE}.")
    return "\n".join(lines)


def _read(source: Source, layout: Layout, paths: tuple[Path, ...]) -> dict[str, NDArray[Any]]:
    """Decode the files, and check names, types and shapes of what comes out."""
    try:
        stored = layout.read(paths)
    except PermissionError:
        raise
    except READ_ERRORS as error:
        raise _damaged(source, paths, f"it cannot be read ({type(error).__name__}: {error})") from error
    if missing := [key for key in source.arrays if key not in stored]:
        raise _damaged(source, paths, f"it lacks {', '.join(missing)}; it has {', '.join(stored) or 'nothing'}")
    for key, (dtype, shape) in source.arrays.items():
        array = stored[key]
        if (str(array.dtype), array.shape) != (dtype, shape):
            problem = f"{key} is {array.dtype} {list(array.shape)}, but should be {dtype} {list(shape)}"
            raise _damaged(source, paths, problem)
    return {key: stored[key] for key in source.arrays}


def _order(
    source: Source,
    layout: Layout,
    arrays: Mapping[str, NDArray[Any]],
    digests: Mapping[str, str],
    paths: tuple[Path, ...],
) -> str:
    """Name the order that the rows are in, or refuse content that is not known."""
    for order, known in source.orders.items():
        if digests == known:
            return order
    if layout.sha256 and tuple(map(file_digest, paths)) == layout.sha256:
        return "official"  # the files are the published ones, byte for byte
    if source.rows and all(
        rows_digest(arrays[f"x_{split}"], arrays[f"y_{split}"]) == sha256 for split, sha256 in source.rows.items()
    ):
        return "reordered"
    total = fingerprint("accepted", digests).partition(":")[2]
    if total in os.environ.get(ACCEPT_VARIABLE, "").split(","):
        return "accepted"
    lines = ["types and shapes are right, but the values are not those of any known copy:"]
    for key, found in digests.items():
        lines.append(f"  sha256 of {key}: {found}")
        lines += [f"    known order {order}: {known[key]}" for order, known in source.orders.items()]
    lines.append(f"If you made them and want to train on them, say so:\n  export {ACCEPT_VARIABLE}={total}")
    raise _damaged(source, paths, "\n".join(lines))


def _damaged(source: Source, paths: tuple[Path, ...], problem: str) -> DataDamagedError:
    files = ", ".join(str(path) for path in paths)
    moves = "\n".join(f"  mv {shlex.quote(str(path))} {shlex.quote(f'{path}.damaged')}" for path in paths)
    return DataDamagedError(
        f"{source.title} in {files}: {problem}\n"
        "The files were left as they are. To get good ones, move these away and run again, which downloads "
        f"them:\n{moves}"
    )
