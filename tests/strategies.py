"""What the property tests draw: batches with ties, of size 0 and 1, of huge and tiny numbers."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

SIZES = st.one_of(st.integers(0, 3), st.integers(4, 33))
SCALES = st.sampled_from([1e-30, 1e-6, 1.0, 1e3, 1e30])


@st.composite
def values(draw: st.DrawFn, size: int | None = None, *, negative: bool = False, scaled: bool = True) -> np.ndarray:
    """Numbers at one scale, half of the time with many ties."""
    count = draw(SIZES) if size is None else size
    low = -1.0 if negative else 0.0
    plain = st.floats(low, 1.0, allow_subnormal=False, width=32)
    tied = st.integers(-4 if negative else 0, 4).map(float)
    drawn = draw(st.lists(draw(st.sampled_from([plain, tied])), min_size=count, max_size=count))
    return np.array(drawn, dtype=np.float64) * (draw(SCALES) if scaled else 1.0)


@st.composite
def masked(draw: st.DrawFn, *, negative: bool = False, scaled: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and which of them are valid: mostly all, sometimes few or none."""
    drawn = draw(values(negative=negative, scaled=scaled))
    if draw(st.booleans()):
        return drawn, np.ones(len(drawn), dtype=bool)
    valid = draw(st.lists(st.booleans(), min_size=len(drawn), max_size=len(drawn)))
    return drawn, np.array(valid, dtype=bool)


@st.composite
def weights(draw: st.DrawFn, count: int) -> np.ndarray:
    """Weights of methods: positive, summing to 1."""
    parts = draw(st.lists(st.integers(1, 20), min_size=count, max_size=count))
    return np.array(parts, dtype=np.float64) / sum(parts)


def tensor(array: np.ndarray, dtype: torch.dtype | None = None) -> torch.Tensor:
    """The array as a tensor of its own, float64 unless said."""
    made = torch.from_numpy(np.ascontiguousarray(array).copy())
    return made if dtype is None else made.to(dtype)


def double(array: torch.Tensor) -> np.ndarray:
    """The tensor as float64 numbers."""
    return array.detach().to(torch.float64).numpy()
