"""Rank correlations and costs that are watched while training, in the report and through a kill."""

import json
import time
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, SelectiveLoader, SingleMethod
from adaselection.cheap import CheapScores
from adaselection.errors import LossShapeError
from adaselection.watching import HALF_LIFE, Running, ScoreWatch, rank_correlation
from core.parts import CE, data, selective


def slow_correlation(one: list[float], other: list[float]) -> float:
    """Spearman by counting: the rank of a value is how many are below it and half of those that equal it."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if np.isfinite(a) and np.isfinite(b)]
    ranks = []
    for side in (0, 1):
        values = [pair[side] for pair in pairs]
        ranks.append([sum(v < x for v in values) + sum(v == x for v in values) / 2 for x in values])
    if len(pairs) < 2 or any(len(set(rank)) == 1 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


NUMBER = st.sampled_from([0.0, -1.0, 0.5, 1.0, 2.0, 3e38, float("nan"), float("inf")])


@given(st.lists(st.tuples(NUMBER, NUMBER), max_size=12))
def test_rank_correlation_by_counting(pairs: list[tuple[float, float]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    found = rank_correlation(torch.tensor(one, dtype=torch.float32), torch.tensor(other, dtype=torch.float32)).item()
    assert found == pytest.approx(slow_correlation(one, other), nan_ok=True, abs=1e-9)


def test_rank_correlation_of_mixed_types() -> None:
    one, other = torch.randn(200).round(decimals=1), torch.randn(200, dtype=torch.float64)
    expected = slow_correlation(one.tolist(), other.tolist())
    assert rank_correlation(one, other).item() == pytest.approx(expected, abs=1e-9)
    assert rank_correlation(one, one.exp()).item() == 1
    assert rank_correlation(one, -one).item() == -1


def test_the_running_average() -> None:
    running, weights, values = Running(), [], [0.9, float("nan"), 0.5, 0.1]
    assert running.value is None
    for value in values:
        running.add(torch.tensor(value, dtype=torch.float64))
    known = [value for value in values if value == value]
    weights = [0.5 ** (age / HALF_LIFE) for age in reversed(range(len(known)))]
    assert running.value == pytest.approx(np.average(known, weights=weights))
    assert running.count == 4
    other = Running()
    other.load_state_dict(running.state_dict())
    assert other.value == running.value


def watch(score: float, **options: Any) -> tuple[SelectiveLoader, list[tuple[Tensor, Tensor]]]:
    """A loader whose scores are the true losses mixed with noise, and what was scored in each window."""
    seen: list[tuple[Tensor, Tensor]] = []

    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 1:] + score * torch.sin(1e4 * x[:, 1:])

    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 1:]

    x, y = data(320).tensors
    truth = CE(x[:, 1:], y)
    loader = SelectiveLoader(
        DataLoader(data(320), batch_size=16), AdaSelection(rate=0.5), model=Plain(), loss_fn=CE,
        on_select=lambda signals, _: seen.append((signals.losses, truth)),
        cheap=CheapScores(proxy=Noisy(), **options),
    )  # fmt: skip
    return loader, seen


@pytest.mark.parametrize("name", ["observe", "reduce"])
def test_losses_are_compared_with_the_scores_of_the_same_rows(name: str) -> None:
    loader, seen = watch(1.0, measure_every=0)
    expected, number = [], 0
    for batch in loader:
        rows = batch[0][:, 0].long()
        losses = CE(batch[0][:, 1:], batch[1])
        scores = torch.cat([scores for scores, _ in seen])[rows]
        expected.append(slow_correlation(scores.tolist(), losses.tolist()))
        getattr(loader, name)(losses)
        loader.observe(-losses)  # a batch counts once
        number += 1
    weights = [0.5 ** (age / HALF_LIFE) for age in reversed(range(number))]
    report = loader.report()
    assert report.score_correlation == pytest.approx(np.average(expected, weights=weights))
    assert report.window_correlation is None
    assert report.score_cost is None
    assert "measure" not in report.seconds
    assert 0.1 < report.score_correlation < 0.95


def test_whole_windows_are_compared_where_they_are_measured() -> None:
    loader, seen = watch(1.0, measure_every=5)
    list(loader)
    expected = []
    for window in (2, 7, 12, 17):
        scores, losses = seen[window][0], seen[window][1][16 * window : 16 * window + 16]
        expected.append(slow_correlation(scores.tolist(), losses.tolist()))
    weights = [0.5 ** (age / HALF_LIFE) for age in reversed(range(4))]
    assert loader.report().window_correlation == pytest.approx(np.average(expected, weights=weights))
    assert loader.report().score_correlation is None


def test_the_cost_is_that_of_rows_scored_anew_times_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Timed(nn.Linear):
        def __init__(self, a_row: float) -> None:
            super().__init__(4, 3)
            self.a_row = a_row

        def forward(self, x: Tensor) -> Tensor:
            now[0] += self.a_row * len(x)
            return super().forward(x)

    model, small = Timed(4.0), Timed(1.0)
    small.load_state_dict(model.state_dict())
    cheap = CheapScores(proxy=small, reuse=4, measure_every=3)
    loader = selective(64, 16, SingleMethod("big_loss", 0.5), model=model, cheap=cheap)
    for _ in range(4):
        list(loader)
    report = loader.report()
    assert (report.loaded, report.scored) == (256, 64)
    assert report.score_cost == 1 / 4 * 1 / 4
    assert report.seconds["score"] == 64
    assert report.seconds["measure"] == 64 * (1 + 5)  # one to warm up; windows 2, 5, 8, 11, 14
    assert report.units == 64 + 3 * report.trained
    assert "cost 0.06 of a plain scoring pass" in str(report)
    assert "measure 384.00" in str(report)


def test_windows_that_are_measured() -> None:
    for every, expected in ((0, []), (1, list(range(12))), (2, [1, 3, 5, 7, 9, 11]), (3, [2, 5, 8, 11]), (5, [2, 7])):
        score_watch = ScoreWatch(every)
        assert [number for number in range(12) if score_watch.due()] == expected


def test_a_low_correlation_warns_once() -> None:
    loader, _ = watch(50.0, measure_every=4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(6):
            for batch in loader:
                loader.observe(CE(batch[0][:, 1:], batch[1]))
    (warning,) = caught
    report = loader.report()
    assert max(report.score_correlation, report.window_correlation) < 0.5
    assert "smaller shrink" in str(warning.message)


@pytest.mark.parametrize("observed", [True, False])
def test_good_scores_do_not_warn_even_where_the_kept_rows_rank_badly(observed: bool) -> None:
    score_watch, scores = ScoreWatch(1), torch.arange(8.0)
    for _ in range(60):  # warnings are errors
        score_watch.compare(scores, scores, whole=True)
        if observed:
            score_watch.compare(scores, -scores)
    alone = ScoreWatch(0)
    for _ in range(19):
        alone.compare(scores, -scores)
    with pytest.warns(UserWarning, match="rank correlation -1.00, below 0.5"):
        alone.compare(scores, -scores)


def test_losses_of_another_shape() -> None:
    loader, _ = watch(0.0, measure_every=0)
    next(iter(loader))
    unreduced, many = 'reduction="none"', r"losses\.flatten\(1\)\.mean\(1\)"
    for wrong, fix in ((torch.zeros(15), unreduced), (torch.tensor(1.0), unreduced), (torch.zeros(16, 2), many)):
        with pytest.raises(LossShapeError, match=rf"shape \[16\].*{fix}"):
            loader.observe(wrong)
    loader.observe(torch.rand(16))
    assert loader.report().score_correlation is not None


def test_warm_up_rows_have_no_score_and_weights_go_along() -> None:
    policy = AdaSelection(rate=0.5, weight_exponent=1.0)
    loader = selective(64, 16, policy, warmup=2, weighted=True, cheap=CheapScores(measure_every=0), surplus="flush")
    found = []
    for batch in loader:
        losses = CE(loader._passes.selector.scorer.model(batch[0]), batch[1])
        weights = loader._passes.weights
        assert loader.reduce(losses).item() == pytest.approx((losses * weights).mean().item())
        found.append(loader.report().score_correlation)
    assert found[:2] == [None, None]
    assert found[2] is not None


def test_the_report_holds_plain_figures() -> None:
    loader, _ = watch(0.1, measure_every=2)
    for batch in loader:
        loader.observe(CE(batch[0][:, 1:], batch[1]))
    figures = json.loads(json.dumps(loader.report().as_dict()))
    assert 0.9 < figures["score_correlation"] <= 1
    assert 0.9 < figures["window_correlation"] <= 1
    assert figures["score_cost"] > 0
    lines = str(loader.report()).splitlines()
    assert [line for line in lines if line.startswith("cheap scores")]
