"""What the paper's weighting does where nothing is learned, and what the default does.

Batches are drawn independently of each other and of any training, so no method deserves more weight than another. Easy
rows lie near 0 on a scale that differs from batch to batch, as losses of a net that fits most of its data do; the mean
of the smallest losses then swings widely, and the paper's relative change takes that for progress.
"""

import numpy as np
import pytest
import torch

from adaselection import AdaSelection


def batch(generator: np.random.Generator, size: int = 128) -> torch.Tensor:
    """Losses of pure noise: 60 easy rows in 100 at a log-normal scale, the others around 1."""
    easy = generator.uniform(size=size) < 0.6
    scale = 0.01 * generator.lognormal(0.0, 1.0)
    losses = np.where(easy, scale * generator.exponential(size=size), 1 + 0.3 * generator.normal(size=size) ** 2)
    return torch.from_numpy(losses)


def weights(policy: AdaSelection, seed: int, steps: int) -> list[float]:
    """Weight of small_loss after every step."""
    generator, seen = np.random.default_rng(seed), []
    for _ in range(steps):
        policy.select(batch(generator))
        seen.append(policy.weights["small_loss"])
    return seen


@pytest.mark.parametrize("beta", [0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_papers_rule_hands_noise_to_small_loss_within_tens_of_steps(seed: int, beta: float) -> None:
    seen = weights(AdaSelection(replicate="paper", beta=beta, seed=seed), seed, 80)
    first = next(step for step, weight in enumerate(seen) if weight > 0.95)
    assert first < 60
    assert min(seen[first:]) > 0.9  # and there it stays


@pytest.mark.parametrize("seed", range(2))
def test_below_zero_the_papers_rule_starves_small_loss_instead(seed: int) -> None:
    assert weights(AdaSelection(replicate="paper", beta=-0.5, seed=seed), seed, 80)[-1] < 0.05


def test_the_default_gives_noise_no_majority() -> None:
    seen = weights(AdaSelection(), 0, 800)
    assert max(seen) < 0.6
    assert min(seen) > 0.05
