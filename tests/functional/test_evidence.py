"""Two groups of losses and how the upper one moves, against every cut tried and lines fitted by NumPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import reference_evidence as slow
from adaselection import Signals, method_info
from adaselection import functional as F  # noqa: N812
from strategies import double, tensor, values

PRECISE = 1e-9


def some(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def split(array: np.ndarray) -> tuple[float, float, float]:
    threshold, separation, share = F.two_groups(tensor(array))
    return float(threshold), float(separation), float(share)


# Two groups


@given(array=values(negative=True))
def test_two_groups_are_the_best_of_all_cuts(array: np.ndarray) -> None:
    threshold, separation, share = split(array)
    numbers = array.tolist()
    _, expected, _ = slow.two_groups(numbers)
    assert separation == pytest.approx(expected, rel=PRECISE)
    assert share == pytest.approx(sum(v > threshold for v in numbers) / max(1, len(numbers)), abs=1e-12)
    tried = slow.cuts(numbers) if numbers else {}
    if tried:
        assert float(tried[threshold] / max(tried.values())) == pytest.approx(1, rel=PRECISE)
        assert 0 < share < 1
    else:
        assert (threshold, separation, share) == slow.two_groups(numbers)


def test_two_groups_by_hand() -> None:
    assert split(np.array([0.0, 4.0, 0.0, 4.0])) == (0.0, pytest.approx(1.0), 0.5)
    # means 1 and 9 of 3 and 1 values: between 3/16 * 64 = 12, of a variance of (12 * 4 + 2) / 4 = 12.5
    assert split(np.array([0.0, 9.0, 2.0, 1.0])) == (2.0, pytest.approx(12 / 12.5), 0.25)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("shift", [0.0, -7.0])
def test_two_groups_do_not_depend_on_unit_and_origin(scale: float, shift: float) -> None:
    array = np.array([0.5, 1.0, 1.5, 6.0, 6.5, 0.75])
    threshold, separation, share = split((array + shift) * scale)
    assert threshold == (1.5 + shift) * scale
    assert separation == pytest.approx(slow.two_groups(array.tolist())[1], rel=PRECISE)
    assert share == pytest.approx(1 / 3)


def test_values_that_stand_apart_by_sixty_digits() -> None:
    assert split(np.array([1e-30, 1e30, 2e-30])) == (2e-30, pytest.approx(1.0), pytest.approx(1 / 3))
    assert split(np.array([-1e30, 0.0, 1e-30])) == (-1e30, pytest.approx(1.0), pytest.approx(2 / 3))


@pytest.mark.parametrize("array", [[], [3.0], [2.0, 2.0], [0.0] * 5, [-1.0] * 3])
def test_fewer_than_two_different_values_are_one_class(array: list[float]) -> None:
    threshold, separation, share = split(np.array(array))
    assert threshold == (array[0] if array else 0.0)
    assert (separation, share) == (0, 0)
    assert F.trusted(tensor(np.array(array))).tolist() == [1.0] * len(array)


def test_equal_values_are_never_parted() -> None:
    threshold, _, share = split(np.array([0.0, 1.0, 1.0, 1.0, 1.0, 5.0]))
    assert (threshold, share) == (1.0, pytest.approx(1 / 6))


def test_single_numbers_of_a_record_are_compared_as_they_are() -> None:
    losses = torch.tensor([0.1, 0.1, 2.3, 2.3, 0.2], dtype=torch.float32)
    threshold, _, share = F.two_groups(losses)
    assert threshold.dtype == torch.float64
    assert float(threshold) == float(losses[4])
    assert float(share) == pytest.approx(0.4)
    assert F.trusted(losses).tolist() == pytest.approx([1, 1, 0.05, 0.05, 1])


def separation(sample: torch.Tensor) -> float:
    return float(F.two_groups(sample).separation)


def test_separation_of_one_crowd_is_as_documented() -> None:
    generator = torch.Generator().manual_seed(0)
    size = 200_000
    uniform = torch.rand(size, generator=generator)
    normal = torch.randn(size, generator=generator)
    exponential = torch.empty(size).exponential_(generator=generator)
    assert separation(uniform) == pytest.approx(F.UNIMODAL, abs=0.003)
    assert separation(normal) == pytest.approx(2 / math.pi, abs=0.003)
    assert round(2 / math.pi, 2) == 0.64
    assert separation(exponential) == pytest.approx(0.65, abs=0.01)


def test_separation_alone_does_not_tell_two_groups_from_a_crowd_with_a_flat_tail() -> None:
    # so the gate has two further pieces of evidence: 8 / 9 is reached where a flat tail is all the variance there is
    tailed = torch.cat((torch.zeros(100_000), torch.linspace(0, 1, 1000)))
    assert separation(tailed) == pytest.approx(8 / 9, abs=0.01)
    assert separation(tailed) > F.UNIMODAL


# Trusted


# Whether it is a matter of the labels


def counted(labels: np.ndarray, upper: np.ndarray) -> float:
    rows, above = np.bincount(labels), np.bincount(labels, weights=upper)
    return F.explained(tensor(rows.astype(float)), tensor(above.astype(float)))


@given(rows=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40))
def test_explained_is_epsilon_squared(rows: list[tuple[int, bool]]) -> None:
    labels, upper = [label for label, _ in rows], [flag for _, flag in rows]
    expected = slow.explained(labels, upper)
    assert counted(np.array(labels, dtype=int), np.array(upper, dtype=bool)) == pytest.approx(expected, abs=PRECISE)


def test_explained_by_hand() -> None:
    # two labels, 4 of 5 and 1 of 5 above: within 0.8 + 0.8 over 8, total 2.5 over 9
    assert F.explained(some(5, 5), some(4, 1)) == pytest.approx(1 - 0.2 / (2.5 / 9))
    assert F.explained(some(9, 1, 1), some(0, 1, 1)) == 1
    assert (
        F.explained(some(3, 3), some(3, 3)) == F.explained(some(1, 1), some(0, 1)) == F.explained(some(), some()) == 0
    )


@given(counts=st.lists(st.integers(0, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=6))
def test_emptied_is_the_largest_limit_of_wilson(counts: list[tuple[int, int]]) -> None:
    sure = 1 - 2 * stats.norm.sf(2)
    limits = [stats.binomtest(u, n).proportion_ci(sure, method="wilson").low for n, u in counts if n]
    rows, upper = np.array(counts, dtype=float).reshape(-1, 2).T
    assert F.emptied(tensor(rows), tensor(upper)) == pytest.approx(max(limits, default=0.0), abs=PRECISE)


def test_emptied_by_hand() -> None:
    assert F.emptied(some(16), some(16)) == pytest.approx(0.8)
    assert F.emptied(some(100, 16, 96), some(100, 16, 0)) == pytest.approx(100 / 104)
    assert F.emptied(some(7, 0), some(0, 0)) == pytest.approx(0, abs=PRECISE)


@given(rows=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_one_sided_is_the_share_of_ordered_pairs(rows: list[tuple[int, bool]]) -> None:
    numbers, upper = (
        np.array([number for number, _ in rows], dtype=int),
        np.array([flag for _, flag in rows], dtype=bool),
    )
    pairs = [(a > b) + (a == b) / 2 for a in numbers[upper] for b in numbers[~upper]]
    expected = (2 * sum(pairs) / len(pairs) - 1) ** 2 if pairs else 0.0
    counts = np.bincount(numbers).astype(float), np.bincount(numbers, weights=upper).astype(float)
    assert F.one_sided(tensor(counts[0]), tensor(counts[1])) == pytest.approx(expected, abs=PRECISE)


@pytest.mark.parametrize("classes", [2, 10, 500])
def test_labels_that_say_nothing_explain_nothing_however_many(classes: int) -> None:
    chance = np.random.default_rng(classes)
    labels, upper = chance.integers(0, classes, 1000), chance.random(1000) < 0.3
    assert abs(counted(labels, upper)) < 0.1


@given(array=values(negative=True), audit=st.sampled_from([0.0, 0.05, 1.0]))
def test_trusted(array: np.ndarray, audit: float) -> None:
    threshold, _, _ = split(array)
    assert F.trusted(tensor(array), audit).tolist() == pytest.approx(slow.trusted(array.tolist(), threshold, audit))


def test_trusted_leaves_out_the_upper_class_whatever_k() -> None:
    averages = some(0.2, 5.0, 0.1, 0.3, 4.0)
    rule = method_info("trusted").inclusion
    assert rule is not None
    for k in (1, 3, 5):
        chances = rule(Signals(averages.flip(0), averages=averages), k)
        assert chances.tolist() == pytest.approx([1.0, 0.05, 1.0, 1.0, 0.05])
        assert chances.dtype == torch.float64


# Movement


@st.composite
def visits(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    size = draw(st.integers(0, 20))
    before, now, gaps = (draw(values(size, scaled=False)) for _ in range(3))
    upper = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    return upper, before, now, gaps, draw(st.floats(0, 3))


def sums(visit: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]) -> F.Movement:
    upper, before, now, gaps, threshold = visit
    return F.movement(tensor(upper, torch.bool), tensor(before), tensor(now), tensor(gaps), some(threshold)[0])


@given(visit=visits())
def test_movement_is_the_sums_of_a_loop(visit: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]) -> None:
    got = sums(visit)
    expected = slow.movement(*(part.tolist() for part in visit[:4]), visit[4])
    np.testing.assert_allclose([double(value) for value in got], expected, rtol=1e-12, atol=1e-12)
    assert F.persistence(got) == pytest.approx(expected[1] / expected[0] if expected[0] else 0.0)


@given(visit=visits())
def test_learnt_from_others_is_the_slope_of_a_line(
    visit: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float],
) -> None:
    upper, before, now, gaps, threshold = visit
    now = now + 0.5
    got = F.learnt_from_others(sums((upper, before, now, gaps, threshold)))
    if upper.sum() >= 3 and np.std(gaps[upper]) > 1e-3:
        expected = slow.learnt_from_others(before[upper], now[upper], gaps[upper])
        assert got == pytest.approx(expected, rel=1e-6, abs=1e-6)
        error = F.learnt_error(sums((upper, before, now, gaps, threshold)))
        assert error == pytest.approx(slow.learnt_error(before[upper], now[upper], gaps[upper]), rel=1e-5, abs=1e-5)


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    generator = np.random.default_rng(0)
    before, now, gaps = (generator.exponential(size=40) for _ in range(3))
    upper = generator.random(40) < 0.5
    whole = torch.stack(list(sums((upper, before, now, gaps, 0.7))))
    parts = [sums((upper[s], before[s], now[s], gaps[s], 0.7)) for s in (slice(0, 13), slice(13, 13), slice(13, 40))]
    torch.testing.assert_close(sum(torch.stack(list(part)) for part in parts), whole)


def line(gaps: list[float], changes: list[float], level: float = 2.0) -> float:
    now = np.full(len(gaps), level)
    everyone = np.ones(len(gaps), dtype=bool)
    return F.learnt_from_others(sums((everyone, now - np.array(changes), now, np.array(gaps), 0.0)))


def test_what_is_learnt_from_others_is_told_from_what_a_visit_itself_taught() -> None:
    gaps = [0.25, 0.5, 1.0, 2.0]
    assert line(gaps, [-0.3] * 4) == pytest.approx(0, abs=1e-12)  # all fell alike: that was their own visit
    assert line(gaps, [-0.2 * gap for gap in gaps]) == pytest.approx(0.1)  # a tenth of 2 in a walk
    assert line(gaps, [0.2 * gap - 0.5 for gap in gaps]) == pytest.approx(-0.1)  # forgotten meanwhile
    assert line(gaps, [-0.2e30 * gap for gap in gaps], 2e30) == pytest.approx(0.1)
    assert line(gaps, [-0.2e-30 * gap for gap in gaps], 2e-30) == pytest.approx(0.1)


def test_too_little_for_a_line_never_says_that_something_was_learnt() -> None:
    # one or two visits, all visits after the same time, no loss to compare with: not above 0 (and not a crash)
    few = (line([], []), line([1.0], [-1.0]), line([1.0, 2.0], [-1.0, -2.0]), line([1.0] * 5, [-1.0, -2.0, -3.0, 0, 0]))
    assert not any(value > 0 for value in (*few, line([1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], level=0.0)))
    nobody = sums((np.zeros(2, dtype=bool), np.ones(2), np.ones(2), np.ones(2), 0.5))
    assert F.persistence(nobody) == 0


@pytest.mark.parametrize(("values", "draws"), [(1, 50), (20, 30), (1000, 8192), (2000, 8192), (50_000, 8192)])
def test_the_values_behind_some_draws(values: int, draws: int) -> None:
    chance = torch.Generator().manual_seed(0)
    found = [F.values_behind(len(torch.randint(values, (draws,), generator=chance).unique()), draws) for _ in range(20)]
    assert sum(found) / 20 == pytest.approx(values, rel=0.1)


def test_the_values_behind_draws_at_the_ends() -> None:
    assert F.values_behind(0, 0) == 0
    assert F.values_behind(1, 1) == F.values_behind(9, 9) == math.inf
    assert F.values_behind(1, 9) == pytest.approx(1, rel=0.01)
    assert [F.values_behind(distinct, 9) for distinct in range(1, 9)] == sorted(
        F.values_behind(distinct, 9) for distinct in range(1, 9)
    )
