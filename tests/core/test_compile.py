"""The pure step reads nothing back to the host, and compiles as a whole."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from adaselection import AdaSelection, Policy, Signals, SingleMethod
from adaselection.functional import ADABOOST_READINGS, IMPORTANCES
from adaselection.step import BY_RECORD, CHOICES, CURRICULA, WEIGHTINGS, step

SOURCE = Path(__file__).resolve().parents[2] / "src"
SEVEN = ("uniform", "big_loss", "small_loss", "grad_norm", "adaboost", "coreset_extremes", "coreset_mean")
WAITING = {  # operations that wait for an accelerator: they give the host a value, a size or a tensor made from one
    "_local_scalar_dense", "nonzero", "nonzero_static", "masked_select", "equal", "is_nonzero", "unique", "_unique2",
    "unique_dim", "unique_consecutive", "bincount", "repeat_interleave", "lift_fresh",
}  # fmt: skip


class NoWaiting(TorchDispatchMode):
    """Stands in for an accelerator: fails where one would have to be waited for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").split(".")[0]
        masks = name in ("index", "index_put", "index_put_") and any(
            part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1]
        )
        if name in WAITING or masks:
            raise AssertionError(f"{func.name()} waits for the accelerator")
        return func(*args, **(kwargs or {}))


def signals(size: int, bad: bool) -> Signals:
    losses, norms = torch.rand(2, size)
    if bad:
        losses[::7], norms[3] = torch.nan, torch.inf
    return Signals(losses, norms, "cross_entropy")


def run(policy: Policy, size: int, bad: bool) -> int:
    """Two steps of which nothing waits; gives how many the state counted."""
    state = policy._state
    for _ in range(2):
        batch, noise = signals(size, bad), policy._draw(size)
        with NoWaiting():
            state, chosen = step(policy._recipe, state, batch, noise, 12)
        assert chosen.indices.shape == (12,)
        assert chosen.scores[chosen.indices].isfinite().all()
        assert int(state.alarm) == 0
    return int(state.step)


def test_the_stand_in_notices_what_waits() -> None:
    x = torch.rand(4)
    for waits in (
        lambda: x.sum().item(),
        lambda: x[x > 0.5],
        lambda: bool(x.any()),
        lambda: torch.tensor(1.0),
        x.nonzero,
    ):
        with pytest.raises(AssertionError, match="waits"), NoWaiting():
            waits()
    policy = AdaSelection()
    with pytest.raises(AssertionError, match="waits"), NoWaiting():
        step(policy._recipe, policy._state, Signals(x), policy._draw(4), 2, clean=True)  # the way for the CPU


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("weighting", [name for name in WEIGHTINGS if name not in BY_RECORD])
def test_no_setting_waits(choice: Any, weighting: Any) -> None:
    for importance, curriculum in product(IMPORTANCES, (None, *CURRICULA)):
        policy = AdaSelection(
            SEVEN, choice=choice, weighting=weighting, importance=importance, curriculum=curriculum, max_nonfinite=0.5
        )
        assert run(policy, 40, bad=False) == run(policy, 40, bad=True) == 2


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SEVEN)
def test_no_method_waits(name: str) -> None:
    for reading in (None, *ADABOOST_READINGS):
        assert run(SingleMethod(name, adaboost=reading, max_nonfinite=0.5), 40, bad=True) == 2
    assert run(AdaSelection((name,), choice="draw", weight_exponent=0.5, loss_average="batch"), 40, bad=False) == 2


CHILD = """
import torch
from adaselection import AdaSelection, Signals, SingleMethod
from adaselection.step import step

SEVEN = ("uniform", "big_loss", "small_loss", "grad_norm", "adaboost", "coreset_extremes", "coreset_mean")
POLICIES = (
    AdaSelection(SEVEN),
    AdaSelection(SEVEN, choice="quota", importance="rank", curriculum="scale_free"),
    AdaSelection(SEVEN, replicate="paper", curriculum="printed"),
    AdaSelection(SEVEN, choice="draw", weight_exponent=1.0, weighting="placebo", importance="indicator"),
    SingleMethod("grad_norm"),
)
assert not hasattr(step, "__wrapped__"), "the shape checks are on"
for policy in POLICIES:
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, backend=backend)
    one = other = policy._state
    for size in (40, 40, 40, 17, 40, 17, 33, 64):  # short last batches among them
        signals = Signals(torch.rand(size), torch.rand(size), "cross_entropy")
        noise, k = policy._draw(size), max(1, round(0.3 * size))
        one, expected = step(policy._recipe, one, signals, noise, k)
        other, got = compiled(policy._recipe, other, signals, noise, k)
        assert got.indices.tolist() == expected.indices.tolist()
        torch.testing.assert_close(got.scores, expected.scores, rtol=1e-12, atol=0)
        torch.testing.assert_close(got.sample_weights, expected.sample_weights, rtol=1e-12, atol=0)
        torch.testing.assert_close(tuple(other), tuple(one), rtol=1e-12, atol=0)
    print(len(graphs))
"""


def test_the_step_compiles_to_at_most_two_graphs() -> None:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    counts = list(map(int, done.stdout.split()))
    assert len(counts) == 5
    assert max(counts) <= 2
