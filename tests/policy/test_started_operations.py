"""What docs/cost.md says a choice starts on an accelerator, counted here."""

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, Policy, RecordedLoader, Signals, SingleMethod
from adaselection.step import step


class Counting(TorchDispatchMode):
    """Counts the operations that are started."""

    def __init__(self) -> None:
        super().__init__()
        self.started: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.started[str(function)] += 1
        return function(*args, **(kwargs or {}))


def started(policy: Policy) -> int:
    """Operations of one choice, as on an accelerator, where values are not looked at."""
    signals = Signals(torch.rand(128))
    policy.select(signals)
    with Counting() as counting:
        policy._through(lambda noise: step(policy._recipe, policy._state, signals, noise, 38), signals)
    return counting.started.total()


def test_a_bare_rule_starts_a_third_of_the_operations_of_the_default() -> None:
    default, bare = started(AdaSelection(rate=0.3)), started(SingleMethod("big_loss", 0.3))
    assert 160 <= default <= 220  # "about 190"
    assert 0.25 <= bare / default <= 0.4  # "a third as many"


def test_judging_a_walk_starts_some_two_hundred_operations() -> None:
    rows = TensorDataset(torch.arange(640))
    loader = RecordedLoader(DataLoader(rows, 32, shuffle=True), AdaSelection(rate=0.5))
    plan, started = loader._passes.walks.planner, []

    def counted(window: list[list[int]]) -> list[Any]:
        with Counting() as counting:
            planned = plan(window)
        started.append(counting.started.total())
        return planned

    loader._passes.walks.planner = counted
    for _ in range(8):  # four walks; nothing is known in the first, nor compared in the second
        for (rows_of_batch,) in loader:
            loader.record(torch.rand(len(rows_of_batch)))
    assert loader.report().shut >= 2
    assert 150 <= started[-1] <= 240
