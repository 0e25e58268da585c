"""Records in one file, to bring them from the machine that made them to the one that reports them."""

from __future__ import annotations

import gzip
import io
import os
import secrets
import tarfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adaselection.errors import AdaSelectionError
from adaselection.lab.record import DamagedRecordError, Record
from adaselection.lab.store import RecordStore, StoreError

__all__ = ["ArchiveError", "Merged", "merge", "pack"]

_MOST_BYTES = 16 << 20  # of a record; they have some ten thousand


class ArchiveError(AdaSelectionError, ValueError):
    """An archive that cannot be merged; the message says why. No record was written."""


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    Attributes:
        added: Records that were written.
        known: Records that were there already; they stayed as they were.
    """

    added: int
    known: int


def pack(store: RecordStore, path: Path) -> int:
    """Write all usable records of a store into one archive, whole or not at all, and return how many they are.

    Damaged files stay out.

    Args:
        store: The records.
        path: A file whose name ends in ``.tar.gz``. An older one of that name is replaced.

    Raises:
        FileNotFoundError: The store's folder is missing.
        StoreError: The archive cannot be written.
    """
    records, _ = store.read_all()
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with tarfile.open(temporary, "x:gz") as archive:
            for record in records:
                content = record.to_json().encode()
                member = tarfile.TarInfo(f"{record.config.task}/{record.run_id}.json")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return len(records)


def merge(path: Path, store: RecordStore) -> Merged:
    """Write the records of an archive that a store does not have; never overwrites one.

    Every record is read and checked first, so a bad archive changes nothing. Each is then written whole; a merge that
    is stopped in between goes on from there when it is done again.

    Args:
        path: As `pack` wrote it.
        store: Where the records go.

    Raises:
        FileNotFoundError: There is no such file.
        ArchiveError: It is no archive, is truncated, or holds something that is no valid record.
        StoreError: A record cannot be written.
    """
    records = _checked(path)
    added = 0
    for record in records:
        with store.claim(record.run_id) as mine:
            if mine:
                store.write(record)
                added += 1
    return Merged(added, len(records) - added)


def _checked(path: Path) -> list[Record]:
    """All records of an archive, each where its own name puts it."""
    if not path.is_file():
        raise FileNotFoundError(f"no archive {path}: name a file that --pack wrote")
    records: dict[str, Record] = {}
    try:
        whole = io.BytesIO(gzip.decompress(path.read_bytes()))  # to its end, where its own check is
        with tarfile.open(fileobj=whole, mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() and member.size <= _MOST_BYTES else None
                if content is None:
                    raise ArchiveError(_bad(path, f"{member.name} is no record"))
                record = Record.from_json(content.read(), f"{path}: {member.name}")
                place = PurePosixPath(record.config.task, f"{record.run_id}.json")
                if PurePosixPath(member.name) != place:
                    raise ArchiveError(_bad(path, f"{member.name} holds the record of {place}"))
                records[record.run_id] = record
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ArchiveError(_bad(path, str(error) or type(error).__name__)) from error
    except DamagedRecordError as error:
        raise ArchiveError(_bad(path, error.reason, error.source)) from error
    return list(records.values())


def _bad(path: Path, reason: str, place: str | None = None) -> str:
    return f"{place or path}: {reason}. Nothing was merged. Pack the records again, on the machine that has them."
