"""Write the pages under docs/results from the run records of the recorded plane.

Run ``python tools/results.py`` after records under ``results/recorded`` or ``results/timed`` have changed. ``--check``
writes nothing and fails where a page is not what the records give. A test holds that.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from adaselection.lab.judging import pages
from adaselection.lab.record import Record
from adaselection.lab.written import Written, read

ROOT = Path(__file__).resolve().parent.parent
OTHERS = frozenset(
    {"peers.md", "scoring.md", "gains.md", "other_data.md"}
)  # of tools/peers.py, readme.py, other_data.py
TIMED = ROOT / "results" / "timed"


def texts(records: Sequence[Record]) -> dict[str, str]:
    """Every page, with the runs that were made for their seconds."""
    return pages(records, timed=read(TIMED)[0])


PAGES = Written(
    "python tools/results.py",
    ROOT / "results" / "recorded",
    ROOT / "docs" / "results",
    texts,
    "*.md",
    others=OTHERS,
)


def main(arguments: list[str] | None = None) -> int:
    """Update or check the pages, and say which differ."""
    return PAGES.main(arguments, __doc__)


if __name__ == "__main__":
    sys.exit(main())
