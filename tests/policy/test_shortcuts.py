"""Signals known to be finite save the step its masks; what it chooses is the same."""

import pytest
import torch

from adaselection import AdaSelection, Signals, SingleMethod
from adaselection.base import Policy
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
