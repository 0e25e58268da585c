"""What policies choose, what they remember, and what they leave alone."""

import math
import random
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from adaselection import AdaSelection, Policy, Signals, SingleMethod, methods, register_method, registry
from adaselection.errors import ArgumentError
from core.parts import net

NAN, INF = math.nan, math.inf
SEVEN = ("uniform", "big_loss", "small_loss", "grad_norm", "adaboost", "coreset_extremes", "coreset_mean")


def batches(count: int, size: int = 40, seed: int = 0) -> Iterator[Signals]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        losses, norms = torch.rand(2, size, generator=generator)
        yield Signals(losses, norms, "cross_entropy")


def policies() -> list[Policy]:
    makers = [SingleMethod(name, seed=5) for name in SEVEN]
    return [*makers, *(AdaSelection(SEVEN, choice=choice, seed=5) for choice in ("quota", "top_k", "draw"))]


def test_the_first_batch_leaves_weights_equal_and_they_always_sum_to_1() -> None:
    policy = AdaSelection(SEVEN, half_life=2)
    first, *rest = batches(20)
    policy.select(first)
    assert list(policy.weights) == list(SEVEN)
    assert list(policy.weights.values()) == [pytest.approx(1 / 7, rel=1e-12)] * 7
    for signals in rest:
        policy.select(signals)
        assert sum(policy.weights.values()) == pytest.approx(1, rel=1e-12)
    assert max(policy.weights.values()) > min(policy.weights.values()) + 1e-3


@pytest.mark.parametrize("number", range(10))
def test_the_seed_decides_and_no_global_generator_is_touched(number: int, unchecked: None) -> None:
    torch.manual_seed(9)
    before, python = torch.get_rng_state(), random.getstate()
    one, two, other = policies()[number], policies()[number], policies()[number]
    other._generator.manual_seed(6)
    runs = []
    for policy in (one, two, other):
        torch.manual_seed(9)
        runs.append([policy.select(signals).indices.tolist() for signals in batches(5)])
        assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python
    assert runs[0] == runs[1]
    by_chance = one.methods == ("uniform",) or len(one.methods) > 1
    assert (runs[0] != runs[2]) == by_chance


@pytest.mark.parametrize("number", range(10))
def test_state_dicts_go_on_bit_for_bit(number: int) -> None:
    whole, first, second = policies()[number], policies()[number], policies()[number]
    signals = list(batches(8))
    expected = [whole.select(one) for one in signals]
    for one in signals[:4]:
        first.select(one)
    second.load_state_dict(first.state_dict())
    first.select(signals[0])  # the copy is its own
    for one, wanted in zip(signals[4:], expected[4:], strict=True):
        got = second.select(one)
        assert torch.equal(got.indices, wanted.indices)
        assert torch.equal(got.scores, wanted.scores)
        assert torch.equal(got.sample_weights, wanted.sample_weights)
    assert second.weights == whole.weights


def test_float64_losses_stay_float64(unchecked: None) -> None:
    losses = 1 + torch.arange(10, dtype=torch.float64) * 1e-12  # all equal in float32
    chosen = SingleMethod("big_loss", 0.3).select(losses)
    assert chosen.scores.dtype == torch.float64
    assert chosen.indices.tolist() == [7, 8, 9]
    assert AdaSelection(("big_loss",), 0.3, choice="top_k").select(losses).indices.tolist() == [7, 8, 9]
    for dtype in (torch.float16, torch.bfloat16, torch.int64):
        assert SingleMethod("big_loss", 0.3).select(torch.arange(10).to(dtype)).indices.tolist() == [7, 8, 9]


@pytest.mark.parametrize("number", range(10))
def test_an_empty_batch(number: int) -> None:
    policy = policies()[number]
    before = policy.state_dict()
    chosen = policy.select(torch.empty(0))
    assert [len(part) for part in (chosen.indices, chosen.scores, chosen.sample_weights)] == [0, 0, 0]
    assert chosen.indices.dtype == torch.int64
    assert torch.equal(policy.state_dict()["generator"], before["generator"])


def test_selecting_takes_no_gradient_and_changes_no_input() -> None:
    model, x = net(), torch.randn(10, 4)
    losses = model(x).square().sum(1)
    kept = losses.detach().clone()
    chosen = AdaSelection(SEVEN[1:3], 0.5, choice="draw").select(losses)
    assert losses.requires_grad
    assert not any(part.requires_grad for part in (chosen.scores, chosen.sample_weights))
    assert torch.equal(losses.detach(), kept)
    losses[chosen.indices].sum().backward()


def test_rounding_is_said_once() -> None:
    policy = AdaSelection(rate=0.3)
    with pytest.warns(UserWarning, match=r"4 rows at rate 0\.3 keeps 1, an effective rate of 0\.25.*window="):
        policy.select(torch.rand(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.select(torch.rand(4))
        AdaSelection(rate=0.3).select(torch.rand(40))


def test_policies_tell_what_was_asked_for() -> None:
    assert repr(AdaSelection(rate=0.3)) == "AdaSelection(rate=0.3)"
    assert repr(AdaSelection(replicate="paper", seed=2)) == "AdaSelection(rate=0.3, replicate='paper', seed=2)"
    own = AdaSelection(("big_loss", "uniform"), 0.5, choice="top_k", curriculum="text")
    assert repr(own) == ("AdaSelection(methods=['big_loss', 'uniform'], rate=0.5, choice='top_k', curriculum='text')")
    assert repr(SingleMethod("big_loss", 0.5)) == "SingleMethod(method='big_loss', rate=0.5)"
    assert repr(SingleMethod("uniform", seed=1)) == "SingleMethod(method='uniform', rate=0.3, seed=1)"


def shortest(signals: Signals) -> Tensor:
    return -(signals.losses - 0.5).abs()


def test_methods_of_your_own() -> None:
    losses = torch.tensor([0.0, 0.9, 0.45, 0.5, 0.1, 0.62])
    assert SingleMethod(shortest, 0.5).select(losses).indices.tolist() == [2, 3, 5]
    assert SingleMethod(("mine", lambda signals: signals.losses), 0.5).select(losses).indices.tolist() == [1, 3, 5]
    register_method("nearest_half", shortest, summary="near one half")
    try:
        assert "nearest_half" in methods()
        policy = AdaSelection(("nearest_half", shortest, "uniform"), 0.5)
        assert policy.methods == ("nearest_half", "shortest", "uniform")
        assert SingleMethod("nearest_half", 0.5).select(losses).indices.tolist() == [2, 3, 5]
    finally:
        del registry._METHODS["nearest_half"]


def test_what_a_method_of_your_own_is_given() -> None:
    seen: list[Signals] = []

    def looks(signals: Signals) -> Tensor:
        seen.append(signals)
        return signals.losses

    AdaSelection((looks, "uniform"), 0.5).select(Signals(torch.tensor([1.0, NAN, 3.0, 5.0]), kind="squared_error"))
    (given,) = seen
    assert given.losses.tolist() == [1.0, 3.0, 3.0, 5.0]  # the mean in the place of NaN
    assert given.valid is not None
    assert given.valid.tolist() == [True, False, True, True]
    assert given.scale is not None
    assert given.scale.item() == 3.0
    assert given.kind == "squared_error"
    assert given.noise is not None
    assert ((given.noise >= 0) & (given.noise < 1)).all()


@pytest.mark.parametrize("choice", ["quota", "top_k", "draw"])
def test_nan_of_a_method_ranks_last_but_before_rows_that_are_not_finite(choice: str) -> None:
    losses = torch.tensor([NAN, 1.0, 2.0, 3.0, 4.0, INF, 5.0, 6.0])
    spotty = ("spotty", lambda signals: torch.where(signals.losses > 4.5, signals.losses, NAN))
    assert SingleMethod(spotty, 0.5).select(losses).indices.tolist() == [1, 2, 6, 7]
    policy = AdaSelection((spotty,), 0.5, choice=choice)  # type: ignore[arg-type]
    for _ in range(20):
        chosen = policy.select(losses)
        rows = chosen.indices.tolist()
        assert {6, 7} <= set(rows)
        assert not {0, 5} & set(rows)
        assert len(set(rows)) == 4
        assert chosen.scores[[0, 5]].tolist() == [-INF, -INF]
    assert policy.weights == {"spotty": 1.0}


def test_equal_rows_go_by_position() -> None:
    for name in ("big_loss", "small_loss", "adaboost", "coreset_mean"):
        assert SingleMethod(name, 0.3).select(torch.ones(10)).indices.tolist() == [0, 1, 2]
    assert SingleMethod("coreset_extremes", 0.4).select(torch.ones(10)).indices.tolist() == [0, 1, 8, 9]


def test_quota_fills_the_places_in_proportion() -> None:
    policy = AdaSelection(("big_loss", "small_loss"), 0.4, choice="quota", weighting="fixed")
    losses = torch.arange(20.0)
    assert policy.select(losses).indices.tolist() == [0, 1, 2, 3, 16, 17, 18, 19]
    policy._state = policy._state._replace(log_weights=torch.tensor([0.75, 0.25], dtype=torch.float64).log())
    assert policy.select(losses).indices.tolist() == [0, 1, 14, 15, 16, 17, 18, 19]
    policy._state = policy._state._replace(log_weights=torch.tensor([1e-9, 1 - 1e-9], dtype=torch.float64).log())
    assert policy.select(losses).indices.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_draw_keeps_each_row_as_often_as_it_says() -> None:
    policy = AdaSelection(
        ("big_loss", "small_loss"), 0.3, choice="draw", weighting="fixed", weight_exponent=1.0, importance="rank"
    )
    losses = torch.tensor([3.0, 0.1, 0.5, 1.2, 9.0, 2.0, 0.7, 0.3, 1.0, 4.0])
    count, kept, rounds = torch.zeros(10), torch.zeros(10, dtype=torch.float64), 1000
    for _ in range(rounds):
        chosen = policy.select(losses)
        count[chosen.indices] += 1
        kept[chosen.indices] += 1 / chosen.inclusion_probabilities[chosen.indices]
        assert chosen.sample_weights.mean().item() == pytest.approx(1)
    chances = chosen.inclusion_probabilities
    assert chances.sum().item() == pytest.approx(3)
    spread = (chances * (1 - chances) / rounds).sqrt()
    assert ((count / rounds - chances).abs() < 4.5 * spread).all()
    assert torch.allclose(kept / rounds, torch.ones(10, dtype=torch.float64), atol=0.35)  # Horvitz-Thompson


def test_placebo_weights_move_and_do_not_look_at_losses() -> None:
    one, two = (AdaSelection(weighting="placebo", seed=1) for _ in range(2))
    for signals in batches(30):
        one.select(signals)
        two.select(torch.full((40,), 3.0))
    assert one.weights == two.weights
    assert max(one.weights.values()) - min(one.weights.values()) > 0.05


def test_replicate_paper_and_what_overrides_it() -> None:
    paper = AdaSelection(replicate="paper").settings
    keys = ("importance", "weighting", "adaboost", "choice", "curriculum", "curriculum_power")
    assert [paper[key] for key in keys] == ["softmax", "paper", "clamp", "top_k", None, 0.3]
    mixed = AdaSelection(replicate="paper", weighting="bounded", choice="quota").settings
    assert [mixed[key] for key in keys[:4]] == ["softmax", "bounded", "clamp", "quota"]
    assert AdaSelection().settings["adaboost"] is None
    assert SingleMethod("uniform").needs == frozenset()
    assert AdaSelection(("uniform", "grad_norm")).needs == {"losses", "grad_norms"}


@pytest.mark.usefixtures("unchecked")
def test_members_that_are_no_list_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r'members must be a list of names, such as \("hard",\); got 5'):
        AdaSelection(members=5)  # type: ignore[arg-type]  # that is the point
