"""Targets on their way from the batches to a policy that observes: which part they are, and whose row each is."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import RecordedLoader, Signals, SingleMethod
from adaselection.targets import ByTarget, targets_of, told

ROWS, BATCH = 24, 4
IDS = [7, 0, 3]
X, Y = torch.arange(3.0).reshape(3, 1), torch.tensor([2, 0, 2])
Pair = namedtuple("Pair", "image kind")


@dataclass
class Record:
    image: Tensor
    label: Tensor


# Which part of a batch they are


@pytest.mark.parametrize(
    "batch",
    [
        (X, Y),
        [X, Y],
        (X, Y, torch.arange(3)),
        (X, torch.tensor(IDS), Y),
        (torch.arange(3), Y),
        (X, torch.rand(3), Y),
        (X, Y.to(torch.uint8)),
        (X, Y.unsqueeze(1)),
        Pair(X, Y),
        Record(X, Y),
        {"image": X, "label": Y},
        {"input_ids": torch.ones(3, 5, dtype=torch.int64), "length": torch.tensor([5, 4, 5]), "labels": Y},
        {"target": Y, "x": X},
        {"x": X, "y": Y, "labels": 2 * torch.ones(3, 5, dtype=torch.int64)},
        (X, (Y, torch.rand(3))),
        (X, {"weight": torch.rand(3), "label": Y}),
        {"inputs": {"label": torch.arange(3)}, "targets": {"label": Y}},
        (X, nn.functional.one_hot(Y)),
        (X, nn.functional.one_hot(Y, 5).float()),
    ],
)
def test_labels_are_found(batch: Any) -> None:
    found = targets_of(batch, IDS)
    assert found is not None
    assert found.dtype == torch.int64
    assert found.tolist() == [2, 0, 2]


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64, torch.bfloat16])
def test_two_classes_may_be_of_any_sort(dtype: torch.dtype) -> None:
    found = targets_of((X, torch.tensor([[1], [0], [1]], dtype=dtype)), IDS)
    assert found is not None
    assert found.tolist() == [1, 0, 1]
    assert found.dtype == (torch.float32 if dtype.is_floating_point else torch.int64)


def test_rows_with_several_labels_are_of_a_class_for_each_number_of_them() -> None:
    found = targets_of((X, torch.tensor([[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]).float()), IDS)
    assert found is not None
    assert found.tolist() == [6, 2, 4]


@pytest.mark.parametrize(
    "batch", [(X, torch.tensor([0.5, 1.0, -3.0])), {"x": X, "y": torch.tensor([[0.5], [1], [-3]])}]
)
def test_numbers_are_found(batch: Any) -> None:
    found = targets_of(batch, IDS)
    assert found is not None
    assert found.dtype == torch.float32
    assert found.tolist() == [0.5, 1.0, -3.0]


def test_classes_go_before_numbers() -> None:
    found = targets_of((X, torch.tensor([0.5, 1.0, 0.0]), Y), IDS)
    assert found is not None
    assert found.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    "batch",
    [
        Y,
        (Y,),
        (X, torch.ones(3, 5, dtype=torch.int64) * 2),
        (X, torch.tensor([[0.9, 0.1], [0.0, 1.0], [1.0, 0.0]])),
        (X, torch.ones(3, 1, 2, dtype=torch.int64)),
        (X, torch.tensor(3)),
        ((X, Y),),
        (X, Y[:2]),
        (X, ["a", "b", "a"]),
        (X, torch.ones(3, dtype=torch.complex64)),
        {"length": Y},
        {"x": X, "labels": None},
        None,
    ],
)
def test_what_is_no_target_for_each_row_is_not_taken_for_one(batch: Any) -> None:
    assert targets_of(batch, IDS) is None


def test_targets_are_a_copy() -> None:
    found = targets_of((X, Y), IDS)
    assert found is not None
    assert found.data_ptr() != Y.data_ptr()


def test_what_the_loop_says_goes_first() -> None:
    assert told(torch.tensor([1, 1, 0]), Y, 3).tolist() == [1, 1, 0]
    assert told(torch.tensor([0.5, 1.5, 2.5]), Y, 3).tolist() == [0.5, 1.5, 2.5]
    assert told(torch.rand(3, 7), Y, 3).tolist() == [2, 0, 2]
    assert told(None, None, 3).tolist() == [-1, -1, -1]


# Counting


def test_counts_by_hand() -> None:
    counts = ByTarget()
    assert counts.explained(otherwise=0.7) == 0.7
    counts.see(None, torch.tensor([True]))
    counts.see(torch.tensor([7, 7, 7, 3, -1]), torch.tensor([True, True, True, False, True]))
    counts.see(torch.tensor([3, 9, 7, 3, 7, 3, 3]), torch.tensor([True, False, True, False, False, False, False]))
    state = counts.state_dict()
    assert state["counts"].tolist() == [[0, 0, 0, 5, 0, 0, 0, 5, 0, 1], [0, 0, 0, 1, 0, 0, 0, 4, 0, 0]]
    again = ByTarget()
    again.load_state_dict(state)
    # within 0.8 + 0.8 + 0 over 11 - 3, total 5 * 6 / 11 over 10
    assert again.explained(otherwise=0.7) == pytest.approx(1 - 0.2 / (30 / 110))
    again.clear()
    assert again.explained(otherwise=0.7) == 0.7


def test_numbers_are_summed_by_hand() -> None:
    """Targets far from 0: only what is above 1e9 matters. 1, 2 and 6 of 1, 2, 3, 4, 5, 6 are of the upper group."""
    counts = ByTarget()
    counts.see(torch.tensor([1e9, 2.0, torch.nan, 5]).double(), torch.tensor([True, False, True, True]))
    counts.clear()
    numbers = torch.tensor([1, 2, 3, torch.nan, 4, 5, 6]).double() + 1e9
    upper = torch.tensor([True, True, False, True, False, False, True])
    counts.see(numbers[:4], upper[:4])
    again = ByTarget()
    again.load_state_dict(counts.state_dict())
    again.see(numbers[4:], upper[4:])
    known = numbers.isfinite()
    expected = np.corrcoef((numbers - 1e9)[known], upper[known])[0, 1] ** 2
    assert 0 < expected < 1
    assert again.explained(otherwise=0.7) == pytest.approx(expected)


def test_numbers_of_instances_are_no_classes() -> None:
    counts = ByTarget()
    counts.see(torch.arange(100), torch.arange(100) < 30)
    assert counts.explained(otherwise=0.7) == 0
    counts.clear()
    counts.see(torch.tensor([2**16, 2**16 - 1, 2**62]), torch.tensor([True, False, True]))
    assert counts.state_dict()["counts"].sum(1).tolist() == [1, 0]


# Through the loader


class Watching(SingleMethod):
    """Takes all, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__("uniform", rate=0.5)
        self.told: list[tuple[Tensor, Tensor | None]] = []

    def observe(self, before: Signals, losses: Tensor) -> None:
        self.told.append((losses, before.targets))


def watched(batches: Callable[[Tensor, Tensor], Any], workers: int = 0, says: bool = False) -> dict[int, set[int]]:
    """Labels that a policy is told for each instance, which its loss says the number of."""
    numbers = torch.arange(ROWS)
    dataset = TensorDataset(numbers.float(), numbers % 5)

    def collate(rows: list[Any]) -> Any:
        return batches(*torch.utils.data.default_collate(rows))

    policy = Watching()
    loader = RecordedLoader(DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, collate_fn=collate), policy)
    for _ in range(6):
        for batch in loader:
            x = batch["x"] if isinstance(batch, dict) else batch[0]
            loader.record(x, targets=x.long() % 3 if says else None)
    found: dict[int, set[int]] = {}
    for losses, labels in policy.told:
        assert labels is not None
        for number, label in zip(losses.tolist(), labels.tolist(), strict=True):
            found.setdefault(int(number), set()).add(label)
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_each_instance_has_its_own_label(workers: int) -> None:
    assert watched(lambda x, y: (x, y), workers) == {number: {number % 5} for number in range(ROWS)}


def test_labels_of_a_mapping_and_none_at_all() -> None:
    assert watched(lambda x, y: {"x": x, "labels": y}) == {number: {number % 5} for number in range(ROWS)}
    assert watched(lambda x, y: {"x": x}) == {number: {-1} for number in range(ROWS)}


def test_targets_that_the_loop_hands_in_are_told() -> None:
    assert watched(lambda x, y: (x, y), says=True) == {number: {number % 3} for number in range(ROWS)}


def test_labels_that_wait_for_the_next_window_are_in_the_state() -> None:
    def loader(policy: Watching) -> RecordedLoader:
        rows = TensorDataset(torch.arange(ROWS).float(), torch.arange(ROWS) % 5)
        order = torch.Generator().manual_seed(0)
        return RecordedLoader(DataLoader(rows, BATCH, shuffle=True, generator=order), policy)

    def run(inside: RecordedLoader, passes: int) -> None:
        for _ in range(passes):
            for x, _ in inside:
                inside.record(x)

    through, first, second = Watching(), Watching(), Watching()
    run(loader(through), 5)
    saved, resumed = loader(first), loader(second)
    run(saved, 1)
    assert not first.told  # half of a walk: all of it waits
    resumed.load_state_dict(saved.state_dict())
    run(resumed, 4)
    assert len(through.told) == len(second.told) > 1
    for (losses, labels), (others, again) in zip(through.told, second.told, strict=True):
        assert labels is not None
        assert again is not None
        assert losses.tolist() == others.tolist()
        assert labels.tolist() == again.tolist() == [int(number) % 5 for number in losses.tolist()]
