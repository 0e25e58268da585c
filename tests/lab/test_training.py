"""One run: its budget is kept to the step, arms are paired, and what it computes is repeatable."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import SelectiveLoader, SingleMethod
from adaselection.errors import ArgumentError
from adaselection.functional import kept_per_batch
from adaselection.lab import training
from adaselection.lab.arms import PolicyOptions, arms
from adaselection.lab.record import Record
from adaselection.lab.tasks import ArrayDataset
from adaselection.lab.training import affordable_steps, train_one
from lab.smoke import BATCH, EPOCHS, FULL, KINDS, ROWS, irreducible, spec

SELECTING = [name for name, arm in arms().items() if arm.build]
RECORDED = [name for name, arm in arms().items() if arm.recorded]
SETTINGS = [(0.3, 0.5), (0.1, 0.25), (1.0, 0.75)]
LONG = 3.0  # a budget beyond the first walk, so that arms on recorded losses choose


def run(**changes: object) -> Record:
    return train_one(spec(**changes))


@pytest.fixture(scope="session")
def losses(tmp_path_factory):
    """For an arm, the folder of irreducible losses if it reads them."""
    folder = irreducible(tmp_path_factory.mktemp("irreducible"))
    return lambda arm: {"irreducible": folder} if arm == "recorded_rho_loss" else {}


@pytest.fixture
def trainers(monkeypatch):
    """Every trainer that is made, with a copy of its first weights."""
    made, build = [], training._trainer

    def keep(*arguments):
        trainer = build(*arguments)
        trainer.first = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        made.append(trainer)
        return trainer

    monkeypatch.setattr(training, "_trainer", keep)
    return made


@pytest.mark.parametrize("arm", KINDS)
def test_a_run_uses_its_budget_to_the_step_and_no_more(arm, losses):
    for rate, budget in SETTINGS:
        record = run(method=arm, rate=rate, budget=budget, **losses(arm))
        counts, units = record.counts, record.units
        selects = arm in SELECTING and rate < 1 and arm not in RECORDED
        share = 1.0 if arm == "full" else budget
        assert (units.full, units.allowed) == (FULL, pytest.approx(share * FULL))
        assert units.used == counts.scored + 3 * counts.trained
        scores = selects and arm != "uniform_rate"
        windows = math.ceil(BATCH / kept_per_batch(BATCH, rate)) + 2 if selects else 0
        assert units.allowed - (3 + scores * windows) * BATCH < units.used <= units.allowed
        assert counts.scored == (counts.loaded if scores else 0)
        if selects:
            assert counts.trained == BATCH * counts.steps
            assert counts.loaded * rate == pytest.approx(counts.trained, rel=0.1, abs=BATCH)
        else:
            assert counts.trained == counts.loaded
        assert counts.passes == pytest.approx(counts.loaded / ROWS, abs=1e-4)
        assert record.curve[-1].step == counts.steps
        assert record.curve[-1].units == pytest.approx(units.used)


@pytest.mark.parametrize("arm", [arm for arm in KINDS if arm in RECORDED])
def test_recorded_losses_keep_to_the_budget_and_choose_after_the_first_walk(arm, losses):
    record = run(method=arm, rate=0.3, budget=LONG, **losses(arm))
    trace, counts, units = record.policy_trace, record.counts, record.units
    own_count = arms()[arm].build(0.3, 0, PolicyOptions()).own_count
    short = 3 * BATCH * (1 if not own_count else 0.1 * counts.steps)  # each of its passes may end in a short batch
    assert units.allowed - short < units.used <= units.allowed
    assert counts.trained == counts.loaded
    assert counts.scored == 0
    assert trace["windows"] == trace["selected"] + trace["shut"] > 0
    assert (trace["selected"] > 0) == (trace["left_out"] > 0) or arm == "recorded_early_stopping"
    if arm in ("recorded_placebo", "recorded_proportional", "recorded_grad_norm", "recorded_rho_loss"):
        assert trace["selected"] == trace["windows"]
        assert 0.3 < trace["left_out"] < 0.7
        assert trace["visits"]["fewest"] >= 1
    assert trace["visits"]["mean"] == pytest.approx(counts.trained / ROWS)


@settings(max_examples=60)
@given(
    rows=st.integers(2, 60),
    batch=st.integers(1, 16),
    epochs=st.integers(1, 4),
    rate=st.one_of(st.just(1.0), st.floats(0.05, 0.99)),
    budget=st.floats(0.05, 1.5),
    method=st.sampled_from(["uniform", "big_loss"]),
)
@pytest.mark.filterwarnings("ignore:a batch of")
def test_affordable_steps_is_what_a_real_loader_can_do(rows, batch, epochs, rate, budget, method):
    data = TensorDataset(torch.arange(rows, dtype=torch.float32)[:, None], torch.zeros(rows, 1))

    def loader():
        return SelectiveLoader(
            DataLoader(data, batch_size=batch),
            SingleMethod(method, rate=rate),
            model=nn.Linear(1, 1),
            score=lambda model, rows: rows[0][:, 0],
            surplus="carry",
        )

    def slowly():
        wrapped, steps = loader(), 0
        while True:
            for _ in wrapped:
                if wrapped.report().units > budget * 3 * rows * epochs + 1e-6:
                    return max(1, steps)
                steps += 1

    assert affordable_steps(loader(), rows, epochs, budget) == slowly()


def test_a_short_last_batch_is_no_reason_to_warn(recwarn):
    assert ROWS % BATCH == 17
    assert run(rate=0.1, budget=1.0).counts.loaded > ROWS  # 17 rows keep 2 of them, 0.118
    assert not recwarn.list


def test_a_budget_below_one_step_still_makes_one():
    assert run(budget=1e-6).counts.steps == 1


def test_a_pass_over_recorded_losses_without_a_batch_is_refused():
    with pytest.raises(ArgumentError, match=f"of {ROWS} rows is less than a batch of {BATCH}, so a pass"):
        run(method="recorded", rate=0.9 * BATCH / ROWS)


def test_full_training_has_budget_one_whatever_is_asked():
    records = [run(method="full", budget=budget) for budget in (0.1, 1.0, 3.0)]
    assert [record.config.budget for record in records] == [1.0] * 3
    assert records[0].repeatable() == records[1].repeatable() == records[2].repeatable()
    assert records[0].counts.steps == EPOCHS * math.ceil(ROWS / BATCH)


@pytest.mark.parametrize("seed", [0, 7])
def test_uniform_at_budget_one_and_selection_at_rate_one_are_full_training_bit_for_bit(seed):
    full = run(method="full", seed=seed).repeatable()
    selecting = ("adaselection", "big_loss", "uniform_rate", "adaselection_paper", "recorded", "recorded_proportional")
    for arm in ("uniform_budget", *selecting):
        other = run(method=arm, rate=1.0, budget=1.0, seed=seed).repeatable()
        assert [other[key] for key in ("result", "counts", "curve")] == [full[k] for k in ("result", "counts", "curve")]


def test_before_there_are_records_an_arm_on_them_is_uniform_bit_for_bit():
    uniform = run(method="uniform_budget", budget=0.5).repeatable()
    for arm in ("recorded", "recorded_placebo", "recorded_proportional"):
        other = run(method=arm, budget=0.5, rate=0.3).repeatable()
        assert [other[key] for key in ("result", "curve")] == [uniform[key] for key in ("result", "curve")]


def test_arms_start_from_the_same_weights_and_meet_the_same_batches(monkeypatch, trainers):
    met, fetch = [], ArrayDataset.__getitems__

    def note(self, indices):
        if len(self) == ROWS:
            met[-1].append(tuple(indices))
        return fetch(self, indices)

    monkeypatch.setattr(ArrayDataset, "__getitems__", note)
    chosen = ("full", "uniform_budget", "uniform_rate", "adaselection", "big_loss", "placebo")
    for arm, seed in [*((arm, 0) for arm in chosen), ("adaselection", 1)]:
        met.append([])
        run(method=arm, seed=seed, rate=0.25, budget=1.0)
    *paired, other = trainers
    for trainer, batches in zip(paired[1:], met[1:-1], strict=True):
        assert all(torch.equal(trainer.first[name], value) for name, value in paired[0].first.items())
        both = min(len(met[0]), len(batches))
        assert both >= 21
        assert batches[:both] == met[0][:both]
    assert met[-1][0] != met[0][0]
    assert not all(torch.equal(other.first[name], value) for name, value in paired[0].first.items())


@pytest.mark.parametrize(
    "arm", ["full", "uniform_rate", "adaselection", "grad_norm", "placebo", "recorded", "recorded_infobatch"]
)
def test_a_run_is_repeatable_and_leaves_the_global_random_state_alone(arm):
    budget = LONG if arm in RECORDED else 1.0
    torch.manual_seed(1)
    first = run(method=arm, label_noise=0.2, seed=3, budget=budget)
    torch.manual_seed(2)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    again = run(method=arm, label_noise=0.2, seed=3, budget=budget)
    assert again.repeatable() == first.repeatable()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert run(method=arm, label_noise=0.2, seed=4, budget=budget).curve != first.curve


def test_every_arm_trains(losses):
    """One step each, so that no arm of the table is left untried."""
    for arm in arms():
        assert run(method=arm, budget=0.02, **losses(arm)).counts.steps >= 1


@pytest.mark.parametrize("arm", [arm for arm in KINDS if arm != "recorded_rho_loss"])
def test_a_run_that_diverges_has_a_record_without_a_value(arm):
    record = run(task="regression", method=arm, learning_rate=1e6)
    assert (record.result.value, record.result.loss, record.result.collapsed) == (None, None, True)
    assert record.counts.steps < 100
    assert all(math.isfinite(point.train_loss) for point in record.curve)
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize(("preset", "last"), [("smoke", 0.0), ("paper", 0.01)])
def test_the_schedule_ends_with_the_run(monkeypatch, trainers, preset, last):
    rates, step = [], torch.optim.SGD.step

    def note(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", note)
    record = run(preset=preset, budget=0.5 if preset == "smoke" else 0.02, method="uniform_budget")
    assert len(rates) == record.counts.steps == trainers[0].steps
    assert trainers[0].optimizer.param_groups[0]["lr"] == last
    if preset == "paper":
        assert set(rates) == {0.01}
    else:
        top = rates.index(max(rates))
        assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
        assert 0.15 < top / len(rates) < 0.25
        assert 0.09 < rates[top] <= 0.1
        assert 0 < rates[-1] < 0.005


@pytest.mark.parametrize("steps", [1, 2, 5, 1000])
def test_factors_of_a_schedule_stay_between_0_and_1(steps):
    factors = [training.learning_rate_factor("one_cycle", step, steps) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[-1] == pytest.approx(0.625 / steps)
    assert [training.learning_rate_factor("constant", step, steps) for step in range(steps)] == [1.0] * steps
