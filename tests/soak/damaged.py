"""Damaged states: an entry gone, of another type, or of another shape."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from soak.bad import Bad, junk

Path = tuple[Any, ...]
NUMBERS = (int, float)


def paths(state: Any, above: Path = ()) -> Iterator[Path]:
    """Where the entries of a state are, at every depth."""
    if above:
        yield above
    if isinstance(state, (dict, list)) and "inner" not in above:
        for key in state if isinstance(state, dict) else range(len(state)):
            yield from paths(state[key], (*above, key))


def at(state: Any, path: Path) -> Any:
    for key in path:
        state = state[key]
    return state


def without(state: Any, path: Path) -> Any:
    """A copy without one entry."""
    other = copy.deepcopy(state)
    del at(other, path[:-1])[path[-1]]
    return other


def replaced(state: Any, path: Path, value: Any) -> Any:
    """A copy with another entry."""
    other = copy.deepcopy(state)
    at(other, path[:-1])[path[-1]] = value
    return other


def other_types(value: Any) -> st.SearchStrategy[Any]:
    """What cannot stand in the place of a value."""
    if value is None or isinstance(value, Tensor):
        wrong = [torch.ones(2, 3, 4), torch.ones(3, dtype=torch.complex64)]
        return st.one_of(junk(Tensor, type(None)), st.sampled_from(wrong))
    if isinstance(value, NUMBERS):
        return junk(*NUMBERS, bool, Tensor) if not isinstance(value, bool) else junk(bool, *NUMBERS, Tensor)
    return junk(type(value))


@st.composite
def damage(draw: st.DrawFn, state: Any) -> Bad:
    """Load a damaged copy of a state, or none at all."""
    path = draw(st.sampled_from(list(paths(state))))
    kind = draw(st.sampled_from(["gone", "type", "type", "type", "all"]))
    if kind == "all":
        value = draw(junk(dict))
        return Bad(f"state={value!r:.100}", lambda on: on.load_state_dict(value))
    optional = path[-1] == "measure"  # a phase that not every loader has
    if kind == "gone" and isinstance(at(state, path[:-1]), dict) and not optional:
        return Bad(f"state without {path}", lambda on: on.load_state_dict(without(state, path)))
    value = draw(other_types(at(state, path)))
    return Bad(f"state{list(path)}={value!r:.100}", lambda on: on.load_state_dict(replaced(state, path, value)))
