"""How much the long suites do: a sample in `make test`, all of it in `make soak`."""

import os

FULL = bool(os.environ.get("ADASELECTION_SOAK"))


def count(sample: int, full: int) -> int:
    """The count of the run at hand."""
    return full if FULL else sample
