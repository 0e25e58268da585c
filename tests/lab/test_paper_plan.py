"""The paper's runs: which they are, what they cost, and which cells their records fill."""

import itertools
import shlex
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from adaselection.functional import kept_per_batch
from adaselection.lab.cli import parse
from adaselection.lab.grid import Due
from adaselection.lab.paper import plan
from adaselection.lab.paper.assumptions import ASSUMPTIONS
from adaselection.lab.paper.budgets import budget_of, steps_of
from adaselection.lab.paper.plan import ROWS, TASKS, Cell, cells, cells_of, task_of
from adaselection.lab.paper.runs import Slice, estimates, paper_specs
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import TASKS as LAB_TASKS
from adaselection.lab.tasks import Preset
from adaselection.lab.trace import Trace
from adaselection.lab.training import affordable_steps, train_one
from adaselection.lab.wrapping import wrapped
from lab.paper_grid import ROWS as SOME
from lab.paper_grid import RUNS, TINY
from lab.records_factory import make
from lab.smoke import spec, watch_task
from lab.stand_ins import no_files

__all__ = ["no_files"]  # a fixture


@pytest.fixture
def tiny(monkeypatch):
    """Digits in the place of bike, as the paper's only task."""
    monkeypatch.setattr(plan, "TASKS", {"bike": TINY})


# The rows


def test_the_papers_columns_are_all_there():
    columns = {row.column for row in ROWS.values()} - {None}
    assert columns == {
        "full",
        "adaselection",
        "uniform",
        "big",
        "small",
        "adaboost",
        "gradnorm",
        "coreset1",
        "coreset2",
    }
    assert len(plan.CONFIGURATIONS) == 4
    mixes = [name for name, row in ROWS.items() if row.column == "adaselection"]
    assert mixes == [*plan.CONFIGURATIONS, *plan.FOUR_CANDIDATES]
    pools = [ROWS[name].options.methods for name in plan.FOUR_CANDIDATES]
    assert [set(pool) for pool in pools] == [
        {"big_loss", "small_loss", "uniform", "grad_norm"},
        {"big_loss", "small_loss", "uniform", "coreset_extremes"},
    ]
    assert {ROWS[name].options.curriculum for name in plan.CONFIGURATIONS} == {None, "printed"}
    assert all(ROWS[name].options.beta == plan.BETA for name in mixes)


def test_every_task_of_the_paper_has_a_preset_to_run_in_both_grids():
    for task in TASKS.values():
        for lab in task.labs.values():
            preset = LAB_TASKS[lab.task].preset(lab.preset)
            assert (preset.schedule, preset.score_mode, preset.momentum) == ("constant", "train", 0.9)
        assert task.labs["paper"] == (task.name, "paper")
    assert "MNIST" in TASKS["svhn"].note


def test_a_run_says_which_cells_it_fills(no_files):
    specs = paper_specs("cpu", ["regression"], 1)
    found = [cells_of(each.config("")) for each in specs]
    filled = list(itertools.chain(*found))
    assert set(filled) == set(cells())
    assert len(filled) == len(cells())
    assert [cell for cell in found if len(cell) > 1] == [(Cell("mix_big_small_uniform", 0.2), Cell("beta_0.5", 0.2))]
    assert all(task_of(each.config("")) == (TASKS["regression"], "cpu") for each in specs)


def test_a_pass_over_recorded_losses_without_a_batch_is_left_out(no_files):
    filled = {cell for each in paper_specs("cpu", ["bike"], 1) for cell in cells_of(each.config(""))}
    assert set(cells()) - filled == {Cell("recorded", 0.1)}


def test_the_default_fills_its_cell_whatever_thresholds_it_had():
    now = spec(method="recorded", rate=0.2).config("")
    assert now.policy is not None
    before = {"rate": 0.2, "earned": {"members": ["uniform", "trusted"], "apart": 0.8}}
    for policy in (now.policy, before):
        assert cells_of(replace(now, policy=policy)) == (Cell("recorded", 0.2),)
    assert cells_of(replace(now, policy={"rate": 0.2})) == ()
    assert cells_of(replace(now, policy={**before, "methods": ["uniform"]})) == ()


def test_a_run_of_another_kind_fills_none():
    assert cells_of(spec(method="big_loss", rate=0.15).config("")) == ()
    assert cells_of(spec(method="placebo", rate=0.2).config("")) == ()
    assert task_of(spec().config("")) is None
    assert task_of(spec(task="cifar10", preset="brief", label_noise=0.2).config("")) is None
    assert task_of(spec(task="mnist", preset="brief").config("")) == (TASKS["svhn"], "cpu")
    assert task_of(spec(task="svhn", preset="paper").config("")) == (TASKS["svhn"], "paper")


def test_every_choice_is_said_once_and_whole():
    assert len({row.item for row in ASSUMPTIONS}) == len(ASSUMPTIONS)
    assert all(text.strip() for row in ASSUMPTIONS for text in vars(row).values())


# The cost


def slow_run(preset, rows, rate):
    """Walk over all epochs batch by batch: how many full batches the kept rows make."""
    waiting = steps = 0
    for _ in range(preset.epochs):
        for size in [preset.batch_size] * (rows // preset.batch_size) + [rows % preset.batch_size] * bool(
            rows % preset.batch_size
        ):
            waiting += kept_per_batch(size, rate)
            if waiting >= preset.batch_size:
                waiting, steps = waiting - preset.batch_size, steps + 1
    return steps


SIZES = {"cifar10": 50_000, "cifar100": 50_000, "svhn": 73_257, "regression": 10_000, "bike": 585, "wikitext2": 59_675,
         "mnist": 60_000}  # fmt: skip


@pytest.mark.parametrize("rate", plan.RATES)
@pytest.mark.parametrize("grid", ["cpu", "paper"])
@pytest.mark.parametrize("name", TASKS)
def test_a_budget_pays_for_all_epochs_and_not_a_step_more(name, grid, rate):
    lab = TASKS[name].labs[grid]
    preset = LAB_TASKS[lab.task].preset(lab.preset)
    rows = min(SIZES[lab.task], preset.train_size or SIZES[lab.task])
    steps = slow_run(preset, rows, rate)
    assert steps_of(preset, rows, rate) == steps
    for cost, scored in (("scored", 1), ("kept", 0)):
        budget = budget_of(cost, preset, rows, rate)
        units = budget * 3 * rows * preset.epochs
        needed = scored * rows * preset.epochs + 3 * preset.batch_size * steps
        assert needed - 1e-6 <= units < needed + 3 * preset.batch_size
        assert budget == pytest.approx(scored / 3 + rate, abs=0.01)


@pytest.mark.parametrize("method", ["adaselection_paper", "big_loss", "uniform_rate"])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
@pytest.mark.parametrize(("rows", "batch", "epochs"), [(585, 100, 7), (1000, 50, 4), (90, 32, 12)])
def test_the_lab_takes_just_the_steps_of_all_epochs(method, rate, rows, batch, epochs, no_files):
    preset = Preset("mlp_small", epochs, batch, 0.1)
    cost = "kept" if method == "uniform_rate" else "scored"
    asked = spec(task="bike", preset="paper", method=method, rate=rate, budget=budget_of(cost, preset, rows, rate))
    data = LAB_TASKS["bike"].load(Preset("mlp_small", 1, 1, 0.1), asked.load_options())
    inner = DataLoader(torch.utils.data.TensorDataset(torch.zeros(rows, 1), torch.zeros(rows)), batch_size=batch)
    loader = wrapped(inner, asked, data, torch.nn.Linear(1, 1), torch.nn.MSELoss(reduction="none"), Trace())
    assert affordable_steps(loader, rows, epochs, asked.budget) == slow_run(preset, rows, rate)


def test_a_run_ends_in_the_last_epoch_with_every_step_that_its_rows_make(tiny):
    some = paper_specs("cpu", ["bike"], 1, rows=["mix_big_small", "uniform"])
    for each in (each for each in some if each.rate in (0.1, 0.4)):
        record, preset = train_one(each), each.get_preset()
        assert record.counts.steps == slow_run(preset, 1297, each.rate)
        most_left = preset.batch_size / each.rate / 1297 + 1e-3  # what does not make a batch any more is not loaded
        assert preset.epochs - most_left <= record.counts.passes <= preset.epochs
        assert record.units.used <= record.units.allowed
    costs = {(s.method, s.rate): s.budget for s in paper_specs("cpu", ["bike"], 1, rows=["big_loss", "recorded"])}
    assert all(costs["recorded", rate] == costs["big_loss", rate] for rate in plan.RATES)
    uniform = [s.budget for s in paper_specs("cpu", ["bike"], 1, rows=["same_cost"])]
    assert uniform == [costs["big_loss", rate] for rate in plan.RATES]


# The order and the parts


def test_seeds_come_in_order_and_every_run_once(monkeypatch, no_files):
    specs = paper_specs("cpu", ["bike", "svhn"], None, rows=["full", "uniform"])
    assert [each.seed for each in specs] == sorted(each.seed for each in specs)
    seeds = {task: {each.seed for each in specs if each.task == task} for task in ("bike", "mnist")}
    assert seeds == {"bike": set(range(20)), "mnist": set(range(3))}
    assert len(set(specs)) == len(specs) == 6 * 23


def test_a_tiny_grid_has_the_runs_it_should(tiny):
    assert len(paper_specs("cpu", ["bike"], None, rows=SOME)) == 2 * RUNS


def test_slices_share_out_the_runs():
    runs = [Due(spec(seed=seed), str(seed)) for seed in range(10)]
    parts = [Slice.parse(f"{part}/3").of(runs) for part in (1, 2, 3)]
    assert sorted(run.spec.seed for part in parts for run in part) == list(range(10))
    assert [len(part) for part in parts] == [4, 3, 3]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/2/3"])
def test_a_slice_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="--slice"):
        Slice.parse(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tasks": ["bikes"]}, "unknown task of the paper 'bikes'. Did you mean 'bike'"),
        ({"tasks": []}, "--tasks names no task"),
        ({"rows": []}, "--rows names no row"),
        ({"rows": ["bigloss"]}, "unknown row 'bigloss'. Did you mean 'big_loss'"),
        ({"seeds": 0}, "--seeds 0 must be at least 1"),
    ],
)
def test_what_is_not_there_is_refused(arguments, words, no_files):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        paper_specs("cpu", **{"tasks": ["bike"], "seeds": 1, **arguments})


def test_every_run_can_be_done_again_by_the_command_of_its_record(no_files):
    for each in (each for each in paper_specs("cpu", ["bike"], 1) if each.rate == plan.SINGLE_RATE):
        again = parse(shlex.split(each.command())[1:])
        more = ("method", "rate", "budget", "seed", "learning_rate", "split", "irreducible")
        spec_again = again.spec(again.task, **{name: getattr(again, name) for name in more})
        assert spec_again.config("") == each.config(""), each.command()


# How long it takes


def test_an_estimate_comes_from_records_of_the_arm_then_of_the_task_by_units():
    full = make(arm="full", seed=0)
    took = full.seconds.total + full.seconds.evaluate
    per_full = took * full.units.full / full.units.used
    task, preset = full.config.task, full.config.preset
    assert task == "digits"
    asked = [spec(preset=preset, method="full"), spec(preset=preset, method="big_loss", rate=0.3, budget=0.25)]
    found = estimates([Due(each, str(place)) for place, each in enumerate(asked)], [full])
    assert found.measured == ()
    assert found.seconds == {"0": pytest.approx(took), "1": pytest.approx(0.25 * per_full)}
    assert found.total([Due(asked[0], "0"), Due(asked[1], "1")], 2) == pytest.approx((took + 0.25 * per_full) / 2)


def test_without_records_a_few_batches_are_timed():
    found = estimates([Due(spec(method="full"), "0"), Due(spec(method="uniform_rate", budget=0.5), "1")], [])
    assert found.measured == ("digits/smoke",)
    assert 0 < found.seconds["1"] == pytest.approx(0.5 * found.seconds["0"])
    assert found.seconds["0"] < 60


# The paper's own presets


@pytest.mark.parametrize("name", TASKS)
def test_a_paper_preset_starts_and_takes_real_steps(name, no_files, monkeypatch):
    lab = TASKS[name].labs["paper"]
    few = replace(LAB_TASKS[lab.task].preset(lab.preset), epochs=1, batch_size=8, train_size=32, test_size=8)
    watch_task(monkeypatch, lab.task, presets={lab.preset: few})
    row = ROWS["mix_with_grad_norm_cl"]
    budget = budget_of(row.cost, few, 32, 0.5)
    record = train_one(RunSpec(lab.task, lab.preset, row.arm, 0.5, budget, options=row.options))
    assert (record.counts.loaded, record.counts.scored, record.counts.trained, record.counts.steps) == (32, 32, 16, 2)
    assert record.result.value is not None
    assert record.config.learning_rate == 0.01
    assert set(record.weights.methods) == {"big_loss", "small_loss", "uniform", "grad_norm"}
