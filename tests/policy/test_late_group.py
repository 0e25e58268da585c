"""The default on a group of instances that follows a rule of its own and is learnt late: hard, and not wrong."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from policy.small_training import train

ROWS, PASSES = 3000, 50


def members(noise: float, rate: float, seed: int) -> set[str]:
    """Train on two rules, one of them for a tenth of the rows; says which members had the weight after a pass.

    Args:
        noise: share of wrong labels.
        rate: of learning.
        seed: of everything.
    """
    chance = torch.Generator().manual_seed(seed)
    inputs = torch.randn(ROWS, 12, generator=chance)
    group = torch.rand(ROWS, generator=chance) < 0.1
    inputs[:, 11] = 3.0 * group
    labels = torch.where(group, inputs[:, 1] * inputs[:, 2] > 0, inputs[:, 0] > 0).long()
    labels = labels ^ (torch.rand(ROWS, generator=chance) < noise).long()
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    return train(inputs, labels, model, rate, PASSES, lambda by, steps: OneCycleLR(by, rate, steps, pct_start=0.2))[1]


@pytest.mark.parametrize(("seed", "rate"), [(0, 0.03), (2, 0.03), (2, 0.05), (4, 0.05)])
def test_a_group_that_is_learnt_late_is_not_taken_for_wrong(seed: int, rate: float) -> None:
    assert "trusted" not in members(0.0, rate, seed)


@pytest.mark.parametrize("seed", range(2))
def test_wrong_labels_in_the_same_data_are(seed: int) -> None:
    assert "trusted" in members(0.2, 0.3, seed)
