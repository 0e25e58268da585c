"""Write the pages under docs/results from the run records of the recorded plane.

Run ``python tools/results.py`` after records under ``results/recorded`` have changed. ``--check`` writes nothing and
fails where a page is not what the records give. A test holds that.
"""

import sys
from pathlib import Path

from adaselection.lab.judging import pages
from adaselection.lab.written import Written

ROOT = Path(__file__).resolve().parent.parent
OTHERS = frozenset({"peers.md"})  # of tools/peers.py
PAGES = Written(
    "python tools/results.py", ROOT / "results" / "recorded", ROOT / "docs" / "results", pages, "*.md", others=OTHERS
)


def main(arguments: list[str] | None = None) -> int:
    """Update or check the pages, and say which differ."""
    return PAGES.main(arguments, __doc__)


if __name__ == "__main__":
    sys.exit(main())
