"""A folder of run records that several processes may fill together.

One JSON file a run, `<folder>/<task>/<run_id>.json`, written whole or not at all. A run is claimed by a file lock
that vanishes with its process, so a killed grid goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adaselection.errors import AdaSelectionError
from adaselection.lab.record import DamagedRecordError, Record, run_id

__all__ = ["Damage", "DamagedRecordError", "Record", "RecordStore", "StoreError", "run_id", "write_atomically"]

_FIXES = {
    errno.ENOSPC: "free some space, or name a folder on another disk",
    errno.EDQUOT: "free some of your quota, or name a folder on another disk",
    errno.EFBIG: "lift the limit on file sizes (ulimit -f), or name a folder on another disk",
    errno.EROFS: "name a folder on a disk that can be written",
    errno.EACCES: "give yourself write permission there, or name another folder",
    errno.EPERM: "give yourself write permission there, or name another folder",
    errno.ENOTDIR: "a file stands where a folder must be: move it, or name another folder",
    errno.EEXIST: "a file stands where a folder must be: move it, or name another folder",
}


class StoreError(AdaSelectionError, RuntimeError):
    """The results folder cannot be used. The message names the path, the reason and the fix."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.path, self.error = path, error
        reason = error.strerror or str(error)
        fix = _FIXES.get(error.errno or 0, "name another folder")
        super().__init__(f"cannot write {path}: {reason}. Fix: {fix}.")

    def __reduce__(self) -> tuple[type[StoreError], tuple[Path, OSError]]:
        """Let it come back whole from the process of a run."""
        return type(self), (self.path, self.error)


@dataclass(frozen=True)
class Damage:
    """A file that is not a usable record, and why. It is skipped, never deleted."""

    path: Path
    reason: str


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or none: a temporary file beside it, flushed to disk, then renamed over it.

    Args:
        path: The file to write. Its folder must exist.
        text: The content, written as UTF-8.

    Raises:
        StoreError: If it cannot be written. No half-written file stays behind, and an older file keeps its content.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


class RecordStore:
    """The records under one folder.

    Args:
        folder: The results folder. Created, with its parents, where it is missing and `writable` is set.
        writable: Check at once that records can be written, so that a grid fails before it trains. Reading alone
            needs no permission to write.

    Raises:
        StoreError: If `writable` is set and the folder cannot be written.
    """

    def __init__(self, folder: str | Path, *, writable: bool = True) -> None:
        self.folder = Path(folder)
        if writable:
            self.ensure_writable()

    def ensure_writable(self) -> None:
        """Write and remove a small file, and make the folder of locks.

        Raises:
            StoreError: If that fails, with the path, the reason and the fix.
        """
        _make_folder(self._locks)
        ignore = self._locks / ".gitignore"  # also keeps the locks out of committed results
        if not ignore.exists():
            write_atomically(ignore, "*\n")
        check = self.folder / f".write-check-{os.getpid()}-{secrets.token_hex(4)}"
        write_atomically(check, "x" * 4096)
        check.unlink(missing_ok=True)

    def path(self, record: Record) -> Path:
        """Return where a record is kept: `<folder>/<task>/<run_id>.json`.

        Raises:
            ValueError: If the task's name cannot be a folder's name.
        """
        task = record.config.task
        if not re.fullmatch(r"\w[\w.-]*", task, re.ASCII):
            raise ValueError(f"task name {task!r} cannot name a folder: use letters, digits, '_', '-' and '.'")
        return self.folder / task / f"{record.run_id}.json"

    def write(self, record: Record) -> Path:
        """Write a record, whole or not at all, and return its path.

        A damaged file of the same name is renamed to `<name>.damaged`, not overwritten.

        Raises:
            StoreError: If it cannot be written.
        """
        path = self.path(record)
        _make_folder(path.parent)
        if path.exists() and isinstance(_read(path), Damage):
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, path.with_name(f"{path.name}.damaged"))
        write_atomically(path, record.to_json())
        return path

    def has(self, run_id: str) -> bool:
        """Say whether a usable record of this run is here. A damaged one does not count: the run is due again."""
        return any(isinstance(_read(path), Record) for path in self.folder.glob(f"[!.]*/{run_id}.json"))

    @contextlib.contextmanager
    def claim(self, run_id: str, *, again: bool = False) -> Iterator[bool]:
        """Claim a run for this process; never waits.

        Yields True when the run is ours to do. Yields False when another process holds it or, unless `again` is set,
        when its record is here by now. The claim ends with the block or with the process, however that dies.

        >>> with RecordStore(tmp_path).claim("0123456789abcdef") as mine:
        ...     mine
        True

        Raises:
            StoreError: If the lock file cannot be made.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._locks / f"{run_id}.lock", timeout=0)
        try:
            _make_folder(self._locks)
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            raise StoreError(self._locks, error) from error
        try:
            yield again or not self.has(run_id)
        finally:
            lock.release()

    def read_all(self) -> tuple[list[Record], list[Damage]]:
        """Read every `*.json` of the folder and of the folders in it, one a task, hidden ones aside.

        A folder further down is a store of its own, such as another study of the same runs.

        Returns:
            The records in the order of their paths, and the files that are no usable record, each with its reason.
            A second record of the same run is among the latter, so that no run counts twice.

        Raises:
            FileNotFoundError: If the folder is missing.
        """
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no results folder {self.folder}: name the folder that holds the records")
        records: dict[str, Record] = {}
        damages: list[Damage] = []
        first: dict[str, Path] = {}
        for path in sorted([*self.folder.glob("*.json"), *self.folder.glob("*/*.json")]):
            if any(part.startswith(".") for part in path.relative_to(self.folder).parts):
                continue
            found = _read(path)
            if isinstance(found, Damage):
                damages.append(found)
            elif found.run_id in records:
                damages.append(Damage(path, f"a second record of the run in {first[found.run_id]}"))
            else:
                records[found.run_id], first[found.run_id] = found, path
        return list(records.values()), damages

    @property
    def _locks(self) -> Path:
        return self.folder / ".locks"


def _read(path: Path) -> Record | Damage:
    try:
        return Record.from_json(path.read_bytes(), path)
    except DamagedRecordError as error:
        return Damage(path, error.reason)
    except OSError as error:
        return Damage(path, error.strerror or str(error))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(folder, error) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can (not on Windows)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
