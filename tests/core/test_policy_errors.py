"""Bad input: said at once, with the fix, and nothing lost."""

import math
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from adaselection import (
    AdaSelection,
    Policy,
    RecordedLoader,
    SelectiveLoader,
    Signals,
    SingleMethod,
    method_info,
    methods,
    register_method,
)
from adaselection.errors import AdaSelectionError, ArgumentError, LossShapeError, NonFiniteLossError, StateError

pytestmark = pytest.mark.usefixtures("unchecked")
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rate": 0}, r"rate=0 is outside \(0, 1\].*rate=0\.3"),
        ({"rate": -1}, r"rate=-1 is outside"),
        ({"rate": 1.5}, r"rate=1\.5 is outside"),
        ({"rate": NAN}, "rate=nan is outside"),
        ({"rate": True}, "rate must be a number; got True"),
        ({"rate": "0.3"}, "rate must be a number; got '0.3'"),
        ({"rate": None}, "rate must be a number; got None"),
        ({"methods": ("big_los",)}, "unknown method 'big_los'. Did you mean 'big_loss'"),
        ({"methods": ("uniform", "big_loss", "uniform")}, "'uniform' is named 2 times"),
        ({"methods": ()}, "methods is empty"),
        ({"methods": []}, "methods is empty"),
        ({"methods": "big_loss"}, "methods is a list of methods"),
        ({"methods": 0.3}, r"methods is a list of methods.*got 0\.3\. Did you mean rate=0\.3\?"),
        ({"methods": (3,)}, "a method is a name, a pair"),
        ({"methods": (lambda signals: signals.losses,)}, r'got <function.*\("mine", lambda'),
        ({"methods": (("not a name", torch.neg),)}, "identifier"),
        ({"methods": (("uniform", torch.neg),)}, "'uniform' is the name of a built-in method"),
        ({"beta": 1.01}, r"beta=1\.01 is outside \[-1, 1\]"),
        ({"beta": NAN}, r"beta=nan is outside \[-1, 1\]"),
        ({"beta": "high"}, "beta must be a number"),
        ({"curriculum": "easy"}, "curriculum='easy' is unknown.*'scale_free' or None"),
        ({"replicate": "papers"}, "Did you mean 'paper'"),
        ({"importance": "softmaxz"}, "Did you mean 'softmax_z'"),
        ({"weighting": "placebos"}, "Did you mean 'placebo'"),
        ({"adaboost": "clamped"}, "Did you mean 'clamp'"),
        ({"choice": "quotas"}, "Did you mean 'quota'"),
        ({"loss_average": "all"}, "loss_average='all' is unknown"),
        ({"half_life": 0}, "half_life must be above 0"),
        ({"half_life": INF}, "half_life must be a finite number"),
        ({"share": 2}, r"share=2 is outside \[0, 1\]"),
        ({"curriculum_power": INF}, "curriculum_power must be a finite number"),
        ({"curriculum_batches": 0}, "curriculum_batches must be a whole number of at least 1"),
        ({"max_nonfinite": -0.1}, "max_nonfinite=-0.1 is outside"),
        (
            {"weight_exponent": 0.5, "choice": "quota"},
            'weight_exponent=0.5 needs known inclusion probabilities.*choice="draw"',
        ),
        ({"weight_exponent": 0.5, "replicate": "paper"}, "weight_exponent=0.5 needs known"),
        ({"weight_exponent": 2, "choice": "draw"}, "weight_exponent=2 is outside"),
        ({"seed": -1}, r"seed must be a whole number from 0"),
        ({"seed": 2**63}, "seed must be"),
        ({"seed": 1.0}, "seed must be"),
        ({"seed": True}, "seed must be"),
    ],
)
def test_arguments(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        AdaSelection(**arguments)
    assert isinstance(caught.value, AdaSelectionError)
    assert isinstance(caught.value, ValueError)
    if set(arguments) <= {"rate", "seed", "max_nonfinite", "adaboost"}:
        with pytest.raises(ArgumentError, match=words):
            SingleMethod("uniform", **arguments)


def wrong_shape(signals: Signals) -> torch.Tensor:
    return signals.losses[:2]


def no_tensor(signals: Signals) -> Any:
    return signals.losses.tolist()


def broken(signals: Signals) -> torch.Tensor:
    if float(signals.losses[0]) == 7.0:
        raise KeyError("mine")
    return signals.losses


ERRORS: dict[str, tuple[Policy, Any, type[Exception], str]] = {
    "scalar": (AdaSelection(), torch.tensor(1.0), LossShapeError, r'losses is a single number.*reduction="none"'),
    "matrix": (AdaSelection(), torch.ones(4, 2), LossShapeError, r"\(4, 2\).*losses\.flatten\(1\)\.mean\(1\)"),
    "column": (AdaSelection(), torch.ones(4, 1), LossShapeError, r"shape \(4, 1\)"),
    "list": (AdaSelection(), [1.0, 2.0], LossShapeError, "losses must be a tensor.*got list"),
    "complex": (AdaSelection(), torch.ones(4, dtype=torch.complex64), LossShapeError, "losses is complex"),
    "norms": (
        AdaSelection(),
        lambda: Signals(torch.ones(4), torch.ones(3)),  # made where no check of shapes stops it
        LossShapeError,
        "grad_norms has 3 rows and losses has 4",
    ),
    "no_norms": (AdaSelection(("grad_norm",)), torch.ones(4), ArgumentError, "a method needs grad_norms"),
    "too_many": (
        AdaSelection(rate=0.3),
        torch.tensor([1.0, NAN, 2.0, INF, 3.0, -INF, 1.0, 1.0, 1.0, 1.0]),
        NonFiniteLossError,
        r"3 of 10 losses are NaN or infinite \(rows 1, 3, 5\)",
    ),
    "too_few": (
        AdaSelection(rate=0.8, max_nonfinite=1.0),
        torch.tensor([1.0, NAN, 2.0, INF, 3.0, 1.0, 1.0, 1.0, 1.0, NAN]),
        NonFiniteLossError,
        "at least 8 finite ones",
    ),
    "bad_norms": (
        AdaSelection(("grad_norm",), 0.5, max_nonfinite=0.1),
        Signals(torch.ones(4), torch.tensor([1.0, NAN, 1.0, 1.0])),
        NonFiniteLossError,
        r"rows 1\)",
    ),
    "wrong_shape": (AdaSelection((wrong_shape,)), torch.ones(10), ArgumentError, r"'wrong_shape'.*\(10,\); got \(2,\)"),
    "no_tensor": (AdaSelection((no_tensor,)), torch.ones(10), ArgumentError, "'no_tensor'.*got list"),
    "broken": (AdaSelection((broken,)), torch.full((10,), 7.0), KeyError, "mine"),
    "broken_alone": (SingleMethod(broken), torch.full((10,), 7.0), KeyError, "mine"),
}


def everything(policy: Policy) -> Any:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(entry) for name, entry in value.items()}
        return value.tolist() if isinstance(value, torch.Tensor) else value

    return plain(policy.state_dict())


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize(("policy", "given", "error", "words"), ERRORS.values(), ids=ERRORS)
def test_select(policy: Policy, given: Any, error: type[Exception], words: str) -> None:
    if not any(own in policy.methods for own in ("wrong_shape", "no_tensor")):
        policy.select(Signals(torch.rand(10), torch.rand(10)))
    before = everything(policy)
    with pytest.raises(error, match=words):
        policy.select(given() if callable(given) else given)
    assert everything(policy) == before


def test_rows_that_are_not_finite_are_counted_and_named() -> None:
    policy = AdaSelection(rate=0.5)
    losses = torch.tensor([9.0, NAN, 2.0, 1.0, 3.0, INF, 4.0, 5.0])
    for count in (2, 4):
        assert not {1, 5} & set(policy.select(losses).indices.tolist())
        assert policy.nonfinite == count
    with pytest.raises(NonFiniteLossError) as caught:
        policy.select(torch.tensor([NAN] * 30 + [1.0] * 30))
    assert caught.value.rows == tuple(range(30))
    assert "18, 19, ...)" in str(caught.value)
    assert policy.nonfinite == 4


def test_check_raises_what_select_could_not() -> None:
    policy = AdaSelection(rate=0.5)
    policy.check()
    policy._state = policy._state._replace(alarm=torch.tensor(1))
    with pytest.raises(NonFiniteLossError, match="max_nonfinite"):
        policy.check()
    policy.check()  # said once


@pytest.mark.parametrize("change", ["version", "policy", "methods", "rate", "missing", "damaged", "generator", "type"])
def test_states_that_do_not_fit(change: str) -> None:
    policy, other = AdaSelection(rate=0.5), AdaSelection(rate=0.5, seed=3)
    other.select(torch.rand(10))
    state: Any = other.state_dict()
    words = {
        "version": "version=99",
        "policy": "policy='SingleMethod'",
        "methods": r"methods=\['uniform', 'big_loss', 'small_loss'\]",
        "rate": "rate=0.25",
        "missing": "lacks log_weights, scale",
        "damaged": "damaged",
        "generator": "damaged",
        "type": "must be a dict.*got list",
    }[change]
    if change == "version":
        state["version"] = 99
    elif change == "policy":
        state["policy"] = "SingleMethod"
    elif change == "methods":
        state = AdaSelection(("uniform", "big_loss", "small_loss"), 0.5).state_dict()
    elif change == "rate":
        state = AdaSelection(rate=0.25).state_dict()
    elif change == "missing":
        del state["log_weights"], state["scale"]
    elif change == "damaged":
        state["previous"] = torch.zeros(2)
    elif change == "generator":
        state["generator"] = state["generator"][:9]
    else:
        state = [state]
    before = everything(policy)
    with pytest.raises(StateError, match=words):
        policy.load_state_dict(state)
    assert everything(policy) == before


def test_registering() -> None:
    with pytest.raises(ArgumentError, match="built-in"):
        register_method("big_loss", torch.neg)
    with pytest.raises(ArgumentError, match=r"unknown signals \['gradients'\]"):
        register_method("mine", torch.neg, needs=("gradients",))
    with pytest.raises(ArgumentError, match="Did you mean 'coreset_mean'"):
        method_info("coreset_means")
    assert "mine" not in methods()
    assert method_info("grad_norm").needs == {"losses", "grad_norms"}


def test_a_policy_of_a_recorded_loader_is_refused_by_a_selective_one() -> None:
    policy = AdaSelection(rate=0.5)
    rows = DataLoader(TensorDataset(torch.randn(8, 4), torch.zeros(8, dtype=torch.int64)), 4)
    RecordedLoader(rows, policy)
    with pytest.raises(ArgumentError, match=r"chooses from recorded losses in a RecordedLoader.*Build one for each"):
        SelectiveLoader(rows, policy, model=torch.nn.Linear(4, 2), loss_fn=torch.nn.CrossEntropyLoss())
