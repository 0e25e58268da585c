"""Ranks, draws and probabilities against counting and sums done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaselection.lab.ranking import average_rank, average_ranks, probability, resampled_means, seed_draws

VALUES = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]), min_size=1, max_size=9)


@given(VALUES)
def test_ranks_are_those_of_counting(values):
    smaller = [sum(v < mine for v in values) for mine in values]
    equal = [sum(v == mine for v in values) for mine in values]
    larger = [len(values) - below - same for below, same in zip(smaller, equal, strict=True)]
    shared = [(same + 1) / 2 for same in equal]  # the mean of the places of equal ones
    low, high = (average_ranks(values, higher_is_better=best).tolist() for best in (False, True))
    assert low == [below + place for below, place in zip(smaller, shared, strict=True)]
    assert high == [above + place for above, place in zip(larger, shared, strict=True)]


def test_every_row_of_a_table_is_ranked_by_itself_and_diverged_runs_come_last():
    table = [[3.0, 1.0, 2.0], [1.0, float("nan"), 1.0]]
    assert average_ranks(table, higher_is_better=True).tolist() == [[1, 3, 2], [1.5, 3, 1.5]]
    assert average_ranks(table, higher_is_better=False).tolist() == [[3, 1, 2], [1.5, 3, 1.5]]
    assert average_ranks([float("-inf"), float("nan"), 0.0], higher_is_better=True).tolist() == [2.5, 2.5, 1]


def test_the_average_rank_of_a_worked_example():
    """Seed 0 ranks 1 and 2 (average 1.5), seed 1 ranks 2 and 3 (2.5): mean 2, sd 0.7071."""
    first, _ = average_rank([[[1, 2], [2, 1]], [[2, 1], [3, 1]]])
    assert (first.mean, first.n) == (2.0, 2)
    assert first.sd == pytest.approx(0.7071, abs=1e-4)
    assert (first.low, first.high) == (1.5, 2.5)
    (alone,) = average_rank([[[1.0], [4.0]]])
    assert (alone.mean, alone.sd, alone.low, alone.high, alone.n) == (2.5, None, None, None, 1)


@pytest.mark.parametrize("shape", [(2, 3), (0, 2, 2), (2, 0, 2)])
def test_an_empty_or_flat_table_is_refused(shape):
    with pytest.raises(ValueError, match=r"\[seeds, rows, entries\]"):
        average_rank(np.zeros(shape))


def test_draws_start_with_what_was_measured_and_are_the_same_again():
    draws = seed_draws(4, resamples=500, seed=3)
    assert draws.shape == (501, 4)
    assert draws[0].tolist() == [0, 1, 2, 3]
    assert set(draws.ravel().tolist()) == {0, 1, 2, 3}
    assert (draws == seed_draws(4, resamples=500, seed=3)).all()
    assert (draws != seed_draws(4, resamples=500, seed=4)).any()
    with pytest.raises(ValueError, match="at least one seed"):
        seed_draws(0)


def test_resampled_means_are_those_of_a_loop_and_spread_as_theory_says():
    values, draws = [1.0, 4.0, 7.0, 12.0], seed_draws(4, resamples=20_000)
    means = resampled_means(values, draws)
    assert means[0] == 6.0
    assert means[:50].tolist() == pytest.approx([sum(values[i] for i in draw) / 4 for draw in draws[:50]])
    assert means[1:].std() == pytest.approx(np.std(values) / 2, rel=0.02)


def test_a_probability_leaves_the_measured_row_out():
    assert probability(np.array([True, False, False, True, False])) == 0.25
