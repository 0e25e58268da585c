"""The statistics against SciPy and against a sum done by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from adaselection.lab.stats import PairedDifference, mean, paired_difference, standard_deviation

NUMBERS = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))


def test_the_worked_example():
    """Differences 1, 2, 3: mean 2, sd 1, t(0.975, 2) = 4.302653, half = 4.302653 / sqrt(3) = 2.484138."""
    found = paired_difference({0: 11.0, 1: 22.0, 2: 33.0}, {0: 10.0, 1: 20.0, 2: 30.0})
    assert found.mean == 2.0
    assert found.ci_low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert found.ci_high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert found.n == 3


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=12), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_it_equals_scipy(pairs, confidence):
    a, b = dict(enumerate(p[0] for p in pairs)), dict(enumerate(p[1] for p in pairs))
    found = paired_difference(a, b, confidence)
    differences = [x - y for x, y in pairs]
    assert found.mean == pytest.approx(sum(differences) / len(pairs), abs=1e-9)
    if standard_deviation(differences) > 1e-9:
        wanted = reference.ttest_rel(*zip(*pairs, strict=True)).confidence_interval(confidence)
        assert (found.ci_low, found.ci_high) == pytest.approx((wanted.low, wanted.high), rel=1e-6, abs=1e-6)


def test_only_common_seeds_are_paired_whatever_their_order():
    found = paired_difference({5: 1.0, 1: 2.0, 9: 100.0}, {1: 1.0, 5: 0.0, 7: -50.0})
    assert found == PairedDifference(1.0, 1.0, 1.0, 2)


def test_swapping_the_arms_turns_the_sign():
    a, b = {0: 1.0, 1: 4.0, 2: 2.5}, {0: 0.5, 1: 4.5, 2: 1.0}
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert (there.mean, there.ci_low, there.ci_high) == (-back.mean, -back.ci_high, -back.ci_low)


def test_one_pair_has_no_interval_and_none_has_no_mean():
    assert paired_difference({0: 2.0}, {0: 1.5}) == PairedDifference(0.5, None, None, 1)
    assert paired_difference({0: 2.0}, {1: 1.5}) == PairedDifference(None, None, None, 0)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_outside_0_and_1_is_refused(confidence):
    with pytest.raises(ValueError, match=r"pass 0.95"):
        paired_difference({0: 1.0}, {0: 1.0}, confidence)


def test_mean_and_standard_deviation_of_little():
    assert (mean([]), standard_deviation([])) == (None, None)
    assert (mean([3.0]), standard_deviation([3.0])) == (3.0, None)
    assert (mean([1.0, 3.0]), standard_deviation([1.0, 3.0])) == (2.0, math.sqrt(2))
