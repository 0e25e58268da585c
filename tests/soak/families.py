"""The public surface, in families of bad inputs: what is there before, what is done to it, what must stay."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from adaselection import (
    AdaSelection,
    CheapScores,
    ModelScorer,
    RecordedLoader,
    RecordedLosses,
    SelectiveLoader,
    Signals,
    SingleMethod,
    method_info,
    methods,
    register_method,
)
from adaselection.functional import ADABOOST_READINGS, IMPORTANCES, LOSS_AVERAGES
from adaselection.step import CHOICES, CURRICULA, WEIGHTINGS
from soak.bad import Bad, Net, arguments, counts, finite, ids, junk, losses, no_functions, numbers, other_length, words

CE = nn.CrossEntropyLoss(reduction="none")
DATA = TensorDataset(torch.randn(48, 4, generator=torch.Generator().manual_seed(0)), torch.arange(48) % 3)


@dataclass(frozen=True)
class Family:
    """Bad inputs of one kind.

    Attributes:
        make: what they are tried on.
        bad: the inputs.
    """

    make: Callable[[], Any]
    bad: st.SearchStrategy[Bad]


def state(subject: SimpleNamespace) -> dict[str, Any]:
    """All that must stay as it is."""
    kept = {name: part.state_dict() for name, part in vars(subject).items() if hasattr(part, "state_dict")}
    models = [part for part in vars(subject).values() if isinstance(part, nn.Module)]
    flags = [module.training for model in models for module in model.modules()]
    return kept | {"flags": flags, "rng": torch.get_rng_state(), "random": random.random()}


def nothing() -> SimpleNamespace:
    return SimpleNamespace(model=Net(), policy=AdaSelection(rate=0.5))


FRACTION = numbers(lambda value: 0 <= value <= 1)
SEEDS = st.one_of(junk(int), st.integers(max_value=-1), st.integers(2**63))
NAMES = st.one_of(junk(str), st.text(max_size=9)).filter(
    lambda name: not (isinstance(name, str) and name in methods("recorded"))
)
POLICY = {
    "rate": numbers(lambda value: 0 < value <= 1),
    "seed": SEEDS,
    "adaboost": words(*ADABOOST_READINGS, optional=True),
    "max_nonfinite": FRACTION,
}
MIXTURE = POLICY | {
    "methods": st.one_of(
        junk(type(None), list, bytes),
        st.lists(NAMES, max_size=3),
        st.lists(NAMES, min_size=1, max_size=2).map(lambda names: ["uniform", *names]),
        st.just(["uniform", "big_loss", "uniform"]),
    ),
    "beta": numbers(lambda value: -1 <= value <= 1),
    "curriculum": words(*CURRICULA, optional=True),
    "replicate": words("paper", optional=True),
    "importance": words(*IMPORTANCES, optional=True),
    "weighting": words(*WEIGHTINGS, optional=True),
    "choice": words(*CHOICES, optional=True),
    "weight_exponent": FRACTION,
    "loss_average": words(*LOSS_AVERAGES),
    "half_life": numbers(lambda value: 0 < value < float("inf")),
    "share": FRACTION,
    "curriculum_power": numbers(lambda value: abs(value) < float("inf")).filter(lambda value: value is not None),
    "curriculum_batches": counts(1),
}
PLACES = {
    "plane": words("fresh", "recorded", optional=True),
    "name": NAMES,
    "info": NAMES,
    "needs": st.one_of(
        junk(list, str, bytes, dict, torch.Tensor, np.ndarray), st.lists(junk(), min_size=1, max_size=2)
    ),
    "function": no_functions(),
}


def named(_: Any, **given: Any) -> Any:
    """Ask the table of methods."""
    ((what, value),) = given.items()
    if what == "plane":
        return methods(value)
    if what == "info":
        return method_info(value)
    more = {"name": "mine", "function": torch.neg} | given
    if what == "name" and isinstance(value, str) and value.isidentifier():
        return method_info(value)
    return register_method(**more)


POLICIES = Family(
    nothing,
    st.one_of(
        arguments(lambda _, **given: AdaSelection(**given), MIXTURE),
        arguments(lambda _, **given: SingleMethod(**{"method": "uniform"} | given), POLICY | {"method": NAMES}),
        arguments(named, PLACES),
    ),
)


def selecting() -> SimpleNamespace:
    made = {
        "default": AdaSelection(rate=0.5),
        "paper": AdaSelection(rate=0.5, replicate="paper"),
        "norms": AdaSelection(("grad_norm", "uniform"), 0.5),
        "alone": SingleMethod("big_loss", 0.5),
    }
    for policy in made.values():
        policy.select(Signals(torch.rand(8), torch.rand(8)))
    return SimpleNamespace(**made)


@st.composite
def selections(draw: st.DrawFn) -> Bad:
    name = draw(st.sampled_from(["default", "paper", "norms", "alone"]))
    kind = draw(st.sampled_from(["losses", "losses", "norms", "count"]))
    if kind == "count":
        count, good = draw(st.one_of(junk(int, type(None)), st.integers(max_value=0), st.integers(9))), draw(finite(8))
        return Bad(
            f"{name}.select(count={count!r:.80})", lambda on: getattr(on, name).select(Signals(good, good), count=count)
        )
    if kind == "norms":
        norms = draw(st.one_of(losses(8), other_length(8)).filter(lambda given: given is not None))
        good = draw(finite(8))
        return Bad(f"{name}.select(norms={norms!r:.200})", lambda on: getattr(on, name).select(Signals(good, norms)))
    given = draw(losses(8))
    wrapped = draw(st.booleans())
    return Bad(
        f"{name}.select({given!r:.200}, wrapped={wrapped})",
        lambda on: getattr(on, name).select(Signals(given, torch.ones(8)) if wrapped else given),
    )


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


MODULES = st.one_of(junk(), st.just(Net))
NO_POLICIES = st.one_of(junk(), st.just(AdaSelection))
TYPES = st.one_of(junk(type(None)), st.sampled_from([torch.int64, torch.bool, torch.complex64]))
SCORES = {
    "autocast": TYPES,
    "shrink": numbers(lambda value: 1 < value < float("inf")).filter(lambda value: value is not None),
    "proxy": MODULES.filter(lambda value: value is not None),
    "reuse": counts(1),
    "ambiguous": FRACTION,
    "threshold": FRACTION.filter(lambda value: value is not None),
    "ids": no_functions(type(None)),
    "store": junk(type(None)),
    "measure_every": counts(0),
}
FRESH = {
    "loader": st.one_of(
        junk(str, bytes, list, dict, torch.Tensor, np.ndarray),
        st.just([]),
        st.lists(st.one_of(st.none(), st.integers(), st.text(min_size=1, max_size=3)), min_size=1, max_size=3),
        st.just([(torch.ones(3, 4), torch.ones(2))]),
    ),
    "policy": NO_POLICIES,
    "model": MODULES,
    "loss_fn": st.one_of(no_functions(type(None)), st.just(nn.CrossEntropyLoss)),
    "score": no_functions(type(None)),
    "score_mode": words("eval", "train"),
    "autocast": TYPES,
    "batch_size": counts(1).filter(lambda value: value is not None),
    "surplus": words("drop", "carry", "flush"),
    "update": words("accumulate", "every_batch"),
    "window": counts(1),
    "warmup": counts(0),
    "incoming_sizes": st.one_of(
        junk(type(None), list, torch.Tensor, dict, bytes), st.lists(counts(1), min_size=1, max_size=3), st.just([])
    ),
    "cheap": junk(type(None)),
    "join": no_functions(),
    "on_select": no_functions(type(None)),
    "scope": words("local", "global"),
}
RECORDED = {
    "loader": st.one_of(
        junk(), st.sampled_from([DataLoader(Stream()), DataLoader(DATA, None), DataLoader(DATA, 64, drop_last=True)])
    ),
    "policy": NO_POLICIES,
    "records": st.one_of(junk(type(None)), st.just(RecordedLosses)),
    "ids": st.one_of(
        ids(48).filter(lambda value: value is not None),
        st.integers(0, 99).filter(lambda size: size != 48).map(torch.arange),
    ),
    "passes": counts(1).filter(lambda value: value is not None),
    "anneal": st.one_of(FRACTION, st.floats(0.01, 1)),
    "longest_unseen": numbers(lambda value: 4 <= value < float("inf")).filter(lambda value: value is not None),
    "window": st.one_of(counts(1).filter(lambda value: value is not None), st.integers(1, 15)),
    "on_walk": no_functions(type(None)),
}


def built(on: Any, **given: Any) -> SelectiveLoader:
    more = {"loader": DataLoader(DATA, 8), "policy": on.policy, "model": on.model, "loss_fn": CE} | given
    if "score" in given:
        del more["loss_fn"]
    return SelectiveLoader(**more)


LOADERS = Family(
    nothing,
    st.one_of(
        arguments(built, FRESH),
        arguments(
            lambda on, **given: RecordedLoader(**{"loader": DataLoader(DATA, 8), "policy": on.policy} | given), RECORDED
        ),
        arguments(lambda _, **given: CheapScores(**given), SCORES),
        st.one_of(junk(), st.just(Net)).map(
            lambda value: Bad(f"ModelScorer({value!r:.80})", lambda _: ModelScorer(value))
        ),
    ),
)
SELECT = Family(selecting, selections())
