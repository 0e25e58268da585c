"""Families of bad inputs to loaders in the middle of a pass, to records, and to states."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, CheapScores, RecordedLoader, RecordedLosses, SelectiveLoader, SingleMethod
from soak.bad import Bad, Net, arguments, counts, finite, ids, junk, losses, no_vectors, numbers, other_length
from soak.damaged import damage
from soak.families import CE, DATA, Family

COLUMNS = {"note": torch.float16, "seen": torch.int32}


def fresh(policy: Any = None, **options: Any) -> SelectiveLoader:
    return SelectiveLoader(DataLoader(DATA, 8), policy or AdaSelection(rate=0.5), model=Net(), loss_fn=CE, **options)


def recorded(policy: Any = None, **options: Any) -> RecordedLoader:
    torch.manual_seed(2)
    loader = RecordedLoader(DataLoader(DATA, 8), policy or AdaSelection(rate=0.5), **options)
    for number, (x, _) in enumerate(loader.plain):
        if number > 6:
            break
        loader.records.update(torch.arange(8) + 8 * (number % 6), torch.rand(len(x)), now=0, **norms(loader))
    return loader


def norms(loader: RecordedLoader) -> dict[str, Any]:
    return {"grad_norms": torch.ones(8)} if "grad_norms" in loader.records.columns else {}


def losses_due() -> SimpleNamespace:
    """Loaders that wait for the losses of a batch of 8 rows."""
    made = {
        "default": recorded(),
        "weighted": recorded(AdaSelection(("proportional", "uniform"), 0.5, weight_exponent=0.5)),
        "norms": recorded(SingleMethod("katharopoulos_fleuret", 0.5)),
        "cheap": fresh(cheap=CheapScores(measure_every=0)),
        "reduced": fresh(weighted=True, policy=AdaSelection(rate=0.5, weight_exponent=0.5)),
        "plain": fresh(),
    }
    iterators = {name: iter(loader) for name, loader in made.items()}
    for iterator in iterators.values():
        next(iterator)
    idle = {"unasked": recorded(), "unstarted": fresh(cheap=CheapScores())}
    return SimpleNamespace(**made, **idle, iterators=iterators)


@st.composite
def reports(draw: st.DrawFn) -> Bad:
    name = draw(
        st.sampled_from(["default", "weighted", "norms", "cheap", "observed", "reduced", "plain", "unasked", "more"])
    )
    given = draw(st.one_of(losses(8, share=0), other_length(8), st.just(torch.ones(8, dtype=torch.int64))))
    shown = f"{name}({given!r:.200})"
    if name == "observed":
        return Bad(shown, lambda on: on.cheap.observe(given))
    if name == "plain":  # of any number of rows, for loops that look ahead
        given = draw(st.one_of(losses(8, share=0), st.just(torch.ones(8, dtype=torch.int64))))
    if name in ("cheap", "reduced", "plain"):
        return Bad(shown, lambda on: getattr(on, name).reduce(given))
    if name == "more":
        return draw(gradients())
    right = {"outputs": torch.rand(8, 3), "targets": torch.arange(8) % 3} if name == "norms" else {}
    if name == "unasked":
        given = draw(finite(8))
    return Bad(shown, lambda on: getattr(on, name).record(given, **right))


@st.composite
def gradients(draw: st.DrawFn) -> Bad:
    """Outputs, targets, features or gradient norms that do not go with the losses."""
    rows = st.integers(1, 20).filter(lambda size: size != 8)
    good = {"outputs": torch.rand(8, 3), "targets": torch.arange(8) % 3}
    name = draw(st.sampled_from(["outputs", "targets", "features", "grad_norms", "none"]))
    if name == "grad_norms":
        more = {name: draw(st.one_of(losses(8, share=0), other_length(8)).filter(lambda value: value is not None))}
    elif name == "none":
        more = draw(st.sampled_from([{}, {"outputs": good["outputs"]}, {"targets": good["targets"]}]))
    else:
        wrong = {
            "outputs": [torch.rand(3), torch.rand(8, 3).to("meta"), torch.rand(8, 3).to_sparse()],
            "targets": [torch.full((8,), 7), torch.full((8,), -3), torch.zeros(8, 2), torch.arange(8).to("meta") % 3],
            "features": [torch.tensor(1.0), torch.rand(8, 3).to("meta"), torch.rand(8, 3).to_sparse()],
        }[name]
        sized = rows.map(lambda size: torch.rand(size, 3) if name != "targets" else torch.arange(size) % 3)
        none = junk(torch.Tensor, type(None))
        more = good | {name: draw(st.one_of(st.sampled_from(wrong), sized, none))}
    given = draw(finite(8))
    return Bad(f"norms.record(..., {more!r:.300})", lambda on: on.norms.record(given, **more))


LOSSES = Family(losses_due, reports())


def records() -> SimpleNamespace:
    made = {
        "ranged": RecordedLosses(9, columns=COLUMNS),
        "indexed": RecordedLosses(ids=torch.arange(9), columns=COLUMNS),
        "hashed": RecordedLosses(slots=9, columns=COLUMNS, track=True),
    }
    for record in made.values():
        record.update(torch.arange(9), torch.rand(9), now=2, note=torch.rand(9), seen=torch.arange(9))
    return SimpleNamespace(**made)


RECORD = {
    "size": st.one_of(counts(0).filter(lambda value: value is not None), st.none()),
    "ids": st.one_of(
        junk(torch.Tensor, type(None)), st.sampled_from([torch.rand(3), torch.tensor([1, 1]), torch.ones(2, 2)])
    ),
    "slots": counts(1).filter(lambda value: value is not None),
    "columns": st.one_of(
        junk(type(None), dict, list, str, bytes),
        st.dictionaries(
            st.one_of(st.text(max_size=3), junk(list, dict, torch.Tensor, np.ndarray, str)),
            junk(),
            min_size=1,
            max_size=2,
        ),
    ),
    "momentum": numbers(lambda value: 0 <= value < 1),
    "device": st.one_of(junk(type(None), int, str, bool), st.sampled_from(["gpu", "cpu:x", ""])),
    "track": junk(bool, type(None)),
}
PASSES = st.one_of(
    junk(int, torch.Tensor),
    st.integers(max_value=1),
    st.sampled_from([torch.zeros(4, dtype=torch.int64), torch.full((4,), 3.0), torch.full((3,), 3)]),
)


def made(_: Any, **given: Any) -> RecordedLosses:
    sized = {} if given.keys() & {"ids", "slots", "size"} else {"size": 4}
    return RecordedLosses(**sized | given)


@st.composite
def updates(draw: st.DrawFn) -> Bad:
    name = draw(st.sampled_from(["ranged", "indexed", "hashed"]))
    kind = draw(st.sampled_from(["losses", "ids", "now", "column", "fill", "read", "grow"]))
    what = {"ids": torch.arange(4), "losses": torch.ones(4), "now": 3}
    some = st.one_of(losses(4, share=0), other_length(4))
    wrong = ids(9)
    if name == "hashed":  # any whole number is an id
        wrong = no_vectors()
    if kind in ("losses", "ids", "now"):
        value = draw({"losses": some, "ids": wrong, "now": PASSES}[kind])
        return Bad(f"{name}.update({kind}={value!r:.150})", lambda on: getattr(on, name).update(**what | {kind: value}))
    if kind == "column":
        column = draw(st.sampled_from(["note", "seen", "unknown"]))
        value = draw(st.one_of(some, st.just(torch.rand(4)))) if column != "note" else draw(some)
        return Bad(
            f"{name}.update({column}={value!r:.150})", lambda on: getattr(on, name).update(**what | {column: value})
        )
    if kind == "fill":
        column, value = draw(st.sampled_from(["note", "unknown"])), draw(some)
        return Bad(
            f"{name}.fill({column}, {value!r:.150})", lambda on: getattr(on, name).fill(column, what["ids"], value)
        )
    if kind == "read":
        value, now = draw(st.one_of(st.tuples(wrong, st.just(3)), st.tuples(st.just(what["ids"]), PASSES)))
        return Bad(f"{name}.read({value!r:.150}, {now!r:.80})", lambda on: getattr(on, name).read(value, now=now))
    size = draw(st.one_of(junk(int), st.integers(max_value=8)))
    known = st.integers(0, 8).map(lambda number: torch.tensor([9, number]))
    given = {"size": size} if name != "indexed" else {"ids": draw(st.one_of(no_vectors(), known))}
    return Bad(f"{name}.grow({given!r:.150})", lambda on: getattr(on, name).grow(**given))


RECORDS = Family(records, st.one_of(arguments(made, RECORD), updates(), updates(), updates()))


def failing(loss_fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """Ask a loader for a batch whose scores a function gives."""

    def do(on: Any) -> None:
        loader = SelectiveLoader(
            DataLoader(DATA, 8, generator=torch.Generator()), on.policy, model=on.model, loss_fn=loss_fn
        )
        next(iter(loader))

    return do


def scored(score: Callable[..., Any]) -> Callable[[Any], Any]:
    def do(on: Any) -> None:
        next(
            iter(
                SelectiveLoader(
                    DataLoader(DATA, 8, generator=torch.Generator()), on.policy, model=on.model, score=score
                )
            )
        )

    return do


@st.composite
def scores(draw: st.DrawFn) -> Bad:
    """Loss functions and scores that give no loss a row."""
    made = draw(st.one_of(losses(8), other_length(8)))
    kind = draw(st.sampled_from(["loss_fn", "score", "reduces", "batch"]))
    if kind == "batch":
        return Bad(
            f"batch={made!r:.100}",
            lambda on: list(SelectiveLoader([(torch.ones(8, 4), made, made)], on.policy, model=on.model, loss_fn=CE)),
        )
    if kind == "reduces":
        return Bad(
            f"{kind} {made!r:.50}", failing(lambda outputs, targets: nn.functional.cross_entropy(outputs, targets))
        )
    if kind == "score":
        return Bad(f"score gives {made!r:.100}", scored(lambda model, batch: (model(batch[0]), made)[1]))
    column = isinstance(made, torch.Tensor) and not made.is_nested and made.shape == (8, 1)
    return Bad(f"loss_fn gives {made!r:.100}", failing(lambda outputs, targets: made[0] if column else made))


def judged() -> SimpleNamespace:
    return SimpleNamespace(model=Net(), policy=AdaSelection(rate=0.5))


SCORERS = Family(judged, scores())


def fresh_states() -> SimpleNamespace:
    loader = fresh(cheap=CheapScores(reuse=2), surplus="carry")
    steps = iter(loader)
    next(steps)
    next(steps)
    return SimpleNamespace(loader=loader, other=recorded(), load_state_dict=loader.load_state_dict)


def recorded_states() -> SimpleNamespace:
    loader = recorded(AdaSelection(("proportional", "early_stopping", "uniform"), 0.5, weight_exponent=0.5), window=24)
    return begun(loader)


def default_states() -> SimpleNamespace:
    return begun(recorded())


def begun(loader: RecordedLoader) -> SimpleNamespace:
    for number, (x, _) in enumerate(loader):
        loader.record(torch.rand(len(x)))
        if number == 1:
            break
    return SimpleNamespace(loader=loader, load_state_dict=loader.load_state_dict)


def policy_states() -> SimpleNamespace:
    policy = AdaSelection(rate=0.5)
    policy.select(torch.rand(8))
    return SimpleNamespace(policy=policy, load_state_dict=policy.load_state_dict)


def record_states() -> SimpleNamespace:
    record = RecordedLosses(ids=torch.arange(6), columns=COLUMNS, track=True)
    record.update(torch.arange(4), torch.rand(4), now=1, note=torch.rand(4))
    return SimpleNamespace(record=record, load_state_dict=record.load_state_dict)


def states(make: Callable[[], SimpleNamespace], part: str) -> Family:
    return Family(make, damage(getattr(make(), part).state_dict()))


STATES = {
    "policy states": states(policy_states, "policy"),
    "record states": states(record_states, "record"),
    "SelectiveLoader states": states(fresh_states, "loader"),
    "RecordedLoader states": states(recorded_states, "loader"),
    "states of the default": states(default_states, "loader"),
}
