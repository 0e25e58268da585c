"""Eq. 3 and eq. 4 by themselves, beside a slow reading of the printed formulas."""

import math

import numpy as np
import pytest

from adaselection.lab.paper import equations


def slow_weights(beta, batches):
    """Eq. 3 as printed, a product of numbers, on the losses of `equations`; uniform's part is left out."""
    big = small = 1.0
    before = None
    for losses in equations.losses_of_batches(batches).numpy():
        ordered = sorted(losses)
        now = np.mean(ordered[-26:]), np.mean(ordered[:26])
        if before is not None:
            big *= math.exp(beta * abs(now[0] - before[0]) / before[0])
            small *= math.exp(beta * abs(now[1] - before[1]) / before[1])
        before = now
    return math.log(big), math.log(small)


@pytest.mark.parametrize("beta", [0.5, -1.0])
def test_summed_log_weights_are_the_printed_product(beta):
    summed = equations.log_weights(beta, 60).summed[-1]
    assert summed[:2].tolist() == pytest.approx(slow_weights(beta, 60), rel=1e-9)


def test_shares_are_the_summed_weights_over_their_sum():
    found = equations.log_weights(0.5, 60)
    assert found.shares[-1].tolist() == pytest.approx(found.summed[-1].softmax(0).tolist())
    assert found.shares[0].tolist() == pytest.approx([1 / 3] * 3)


def test_without_learning_the_sign_of_beta_picks_the_winner():
    above, below = equations.lock_in(0.5), equations.lock_in(-0.5)
    assert (above[0], below[0]) == ("small_loss", "big_loss")
    shares = equations.log_weights(-0.5).shares[:, 0]
    assert (shares[below[1] - 1 :] >= 0.9).all()
    assert shares[below[1] - 2] < 0.9
    assert equations.lock_in(0.0) is None


def test_the_product_leaves_single_precision():
    assert equations.log_weights(0.5).summed[-1].max() > math.log(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("step", "power", "scale"), [(1, 0.5, 1.0), (10_000, 0.5, 1.0), (100, -0.5, 1.0), (10, 0.5, 0.01)]
)
def test_the_reward_ratio_is_the_printed_formula(step, power, scale):
    losses = scale * equations.losses_of_batches(1)[0].numpy()
    exponents = -(step**power) * losses / (losses**2).sum()
    wanted = math.exp(exponents.max() - exponents.min())
    assert equations.reward_ratio(step, power, scale) == pytest.approx(wanted, rel=1e-9)
