"""What the paper printed, and which records count for which cell."""

from dataclasses import replace

import numpy as np
import pytest

from adaselection.lab.paper import plan
from adaselection.lab.paper.published import COLUMNS, PUBLISHED, best_column
from adaselection.lab.paper.results import TooFewRunsError, read
from lab.paper_records import paper_grid, run


def test_the_published_rows_are_those_of_the_plan():
    assert list(PUBLISHED) == list(plan.TASKS)
    wanted = {row.column for row in plan.ROWS.values() if row.column}
    assert wanted == set(COLUMNS)


def test_some_published_numbers():
    assert PUBLISHED["cifar10"].values["big"] == 92.25
    assert PUBLISHED["svhn"].ranks["small"] == 13.8
    assert PUBLISHED["bike"].values["adaboost"] == 87.90
    assert PUBLISHED["wikitext2"].values["gradnorm"] is None
    assert [best_column(row) for row in PUBLISHED.values()] == [
        "full", "adaselection", "full", "adaselection", "adaselection", "full",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_printed_ranks_of_cifar_average_four_rates_and_the_others_five(name):
    ranks = [rank for rank in PUBLISHED[name].ranks.values() if rank is not None]
    assert all((4 * rank) % 1 == 0 for rank in ranks)
    assert any(round(5 * rank, 6) % 1 for rank in ranks)


def test_records_fall_into_their_cells_and_others_are_left_out():
    records = paper_grid(["bike", "svhn"], rows=("full", "uniform", "mix_big_small"), seeds=2)
    other = replace(records[0], config=replace(records[0].config, label_noise=0.2))
    results = read([*records, other])
    assert list(results) == list(plan.TASKS)
    assert {cell.row for cell in results["bike"].runs} == {"full", "uniform", "mix_big_small"}
    assert [run.config.seed for run in results["bike"].at("uniform", 0.3)] == [0, 1]
    assert results["svhn"].at("full", 0.3) == results["svhn"].at("full", None)
    assert {run.config.task for run in results["svhn"].records} == {"mnist"}
    assert results["svhn"].title == "SVHN (MNIST stands in)"
    assert results["cifar10"].runs == {}


def test_the_middle_of_the_beta_sweep_is_a_configuration_too():
    results = read(paper_grid(["bike"], rows=("mix_big_small_uniform",), seeds=1))
    assert results["bike"].at("beta_0.5", plan.SINGLE_RATE) == results["bike"].at("mix_big_small_uniform", 0.2)
    assert results["bike"].at("beta_1", plan.SINGLE_RATE) == ()


def test_regression_and_bike_count_in_both_grids_and_the_others_in_one():
    records = paper_grid(["bike", "svhn"], rows=("full",), seeds=1)
    assert read(records, "paper")["bike"].runs
    assert not read(records, "paper")["svhn"].runs


def test_a_later_run_of_the_same_cell_and_seed_replaces_the_earlier_and_is_counted():
    first = run("bike", "uniform", 0.1, 0, 1.0)
    second = run("bike", "uniform", 0.1, 0, 2.0, finished="2026-11-25T00:00:00Z")
    for order in ([first, second], [second, first]):
        task = read(order)["bike"]
        assert task.value_by_seed("uniform", 0.1) == {0: 2.0}
        assert task.replaced == 1


def test_a_table_has_the_seeds_that_have_every_cell():
    records = paper_grid(["bike"], rows=("full", "uniform"), seeds=3)
    task = read([r for r in records if (r.config.seed, r.config.rate) != (1, 0.4)])["bike"]
    seeds, values = task.table(("full", "uniform"))
    assert seeds == (0, 2)
    assert values.shape == (2, 5, 2)
    assert np.ptp(values[:, :, 0], axis=1).tolist() == [0, 0]
    assert values[1, 2, 1] == task.value_by_seed("uniform", 0.3)[2]


def test_what_is_missing_is_named():
    task = read(paper_grid(["bike"], rows=("full",), seeds=1))["bike"]
    with pytest.raises(TooFewRunsError, match=r"^Bike: no runs of Uniform; Big loss$"):
        task.table(("full", "uniform", "big_loss"))
    with pytest.raises(TooFewRunsError, match=r"^CIFAR10: no runs$"):
        read([])["cifar10"].table(("full",))


def test_the_fullest_seeds_decide_which_rows_are_ranked():
    records = paper_grid(["bike"], rows=("full", "uniform", "big_loss"), seeds=2)
    late = [r for r in records if r.config.seed == 0 or r.config.arm != "big_loss"]
    assert read(late)["bike"].ranked_rows() == ("full", "uniform", "big_loss")
    assert read(late)["bike"].complete_seeds(("full", "uniform", "big_loss")) == (0,)


@pytest.mark.parametrize(("task", "best"), [("svhn", "mix_big_small_uniform"), ("bike", "mix_big_small")])
def test_the_best_configuration_follows_the_direction_of_the_metric(task, best):
    def metric(task, row, rate, seed):
        return 2.0 if row == "mix_big_small_uniform" else 1.0 if row == "mix_big_small" else 1.5

    assert read(paper_grid([task], rows=plan.CONFIGURATIONS, seeds=1, metric=metric))[task].best_configuration() == best
    assert read([])[task].best_configuration() is None


def test_seconds_count_only_of_seeds_whose_every_run_was_alone_on_one_kind_of_machine():
    alone = [run("bike", "uniform", 0.1, seed, 1.0) for seed in (0, 1)]
    assert read(alone)["bike"].seconds("uniform", 0.1) == [r.seconds.total for r in alone]
    crowd = [*alone, run("bike", "uniform", 0.2, 1, 1.0, environment={"exclusive": False})]
    assert read(crowd)["bike"].seconds("uniform", 0.1) == [alone[0].seconds.total]
    assert read(crowd)["bike"].seconds("uniform", 0.2) is None
    assert read(crowd[1:])["bike"].timed_seeds == frozenset()
    other = [*alone, run("bike", "uniform", 0.1, 2, 1.0, environment={"cpu": "Another"})]
    assert read(other)["bike"].timed_seeds == {0, 1}
    moved = [*other, run("bike", "uniform", 0.2, 0, 1.0, environment={"cpu": "Another"})]
    assert len(read(moved)["bike"].timed_seeds) == 1
    assert read([])["bike"].timed_seeds == frozenset()
    assert read(crowd)["bike"].work("uniform", 0.1) == pytest.approx(0.1 * 0.996)
    assert read([])["bike"].work("uniform", 0.1) is None
