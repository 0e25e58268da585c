"""What is judged: worked examples, SciPy, and slow references, from the statistics to the gate."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from adaselection.lab import stats
from adaselection.lab.judging import (
    brief,
    gate,
    glance,
    ladders,
    never_lose,
    pairing,
    reaching,
    rungs,
    seconds,
    settings,
    speed,
    timing,
)
from adaselection.lab.summary import summarise
from lab.records_factory import make

NUMBERS = st.floats(-100, 100).map(lambda value: round(value, 4))
SHUT = {"windows": 10, "selected": 0, "shut": 10, "left_out": 0.0, "predicted_gain": None, "realised_gain": None}
OPEN = SHUT | {"selected": 5, "shut": 5, "left_out": 0.2, "predicted_gain": 1.5, "realised_gain": 1.4}
BASE = {0: 90.0, 1: 92.0, 2: 94.0}


def runs(arm, values, budget=0.5, task="digits", **parts):
    return [make(task, arm, seed, value=value, budget=budget, **parts) for seed, value in values.items()]


def moved(values, *shifts):
    return {seed: value + shifts[i % len(shifts)] for i, (seed, value) in enumerate(values.items())}


def study(*groups):
    (found,) = summarise([record for group in groups for record in group])
    return found


def row(found, arm, budget=0.5):
    (one,) = [row for row in found.rows if (row.arm, row.budget) == (arm, budget)]
    return one


# --- statistics


@given(st.lists(NUMBERS, min_size=2, max_size=15), st.sampled_from([0.5, 0.9, 0.95]))
def test_student_and_its_p_equal_scipy(values, confidence):
    found = stats.mean_interval(values, confidence)
    assert found.n == len(values)
    if np.std(values) > 1e-6:
        wanted = reference.ttest_1samp(values, 0.0)
        ends = wanted.confidence_interval(confidence)
        assert (found.ci_low, found.ci_high) == pytest.approx((ends.low, ends.high), rel=1e-6, abs=1e-6)
        assert stats.p_value(values) == pytest.approx(wanted.pvalue, rel=1e-6, abs=1e-12)


def test_p_of_little_and_of_equal_differences():
    assert stats.p_value([]) is None
    assert stats.p_value([1.0]) is None
    assert stats.p_value([0.0, 0.0, 0.0]) == 1.0
    assert stats.p_value([2.0, 2.0]) == 0.0


def test_the_bootstrap_equals_scipys():
    values = [0.3, -0.2, 1.1, 0.8, 0.4, 0.0, 0.9]
    low, high = stats.bootstrap_interval(values)
    wanted = reference.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=1)
    assert low == pytest.approx(wanted.confidence_interval.low, abs=0.02)
    assert high == pytest.approx(wanted.confidence_interval.high, abs=0.02)
    assert stats.bootstrap_interval(values) == (low, high)
    assert stats.bootstrap_interval(values, seed=1) != (low, high)
    assert min(values) <= low <= high <= max(values)


def test_the_bootstrap_of_little():
    assert stats.bootstrap_interval([]) is None
    assert stats.bootstrap_interval([1.0]) is None
    assert stats.bootstrap_interval([2.0, 2.0]) == (2.0, 2.0)
    with pytest.raises(ValueError, match=r"pass 0.95"):
        stats.bootstrap_interval([1.0, 2.0], 95)


def test_holm_by_hand():
    """Sorted .005 * 4, .01 * 3, .03 * 2, .04 * 1 -> .02, .03, .06, .06 (never below a smaller p's)."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([]) == []
    assert stats.holm([0.6, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_sequential_test_rejects(p_values, level):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = set()
    for rank, place in enumerate(order):
        if (len(p_values) - rank) * p_values[place] > level:
            break
        rejected.add(place)
    assert {i for i, p in enumerate(stats.holm(p_values)) if p <= level} == rejected


@given(st.integers(1, 5), st.integers(2, 8), st.data())
def test_pooling_the_same_seeds_is_student_over_their_averages(cells, seeds, data):
    values = data.draw(st.lists(st.lists(NUMBERS, min_size=seeds, max_size=seeds), min_size=cells, max_size=cells))
    found = stats.pooled_difference([dict(enumerate(cell)) for cell in values])
    averages = np.mean(values, axis=0)
    wanted = stats.mean_interval(averages.tolist())
    assert found.n == seeds
    assert (found.mean, found.ci_low, found.ci_high) == pytest.approx(
        (wanted.mean, wanted.ci_low, wanted.ci_high), abs=1e-6
    )


def test_pooling_different_seeds_by_hand():
    """Cell 1: seeds 0, 1 with 1, 3; cell 2: seeds 1, 2, 3 with 2, 4, 6. Means 2 and 4, pooled 3.

    Parts, each over the count, the number of cells and times sqrt(n / (n - 1)): seed 0 -a; 1: a - 2b; 2: 0; 3: 2b with
    a = sqrt(2) / 4 and b = sqrt(1.5) / 6; the smallest cell has 1 degree of freedom, t = 12.706205.
    """
    found = stats.pooled_difference([{0: 1.0, 1: 3.0}, {1: 2.0, 2: 4.0, 3: 6.0}, {0: 99.0}, {}])
    a, b = math.sqrt(2) / 4, math.sqrt(1.5) / 6
    spread = math.sqrt(a**2 + (a - 2 * b) ** 2 + (2 * b) ** 2)
    assert (found.mean, found.n) == (3.0, 4)
    assert found.ci_high - found.mean == pytest.approx(12.706205 * spread, rel=1e-6)
    assert stats.pooled_difference([{0: 1.0}, {}]) == stats.PairedDifference(None, None, None, 0)


def test_pooling_knows_that_cells_of_one_seed_move_together():
    cell = {0: -1.0, 1: 0.0, 2: 1.0}
    one, four = stats.pooled_difference([cell]), stats.pooled_difference([cell] * 4)
    assert (four.ci_low, four.ci_high) == pytest.approx((one.ci_low, one.ci_high))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=12))
def test_ranks_equal_scipys(pairs):
    found = stats.rank_correlation(pairs)
    if found.rho is None:
        assert min(len({a for a, _ in pairs}), len({b for _, b in pairs})) == 1
    else:
        wanted = reference.spearmanr(*zip(*pairs, strict=True))
        assert (found.rho, found.p, found.n) == (wanted.statistic, pytest.approx(wanted.pvalue), len(pairs))


def test_ranks_of_little():
    assert stats.rank_correlation([]) == stats.RankCorrelation(None, None, 0)
    assert stats.rank_correlation([(1, 1), (2, 2)]) == stats.RankCorrelation(None, None, 2)
    assert stats.rank_correlation([(1, 5), (2, 6), (3, 9), (4, 7)]).rho == pytest.approx(0.8)


# --- cells and what they must hold


def cell_of(*groups):
    (found,) = never_lose.cells([study(*groups)])
    return found


@pytest.mark.parametrize(
    ("shifts", "outcome", "holds"),
    [
        ((1.0, 1.1, 1.2), "won", True),
        ((-0.1, -0.1, -0.1), "lost", True),
        ((-0.11, -0.11, -0.11), "lost", False),
        ((-0.1, 0.1, 0.0), "tied", True),
        ((-0.5, 0.5, 0.1), "undecided", True),
        ((-2.0, 1.0, 0.0), "undecided", False),
        ((0.0,), "equal", True),
    ],
)
def test_a_cell_is_judged_by_its_mean_and_its_interval(shifts, outcome, holds):
    cell = cell_of(runs("uniform_budget", BASE), runs("recorded", moved(BASE, *shifts)))
    assert (cell.outcome, cell.holds) == (outcome, holds)
    wanted = [shifts[i % len(shifts)] for i in range(3)]
    assert [cell.differences[seed] for seed in range(3)] == pytest.approx(wanted)


def test_an_error_is_judged_in_percent_of_uniforms_mean():
    ours, theirs = {0: 0.9, 1: 1.9}, {0: 1.0, 1: 2.0}
    cell = cell_of(runs("uniform_budget", theirs, task="bike"), runs("recorded", ours, task="bike"))
    assert cell.differences == pytest.approx({0: 100 * 0.1 / 1.5, 1: 100 * 0.1 / 1.5})
    assert settings.limits(cell.study) == settings.Limits(-1.0, -1.0)
    worse = cell_of(runs("uniform_budget", theirs, task="bike"), runs("recorded", {0: 1.02, 1: 2.02}, task="bike"))
    assert worse.holds is False


def test_runs_are_paired_by_seed_and_data_and_with_the_harder_uniform():
    other = {"data": "cd34" * 16}
    cell = cell_of(
        runs("uniform_budget", BASE),
        runs("uniform_budget", moved(BASE, -5.0), config={"learning_rate": 9.0}),
        runs("recorded", {0: 91.0, 1: 92.5, 7: 10.0}),
    )
    assert cell.differences == pytest.approx({0: 1.0, 1: 0.5})
    apart = study(
        runs("uniform_budget", BASE), runs("recorded", {0: 91.0}), runs("recorded", {0: 95.0, 1: 96.0}, config=other)
    )
    assert sorted(len(one.differences) for one in never_lose.cells([apart])) == [0, 1]


def test_what_diverged_fails_and_what_has_no_rival_is_not_judged():
    assert cell_of(runs("uniform_budget", BASE), runs("recorded", {0: math.nan, 1: 95.0})).outcome == "diverged"
    assert cell_of(runs("uniform_budget", BASE), runs("recorded", {0: math.nan, 1: 95.0})).holds is False
    alone = cell_of(runs("recorded", BASE))
    assert (alone.outcome, alone.holds, alone.rival) == ("unknown", None, None)
    assert cell_of(runs("uniform_budget", BASE), runs("recorded", {0: 91.0})).outcome == "unknown"


def test_full_training_is_uniform_at_budget_1_and_no_arm_is_its_own_rival():
    found = study(runs("full", BASE), runs("recorded", BASE, budget=1.0), runs("uniform_budget", BASE))
    assert pairing.rival_of(found, row(found, "recorded", 1.0)).arm == "full"
    assert pairing.rival_of(found, row(found, "uniform_budget")) is None
    assert never_lose.cells([found]) == []  # budget 1 is not judged


def test_a_task_is_pooled_over_its_cells_and_corrected():
    records = []
    for budget, shifts in ((0.1, (0.0,)), (0.3, (0.4, 0.5, 0.6)), (0.5, (-0.5, 0.4, 0.1))):
        records += runs("uniform_budget", BASE, budget) + runs("recorded", moved(BASE, *shifts), budget)
    (group,) = never_lose.pooled(never_lose.cells([study(records)]))
    assert [cell.outcome for cell in group.cells] == ["equal", "won", "undecided"]
    assert group.difference.mean == pytest.approx((0 + 0.5 + 0) / 3)
    assert list(group.adjusted) == pytest.approx(stats.holm([cell.p for cell in group.cells]))
    assert group.missing == 4 * 6 - 3
    assert group.verdict == "holds so far"
    bad = runs("uniform_budget", BASE, 0.2) + runs("recorded", moved(BASE, -0.4), 0.2)
    (group,) = never_lose.pooled(never_lose.cells([study(records, bad)]))
    assert group.verdict == "**fails** in 1 cell"


def test_a_wide_interval_fails_although_every_mean_holds():
    shifts = (-1.5, 1.5, 0.0)
    (group,) = never_lose.pooled(
        never_lose.cells([study(runs("uniform_budget", BASE), runs("recorded", moved(BASE, *shifts)))])
    )
    assert [cell.holds for cell in group.cells] == [True]
    assert group.verdict == "**fails**: pooled interval too low"


@pytest.mark.parametrize(
    ("task", "config", "kind"),
    [
        ("digits", {}, "clean"),
        ("digits", {"label_noise": 0.2}, "noisy"),
        ("digits", {"label_noise": 0.5}, "other"),
        ("digits", {"regime": "long_tail"}, "other"),
        ("digits", {"regime": "noise_switch", "label_noise": 0.3}, "other"),
        ("bike", {}, "clean"),
        ("bike", {"regime": "outliers"}, "noisy"),
        ("regression", {}, "noisy"),
        ("regression", {"regime": "clean"}, "clean"),
        ("unheard", {}, "clean"),
    ],
)
def test_the_kind_of_data(task, config, kind):
    assert settings.kind(study([make(task, config=config)])) == kind


def test_settings_without_runs_are_named():
    found = summarise([make(), make(config={"regime": "noise_switch", "label_noise": 0.3}), make("bike")])
    lines = settings.missing(found)
    assert lines[0] == ("digits: no runs with 20 % label noise; 40 % label noise; 5x duplicated data; 100:1 long tail.")
    assert lines[1:] == [
        "mnist: no runs.", "cifar10: no runs.", "cifar100: no runs.", "wikitext2: no runs.", "regression: no runs.",
        "bike: no runs with 5x duplicated data; outliers.",
    ]  # fmt: skip


# --- the rows of the README and of its page


def test_at_a_glance_a_cell_has_half_and_all_of_the_work_and_what_is_sure_stands_out():
    noisy, late = {"config": {"label_noise": 0.4}}, {"config": {"label_noise": 0.4, "regime": "noise_switch"}}
    gpu = {"config": {"preset": "gpu"}}
    text = glance.at_a_glance(
        [
            *runs("uniform_budget", BASE), *runs("recorded", BASE, policy_trace=SHUT),
            *runs("uniform_budget", BASE, **late), *runs("recorded", moved(BASE, -1.0), **late, policy_trace=OPEN),
            *runs("uniform_budget", BASE, **noisy), *runs("recorded", moved(BASE, 2.0), **noisy, policy_trace=OPEN),
            *runs("full", BASE, 1.0, **noisy),
            *runs("recorded", moved(BASE, 1.0, 2.0), 1.0, **noisy, policy_trace=OPEN),
            *runs("full", BASE, 1.0, "cifar10", **gpu),
            *runs("recorded", moved(BASE, 5.0), 1.0, "cifar10", **gpu, policy_trace=OPEN),
            *runs("uniform_budget", BASE, task="regression"),
            *runs("recorded", BASE, task="regression", policy_trace=SHUT),
        ]
    )  # fmt: skip
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    dash, sep = "\N{EN DASH}", "\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}"
    assert rows[0] == ["", "cifar10, gpu", "digits"]
    assert rows[2:] == [
        ["clean", f"{dash}{sep}**+5.00**", f"0{sep}{dash}"],
        ["40 % wrong labels", "", f"**+2.00**{sep}+1.33"],
        ["40 % from halfway on", "", f"**\N{MINUS SIGN}1.00**{sep}{dash}"],
    ]
    assert "Not in the table, as every difference is 0: regression (outliers)." in text  # its plain data have some
    told = "2 equal, 1 won, 1 lost (1 of those won after Holm's correction over the cells of a task)."
    assert text.endswith(f"Of all 4 cells at 10 to 50 % of the work: {told}")
    assert glance.at_a_glance([make(arm="full")]) == "No runs yet."


def test_the_short_table_has_what_differs_at_half_or_at_all_of_the_work_and_names_the_rest():
    noisy, gpu = {"config": {"label_noise": 0.4}}, {"config": {"label_noise": 0.4, "preset": "gpu"}}
    text = brief.short(
        [
            *runs("uniform_budget", BASE), *runs("recorded", BASE, policy_trace=SHUT),
            *runs("uniform_budget", BASE, **noisy), *runs("recorded", BASE, **noisy, policy_trace=SHUT),
            *runs("full", BASE, 1.0, **noisy),
            *runs("recorded", moved(BASE, 1.0, 2.0), 1.0, **noisy, policy_trace=OPEN),
            *runs("full", BASE, 1.0, "cifar10", **gpu),
            *runs("recorded", moved(BASE, 5.0), 1.0, "cifar10", **gpu, policy_trace=OPEN),
            *runs("uniform_budget", BASE, task="mnist"), *runs("recorded", BASE, task="mnist", policy_trace=SHUT),
        ]
    )  # fmt: skip
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[0][2::2] == ["budget 50 %: uniform → `recorded`", "budget 100 %: uniform → `recorded`", "seeds"]
    assert rows[2:] == [
        ["cifar10 (gpu preset)", "40 % label noise", *2 * ["\N{EN DASH}"],
         "92.00 → 97.00", "+5.00 [+5.00, +5.00]", "3"],
        ["digits", "40 % label noise", "92.00 → 92.00", "0.00 [0.00, 0.00]",
         "92.00 → 93.33", "+1.33 [\N{MINUS SIGN}0.10, +2.77]", "3"],
    ]  # fmt: skip
    assert "exactly 0 there at every budget that ran: digits (plain data); mnist (plain data)." in text
    assert "over all 3 cells" in text  # those of the budgets that are judged


def test_the_verdict_names_a_preset_that_is_not_the_judged_one():
    noisy, gpu = {"config": {"label_noise": 0.4}}, {"config": {"label_noise": 0.4, "preset": "gpu"}}
    text = brief.short(
        [
            *runs("uniform_budget", BASE, task="cifar10", **noisy),
            *runs("recorded", BASE, task="cifar10", **noisy, policy_trace=SHUT),
            *runs("uniform_budget", BASE, task="cifar10", **gpu),
            *runs("recorded", moved(BASE, 5.0), task="cifar10", **gpu, policy_trace=OPEN),
        ]
    )
    assert "must be above -0.3 points (-1 %): cifar10: holds so far; cifar10 (gpu preset): holds. Won" in text


def test_the_short_table_of_nothing():
    assert brief.short([make(arm="full")]) == "No runs yet."


# --- speed


def slow_crossing(costs, scores, goal):
    """Walk along the ladder in small steps of its own, one segment after the other."""
    if scores[0] >= goal:
        return costs[0]
    for i in range(1, len(scores)):
        if scores[i] >= goal:
            return costs[i - 1] + (goal - scores[i - 1]) / (scores[i] - scores[i - 1]) * (costs[i] - costs[i - 1])
    return math.inf


@given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5), min_size=1, max_size=4), st.integers(0, 6))
def test_crossings_equal_the_slow_ones(ladders_given, goal):
    for scores in ladders_given:
        costs = [float(i + 1) ** 2 for i in range(len(scores))]
        found = reaching.crossing(np.array([costs]), np.array([scores], dtype=float), np.array([float(goal)]))
        assert found[0] == pytest.approx(slow_crossing(costs, scores, goal))


def test_the_target_by_hand():
    """1, 2, 3: mean 2, sd 1, standard error 1 / sqrt(3)."""
    assert reaching.target([1.0, 2.0, 3.0]) == pytest.approx(2 - 1 / math.sqrt(3))
    assert reaching.target([5.0]) == 5.0
    assert reaching.target(np.array([[1.0, 3.0], [4.0, 4.0]])).tolist() == [1.0, 4.0]


def stair(scores, costs, seeds=3):
    """A ladder whose seeds agree."""
    return reaching.Ladder(
        tuple(dict.fromkeys(range(seeds), score) for score in scores),
        tuple(dict.fromkeys(range(seeds), cost) for cost in costs),
    )


FULL = stair([10.0], [1.0])
SCORES = dict.fromkeys(range(3), 10.0)


@pytest.mark.parametrize(
    ("arm", "other", "ratio", "sense"),
    [
        ((8, 12), FULL, 1 / 0.3, "about"),  # reaches 10 halfway between .1 and .5
        ((10, 12), FULL, 10.0, "at least"),  # there at the smallest budget
        ((8, 9), FULL, 2.0, "at most"),  # not there by the largest, .5
        ((8, 12), (6, 11), (0.1 + 0.8 * 0.4) / 0.3, "about"),
        ((8, 12), (8, 9), 0.5 / 0.3, "at least"),
        ((8, 9), (8, 12), 0.3 / 0.5, "at most"),
        ((8, 12), (10, 12), 0.1 / 0.3, "at most"),
        ((8, 9), (8, 9), None, "unknown"),
        ((11, 12), (11, 12), None, "unknown"),
    ],
)
def test_speedups_are_bounded_and_never_dropped(arm, other, ratio, sense):
    rival = other if isinstance(other, reaching.Ladder) else stair(other, (0.1, 0.5))
    found = reaching.speedup(stair(arm, (0.1, 0.5)), rival, SCORES, resamples=50)
    assert (found.ratio, found.sense) == (None if ratio is None else pytest.approx(ratio), sense)
    if arm[-1] < 10:
        assert (found.low, found.high) == (0.0, 0.0)
    elif not isinstance(other, reaching.Ladder) and other[-1] < 10:
        assert math.isinf(found.high)
    elif ratio is not None:
        assert (found.low, found.high) == pytest.approx((ratio, ratio))


def test_the_bootstrap_over_seeds_equals_a_slow_one():
    draw = np.random.default_rng(3)
    seeds = [4, 7, 8, 11, 20]
    full = {seed: 10 + draw.normal() / 2 for seed in seeds}
    arm = reaching.Ladder(
        tuple({seed: mid + draw.normal() / 2 for seed in seeds} for mid in (8.5, 9.7, 10.6)),
        tuple({seed: cost + draw.random() / 50 for seed in seeds} for cost in (0.1, 0.3, 0.5)),
    )
    reference_ladder = reaching.Ladder((full,), (dict.fromkeys(seeds, 1.0),))
    found = reaching.speedup(arm, reference_ladder, full, resamples=200)
    ratios = []
    for places in np.random.default_rng(0).integers(0, 5, (200, 5)):
        chosen = [seeds[place] for place in places]
        picked = [full[seed] for seed in chosen]
        goal = np.mean(picked) - np.std(picked, ddof=1) / math.sqrt(5)
        costs = [np.mean([rung[seed] for seed in chosen]) for rung in arm.costs]
        scores = [np.mean([rung[seed] for seed in chosen]) for rung in arm.scores]
        cost = slow_crossing(costs, scores, goal)
        ratios.append(0.0 if math.isinf(cost) else 1.0 / cost)
    ratios.sort()
    assert (found.low, found.high) == pytest.approx((ratios[math.floor(0.025 * 199)], ratios[math.ceil(0.975 * 199)]))
    assert found.low < found.ratio < found.high


def test_a_ladder_without_a_seed_in_common_says_nothing():
    other = reaching.Ladder(({9: 10.0},), ({9: 1.0},))
    assert reaching.speedup(stair((8, 12), (0.1, 0.5)), other, {9: 10.0}).sense == "unknown"
    one = reaching.speedup(stair((8, 12), (0.1, 0.5), 1), stair([10.0], [1.0], 1), {0: 10.0})
    assert (one.low, one.high) == (None, None)
    assert one.ratio == pytest.approx(1 / 0.3)


def ladder_records(**parts):
    records = runs("full", BASE, **parts)
    for budget, uniform, ours in ((0.1, -6, -4), (0.3, -4, 0), (0.5, -2, 1)):
        records += runs("uniform_budget", moved(BASE, uniform), budget, **parts)
        records += runs("recorded", moved(BASE, ours), budget, **parts)
    return records


def test_arrivals_in_units():
    found = study(ladder_records(environment={"exclusive": False}))
    uniform, ours = speed.arrivals(found)
    assert [one.climb.arm for one in (uniform, ours)] == ["uniform_budget", "recorded"]
    assert [row.budget for row in uniform.climb.rows] == [0.1, 0.3, 0.5, 1.0]  # full training is the last rung
    error = 2 / math.sqrt(3)
    assert ours.goal == pytest.approx(92 - error)
    share = 0.996  # what the made-up runs use of their budget
    assert ours.spent.cost == pytest.approx(share * (0.1 + 0.2 * (4 - error) / 4))
    assert uniform.spent.cost == pytest.approx(share * (0.5 + 0.5 * (2 - error) / 2))
    assert (ours.by_seconds, ours.seconds, ours.n) == (False, None, 3)
    assert ours.against_uniform.ratio == pytest.approx(uniform.spent.cost / ours.spent.cost)
    assert ours.against_full.ratio == pytest.approx(share / ours.spent.cost)
    assert uniform.against_uniform is None


def test_seconds_count_only_where_all_runs_had_their_machine():
    assert all(one.by_seconds for one in speed.arrivals(study(ladder_records())))
    late = make("digits", "recorded", 3, value=95.0, budget=0.5, environment={"exclusive": False})
    crowd = [late, *ladder_records()]
    by_arm = {one.climb.arm: one.by_seconds for one in speed.arrivals(study(crowd))}
    assert by_arm == {"uniform_budget": True, "recorded": False}


def test_an_error_is_reached_from_above():
    records = runs("full", {0: 1.0, 1: 1.2}, task="bike")
    for budget, value in ((0.1, 2.0), (0.5, 1.0)):
        records += runs("recorded", {0: value, 1: value}, budget, task="bike")
    (ours,) = speed.arrivals(study(records))
    assert ours.goal == pytest.approx(1.2)
    assert ours.spent.cost == pytest.approx(0.996 * (0.1 + 0.4 * 0.8))


def test_nothing_is_reached_without_full_training_or_with_one_budget():
    assert speed.arrivals(study(runs("recorded", BASE, 0.1), runs("recorded", BASE, 0.5))) == []
    assert speed.arrivals(study(runs("full", BASE), runs("recorded", BASE, 0.5))) == []


def test_learning_rates_tuned_by_budget_make_one_ladder_and_two_at_a_budget_make_two():
    tuned = study(runs("recorded", BASE, 0.1, config={"learning_rate": 0.3}), runs("recorded", BASE, 0.5))
    assert [len(climb.rows) for climb in ladders.climbs(tuned)] == [2]
    doubled = [runs("recorded", BASE, b, config={"learning_rate": lr}) for b in (0.1, 0.5) for lr in (0.1, 0.3)]
    found = ladders.climbs(study(*doubled))
    assert [(climb.detail, len(climb.rows)) for climb in found] == [("learning rate 0.1", 2), ("learning rate 0.3", 2)]


@pytest.mark.parametrize(
    ("ratio", "sense", "wanted"),
    [
        (1.6, "about", True), (1.4, "about", False), (1.5, "about", True), (None, "unknown", None),
        (1.6, "at least", True), (1.4, "at least", None), (1.6, "at most", None), (1.4, "at most", False),
    ],
)  # fmt: skip
def test_a_bound_decides_only_what_it_can(ratio, sense, wanted):
    assert speed.meets(reaching.Speedup(ratio, sense, None, None), 1.5) is wanted
    assert speed.meets(None, 1.5) is None


# --- the ladder of policies


def test_rungs_are_kept_by_their_interval_on_the_placebo():
    arms = {"recorded_placebo": 0.0, "recorded_paper": -1.0, "recorded_bounded": 1.0, "recorded": 0.0}
    records = runs("uniform_budget", BASE)
    for arm, shift in arms.items():
        spread = (0.1, -0.1, 0.0) if arm != "recorded_placebo" else (0.0,)
        records += runs(arm, moved(BASE, *(shift + part for part in spread)))
    found = {one.rung: one for one in rungs.standings(study(records))}
    assert {name: one.word for name, one in found.items()} == {
        "E0": "reference", "E1": "drop", "E2": "keep", "E3": "reference", "E8": "drop",
    }  # fmt: skip
    assert found["E2"].on_placebo.mean == pytest.approx(1.0)
    assert found["E2"].on_uniform.mean == pytest.approx(1.0)
    assert found["E0"].on_uniform.mean is None


def test_rungs_are_compared_with_the_placebo_of_their_rate():
    records = runs("recorded_placebo", BASE, rate=0.3) + runs("recorded_placebo", moved(BASE, 5.0), rate=0.5)
    records += runs("recorded_paper", moved(BASE, 1.0, 1.1), rate=0.3)
    (paper,) = [one for one in rungs.standings(study(records)) if one.rung == "E1"]
    assert (paper.rate, paper.on_placebo.mean) == (0.3, pytest.approx((1.0 + 1.1 + 1.0) / 3))
    lonely = rungs.standings(study(runs("recorded_paper", BASE)))
    assert [one.word for one in lonely] == ["not to be judged"]


def single(arm, seed, value, **parts):
    config = {"policy": {"method": arm.removeprefix("recorded_"), "rate": 0.3}} | parts
    return make("digits", arm, seed, value=value, config=config)


def test_the_best_single_method_is_chosen_on_validation_else_in_hindsight():
    records = [single("recorded_capped", s, 95.0 + s) for s in range(2)]
    records += [single("recorded_trusted", s, 90.0 + s) for s in range(2)]
    records += [single("recorded_uniform", s, 99.0 + s) for s in range(2)] + runs("recorded_paper", {0: 99.0, 1: 99.5})
    found = study(records)
    chosen, note = rungs.best_single(found, 0.5, 0.3, [])
    assert (chosen.arm, note) == ("recorded_capped", "in hindsight on the same runs")
    trials = [
        single("recorded_capped", 0, 70.0, split="validation"),
        single("recorded_trusted", 0, 60.0, split="validation"),
        single("recorded_trusted", 0, 80.0, split="validation", learning_rate=0.3),
        single("recorded_capped", 0, math.nan, split="validation", learning_rate=0.3),
        single("recorded_big_loss", 0, 99.0, split="validation"),
    ]
    chosen, note = rungs.best_single(found, 0.5, 0.3, trials)
    assert (chosen.arm, note) == ("recorded_trusted", "chosen on validation")
    assert rungs.best_single(found, 0.5, 0.3, trials[:1])[1] == "in hindsight on the same runs"
    assert rungs.best_single(found, 0.5, 0.9, trials) is None
    (fourth,) = [one for one in rungs.standings(found, trials) if one.rung == "E4"]
    assert [one.row.arm for one in fourth.placed] == ["recorded_trusted"]
    other = [single("recorded_trusted", 0, 99.0, split="validation", label_noise=0.2) for _ in range(2)]
    (fourth,) = [one for one in rungs.standings(found, other) if one.rung == "E4"]
    assert [one.note for one in fourth.placed] == ["in hindsight on the same runs"]


def test_a_method_on_no_rung_is_still_shown_and_an_arm_of_several_methods_is_no_single_one():
    several = {"policy": {"methods": ["uniform", "proportional"], "rate": 0.3, "weight_exponent": 0.5}}
    records = [make("digits", "recorded_half_biased", s, value=99.0, config=several) for s in range(2)]
    records += [single("recorded_capped", s, 90.0) for s in range(2)]
    records += [single("recorded_infobatch_annealed", s, 99.0) for s in range(2)]
    found = rungs.standings(study(records))
    assert [(one.rung, one.placed[0].row.arm) for one in found] == [
        ("E4", "recorded_capped"), ("E7, exponent 1/2", "recorded_half_biased"),
        ("E10, annealed", "recorded_infobatch_annealed"), ("", "recorded_capped"),
    ]  # fmt: skip


def test_every_rung_that_can_be_run_is_an_arm():
    from adaselection.lab.arms import arms

    known = {name: runs(name, {0: 90.0}) for name in arms() if name.startswith("recorded") or name == "uniform_budget"}
    filled = {rung.name for rung in rungs.RUNGS for one in known.values() if rung.has(study(one).rows[0])}
    assert {rung.name for rung in rungs.RUNGS} - filled == {"E4"}  # which is chosen


# --- the gate


def test_what_the_gate_did():
    traces = [OPEN | {"visits": {"mean_of_wrong": 1.0, "mean_of_right": 4.0}, "overhead": 0.01}, SHUT, None]
    records = runs("uniform_budget", BASE)
    for seed, trace in enumerate(traces):
        extra = {} if trace is None else {"policy_trace": trace}
        records.append(make("digits", "recorded", seed, value=BASE[seed] + 1, **extra))
    (cell,) = gate.gate_cells([study(records)])
    assert (cell.traced, cell.opened, cell.windows) == (2, 1, 0.25)
    assert (cell.predicted, cell.realised, cell.left_out) == (1.5, 1.4, 0.1)
    assert (cell.visits, cell.overhead) == (0.25, 0.01)
    assert cell.compared.difference.mean == 1.0
    assert gate.gate_cells([study(runs("recorded", BASE))]) == []
    crowd = [make("digits", "recorded", 0, policy_trace=OPEN | {"overhead": 0.5}, environment={"exclusive": False})]
    assert gate.gate_cells([study(crowd)])[0].overhead is None


def test_a_gate_is_shut_throughout_only_if_every_run_says_so():
    shut = study(runs("recorded", BASE, policy_trace=SHUT))
    assert gate.shut_throughout(shut.rows[0])
    part = study(runs("recorded", {0: 90.0}, policy_trace=SHUT), runs("recorded", {1: 90.0}))
    assert not gate.shut_throughout(part.rows[0])
    opened = study(runs("recorded", {0: 90.0}, policy_trace=SHUT), runs("recorded", {1: 90.0}, policy_trace=OPEN))
    assert not gate.shut_throughout(opened.rows[0])


def test_runs_of_the_default_before_it_had_all_members_are_marked():
    def rows(*members):
        policy = {"rate": 0.3, "earned": {"members": list(members)}}
        return study(runs("recorded", BASE, policy_trace=SHUT, config={"policy": policy}))

    before, now = rows("uniform", "trusted", "hard"), rows("uniform", "trusted", "hard", "uncertain")
    assert gate.is_before(before.rows[0])
    assert not gate.is_before(now.rows[0])
    assert not gate.is_before(study(runs("recorded", BASE)).rows[0])  # another policy
    assert "| plain data † |" in gate.page([before])
    assert "| plain data |" in gate.page([now])


# --- equal seconds


@given(
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.5, 1.0]), min_size=2, max_size=5, unique=True),
    st.lists(NUMBERS, min_size=5, max_size=5),
    st.floats(0.05, 1.5),
)
def test_a_score_between_budgets_lies_on_the_line_in_their_logarithms(budgets, scores, wanted):
    ladder = dict(zip(budgets, scores, strict=False))
    known = sorted(ladder)
    inside = min(max(wanted, known[0]), known[-1])
    straight = np.interp(math.log(inside), [math.log(b) for b in known], [ladder[b] for b in known])
    if inside == wanted:
        assert seconds.at_budget(ladder, wanted) == pytest.approx(straight, abs=1e-6)
    ends = known[:2] if wanted < known[0] else known[-2:]
    if inside != wanted:  # goes on as between the last two
        slope = (ladder[ends[1]] - ladder[ends[0]]) / (math.log(ends[1]) - math.log(ends[0]))
        expected = ladder[inside] + slope * (math.log(wanted) - math.log(inside))
        assert seconds.at_budget(ladder, wanted) == pytest.approx(expected, abs=1e-6)


def slow(arm, taken, budget=0.5, alone=True, task="digits", choosing=0.0):
    records = runs(arm, BASE, budget=budget, task=task, environment={"exclusive": alone})
    return [
        replace(record, seconds=replace(record.seconds, select=choosing, total=taken + record.config.seed))
        for record in records
    ]


DIGITS_CELL, BIKE_CELL = ((task, "plain", 0.0, 0.5, 0.3) for task in ("digits", "bike"))


def test_timings_are_of_runs_that_were_alone_seed_by_seed():
    timed = summarise([*slow("uniform_budget", 10.0), *slow("recorded", 20.0, choosing=1.0)])
    (found,) = timing.timings(timing.alone(timed)).items()
    assert found[0] == DIGITS_CELL
    assert found[1] == timing.Timing((20 / 10, 21 / 11, 22 / 12), 21 / 20)  # three seeds say nothing of recording
    assert timing.alone(summarise([*slow("uniform_budget", 10.0, alone=False), *slow("recorded", 20.0)])) == {}
    assert timing.alone(summarise(slow("recorded", 20.0))) == {}
    other = [replace(record, config=replace(record.config, rate=0.5)) for record in slow("recorded", 30.0)]
    both = timing.alone(summarise([*slow("uniform_budget", 10.0), *slow("recorded", 20.0), *other]))
    assert {key[-1]: pairs[0][0].seconds.total for key, pairs in both.items()} == {0.3: 20.0, 0.5: 30.0}


def test_what_recording_takes_is_told_by_tasks_with_enough_seeds():
    def some(arm, train, task="digits"):
        (one, *_) = slow(arm, train + 1.0, task=task, choosing=0.5)
        return replace(one, seconds=replace(one.seconds, load=0.0, train=train), counts=replace(one.counts, steps=100))

    many = [(some("recorded", train), some("uniform_budget", 4.0)) for train in (4.1, 4.2, 4.3, 4.4, 9.0)]
    few = [(some("recorded", 8.0, "bike"), some("uniform_budget", 4.0, "bike"))] * 4
    pairs = {DIGITS_CELL: many, BIKE_CELL: few}
    assert timing.recording(pairs) == pytest.approx(0.3 / 100)
    found = timing.timings(pairs)[BIKE_CELL]
    assert found.choosing == pytest.approx(9.0 / (9.0 - 0.5 - 0.3))
    assert timing.recording({}) == 0
    assert timing.per_step(pairs, "bike") == pytest.approx(4.0 / 100)
    assert timing.per_window(pairs, "bike") is None  # nothing says how often it was judged
    judged = [
        (replace(ours, policy_trace={"windows": count}), theirs) for count in (2, 4, 5) for ours, theirs in few[:1]
    ]
    assert timing.per_window({BIKE_CELL: judged}, "bike") == pytest.approx(0.5 / 4)


def test_a_few_seeds_tell_nothing_and_then_no_ratio_is_below_what_choosing_takes():
    many, few = (1.1, 1.2, 1.3, 1.4, 1.5), (1.1, 1.2, 1.3, 1.4)
    assert timing.Timing(many, 1.05).ratio(1.01) == 1.3
    assert timing.Timing(many, 1.35).ratio(1.5) == 1.3
    assert timing.Timing(few, 1.05).ratio(1.07) == 1.07
    assert timing.Timing(few, 1.05).ratio(0.98) == timing.Timing((), 1.05).ratio(0.98) == 1.05


@pytest.mark.parametrize(("task", "sign"), [("digits", 1.0), ("bike", -1.0)])
def test_uniform_is_given_the_seconds_that_the_default_took(task, sign):
    ours, base = moved(BASE, sign * 1.0), moved(BASE, 0.0)
    more = moved(BASE, sign * 4.0)
    found = study(
        runs("uniform_budget", base, task=task), runs("full", more, task=task), runs("recorded", ours, task=task)
    )
    (cell,) = never_lose.cells([found])
    unit = 1.0 if task == "digits" else 100 / 92
    assert seconds.clocked(cell, (), 1.0).cell.difference.mean == pytest.approx(unit)
    half = seconds.clocked(cell, (2**0.5,), 2**0.5)  # half of the way to full training, in logarithms
    assert half.cell.difference.mean == pytest.approx(unit * (1 - 2))
    assert (half.cell.holds, half.work.holds) == (False, True)
    for less in (0.5, 1.0):  # noise
        assert seconds.clocked(cell, (less,), less).cell.differences == cell.differences


def test_full_training_is_at_the_best_of_its_learning_rates_under_either_name():
    rows = [*runs("full", moved(BASE, 1.0), budget=1.0), *runs("uniform_budget", BASE), *runs("recorded", BASE)]
    tuned = [
        replace(record, config=replace(record.config, learning_rate=0.3))
        for record in runs("uniform_budget", moved(BASE, 2.0), budget=1.0)
    ]
    for records, arm, budgets in ((rows, "full", [0.5, 1.0]), ([*rows, *tuned], "uniform_budget", [0.5, 1.0])):
        found = study(records)
        full, uniform = ladders.full_row(found), ladders.opponent(found)
        assert (full.arm, full.budget) == (arm, 1.0)
        assert [row.budget for row in uniform.rows] == budgets
        assert uniform.rows[-1] == full


def test_uniform_has_at_each_budget_the_learning_rate_tuned_for_it():
    parts = [*runs("uniform_budget", BASE), *runs("recorded", BASE)]
    for rate, shift in ((0.2, 1.0), (0.3, 4.0), (0.4, -9.0)):  # at all of the work there are three; the best counts
        parts += [
            replace(record, config=replace(record.config, learning_rate=rate))
            for record in runs("uniform_budget", moved(BASE, shift), budget=1.0)
        ]
    (cell,) = never_lose.cells([study(parts)])
    found = seconds.clocked(cell, (2**0.5,), 2**0.5)
    assert found.cell.difference.mean == pytest.approx(-2.0)


def test_uniform_stops_where_more_seconds_would_harm_it():
    found = study(
        runs("uniform_budget", BASE), runs("full", moved(BASE, -4.0, 1.0)), runs("recorded", moved(BASE, 1.0))
    )
    (cell,) = never_lose.cells([found])
    assert seconds.clocked(cell, (2.0,), 2.0).cell.differences == cell.differences


def test_a_cell_bears_the_ratio_up_to_which_it_holds():
    # full training is 4 points better at twice the budget: 4 * log2(ratio), and 0.4 + 0.1 may be lost
    found = study(runs("uniform_budget", BASE), runs("full", moved(BASE, 4.0)), runs("recorded", moved(BASE, 0.4)))
    (cell,) = never_lose.cells([found])
    assert seconds.bears(cell) == pytest.approx(math.floor(100 * 2 ** (0.5 / 4)) / 100)
    worse = study(runs("uniform_budget", BASE), runs("full", moved(BASE, 4.0)), runs("recorded", moved(BASE, -0.2)))
    assert seconds.bears(never_lose.cells([worse])[0]) is None
    better = study(runs("uniform_budget", BASE), runs("full", moved(BASE, 4.0)), runs("recorded", moved(BASE, 9.0)))
    assert seconds.bears(never_lose.cells([better])[0]) == 1.5


def test_the_page_of_seconds_says_what_was_timed_and_what_was_not():
    parts = [
        record
        for budget, shift in ((0.3, 0.0), (0.5, 1.0))
        for arm in ("uniform_budget", "recorded")
        for record in runs(arm, moved(BASE, shift), budget=budget)
    ]
    timed = summarise([*slow("uniform_budget", 10.0), *slow("recorded", 12.0)])
    text = seconds.page(summarise(parts), timed)
    assert " | 1.18 to 1.18 | 1 of 2 | 0 of 2 |" in text
    assert "| plain data | 30 % | 1.1827 (task) | 0 | 1.05 | 0.00 [0.00, 0.00] | \u22120.33" in text
    assert "| plain data | 50 % | 1.1827 (task) | 3 | 1.05 | 0.00 [0.00, 0.00] | \u22120.33" in text
    assert "had the machine to itself yet" in seconds.page(summarise(parts), [])
