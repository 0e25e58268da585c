"""Rules that their sources leave to chance, alone on fresh losses: drawn by their own chances, always k."""

import math

import numpy as np
import pytest
import torch

import reference_choice as choice
import reference_recorded as rules
from adaselection import SelectiveLoader, Signals, SingleMethod, methods
from adaselection.errors import ArgumentError
from strategies import tensor

LOSSES = np.array([0.3, 2.0, 0.05, 1.1, 0.6, 3.5, 0.0, 0.9])
DRAWN = ("proportional", "rank_based", "selective_backprop", "katharopoulos_fleuret", "uncertain", "capped")


def signals(losses: np.ndarray = LOSSES) -> Signals:
    return Signals(tensor(losses), tensor(losses), "cross_entropy")


def frequencies(policy: SingleMethod, given: Signals, rounds: int = 3000) -> np.ndarray:
    counts = np.zeros(len(given.losses))
    for _ in range(rounds):
        chosen = policy.select(given).indices.numpy()
        assert len(set(chosen.tolist())) == len(chosen)
        counts[chosen] += 1
    return counts / rounds


def off(found: np.ndarray, expected: list[float], rounds: int = 3000) -> float:
    """The largest distance, in standard errors."""
    p = np.asarray(expected)
    return float((np.abs(found - p) / (np.sqrt(p * (1 - p) / rounds) + 1e-9)).max())


def test_selective_backprop_keeps_rows_by_their_percentile_and_not_the_top() -> None:
    known = [True] * 8
    chances = choice.inclusion_probabilities(rules.selective_backprop(LOSSES.tolist(), 2, known, None), 2, known)
    found = frequencies(SingleMethod("selective_backprop", 0.25, seed=1), signals())
    assert off(found, [float(p) for p in chances]) < 4.5
    assert off(found, [0.25] * 8) > 4.5  # a uniform draw would be noticed
    assert 0.05 < found[1] < 0.95  # the second largest loss: neither certain nor never


def test_proportional_draws_in_proportion() -> None:
    expected = rules.in_proportion(LOSSES.tolist(), 3, [True] * 8)
    found = frequencies(SingleMethod("proportional", 0.375), signals())
    assert off(found, [float(p) for p in expected]) < 4.5
    assert off(found, [0.375] * 8) > 4.5


def test_the_rows_of_the_papers_rules_are_still_the_top() -> None:
    for name, best in (("big_loss", [1, 5]), ("small_loss", [2, 6]), ("grad_norm", [1, 5])):
        got = SingleMethod(name, 0.25).select(signals())
        assert sorted(got.indices.tolist()) == best
        assert got.inclusion_probabilities is None


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(
    "losses", [[math.nan, 1.0, math.inf, 2.0, 0.5, 1.0, 2.0, 0.1], [0.0] * 8, [1e300] * 8, [-1.0, *[0.5] * 7]]
)
def test_bad_rows_are_never_drawn_and_ties_and_extremes_are(name: str, losses: list[float]) -> None:
    policy = SingleMethod(name, 0.5)
    given = Signals(tensor(np.array(losses)), tensor(np.abs(np.array(losses))), "cross_entropy")
    for _ in range(20):
        chosen = policy.select(given).indices.tolist()
        assert len(set(chosen)) == 4
        assert all(math.isfinite(losses[row]) for row in chosen)


def test_every_rule_of_chance_is_known_here() -> None:
    by_chance = {name for name in methods("fresh") if SingleMethod(name)._recipe.choice == "draw"}
    assert by_chance == {*DRAWN, "rho_loss"}  # the last needs irreducible losses


def test_unbiased_weights_come_with_the_rule_that_has_them() -> None:
    policy = SingleMethod("katharopoulos_fleuret", 0.25)
    assert policy.weighted
    norms = tensor(np.array([5.0, 0.01, 0.01, 0.01, 4.0, 0.01, 0.01, 0.01]))  # far apart: the rule switches on
    sums = []
    for _ in range(3000):
        got = policy.select(Signals(norms, norms))
        sums.append(float((norms[got.indices] * got.sample_weights).sum()))
        assert got.inclusion_probabilities is not None
    assert np.mean(sums) / 2 == pytest.approx(float(norms.mean()), abs=4.5 * np.std(sums) / 2 / math.sqrt(3000) + 1e-3)
    batches = [(torch.randn(8, 3), torch.randint(0, 2, (8,)))]
    model, loss = torch.nn.Linear(3, 2), torch.nn.CrossEntropyLoss()
    with pytest.raises(ArgumentError, match="weighted=True"):
        SelectiveLoader(batches, policy, model=model, loss_fn=loss)
    assert len(SelectiveLoader(batches, policy, model=model, loss_fn=loss, weighted=True, batch_size=2)) == 1
    assert not SingleMethod("selective_backprop").weighted
