"""Documents that are written from run records: which of them are out of date, and bringing them up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaselection.lab.record import Record
from adaselection.lab.store import Damage, RecordStore, write_atomically

__all__ = ["Written", "read"]


def read(folder: Path) -> tuple[list[Record], list[Damage]]:
    """Read the records of a folder; none where it is missing."""
    return RecordStore(folder, writable=False).read_all() if folder.is_dir() else ([], [])


@dataclass(frozen=True)
class Written:
    """Files that follow from the records of a folder, and the command that writes them.

    Attributes:
        command: As people type it.
        results: Folder of the records.
        docs: Folder of the files.
        texts: The text of every file by its path below the folder, from records.
        strays: Pattern of the files that the records must give; others of that kind are out of date.
        remove: Whether strays are removed; else they are left alone.
        others: Names of files of that kind that another command writes.
    """

    command: str
    results: Path
    docs: Path
    texts: Callable[[Sequence[Record]], Mapping[str, str]]
    strays: str
    remove: bool = False
    others: frozenset[str] = frozenset()

    def stale(self, docs: Path, texts: Mapping[str, str]) -> list[Path]:
        """Return the files that are missing or say something else, and the strays."""
        wrong = [
            docs / name
            for name, text in texts.items()
            if not (docs / name).exists() or (docs / name).read_text(encoding="utf-8") != text
        ]
        known = {docs / name for name in (*texts, *self.others)}
        return wrong + sorted(path for path in docs.glob(self.strays) if path not in known)

    def update(self, docs: Path, texts: Mapping[str, str]) -> list[Path]:
        """Write the files that changed, and remove strays where that is wanted; returns both."""
        changed = []
        for path in self.stale(docs, texts):
            name = path.relative_to(docs).as_posix()
            if name in texts:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, texts[name])
            elif self.remove:
                path.unlink()
            else:
                continue
            changed.append(path)
        return changed

    def main(self, arguments: list[str] | None, description: str | None) -> int:
        """Update or check the files, and say which differ; the exit status."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--results", type=Path, default=self.results, help="folder of the records")
        parser.add_argument("--docs", type=Path, default=self.docs, help="folder of the files")
        parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is out of date")
        options = parser.parse_args(arguments)
        records, damages = read(options.results)
        texts = self.texts(records)
        for damage in damages:
            print(f"skipped {damage.path}: {damage.reason}", file=sys.stderr)  # noqa: T201  # a command's output
        if options.check:
            wrong = self.stale(options.docs, texts)
            for path in wrong:
                message = f"{path} is not what {options.results} gives: run {self.command}"
                print(message, file=sys.stderr)  # noqa: T201  # as above
            return 1 if wrong or damages else 0
        for path in self.update(options.docs, texts):
            print(f"updated {path}")  # noqa: T201  # as above
        return 0
