"""Bad inputs that once passed, or failed deep inside; the generated ones of tests/soak found them."""

import math
from collections.abc import Callable
from functools import reduce
from operator import getitem
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from adaselection import (
    AdaSelection,
    CheapScores,
    RecordedLoader,
    RecordedLosses,
    SelectiveLoader,
    Signals,
    SingleMethod,
    method_info,
    methods,
    register_method,
)
from adaselection.errors import ArgumentError, BatchStructureError, LossShapeError, NonFiniteLossError, StateError
from core.parts import CE, Stateful, net, selective
from core.recorded_parts import passes, recorded
from core.test_resume_state import flat, running

pytestmark = pytest.mark.usefixtures("unchecked")
META = torch.ones(8, device="meta")
Do = Callable[[], Any]


def due(policy: Any = None) -> Any:
    """A recorded loader that waits for the losses of 4 rows."""
    loader = recorded(24, 4, policy or AdaSelection(rate=0.5))
    if policy is None:
        passes(loader, 1)
    next(iter(loader))
    return loader


def norms(**more: Any) -> Do:
    return lambda: due(SingleMethod("katharopoulos_fleuret", 0.5)).record(torch.ones(4), **more)


REFUSED: dict[str, tuple[Do, type[Exception], str]] = {
    "falsy_word": (lambda: AdaSelection(choice=""), ArgumentError, "choice='' is unknown"),
    "array_word": (lambda: AdaSelection(weighting=torch.ones(2)), ArgumentError, "weighting=tensor"),
    "beyond_floats": (lambda: AdaSelection(rate=10**400), ArgumentError, "that a float can hold"),
    "unhashable_name": (lambda: method_info([]), ArgumentError, "unknown method"),
    "array_plane": (lambda: methods(torch.ones(2)), ArgumentError, "plane=tensor"),
    "name": (lambda: register_method(None, torch.neg), ArgumentError, "must be an identifier"),
    "needs": (lambda: register_method("mine", torch.neg, needs=3), ArgumentError, "unknown signals"),
    "function": (lambda: register_method("mine", 3), ArgumentError, "function must be a function"),
    "score": (lambda: selective(8, 4, loss_fn=None, score=3), ArgumentError, "score must be a function"),
    "join": (lambda: selective(8, 4, join=3), ArgumentError, "join must be a function"),
    "on_select": (lambda: selective(8, 4, on_select=3), ArgumentError, "on_select must be a function"),
    "on_walk": (lambda: recorded(8, 4, on_walk=3), ArgumentError, "on_walk must be a function"),
    "autocast": (lambda: selective(8, 4, autocast="bfloat16"), ArgumentError, "autocast must be a type"),
    "cheap_autocast": (lambda: CheapScores(autocast=torch.int64), ArgumentError, "autocast must be a type"),
    "incoming_sizes": (lambda: selective(8, 4, incoming_sizes=8), ArgumentError, "must be a list of the rows"),
    "meta_losses": (lambda: AdaSelection().select(META), LossShapeError, "meta device"),
    "sparse_losses": (lambda: AdaSelection().select(torch.ones(8).to_sparse()), LossShapeError, "sparse"),
    "norms_elsewhere": (
        lambda: AdaSelection(("grad_norm",)).select(Signals(torch.ones(8), META)),
        LossShapeError,
        "grad_norms must be a dense",
    ),
    "count": (lambda: AdaSelection().select(torch.ones(8), count=9), ArgumentError, "more than the 8 rows"),
    "no_count": (lambda: AdaSelection().select(torch.ones(8), count=0), ArgumentError, "count must be a whole number"),
    "whole_losses": (lambda: due().record(torch.ones(4, dtype=torch.int64)), LossShapeError, "of torch.int64"),
    "meta_record": (lambda: due().record(META[:4]), LossShapeError, "one loss for each row"),
    "grad_norms": (norms(grad_norms=torch.ones(3)), ArgumentError, "grad_norms must be a dense tensor"),
    "outputs": (norms(outputs=torch.ones(3, 2), targets=torch.zeros(4)), ArgumentError, "outputs must be a dense"),
    "targets": (norms(outputs=torch.ones(4, 2), targets=torch.zeros(4)), ArgumentError, "do not go with outputs"),
    "class": (norms(outputs=torch.ones(4, 2), targets=torch.full((4,), 2)), ArgumentError, "has class 2"),
    "reduce_list": (lambda: selective(24, 4).reduce([1.0]), LossShapeError, "reduce.. needs one loss"),
    "reduce_scalar": (lambda: selective(24, 4).reduce(torch.tensor(1.0)), LossShapeError, "reduce.. needs one loss"),
    "columns": (lambda: RecordedLosses(4, columns=False), ArgumentError, "columns must be a mapping"),
    "column_name": (lambda: RecordedLosses(4, columns={None: torch.int8}), ArgumentError, "cannot be named None"),
    "track": (lambda: RecordedLosses(4, track=0), ArgumentError, "track must be True"),
    "device": (lambda: RecordedLosses(4, device="gpu"), ArgumentError, "names no device"),
    "slots": (lambda: RecordedLosses(slots=torch.ones(2)), ArgumentError, "slots must be a whole number"),
    "meta_column": (
        lambda: RecordedLosses(8, columns={"note": torch.float32}).update(
            torch.arange(8), torch.ones(8), now=0, note=META
        ),
        LossShapeError,
        "note must be a tensor",
    ),
    "meta_batch": (
        lambda: next(iter(selective_over([(torch.ones(4, 4), META[:4])]))),
        BatchStructureError,
        "on the meta device",
    ),
}


def selective_over(batches: Any) -> SelectiveLoader:
    return SelectiveLoader(batches, AdaSelection(rate=0.5), model=net(), loss_fn=CE)


@pytest.mark.parametrize(("do", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(do: Do, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        do()


def test_losses_in_8_bits_are_losses() -> None:
    losses = torch.tensor([1.0, 4.0, 2.0, 8.0])
    policy = SingleMethod("big_loss", 0.5)
    assert policy.select(losses.to(torch.float8_e4m3fn)).indices.tolist() == [1, 3]


def test_a_record_that_was_refused_waits_on() -> None:
    loader = due(SingleMethod("katharopoulos_fleuret", 0.5))
    before = flat(loader.state_dict())
    with pytest.raises(ArgumentError):
        loader.record(torch.ones(4))
    assert flat(loader.state_dict()) == before
    loader.record(torch.ones(4), grad_norms=torch.ones(4))
    assert loader.waiting == 0


def put(state: Any, path: tuple[Any, ...], value: Any) -> None:
    """Change what a state has at a place."""
    for key in path[:-1]:
        state = state[key]
    state[path[-1]] = value


DAMAGES: list[tuple[tuple[Any, ...], Any]] = [
    (("place", "position"), "3"),
    (("place", "opening"), [0]),
    (("place", "start", "rng"), torch.zeros(3, dtype=torch.uint8)),
    (("generators", "epochs"), [None]),
    (("meter", "counts", "steps"), "3"),
    (("meter", "seconds", "load"), None),
    (("waiting", "parts"), [torch.ones(1)]),
    (("waiting", "rows"), 3.5),
    (("policy", "log_weights"), torch.ones(3, dtype=torch.complex64)),
    (("policy", "earned", "now", "idle"), "never"),
    (("policy", "earned", "worth", "chosen"), []),
    (("policy", "earned", "visits", "sums"), torch.full((8,), math.nan, dtype=torch.float64)),
    (("policy", "earned", "now", "level"), math.nan),
    (("policy", "methods"), torch.ones(3)),
    (("rank",), "0"),
    (("settings", "processes"), torch.ones(3)),
    (("inner",), 3),
]


@pytest.mark.parametrize(("path", "value"), DAMAGES, ids=[".".join(path) for path, _ in DAMAGES])
def test_a_damaged_state_is_refused_before_any_of_it_is_used(path: tuple[Any, ...], value: Any) -> None:
    loader, state = running(), running(AdaSelection(rate=0.6, seed=4)).state_dict()
    before = flat(loader.state_dict())
    put(state, path, value)
    with pytest.raises(StateError):
        loader.load_state_dict(state)
    assert flat(loader.state_dict()) == before


@pytest.mark.parametrize(
    ("part", "entry", "value"),
    [
        (
            "chooser",
            "tally",
            {"windows": 0, "shut": 0, "selected": "x", "offered": 0, "drawn": 0, "forced": 0, "effective": 0.0},
        ),
        ("chooser", "left_weights", torch.ones(99)),
        ("chooser", "left", torch.arange(4)),  # a whole batch
        ("chooser", "left", torch.tensor([10**9])),
        ("chooser", "credit", math.nan),
        ("chooser", "credit", 1.0),
        ("records", "now", 9),  # a pass to come
        ("walks", "walk", -5),
        ("walks", "taken", 10**6),
        ("walks", "selected", [None] * 3),
        ("walks", "now", {}),
        ("records", "touched", [torch.ones(2), torch.ones(3)]),
        ("recorder", "pending", {}),
        ("recorder", "meter", {}),
    ],
)
def test_a_damaged_state_of_a_recorded_loader_changes_nothing(part: str, entry: str, value: Any) -> None:
    loader = due()
    before, state = flat(loader.state_dict()), due().state_dict()
    state[part][entry] = value
    with pytest.raises(StateError):
        loader.load_state_dict(state)
    assert flat(loader.state_dict()) == before


@pytest.mark.parametrize("number", [-1, 10**9])
@pytest.mark.parametrize("path", [("walks", "ids"), ("chooser", "left"), ("recorder", "pending", "numbers")])
def test_instances_that_the_data_set_lacks_are_refused(path: tuple[str, ...], number: int) -> None:
    def made() -> Any:
        rows = TensorDataset(torch.rand(44, 2))
        loader = RecordedLoader(DataLoader(rows, 4, shuffle=True), SingleMethod("uncertain", 0.5))
        for _ in range(5):  # a walk and more
            for (x,) in loader:
                loader.record(x[:, 0])
        x, *_ = next(iter(loader))
        loader.record(x[:, 0])
        return loader

    loader = made()
    before, state = flat(loader.state_dict()), made().state_dict()
    inner = reduce(getitem, path, state)
    assert len(inner) or path[0] == "chooser"  # which has less than a batch of some rules only
    put(state, path, torch.tensor([number, *inner[1:].tolist()]))
    with pytest.raises(StateError, match=f"{path[-1]} has instance {number}, and the data set has 44"):
        loader.load_state_dict(state)
    assert flat(loader.state_dict()) == before


def test_a_pass_that_never_ends_and_losses_of_a_pass_to_come_are_refused() -> None:
    for path, value in ((("length",), 10**9), (("recorder", "pending", "runs"), [[7, 4]])):
        loader = due()
        loader.record(torch.ones(4))
        before, state = flat(loader.state_dict()), loader.state_dict()
        put(state, path, value)
        with pytest.raises(StateError):
            loader.load_state_dict(state)
        assert flat(loader.state_dict()) == before


def test_a_loader_inside_that_refuses_its_state_leaves_the_policy_as_it_was() -> None:
    class Refusing(Stateful):
        def load_state_dict(self, state: dict[str, int]) -> None:
            raise KeyError("mine")

    def made(kind: type[Stateful]) -> Any:
        return selective_over(kind([(torch.rand(8, 4), torch.arange(8) % 3) for _ in range(4)]))

    donor, loader = made(Stateful), made(Refusing)
    donor.policy.select(torch.rand(8))
    before, state = flat(loader.policy.state_dict()), donor.state_dict()
    with pytest.raises(KeyError, match="mine"):
        loader.load_state_dict(state)
    assert flat(loader.policy.state_dict()) == before


def test_a_batch_without_one_finite_loss_is_refused_at_once_and_still_waits() -> None:
    loader = due()
    with pytest.raises(NonFiniteLossError, match="all 4 losses of the batch are NaN or infinite"):
        loader.record(torch.tensor([math.nan, math.inf, math.nan, -math.inf]))
    assert float(loader.record(torch.tensor([math.nan, 1.0, 1.0, 1.0]).nan_to_num(1.0))) == 1.0


def test_of_settings_only_those_that_differ_are_named() -> None:
    state = recorded(24, 4, AdaSelection(rate=0.5), longest_unseen=7.0).state_dict()
    with pytest.raises(StateError, match=r"settings=\{'longest_unseen': 7.0\}, and this \w+ has settings=\{'longest"):
        recorded(24, 4, AdaSelection(rate=0.5), longest_unseen=9.0).load_state_dict(state)
