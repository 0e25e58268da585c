"""Rows of nested batches: which rows come out of which container, and what is refused."""

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adaselection import tree
from adaselection.errors import BatchStructureError

Pair = namedtuple("Pair", "x y")


@dataclass
class Plain:
    x: Tensor
    y: Tensor
    scale: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.x = self.x / 2  # must not run a second time
        self.scale = torch.tensor(2.0)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: Tensor
    names: list[str]


class Encoding(UserDict[str, Any]):
    """Like Hugging Face's BatchEncoding: a UserDict with more than its data, whose constructor takes other things."""

    def __init__(
        self, data: dict[str, Any] | None = None, encoding: Any = None, n_sequences: int | None = None
    ) -> None:
        super().__init__(data)
        self._encodings = encoding
        self._n_sequences = n_sequences

    def __getitem__(self, item: str | int) -> Any:
        if isinstance(item, str):
            return self.data[item]
        raise KeyError("indexing with integers is for fast tokenizers")

    def __getattr__(self, item: str) -> Any:
        try:
            return self.data[item]
        except KeyError as error:
            raise AttributeError(item) from error


class Boxed(MutableMapping[str, Any]):
    """A mapping that shares its insides when it is copied without care."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, key: str) -> Any:
        return self._parts[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._parts[key] = value

    def __delitem__(self, key: str) -> None:
        del self._parts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def x(*rows: int) -> Tensor:
    return torch.tensor(rows).unsqueeze(1) * torch.tensor([10, 100])


def y(*rows: int) -> Tensor:
    return torch.tensor(rows)


MAKERS = {
    "tensor": lambda *r: y(*r),
    "tuple": lambda *r: (x(*r), y(*r)),
    "list": lambda *r: [x(*r), [str(i) for i in r]],
    "dict": lambda *r: {"x": x(*r), "names": tuple(str(i) for i in r), "step": 7, "none": None},
    "ordered": lambda *r: OrderedDict(b=x(*r), a=y(*r)),
    "default": lambda *r: defaultdict(list, x=x(*r), ids=[float(i) for i in r]),
    "namedtuple": lambda *r: Pair(x(*r), {"deep": [y(*r), "whole"]}),
    "frozen": lambda *r: Frozen(x(*r), [str(i) for i in r]),
    "encoding": lambda *r: Encoding({"input_ids": x(*r), "labels": y(*r)}, encoding="kept", n_sequences=1),
    "boxed": lambda *r: Boxed({"x": x(*r), "y": y(*r)}),
    "proxy": lambda *r: MappingProxyType({"x": x(*r)}),
    "objects": lambda *r: (y(*r), [np.int64(i) for i in r]),
    "scalar": lambda *r: (y(*r), torch.tensor(0.5)),
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    parts, others = tree.children(one), tree.children(other)
    if parts is None:
        return type(one) is type(other) and bool(one == other)
    return (
        type(one) is type(other) and list(parts) == list(others or {}) and all(same(parts[k], others[k]) for k in parts)
    )


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_rows_of_every_container(make: Any) -> None:
    batch, untouched = make(5, 6, 7, 8), make(5, 6, 7, 8)
    assert tree.length(batch) == 4
    assert same(tree.take(batch, torch.tensor([0, 3])), make(5, 8))
    assert same(tree.narrow(batch, 1, 3), make(6, 7))
    assert same(tree.cat([make(5), make(6, 7), make(8)]), batch)
    assert same(tree.to(batch, torch.device("cpu")), batch)
    assert same(tree.with_leaves(make(0, 0, 0, 0), tree.leaves(batch)), batch)
    assert same(batch, untouched)  # nothing was written into the user's batch


def test_extras_of_containers_survive() -> None:
    taken = tree.take(MAKERS["encoding"](1, 2), torch.tensor([1]))
    assert (taken._encodings, taken._n_sequences, taken.labels.tolist()) == ("kept", 1, [2])
    default = tree.take(MAKERS["default"](1, 2), torch.tensor([0]))
    assert default["new"] == []


def test_post_init_does_not_run_again() -> None:
    batch = Plain(torch.tensor([8.0, 4.0]), y(0, 1))
    taken = tree.take(batch, torch.tensor([0]))
    assert (taken.x.tolist(), taken.y.tolist(), taken.scale.item()) == ([4.0], [0], 2.0)
    assert batch.x.tolist() == [4.0, 2.0]


def test_the_rows_keep_device_dtype_and_order() -> None:
    batch = {"half": torch.arange(6, dtype=torch.float16), "flag": torch.arange(6) % 2 == 0}
    taken = tree.take(batch, torch.tensor([4, 1, 1]))
    assert taken["half"].dtype == torch.float16
    assert (taken["half"].tolist(), taken["flag"].tolist()) == ([4.0, 1.0, 1.0], [True, False, False])


def test_parts_of_different_lengths_are_named() -> None:
    with pytest.raises(BatchStructureError, match=r"batch\['x'\]: 3, batch\['y'\]\[0\]: 3, batch\['y'\]\[1\]: 2"):
        tree.length({"x": torch.zeros(3), "y": (torch.zeros(3), ["a", "b"])})


@pytest.mark.parametrize("batch", [None, 3, "text", [], {}, (), torch.tensor(1.0), {"a": None, "b": 2}])
def test_a_batch_without_rows(batch: Any) -> None:
    with pytest.raises(BatchStructureError, match="no rows found"):
        tree.length(batch)


@pytest.mark.parametrize(
    "part",
    [np.zeros(3), {1, 2, 3}, [np.zeros(2), np.zeros(2), np.zeros(2)], object(), range(3)],
    ids=["array", "set", "arrays", "object", "range"],
)
def test_parts_whose_rows_would_be_lost_are_refused(part: Any) -> None:
    with pytest.raises(BatchStructureError, match=r"batch\[1\].*collate function"):
        tree.length((torch.zeros(3), part))


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ((y(1), y(2)), (y(1), y(2), y(3)), "same structure"),
        ({"x": y(1)}, {"z": y(1)}, "same structure"),
        ((y(1), y(2)), y(1), "same structure"),
        ({"x": y(1), "epoch": 1}, {"x": y(1), "epoch": 2}, r"batch\['epoch'\] has no rows"),
        ((y(1), torch.tensor(1)), (y(1), torch.tensor(2)), r"batch\[1\] has no rows"),
        ((y(1), None), (y(1), "a"), r"batch\[1\] has no rows"),
        (torch.zeros(2, 3), torch.zeros(2, 4), r"\[\(3,\), \(4,\)\].*Pad"),
    ],
)
def test_batches_that_cannot_go_into_one(one: Any, other: Any, words: str) -> None:
    with pytest.raises(BatchStructureError, match=words):
        tree.cat([one, other])


def test_saved_parts_that_do_not_fit() -> None:
    with pytest.raises(BatchStructureError, match="with 2 parts cannot take 1"):
        tree.with_leaves((y(1), y(2)), [y(1)])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_cat_then_take_is_indexing(lengths: list[int], data: st.DataObject) -> None:
    total = sum(lengths)
    rows = torch.arange(total)
    parts = [
        {"x": part.float().unsqueeze(1), "more": (part, [f"row {i}" for i in part.tolist()])}
        for part in rows.split(lengths)
    ]
    joined = tree.cat(parts)
    assert tree.length(joined) == total
    wanted = data.draw(st.lists(st.integers(0, total - 1), max_size=6))
    taken = tree.take(joined, torch.tensor(wanted, dtype=torch.int64))
    assert taken["x"].flatten().tolist() == wanted
    assert taken["more"][0].tolist() == wanted
    assert taken["more"][1] == [f"row {i}" for i in wanted]
    assert tree.leaves(parts[0])[0].flatten().tolist() == list(range(lengths[0]))
