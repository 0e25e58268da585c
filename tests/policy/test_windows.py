"""Windows of recorded instances through the mixture of inclusion probabilities, against a slow one."""

import math
import warnings
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest
import torch

import reference as ref
import reference_choice as choice
import reference_evidence as slow
import reference_recorded as rules
from adaselection import AdaSelection, Policy, Signals, SingleMethod, checks, method_info, methods
from adaselection import functional as F  # noqa: N812
from adaselection.step import Noise
from adaselection.windows import drawn, window_step
from strategies import double, tensor

BETA, HALF_LIFE, SHARE = 0.5, 50.0, 0.01
KEEP_SCALE = 0.5 ** (1 / 50)
MIXED = ("uniform", "big_loss", "proportional", "infobatch")


def windows(seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.gamma(1.5, size=size) * 0.9**t for t, size in enumerate((40, 17, 40, 3, 1, 64, 40))]


def recorded(policy: Policy) -> list[Noise]:
    """The random numbers that the policy will draw, as it draws them."""
    kept: list[Noise] = []
    draw = policy._draw

    def note(size: int) -> Noise:
        kept.append(draw(size))
        return kept[-1]

    policy._draw = note  # type: ignore[method-assign]
    return kept


def expected_chances(name: str, losses: list[float], k: int) -> list[float]:
    """A method's share in a mixture: sums to k."""
    everyone = [True] * len(losses)
    if name == "uniform":
        return rules.uniform(k, everyone)
    if name == "big_loss":
        return rules.top_k(losses, k, everyone)
    if name == "proportional":
        return rules.in_proportion(losses, k, everyone)
    assert name == "infobatch"
    return slow.scaled(rules.infobatch(losses, k, everyone), k)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_windows_follow_the_reference_mixture(exponent: float) -> None:
    policy = AdaSelection(MIXED, 0.4, beta=BETA, weight_exponent=exponent)
    noise, w, mean, scale = recorded(policy), [1 / 4] * 4, None, 0.0
    for t, losses in enumerate(windows(), 1):
        numbers, k = losses.tolist(), max(1, round(0.4 * len(losses)))
        each = [expected_chances(name, numbers, k) for name in MIXED]
        now = [slow.kept_loss(chances, losses) for chances in each]
        size = float(np.abs(losses).mean())
        scale = size if t == 1 else KEEP_SCALE * scale + (1 - KEEP_SCALE) * size
        if mean is None:
            mean = now
        else:
            w, mean = ref.bounded_step(w, mean, now, scale, BETA, HALF_LIFE, SHARE)
        got = policy.choose(Signals(tensor(losses)), k)

        np.testing.assert_allclose(list(policy.weights.values()), w, rtol=1e-9)
        mixture = rules.mixed(w, each)
        assert got.inclusion_probabilities is not None
        np.testing.assert_allclose(double(got.inclusion_probabilities), mixture, rtol=1e-8)
        assert sum(mixture) == pytest.approx(k)
        exact = [Fraction(p) for p in mixture]
        exact = [p * k / sum(exact) for p in exact]
        walk = np.argsort(noise[-1].order.numpy(), kind="stable").tolist()
        assert got.indices.tolist() == choice.systematic_draw(exact, Fraction(noise[-1].start.item()), walk)
        np.testing.assert_allclose(
            double(got.sample_weights), slow.tempered_weights([mixture[i] for i in got.indices], exponent), rtol=1e-8
        )


def test_the_chances_are_how_often_each_is_drawn() -> None:
    losses = tensor(np.array([0.1, 0.2, 3.0, 0.4, 1.0, 0.0, 2.0, 0.7]))
    policy = AdaSelection(MIXED, 0.4, weighting="fixed")
    draws, counts = 2500, torch.zeros(8, dtype=torch.float64)
    for _ in range(draws):
        got = policy.choose(Signals(losses), 3)
        assert len(set(got.indices.tolist())) == 3
        counts[got.indices] += 1
    p = got.inclusion_probabilities
    assert p is not None
    error = (counts / draws - p) / (p * (1 - p) / draws).sqrt().clamp_min(1e-9)
    assert float(error.abs().max()) < 4.5


def test_full_weights_undo_the_bias_of_the_draw() -> None:
    losses = tensor(np.array([0.5, 0.1, 4.0, 0.3, 1.0, 2.0, 0.2, 0.9, 0.05, 1.4]))
    policy, sums = AdaSelection(("proportional", "uniform"), 0.4, weighting="fixed", weight_exponent=1.0), []
    for _ in range(2500):
        got = policy.choose(Signals(losses), 4)
        p = got.inclusion_probabilities
        assert p is not None
        raw = 1 / p[got.indices]
        torch.testing.assert_close(got.sample_weights, raw / raw.mean())
        sums.append(float((losses[got.indices] * raw).sum()))
    error = np.std(sums) / math.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(float(losses.sum()), abs=4.5 * error)


@pytest.mark.parametrize("losses", [[0.0] * 6, [2.0] * 6, [1e30, 2e30, 0, 0, 0, 1e30], [1e-30, 0, 0, 2e-30, 0, 0]])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_equal_and_extreme_losses(losses: list[float], k: int) -> None:
    policy = AdaSelection(MIXED, 0.5)
    for _ in range(3):
        got = policy.choose(Signals(tensor(np.array(losses))), k)
        assert len(set(got.indices.tolist())) == k
        assert got.inclusion_probabilities is not None
        assert float(got.inclusion_probabilities.sum()) == pytest.approx(k)
        assert sum(policy.weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("methods", [MIXED, ("proportional",), ("uniform",), ("infobatch",)])
def test_windows_of_no_and_of_one_instance(methods: tuple[str, ...]) -> None:
    policy = AdaSelection(methods, 0.5)
    assert policy.choose(Signals(torch.empty(0)), 0).indices.tolist() == []
    assert policy.choose(Signals(torch.tensor([0.3])), 1).indices.tolist() == [0]


# Methods alone


def test_a_fixed_rule_takes_what_it_would() -> None:
    losses = torch.tensor([0.3, 9.0, 0.1, 4.0, 4.0])
    assert SingleMethod("big_loss", 0.4).choose(Signals(losses), 2).indices.tolist() == [1, 3]
    assert SingleMethod("small_loss", 0.4).choose(Signals(losses), 2).indices.tolist() == [0, 2]
    assert SingleMethod("coreset_extremes", 0.4).choose(Signals(losses), 2).indices.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["infobatch", "kakurenbo", "selective_backprop"])
def test_a_count_of_its_own_is_kept_alone_and_scaled_in_a_mixture(name: str) -> None:
    losses = np.random.default_rng(1).exponential(size=50)
    everyone = [True] * 50
    rule = {
        "infobatch": lambda: rules.infobatch(losses.tolist(), 20, everyone),
        "kakurenbo": lambda: rules.kakurenbo(losses.tolist(), 20, everyone, 0.7),
        "selective_backprop": lambda: rules.selective_backprop(losses.tolist(), 20, everyone, None),
    }[name]()
    alone = SingleMethod(name, 0.4).choose(Signals(tensor(losses)), 20)
    assert len(alone.indices) == max(1, round(sum(rule)))
    assert alone.inclusion_probabilities is not None
    np.testing.assert_allclose(double(alone.inclusion_probabilities), rule, rtol=1e-9)
    assert {i for i, p in enumerate(rule) if p == 1} <= set(alone.indices.tolist())
    assert all(rule[i] > 0 for i in alone.indices.tolist())

    mixed = AdaSelection(("uniform", name), 0.4, weighting="fixed").choose(Signals(tensor(losses)), 20)
    assert len(mixed.indices) == 20
    assert mixed.inclusion_probabilities is not None
    halves = rules.mixed([0.5, 0.5], [[0.4] * 50, slow.scaled(rule, 20)])
    np.testing.assert_allclose(double(mixed.inclusion_probabilities), halves, rtol=1e-9)


def test_trusted_alone_takes_the_lower_class_and_its_share_of_second_looks() -> None:
    averages = torch.tensor([0.1] * 70 + [4.0] * 30)[torch.randperm(100)]
    signals = Signals(torch.rand(100), averages=averages, visits=torch.ones(100, dtype=torch.int64))
    kept = SingleMethod("trusted", 0.3).choose(signals, 30).indices
    assert len(kept) == 72  # 70 and 30 * 0.05 = 1.5, rounded with them
    assert int((averages[kept] < 1).sum()) == 70


def test_a_rule_that_wants_nothing_gets_one_by_chance() -> None:
    nothing = replace(
        SingleMethod("infobatch", 0.5)._recipe.methods[0], inclusion=lambda s, k: torch.zeros_like(s.losses)
    )
    policy = SingleMethod("infobatch", 0.5)
    recipe = replace(policy._recipe, methods=(nothing,))
    signals = Signals(torch.rand(8, dtype=torch.float64))
    _, got = window_step(recipe, policy._state, signals, policy._draw(8), 4)
    assert len(got.indices) == 1
    assert double(got.inclusion_probabilities).tolist() == [1 / 8] * 8


def test_weights_of_infobatch_are_those_published() -> None:
    losses = np.array([0.1, 0.2, 0.3, 0.2, 5.0, 4.0, 0.1, 0.3, 0.2, 0.1])
    got = SingleMethod("infobatch", 0.5).choose(Signals(tensor(losses)), 5)
    below = losses < losses.mean()
    expected = [1 / (1 - 0.5) if below[i] else 1.0 for i in got.indices.tolist()]  # 1 / (1 - r), r = 1 - rate
    assert got.sample_weights.tolist() == expected
    assert {4, 5} <= set(got.indices.tolist())
    assert len(got.indices) == 6


def test_weights_of_katharopoulos_and_fleuret_are_those_published() -> None:
    norms = np.array([0.01] * 14 + [5.0, 9.0])
    signals = Signals(torch.ones(16, dtype=torch.float64), grad_norms=tensor(norms))
    got = SingleMethod("katharopoulos_fleuret", 0.25).choose(signals, 4)
    chances = rules.katharopoulos_fleuret(norms.tolist(), 4, [True] * 16, 1.0)
    assert max(chances) == 1
    assert min(chances) < 0.2  # the switch is on
    expected = slow.same_mean_weights(chances)
    np.testing.assert_allclose(double(got.sample_weights), [expected[i] for i in got.indices.tolist()], rtol=1e-9)
    assert {14, 15} <= set(got.indices.tolist())
    even = Signals(torch.ones(16), grad_norms=torch.ones(16))
    calm = SingleMethod("katharopoulos_fleuret", 0.25).choose(even, 4)
    torch.testing.assert_close(calm.sample_weights, torch.ones(4, dtype=torch.float64))


# The step itself


def test_the_step_is_pure() -> None:
    policy = AdaSelection(MIXED, 0.5)
    signals, noise, state = Signals(torch.rand(12)), policy._draw(12), policy._state
    before = [value.clone() for value in state]
    once, twice = (window_step(policy._recipe, state, signals, noise, 6) for _ in range(2))
    assert once[1].indices.tolist() == twice[1].indices.tolist()
    assert all(torch.equal(a, b) for a, b in zip(once[0], twice[0], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(state, before, strict=True))
    assert int(once[0].step) == 1
    assert signals.noise is None


def test_processes_agree_on_losses_and_scale() -> None:
    policy, given = AdaSelection(("uniform", "big_loss"), 0.5), []

    def reduce(values: torch.Tensor) -> torch.Tensor:
        given.append(values.clone())
        return values + 1

    losses = torch.tensor([1.0, 2.0, 3.0, 6.0])
    policy.choose(Signals(losses), 2, reduce=reduce)
    assert given[0].tolist() == pytest.approx([3.0, 4.5, 3.0])  # what each would see, and the mean loss
    assert policy._state.previous.tolist() == pytest.approx([4.0, 5.5])
    assert float(policy._state.scale) == pytest.approx(4.0)


def test_a_failed_choice_leaves_the_policy_as_it_was() -> None:
    policy = SingleMethod("rho_loss", 0.5)
    before = policy.state_dict()
    with pytest.raises(checks.ArgumentError, match="irreducible"):
        policy.choose(Signals(torch.rand(4)), 2)
    after = policy.state_dict()
    assert torch.equal(after["generator"], before["generator"])
    assert int(after["step"]) == int(before["step"])


def test_drawn_takes_as_many_as_the_chances_sum_to() -> None:
    noise = SingleMethod("uniform", 0.5)._draw(5)
    assert drawn(tensor(np.array([1.0, 0.0, 1.0, 0.0, 1.0])), noise).indices.tolist() == [0, 2, 4]
    few = drawn(tensor(np.array([0.0, 0.0, 0.01, 0.0, 0.0])), noise)
    assert few.indices.tolist() == [2]
    assert few.sample_weights.tolist() == [1.0]


def test_signals_keep_what_the_record_knows() -> None:
    ones = torch.ones(3)
    given = Signals(
        torch.tensor([1.0, 2.0, 3.0], requires_grad=True),
        grad_norms=ones,
        kind="squared_error",
        noise=ones,
        valid=ones > 0,
        scale=ones[0],
        averages=ones * 2,
        ages=ones * 3,
        visits=torch.tensor([1, 2, 3]),
        irreducible=ones * 4,
        columns=MappingProxyType({"calm": ones * 5}),
    )
    got = checks.as_signals(given)
    for name in ("averages", "ages", "visits", "irreducible", "columns", "kind"):
        assert getattr(got, name) is getattr(given, name)
    assert (got.noise, got.valid, got.scale) == (None, None, None)
    assert not got.losses.requires_grad
    seen: list[Signals] = []

    def rising(signals: Signals) -> torch.Tensor:
        seen.append(signals)
        return F.big_loss(signals.losses)

    SingleMethod(rising, 0.7).select(given)
    assert seen[0].averages is given.averages


@pytest.mark.parametrize("name", ["proportional", "uncertain", "capped", "upper_confidence", "kakurenbo"])
def test_rules_that_count_from_zero_warn_once_of_losses_below(name: str) -> None:
    def window(*losses: float) -> Signals:
        real = torch.tensor(losses)
        return Signals(real, visits=torch.ones(len(losses), dtype=torch.int64), ages=torch.ones(len(losses)))

    policy = SingleMethod(name, rate=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.choose(window(0.0, 2.0, -1e-7, 0.6), 2)  # as rounding leaves them
    with pytest.warns(UserWarning, match=f"some losses are below 0, and '{name}' cannot .* Add a constant"):
        policy.choose(window(0.5, -1.0, -2.0, 0.6, 0.7, 0.8, 9.0, 9.0), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.choose(window(0.5, -1.0, -2.0, 0.6, 0.7, 0.8, 9.0, 9.0), 2)


def test_rules_of_order_do_not_mind_losses_below_zero() -> None:
    below_zero = {name for name in methods("recorded") if method_info(name).from_zero}
    assert below_zero == {"proportional", "uncertain", "capped", "upper_confidence", "kakurenbo"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = SingleMethod("big_loss", rate=0.5).choose(Signals(torch.tensor([-3.0, -1.0, -2.0, -4.0])), 2)
    assert found.indices.tolist() == [1, 2]
