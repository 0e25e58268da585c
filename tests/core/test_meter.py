"""What was counted, what it cost, and what uniform subsampling would have cost."""

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from adaselection import AdaSelection, Meter, Report, Selection, Signals, SingleMethod
from core.parts import CE, Trainer, net, selective

REPORT = Report(
    loaded=1000,
    scored=1000,
    trained=300,
    steps=10,
    seconds={"load": 0.5, "score": 2.0, "select": 0.1, "train": 1.8},
    rate=0.3,
    weights={"big_loss": 0.75, "uniform": 0.25},
    steps_per_pass=5,
    steps_per_pass_without=16,
)


def test_counts_of_a_run() -> None:
    model = net()
    loader = selective(75, 16, AdaSelection(rate=0.5), model=model, warmup=1)
    Trainer(loader, model).run(2)
    report = loader.report()
    # a pass is 4 windows of 16 and one of 11; the first window of all is handed on whole
    assert (report.loaded, report.scored) == (150, 134)
    kept = [16 + 8 * 3 + round(5.5), 8 * 4 + round(5.5)]
    assert report.trained == sum(rows // 16 * 16 for rows in kept)
    assert report.steps == sum(rows // 16 for rows in kept)
    assert report.units == report.scored + 3 * report.trained
    assert (report.steps_per_pass, report.steps_per_pass_without) == (2, 5)
    assert set(report.weights) == {"big_loss", "small_loss", "uniform"}


def test_seconds_go_to_their_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def spend(seconds: float) -> None:
        now[0] += seconds

    class Slow(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spend(1.0)
            return super().forward(x)

    def rule(signals: Signals) -> torch.Tensor:
        spend(0.25)
        return signals.losses

    def watch(signals: Signals, selection: Selection) -> None:
        spend(100.0)  # charged to nobody

    loader = selective(64, 16, SingleMethod(rule, 0.5), model=Slow(4, 3), on_select=watch)
    for _ in loader:
        spend(8.0)
    assert loader.report().seconds == {"load": 0.0, "score": 4.0, "select": 1.0, "train": 16.0}


def test_figures_by_hand() -> None:
    assert REPORT.kept == 0.3
    assert REPORT.units == 1000 + 3 * 300
    assert REPORT.forward_step_ratio == pytest.approx(0.002 / 0.006)
    assert REPORT.speedup_bound == pytest.approx(1 / (1 / 3 + 0.3))
    # uniform at rate g loads g * 1000 rows at 0.0005 s and trains on them at 0.006 s: 4.4 s = g * 1000 * 0.0065 s
    assert REPORT.equivalent_uniform_rate == pytest.approx(4.4 / 6.5)
    assert REPORT.unit_equivalent_uniform_rate == pytest.approx(1900 / 3000)


def test_uniform_subsampling_costs_itself() -> None:
    uniform = replace(REPORT, scored=0, loaded=1000, seconds={"load": 0.0, "score": 0.0, "select": 0.0, "train": 1.8})
    assert uniform.equivalent_uniform_rate == pytest.approx(0.3)
    assert uniform.unit_equivalent_uniform_rate == pytest.approx(0.3)
    assert uniform.forward_step_ratio is None
    assert uniform.speedup_bound is None
    assert "nothing was scored" in str(uniform)


@pytest.mark.parametrize(
    "changes",
    [
        {"loaded": 0, "scored": 0, "trained": 0, "steps": 0},
        {"trained": 0},
        {"seconds": dict.fromkeys(REPORT.seconds, 0.0)},
    ],
)
def test_figures_of_nothing(changes: dict[str, Any]) -> None:
    report = replace(REPORT, **changes)
    assert report.forward_step_ratio is None
    assert report.equivalent_uniform_rate is None
    assert "rate - (seconds)" in str(report)
    assert report.as_dict()["speedup_bound"] is None


def test_the_table() -> None:
    assert str(REPORT).splitlines() == [
        "samples           1000 loaded, 1000 scored, 300 trained on",
        "kept              30.0 % (rate 0.3)",
        "steps             10 (5 a pass; 16 without selection)",
        "seconds           4.40: load 0.50, score 2.00, select 0.10, train 1.80",
        "methods           big_loss 0.75, uniform 0.25",
        "forward : step    0.33: a pass can be at most 1.58 times as fast",
        "costs as much as  uniform subsampling at rate 0.68 (seconds)",
        "                  uniform subsampling at rate 0.63 (counted work)",
    ]
    slow = replace(REPORT, rate=0.7, nonfinite=3)
    assert "0.97 times as fast; selection cannot pay at this rate" in str(slow)
    assert "3 losses, none of them kept" in str(slow)


def test_the_table_of_a_selection_that_does_not_pay() -> None:
    lost = replace(REPORT, seconds={**REPORT.seconds, "select": 8.0})  # 12.3 s, and a plain pass has 6.5 s
    assert str(lost).splitlines()[5:] == [
        "forward : step    0.33: choosing took longer than what it saved",
        "costs as much as  1.89 times a plain pass (seconds): selection does not pay here",
        "                  uniform subsampling at rate 0.63 (counted work)",
    ]
    work = replace(REPORT, trained=700, rate=0.7)  # (1000 + 3 * 700) / 3000
    assert str(work).splitlines()[-1].strip() == ("1.03 times a plain pass (counted work): selection does not pay here")


def test_as_dict_has_every_figure() -> None:
    figures = REPORT.as_dict()
    assert figures["seconds"] == REPORT.seconds
    assert {"kept", "units", "forward_step_ratio", "speedup_bound", "equivalent_uniform_rate"} <= set(figures)
    assert figures["unit_equivalent_uniform_rate"] == REPORT.unit_equivalent_uniform_rate


def test_states() -> None:
    meter, other = Meter(), Meter()
    meter.count(loaded=5, steps=1)
    with pytest.raises(KeyError), meter.phase("score"):
        raise KeyError  # time is charged all the same
    meter.charge("train", 2.0)
    other.load_state_dict(meter.state_dict())
    meter.count(loaded=1)
    assert other.counts == {"loaded": 5, "scored": 0, "trained": 0, "steps": 1}
    assert other.seconds["score"] > 0
    assert other.report(0.5).seconds["train"] == 2.0


def test_losses_that_are_not_finite_are_reported() -> None:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = CE(outputs, targets)
        losses[::8] = torch.nan
        return losses

    loader = selective(64, 16, AdaSelection(rate=0.5), loss_fn=loss)
    rows = [row for batch in loader for row in batch[0][:, 0].int().tolist()]
    assert not [row for row in rows if row % 8 == 0]
    assert loader.report().nonfinite == 8
