"""One training on recorded losses: what the tests of whole runs share."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, Policy, RecordedLoader


def train(
    inputs: Tensor,
    labels: Tensor,
    model: nn.Module,
    rate: float,
    passes: int,
    fitted: Callable[[Optimizer, int], LRScheduler],
    policy: Policy | None = None,
) -> tuple[RecordedLoader, set[str]]:
    """Train by SGD with momentum, in batches of 32, on recorded losses.

    Args:
        inputs: one row each.
        labels: their classes.
        model: to be trained, in place.
        rate: of learning.
        passes: over the loader.
        fitted: makes the schedule, from the optimizer and the number of steps.
        policy: of the loader, at rate 0.3; the default if None.

    Returns:
        The loader, and the members of the policy that had a weight after a pass.
    """
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    plain = DataLoader(TensorDataset(inputs, labels), 32, shuffle=True)
    loader = RecordedLoader(plain, policy or AdaSelection(rate=0.3))
    schedule = fitted(optimizer, loader.total_batches(passes))
    found: set[str] = set()
    for _ in range(passes):
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        found |= {name for name, weight in loader.policy.weights.items() if weight}
    return loader, found
