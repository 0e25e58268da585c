"""Whole trajectories of the policies against the reference: weights, scores and rows, batch after batch."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

import reference as ref
import reference_choice as choice
from adaselection import AdaSelection, Signals, SingleMethod
from adaselection.step import Noise
from strategies import double, tensor

SEVEN = ("uniform", "big_loss", "small_loss", "grad_norm", "adaboost", "coreset_extremes", "coreset_mean")
RATE, BETA, STEPS = 0.3, 0.5, 12
KEEP_SCALE = 0.5 ** (1 / 50)


def batches(seed: int, bad: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Losses and gradient norms of some batches of different sizes; where ``bad``, some are not finite."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(STEPS):
        size = (40, 40, 23, 1, 64)[number % 5]
        losses = generator.gamma(1.5, size=size) * 0.9**number
        norms = np.sqrt(losses) * generator.uniform(0.8, 1.2, size=size)
        if bad and size > 20:
            losses[generator.choice(size, 2, replace=False)] = (math.nan, math.inf)
            norms[generator.integers(size)] = math.nan
        made.append((losses, norms))
    return made


class Reference:
    """The mixture of all seven methods, from the equations alone."""

    def __init__(self, paper: bool, kind: str) -> None:
        self.paper, self.kind = paper, kind
        self.w, self.mean = [1 / 7] * 7, None
        self.product, self.before = [Decimal(1) / 7] * 7, None
        self.scale, self.t = 0.0, 0

    def step(
        self, losses: np.ndarray, norms: np.ndarray, noise: np.ndarray, k: int, curriculum: str | None = None
    ) -> tuple[np.ndarray, list[list[int]], np.ndarray]:
        """Update the weights and give the scores, what each method wants, and which rows may be kept."""
        self.t += 1
        valid = np.isfinite(losses) & np.isfinite(norms)
        losses = np.where(valid, losses, losses[valid].mean())
        size = np.abs(losses[valid]).mean()
        self.scale = size if self.t == 1 else KEEP_SCALE * self.scale + (1 - KEEP_SCALE) * size
        reading = "clamp" if self.paper else {"cross_entropy": "cross_entropy"}.get(self.kind, "scale_free")
        raw = [
            ref.raw_scores(name, losses, noise=noise, grad_norms=norms, reading=reading, scale=self.scale, valid=valid)
            for name in SEVEN
        ]
        wanted = [ref.kept_alone(u, len(losses), valid) for u in raw]
        self.follow([ref.method_loss(losses, order[:k], "kept") for order in wanted])
        alpha = [ref.importance(u, "softmax" if self.paper else "softmax_z", k, valid) for u in raw]
        reward = None
        if curriculum in ("printed", "text"):
            of = choice.printed_reward if curriculum == "printed" else choice.text_reward
            reward = of(losses, self.t, RATE, valid)
        elif curriculum == "scale_free":
            reward = choice.scale_free_reward(losses, (self.t - 1) / 1000, 1.0, valid)
        scores = choice.combine(self.w, alpha, reward)
        return np.where(valid, scores, -math.inf), wanted, valid

    def follow(self, now: list[float]) -> None:
        """Eq. 3, from the second batch on."""
        if self.before is None:
            self.before = self.mean = now
            return
        if self.paper:
            factors = ref.paper_weights([self.before, now], BETA)  # with 1/7 in each
            self.product = [w * f * 7 for w, f in zip(self.product, factors, strict=True)]
            self.w, self.before = ref.normalised(self.product), now
        else:
            self.w, self.mean = ref.bounded_step(self.w, self.mean, now, self.scale, BETA, 50.0, 0.01)


def recorded(policy: AdaSelection) -> list[Noise]:
    """Let the policy draw as it does, and note what it drew."""
    drawn: list[Noise] = []
    draw = policy._draw

    def noting(size: int) -> Noise:
        drawn.append(draw(size))
        return drawn[-1]

    policy._draw = noting  # type: ignore[method-assign]
    return drawn


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize("paper", [True, False], ids=["paper", "default"])
@pytest.mark.parametrize("kind", ["cross_entropy", "other"])
@pytest.mark.parametrize("bad", [False, True], ids=["finite", "bad_rows"])
@pytest.mark.parametrize("curriculum", [None, "printed", "text", "scale_free"])
def test_all_seven_methods(paper: bool, kind: str, bad: bool, curriculum: str | None) -> None:
    replicate = "paper" if paper else None
    policy = AdaSelection(SEVEN, RATE, beta=BETA, replicate=replicate, curriculum=curriculum, choice="top_k", seed=3)
    drawn, expected = recorded(policy), Reference(paper, kind)
    assert list(policy.weights.values()) == [pytest.approx(1 / 7)] * 7
    for losses, norms in batches(1, bad):
        got = policy.select(Signals(tensor(losses), tensor(norms), kind=kind))
        k = max(1, round(RATE * len(losses)))
        scores, _, _ = expected.step(losses, norms, double(drawn[-1].rows), k, curriculum)
        assert got.scores.dtype == torch.float64
        np.testing.assert_allclose(double(got.scores), scores, rtol=1e-9)
        assert got.indices.tolist() == choice.top_k(scores, k)
        assert tuple(policy.weights) == SEVEN
        np.testing.assert_allclose(list(policy.weights.values()), expected.w, rtol=1e-9)
        assert got.sample_weights.tolist() == [1.0] * k
        assert got.inclusion_probabilities is None


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize("bad", [False, True], ids=["finite", "bad_rows"])
def test_quota(bad: bool) -> None:
    policy = AdaSelection(SEVEN, RATE, beta=BETA, choice="quota")
    drawn, expected = recorded(policy), Reference(False, "other")
    for losses, norms in batches(2, bad):
        got = policy.select(Signals(tensor(losses), tensor(norms)))
        k = max(1, round(RATE * len(losses)))
        _, wanted, valid = expected.step(losses, norms, double(drawn[-1].rows), k)
        slots = choice.quota_slots([Fraction(w).limit_denominator(10**10) for w in expected.w], k)
        assert got.indices.tolist() == choice.quota_fill(wanted, slots)
        assert valid[got.indices].all()


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_draw(exponent: float) -> None:
    policy = AdaSelection(SEVEN, RATE, beta=BETA, choice="draw", weight_exponent=exponent)
    drawn, expected = recorded(policy), Reference(False, "other")
    for losses, norms in batches(3, bad=True):
        got = policy.select(Signals(tensor(losses), tensor(norms)))
        k = max(1, round(RATE * len(losses)))
        scores, _, valid = expected.step(losses, norms, double(drawn[-1].rows), k)
        chances = choice.inclusion_probabilities(scores.tolist(), k, valid.tolist())
        assert got.inclusion_probabilities is not None
        np.testing.assert_allclose(double(got.inclusion_probabilities), chances, rtol=1e-8)
        total = sum(map(Fraction, chances))
        exact = [Fraction(p) * k / total for p in chances]
        walk = np.argsort(drawn[-1].order.numpy(), kind="stable").tolist()
        rows = choice.systematic_draw(exact, Fraction(drawn[-1].start.item()), walk)
        assert got.indices.tolist() == rows
        np.testing.assert_allclose(
            double(got.sample_weights), choice.sample_weights([chances[i] for i in rows], exponent), rtol=1e-8
        )


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize("name", SEVEN)
def test_single_methods(name: str) -> None:
    policy = SingleMethod(name, RATE, adaboost="clamp")
    drawn = recorded(policy)
    for losses, norms in batches(4, bad=True):
        got = policy.select(Signals(tensor(losses), tensor(norms)))
        k = max(1, round(RATE * len(losses)))
        valid = np.isfinite(losses) & np.isfinite(norms)
        known = np.where(valid, losses, 0.0)
        raw = ref.raw_scores(name, known, noise=double(drawn[-1].rows), grad_norms=norms, valid=valid)
        assert got.indices.tolist() == sorted(ref.kept_alone(raw, k, valid))
        assert policy.weights == {name: 1.0}


@pytest.mark.parametrize("choosing", ["top_k", "quota"])
def test_a_loss_that_is_not_finite_stands_behind_one_without_a_score(choosing: str) -> None:
    losses = torch.tensor([math.nan, 2.0, 3.0, 4.0, 5.0, 0.5])
    alone = SingleMethod("adaboost", 0.5, adaboost="nan_last").select(losses)
    assert alone.indices.tolist() == [1, 2, 5]
    mixed = AdaSelection(("adaboost", "small_loss"), 0.5, adaboost="nan_last", choice=choosing).select(losses)
    assert 0 not in mixed.indices.tolist()


def noise_only(policy: AdaSelection, seed: int, steps: int) -> float:
    """Weight of small_loss after batches that differ by chance alone: nothing is learned in them."""
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        policy.select(tensor(generator.gamma(0.3, size=128)))  # many losses near 0, as of a net that fits
    return policy.weights["small_loss"]


@pytest.mark.parametrize("seed", range(3))
def test_the_papers_rule_hands_noise_to_small_loss_and_the_default_does_not(seed: int) -> None:
    assert noise_only(AdaSelection(replicate="paper", beta=0.5, seed=seed), seed, 60) > 0.95
    assert noise_only(AdaSelection(beta=0.5, seed=seed), seed, 60) < 0.4
    assert noise_only(AdaSelection(beta=0.5, seed=seed), seed, 300) < 0.45


def test_the_letter_of_the_text_never_moves_a_weight() -> None:
    policy = AdaSelection(SEVEN, RATE, replicate="paper", loss_average="batch")
    for losses, norms in batches(6, bad=False)[:3]:
        policy.select(Signals(tensor(losses), tensor(norms)))
    assert list(policy.weights.values()) == [pytest.approx(1 / 7, rel=1e-12)] * 7
