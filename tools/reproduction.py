"""Write docs/reproduction.md and its pictures from the run records of the paper's grids.

Run ``python tools/reproduction.py`` after records under ``results/paper`` have changed. ``--check`` writes nothing and
fails where a file is not what the records give. A test holds that.
"""

import argparse
import sys
from pathlib import Path

from adaselection.lab.paper.document import IMAGES, document
from adaselection.lab.store import Damage, RecordStore, write_atomically

ROOT = Path(__file__).resolve().parent.parent
PAGE = "reproduction.md"


def wanted(folder: Path) -> tuple[dict[str, str], list[Damage]]:
    """Return the text of every file by its path below docs, and what is damaged; a missing folder has no records."""
    records, damages = RecordStore(folder, writable=False).read_all() if folder.is_dir() else ([], [])
    text, pictures = document(records)
    return {PAGE: text} | {f"{IMAGES}/{name}": picture for name, picture in pictures.items()}, damages


def stale(docs: Path, texts: dict[str, str]) -> list[Path]:
    """Return the files that are missing or say something else, and pictures that no record gives any more."""
    wrong = [
        docs / n for n, t in texts.items() if not (docs / n).exists() or (docs / n).read_text(encoding="utf-8") != t
    ]
    known = {docs / name for name in texts}
    return wrong + sorted(path for path in (docs / IMAGES).glob("*.svg") if path not in known)


def update(docs: Path, texts: dict[str, str]) -> list[Path]:
    """Write the files that changed and remove pictures that are shown no more; returns both."""
    (docs / IMAGES).mkdir(parents=True, exist_ok=True)
    changed = stale(docs, texts)
    for path in changed:
        name = path.relative_to(docs).as_posix()
        if name in texts:
            write_atomically(path, texts[name])
        else:
            path.unlink()
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Update or check the page, and say which files differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "paper", help="folder of the records")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the page")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is out of date")
    options = parser.parse_args(arguments)
    texts, damages = wanted(options.results)
    for damage in damages:
        print(f"skipped {damage.path}: {damage.reason}", file=sys.stderr)
    if options.check:
        wrong = stale(options.docs, texts)
        for path in wrong:
            print(f"{path} is not what {options.results} gives: run python tools/reproduction.py", file=sys.stderr)
        return 1 if wrong or damages else 0
    for path in update(options.docs, texts):
        print(f"updated {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
