"""Bad inputs: what hypothesis draws, and what is to be refused with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn


class Bad(NamedTuple):
    """Something to be refused: words for the report, and how to do it to a subject."""

    what: str
    do: Callable[[Any], Any]

    def __repr__(self) -> str:
        return self.what


JUNK: dict[type, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers(-(2**70), 2**70),
    float: st.floats(),
    complex: st.complex_numbers(max_magnitude=1e3),
    str: st.text(max_size=6),
    bytes: st.binary(max_size=4),
    list: st.lists(st.one_of(st.integers(), st.text(max_size=2), st.none()), max_size=3),
    dict: st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    object: st.builds(object),
    Tensor: st.one_of(
        st.floats(width=32).map(torch.tensor),
        st.sampled_from([(0,), (3,), (2, 2)]).map(lambda shape: torch.ones(shape)),
    ),
    np.ndarray: st.integers(0, 4).map(np.zeros),
}


def junk(*but: type) -> st.SearchStrategy[Any]:
    """Values of any type but these."""
    return st.one_of([values for kind, values in JUNK.items() if kind not in but])


def numbers(good: Callable[[float], bool]) -> st.SearchStrategy[Any]:
    """What is no number, and numbers that are not good."""
    drawn = st.one_of(st.floats(), st.integers(-9, 9), st.sampled_from([10**400, -(10**400), float("nan"), 1e308]))
    return st.one_of(junk(int, float), drawn.filter(lambda value: not good(value)))


def counts(least: int) -> st.SearchStrategy[Any]:
    """What is no whole number of at least so much."""
    return st.one_of(junk(int), st.integers(max_value=least - 1))


def words(*good: str, optional: bool = False) -> st.SearchStrategy[Any]:
    """What is none of some words; a letter more or less, too."""
    near = st.sampled_from(good).flatmap(lambda word: st.sampled_from([word[1:], word + "s", word.upper(), f" {word}"]))
    drawn = st.one_of(junk(str), st.text(max_size=8), near)
    return drawn.filter(
        lambda value: not (isinstance(value, str) and value in good) and not (optional and value is None)
    )


def no_functions(*also_good: type) -> st.SearchStrategy[Any]:
    """What cannot be called."""
    return junk(*also_good)


def arguments(make: Callable[..., Any], table: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Bad]:
    """One bad argument among good ones: ``make(subject, name=value)``."""

    def one(name: str) -> st.SearchStrategy[Bad]:
        return table[name].map(lambda value: Bad(f"{name}={value!r:.200}", lambda on: make(on, **{name: value})))

    return st.sampled_from(list(table)).flatmap(one)


def finite(size: int) -> st.SearchStrategy[Tensor]:
    """Good losses."""
    return st.lists(st.floats(0, 9, width=32), min_size=size, max_size=size).map(torch.tensor)


@st.composite
def losses(draw: st.DrawFn, size: int, share: float = 0.25) -> Any:
    """What are no ``size`` losses, one a row; NaN for more than a share of the rows, too, where that is above 0."""
    good = draw(finite(size))
    kinds = [*(["nonfinite"] if share else []), "shape", "type", "layout", "junk", "meta"]
    kind = draw(st.sampled_from(kinds))
    if kind == "nonfinite":
        rows = draw(st.permutations(range(size)))[: draw(st.integers(int(share * size) + 1, size))]
        good[rows] = draw(st.sampled_from([float("nan"), float("inf"), -float("inf")]))
        return good
    if kind == "shape":
        return draw(st.sampled_from([good[0], good.reshape(-1, 1), good.reshape(2, -1), good[None, :, None]]))
    if kind == "type":
        return good.to(draw(st.sampled_from([torch.complex64, torch.complex128])))
    if kind == "layout":
        return draw(
            st.sampled_from(
                [
                    good.to_sparse(),
                    torch.quantize_per_tensor(good, 0.1, 0, torch.quint8),
                    torch.nested.nested_tensor([good]),
                ]
            )
        )
    return good.to("meta") if kind == "meta" else draw(junk(Tensor))


def other_length(size: int) -> st.SearchStrategy[Tensor]:
    """Good losses of another number of rows."""
    return st.integers(0, 3 * size).filter(lambda rows: rows != size).flatmap(finite)


def ids(size: int) -> st.SearchStrategy[Any]:
    """What are no ids from 0 to ``size - 1``; the shape is ``[4]``, where it is one."""
    outside = st.one_of(st.integers(size, 2**62), st.integers(-(2**62), -1))
    return st.one_of(no_vectors(), st.tuples(outside, st.integers(0, 3)).map(lambda drawn: one_other(*drawn)))


def one_other(number: int, place: int) -> Tensor:
    """Four ids, one of them this."""
    some = torch.arange(4)
    some[place] = number
    return some


def no_vectors() -> st.SearchStrategy[Any]:
    """What is no tensor of whole numbers, shape ``[b]``."""
    wrong = [torch.rand(4), torch.ones(4, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.int64), torch.tensor(3)]
    wrong += [torch.ones(4, dtype=torch.complex64), torch.arange(4).to_sparse(), torch.arange(4, device="meta")]
    return st.one_of(junk(Tensor), st.sampled_from(wrong))


class Net(nn.Module):
    """A model with buffers, whose last output can be made wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
