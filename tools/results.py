"""Write the pages under docs/results from the run records of the recorded plane.

Run ``python tools/results.py`` after records under ``results/recorded`` have changed. ``--check`` writes nothing and
fails where a page is not what the records give. A test holds that.
"""

import argparse
import sys
from pathlib import Path

from adaselection.lab.judging import pages
from adaselection.lab.record import Record
from adaselection.lab.store import Damage, RecordStore, write_atomically

ROOT = Path(__file__).resolve().parent.parent


def read(folder: Path) -> tuple[list[Record], list[Damage]]:
    """Read the records of a folder; none where it is missing."""
    return RecordStore(folder, writable=False).read_all() if folder.is_dir() else ([], [])


def stale(docs: Path, texts: dict[str, str]) -> list[Path]:
    """Return the pages that are missing or say something else, and those that no record gives any more."""
    wrong = [
        docs / name
        for name, text in texts.items()
        if not (docs / name).exists() or (docs / name).read_text(encoding="utf-8") != text
    ]
    return wrong + sorted(path for path in docs.glob("*.md") if path.name not in texts)


def update(docs: Path, texts: dict[str, str]) -> list[Path]:
    """Write the pages that changed; returns them. Pages of another name are left alone."""
    docs.mkdir(parents=True, exist_ok=True)
    changed = [path for path in stale(docs, texts) if path.name in texts]
    for path in changed:
        write_atomically(path, texts[path.name])
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Update or check the pages, and say which differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "recorded", help="folder of the records")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "results", help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    options = parser.parse_args(arguments)
    records, damages = read(options.results)
    for damage in damages:
        print(f"skipped {damage.path}: {damage.reason}", file=sys.stderr)
    texts = pages(records)
    if options.check:
        wrong = stale(options.docs, texts)
        for path in wrong:
            print(f"{path} is not what {options.results} gives: run python tools/results.py", file=sys.stderr)
        return 1 if wrong or damages else 0
    for path in update(options.docs, texts):
        print(f"updated {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
