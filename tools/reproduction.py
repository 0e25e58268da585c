"""Write docs/reproduction.md and its pictures from the run records of the paper's grids.

Run ``python tools/reproduction.py`` after records under ``results/paper`` have changed. ``--check`` writes nothing and
fails where a file is not what the records give. A test holds that.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from adaselection.lab.paper.document import IMAGES, document
from adaselection.lab.record import Record
from adaselection.lab.written import Written

ROOT = Path(__file__).resolve().parent.parent


def texts(records: Sequence[Record]) -> dict[str, str]:
    """Return the text of every file by its path below docs."""
    text, pictures = document(records)
    return {"reproduction.md": text} | {f"{IMAGES}/{name}": picture for name, picture in pictures.items()}


FILES = Written(
    "python tools/reproduction.py", ROOT / "results" / "paper", ROOT / "docs", texts, f"{IMAGES}/*.svg", remove=True
)


def main(arguments: list[str] | None = None) -> int:
    """Update or check the page, and say which files differ."""
    return FILES.main(arguments, __doc__)


if __name__ == "__main__":
    sys.exit(main())
