"""What an example has that the script without selection has not."""

from __future__ import annotations

from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def lines_with(name: str, *words: str) -> list[str]:
    """Lines of the example that hold one of the words, imports aside."""
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if any(word in line for word in words) and not line.startswith(("from", "import"))]
