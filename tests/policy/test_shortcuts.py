"""The step saves work where it may read values; what it chooses is the same as where it may not."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection import AdaSelection, Signals, SingleMethod
from adaselection.base import Policy
from adaselection.functional.selection import _sweep, _walk, rank_rows
from adaselection.step import CHOICES, CURRICULA, WEIGHTINGS, step

SEVEN = ("uniform", "big_loss", "small_loss", "grad_norm", "adaboost", "coreset_extremes", "coreset_mean")
SIZES = (1, 2, 7, 40, 128)
POLICIES = {
    **{f"{name}_alone": SingleMethod(name) for name in SEVEN},
    **{choice: AdaSelection(SEVEN, choice=choice) for choice in CHOICES},
    **{weighting: AdaSelection(SEVEN, weighting=weighting) for weighting in WEIGHTINGS},
    **{curriculum: AdaSelection(SEVEN, curriculum=curriculum) for curriculum in CURRICULA},
    "paper": AdaSelection(SEVEN, replicate="paper"),
    "nan_last": AdaSelection(SEVEN, adaboost="nan_last"),
    "infinite": AdaSelection(("uniform", ("pole", lambda signals: 1 / signals.losses.sub(1).round()))),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
def test_finite_signals_known_as_such_change_nothing(policy: Policy) -> None:
    generator = torch.Generator().manual_seed(1)
    plain = known = policy._state
    for _ in range(3):
        for size in SIZES:
            k = max(1, round(0.3 * size))
            losses = torch.empty(size).exponential_(generator=generator)
            signals = Signals(losses, torch.rand(size, generator=generator), "cross_entropy")
            noise = policy._draw(size)
            plain, expected = step(policy._recipe, plain, signals, noise, k)
            known, got = step(policy._recipe, known, signals, noise, k, None, True)
            assert got.indices.tolist() == expected.indices.tolist()
            torch.testing.assert_close(got.scores, expected.scores, rtol=1e-12, atol=0, equal_nan=True)
            torch.testing.assert_close(tuple(known), tuple(plain), rtol=1e-12, atol=0)


@given(st.integers(1, 7), st.integers(1, 40), st.data())
def test_the_walk_takes_the_rows_of_the_sweep(methods: int, size: int, data: st.DataObject) -> None:
    order = rank_rows(torch.rand(methods, size, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99)))))
    k = data.draw(st.integers(0, size))
    cuts = sorted(data.draw(st.lists(st.integers(0, k), min_size=methods - 1, max_size=methods - 1)))
    slots = torch.tensor([b - a for a, b in zip([0, *cuts], [*cuts, k], strict=True)])
    assert _walk(order, slots).tolist() == _sweep(order, slots, k).tolist()


CHILD = """
import torch
from adaselection import AdaSelection, Signals, methods
from adaselection.functional.selection import _slots, quota_slots
from adaselection.step import step

compiled, slots = (torch.compile(f, fullgraph=True, backend="eager") for f in (step, quota_slots))
for choice in ("quota", "top_k"):
    policy = AdaSelection(methods(), choice=choice)
    call = policy._recipe, policy._state, Signals(torch.rand(40), torch.rand(40)), policy._draw(40), 12
    (plain, expected), (known, got) = step(*call), compiled(*call)
    assert got.indices.tolist() == expected.indices.tolist()
    torch.testing.assert_close(tuple(known), tuple(plain))
for _ in range(20):
    weights = torch.rand(7, dtype=torch.float64).softmax(0)
    for k in (1, 5, 38):
        assert slots(weights, k).tolist() == _slots(weights.tolist(), k)
"""


def test_one_graph_without_a_look_at_a_value_chooses_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)  # no shape checks
    assert done.returncode == 0, done.stderr
