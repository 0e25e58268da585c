"""The nine statements: each is made to hold, to fail and to stay open by records made for it."""

import numpy as np
import pytest

from adaselection.lab.paper import plan
from adaselection.lab.paper.comparing import against, candidates, savers
from adaselection.lab.paper.judging import Part, Sample, every, judge, some
from adaselection.lab.paper.published import PUBLISHED
from adaselection.lab.paper.results import read
from adaselection.lab.paper.statements import STATEMENTS, judgements
from lab.paper_records import METRICS, paper_grid, run

FOUR = plan.FOUR_CANDIDATES[0]


def judged(name, records):
    return dict(zip([s.name for s in STATEMENTS], judgements(read(records)), strict=True))[name][1]


def with_values(tasks, rows, value, seeds=2, **top):
    """Records whose metric is `value(task, row, rate, seed)`, and else 50 (or 1 for a loss) and a little by seed."""

    def metric(task, row, rate, seed):
        found = value(task, row, rate, seed)
        usual = 50.0 if METRICS[task][2] else 1.0
        return (usual if found is None else found) * (1 + seed / 1000)

    return paper_grid(tasks, rows, seeds, metric, **top)


def paper_rows():
    return tuple(row.name for row in plan.ROWS.values() if row.part == "paper")


def test_the_statements_are_nine_and_quote_the_published_numbers():
    assert [statement.name for statement in STATEMENTS] == [f"T{i}" for i in range(1, 10)]
    quoted = {statement.name: statement.printed for statement in STATEMENTS}
    cifar100, svhn = PUBLISHED["cifar100"].values, PUBLISHED["svhn"].values
    for row in (cifar100, svhn):
        others = [value for column, value in row.items() if column != "small"]
        assert f"{row['small']:.2f}" in quoted["T1"]
        assert f"{min(others):.2f}" in quoted["T1"]
    assert all(f"{svhn[column]:.2f}" in quoted["T2"] for column in ("big", "gradnorm", "coreset1"))
    regression = PUBLISHED["regression"].values
    assert all(f"{regression[column]:.2f}" in quoted["T3"] for column in ("big", "small", "uniform"))
    assert regression["big"] > 2 * regression["uniform"] > 2 * regression["small"]
    cifar10 = PUBLISHED["cifar10"].values
    assert all(f"{cifar10[column]:.2f}" in quoted["T9"] for column in ("adaselection", "big", "small", "uniform"))
    assert cifar10["adaselection"] < min(cifar10["big"], cifar10["small"], cifar10["uniform"])


@pytest.mark.parametrize(("small", "verdict"), [(30.0, "holds"), (45.0, "does not hold")])
def test_t1_asks_for_ten_points(small, verdict):
    rows = [row for row in paper_rows() if row not in plan.FOUR_CANDIDATES]
    records = with_values(["cifar100", "svhn"], rows, lambda t, row, r, s: small if row == "small_loss" else None)
    found = judged("T1", records)
    assert found.verdict == verdict
    assert [part.label for part in found.parts] == ["CIFAR100", "SVHN (MNIST stands in)"]
    half = judged("T1", [record for record in records if record.config.task == "cifar100"])
    assert half.verdict == ("does not hold" if small > 40 else "cannot be judged yet")
    assert half.missing == ("SVHN (MNIST stands in): no runs",)


def test_t2_counts_collapsed_runs_and_needs_all_three():
    rows = ("uniform", "big_loss", "grad_norm", "coreset_1")

    def value(task, row, rate, seed):
        return 11.0 if rate == 0.1 and row != "uniform" else None

    records = with_values(["svhn"], rows, value)
    assert judged("T2", records).verdict == "holds"
    flagged = run("svhn", "big_loss", 0.1, 7, 11.0, collapsed=True)
    assert judged("T2", [*records, flagged]).parts[0].measured.endswith("; 1 runs flagged as collapsed")
    sound = with_values(["svhn"], rows, lambda t, row, rate, s: None if row == "grad_norm" else value(t, row, rate, s))
    found = judged("T2", sound)
    assert (found.verdict, found.probability) == ("does not hold", 0.0)
    assert [bool(part.holds[0]) for part in found.parts] == [True, False, True]


@pytest.mark.parametrize(
    ("big", "small", "verdict"), [(2.5, 0.9, "holds"), (2.5, 1.1, "does not hold"), (1.9, 0.9, "does not hold")]
)
def test_t3_asks_both(big, small, verdict):
    values = {"big_loss": big, "small_loss": small}
    rows = ("uniform", "big_loss", "small_loss")
    assert judged("T3", with_values(["regression"], rows, lambda t, row, r, s: values.get(row))).verdict == verdict


@pytest.mark.parametrize(("best", "verdict"), [(1.09, "holds"), (1.12, "does not hold"), (0.85, "does not hold")])
def test_t4_takes_the_best_configuration_and_looks_both_ways(best, verdict):
    def value(task, row, rate, seed):
        return best if row == "mix_big_small" else None if row == "uniform" else 3.0

    found = judged("T4", with_values(["wikitext2"], ("uniform", *plan.CONFIGURATIONS), value))
    assert found.verdict == verdict
    assert f"{best - 1:+.2f}".replace("-", "\u2212")[:5] in found.parts[0].measured


def test_t5_wants_one_configuration_for_all_tasks():
    rows = ("uniform", *plan.CONFIGURATIONS)
    first, second = plan.CONFIGURATIONS[:2]

    def one(task, row, rate, seed):
        better = {"bike": first, "regression": second}[task]
        return 0.5 if row == better else 2.0 if row != "uniform" else None

    records = with_values(["bike", "regression"], rows, one)
    found = judged("T5", records)
    assert found.verdict == "does not hold"
    assert sum(bool(part.holds[0]) for part in found.parts) == 2
    same = with_values(["bike", "regression"], rows, lambda t, row, r, s: 0.5 if row == first else None)
    assert judged("T5", same).verdict == "cannot be judged yet"
    everywhere = with_values(list(plan.TASKS), rows, lambda t, row, r, s: None)
    assert judged("T5", everywhere).verdict == "holds"


@pytest.mark.parametrize(("mine", "verdict"), [(60.0, "holds"), (40.0, "cannot be judged yet")])
def test_t6_is_settled_by_one_mix_that_wins(mine, verdict):
    records = with_values(["svhn"], ("full", FOUR), lambda t, row, r, s: mine if row == FOUR else None)
    assert judged("T6", records).verdict == verdict
    both = with_values(["svhn"], ("full", *plan.FOUR_CANDIDATES), lambda t, row, r, s: None if row == "full" else mine)
    assert judged("T6", both).verdict == ("holds" if mine > 50 else "does not hold")


def timed(slow, share=0.9):
    """CIFAR10 runs of all rows: full takes 10 seconds, rows 7, those named in `slow` a share of the full run's."""
    records = []
    for cell in plan.cells(paper_rows()):
        took = 10.0 if cell.row == "full" else 10 * share if cell.row in slow else 7.0
        seconds = {"load": 0.0, "score": 0.0, "select": 0.0, "train": took, "total": took, "evaluate": 0.1}
        records += [run("cifar10", cell.row, cell.rate, seed, 50.0, seconds=seconds) for seed in (0, 1)]
    return records


def test_t7_lets_one_row_be_slow_and_counts_work_beside():
    assert judged("T7", timed(["adaboost"])).verdict == "holds"
    found = judged("T7", timed(["adaboost", "grad_norm"]))
    assert found.verdict == "does not hold"
    assert found.parts[0].measured == "11 of 13 rows save 20 % of the seconds at every rate"
    assert found.reason == "By counted work 1 of 13 rows save 20 % at every rate."
    assert len(savers()) == 13


def test_t7_says_nothing_of_seconds_from_a_shared_machine():
    crowd = paper_grid(["cifar10"], paper_rows(), 1, environment={"exclusive": False})
    found = judged("T7", crowd)
    assert (found.verdict, found.probability, found.parts) == ("cannot be judged yet", None, ())
    assert "By counted work 1 of 13" in found.reason
    assert found.missing[0].startswith("CIFAR10: no seconds of runs that had the machine to themselves")


@pytest.mark.parametrize(("step", "holds"), [(0.001, True), (0.5, False)])
def test_t8_sets_the_spread_over_beta_beside_that_over_seeds(step, holds):
    betas = [f"beta_{beta:g}" for beta in plan.BETAS]

    def metric(task, row, rate, seed):
        return 10 + step * betas.index(row) + 0.1 * seed

    task = read(paper_grid(["bike"], betas, 4, metric))["bike"]
    found = judged("T8", task.records)
    (part,) = found.parts
    assert bool(part.holds[0]) is holds
    sd = np.std([10 + step * j for j in range(5)], ddof=1), np.std([0.1 * s for s in range(4)], ddof=1)
    assert part.measured == f"standard deviation {sd[0]:.3g} over beta, {sd[1]:.3g} over the seeds"
    assert found.verdict == ("cannot be judged yet" if holds else "does not hold")


def test_t9_asks_every_configuration_about_every_candidate():
    assert candidates("mix_with_coreset_1_cl") == ("big_loss", "small_loss", "uniform", "coreset_1")
    rows = [row for row in paper_rows() if row not in ("full", "adaboost", "coreset_2")]

    def value(task, row, rate, seed):
        return 60.0 if row.startswith("mix") else None

    records = with_values(["svhn"], rows, value)
    found = judged("T9", records)
    assert len(found.parts) == 6
    assert all(part.holds.all() for part in found.parts)
    assert found.verdict == "cannot be judged yet"
    worse = with_values(["svhn"], rows, lambda t, row, r, s: 70.0 if row == "coreset_1" else value(t, row, r, s))
    found = judged("T9", worse)
    assert found.verdict == "does not hold"
    assert [bool(part.holds[0]) for part in found.parts] == [True] * 5 + [False]


def test_a_run_that_diverged_is_worse_than_all_others():
    def metric(task, row, rate, seed):
        return None if row == "mix_big_small" and seed == 0 else 50.0

    task = read(paper_grid(["svhn"], ("uniform", "mix_big_small"), 2, metric))["svhn"]
    sample = Sample(task, ("uniform", "mix_big_small"))
    assert sample.mean("mix_big_small")[0] == -np.inf
    assert sample.ranks("mix_big_small")[0] == (2 + 1.5) / 2
    assert not sample.better(sample.mean("mix_big_small"), sample.mean("uniform"))[0]


def test_draws_keep_rows_of_one_seed_together():
    """The row is better by 1 in every seed, though the seeds differ by far more: that holds in every draw."""
    rows = ("uniform", "big_loss")
    task = read(paper_grid(["svhn"], rows, 5, lambda t, row, r, s: 50 + 10 * s + (row == "big_loss")))["svhn"]
    sample = Sample(task, rows)
    assert sample.better(sample.mean("big_loss"), sample.mean("uniform")).all()
    assert sample.mean("uniform").std() > 3


def part(*draws, n=3):
    return Part("x", "y", np.array([draws[0], *draws[1:]]), n)


def test_verdicts():
    yes, no, torn = part(*[True] * 11), part(*[False] * 11), part(True, *[True, False] * 5)
    assert judge([yes]).verdict == "holds"
    assert judge([no]).verdict == "does not hold"
    assert (judge([torn]).verdict, judge([torn]).reason) == ("cannot be judged yet", "The seeds do not agree.")
    assert judge([yes, no]).verdict == "does not hold"
    assert judge([yes, no], combine=some).verdict == "holds"
    assert judge([yes], ["bike"]).verdict == "cannot be judged yet"
    assert judge([no], ["bike"]).verdict == "does not hold"
    assert judge([yes], ["bike"], settled_by="success").verdict == "holds"
    assert judge([no], ["bike"], settled_by="neither").verdict == "cannot be judged yet"
    assert judge([]).reason == "There are no runs."
    assert judge([part(True, True, n=1)]).verdict == "cannot be judged yet"
    assert every([yes, torn]).tolist() == torn.holds.tolist()


def test_one_seed_and_no_records_judge_nothing():
    for records in ([], paper_grid(["svhn", "bike"], seeds=1, environment={"exclusive": False})):
        assert {found.verdict for _, found in judgements(read(records))} == {"cannot be judged yet"}


def test_differences_from_uniform_are_paired_and_corrected_over_the_rows():
    gains = {"uniform": 0.0, "same_cost": 0.0, "big_loss": 1.0, "small_loss": -2.0, "adaboost": 0.0}

    def metric(task, row, rate, seed):
        noise = 0.1 * ((seed * 7 + list(gains).index(row) * 3) % 5 - 2)
        return 1.0 - 0.1 * (gains[row] + noise) + 5 * seed

    found = {entry.row: entry for entry in against(read(paper_grid(["bike"], tuple(gains), 5, metric))["bike"])}
    assert list(found) == ["big_loss", "small_loss", "adaboost"]
    assert found["big_loss"].same_rate.mean == pytest.approx(0.1)
    assert found["small_loss"].same_cost.mean == pytest.approx(-0.2)
    assert found["big_loss"].same_rate.n == 5
    from scipy.stats import ttest_1samp

    task = read(paper_grid(["bike"], tuple(gains), 5, metric))["bike"]
    raw = []
    for row in found:
        _, values = task.table((row, "uniform"))
        raw.append(ttest_1samp((values[..., 1] - values[..., 0]).mean(axis=1), 0).pvalue)
    order = np.argsort(raw)
    wanted = np.minimum.accumulate(np.maximum.accumulate(np.array(raw)[order] * [3, 2, 1])[::-1])[::-1].clip(max=1)
    assert [found[list(found)[i]].p_rate for i in order] == pytest.approx(wanted.tolist(), rel=1e-6)
