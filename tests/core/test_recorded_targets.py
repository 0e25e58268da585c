"""Targets on their way from the batches to a policy that observes: which parts they are, and whose row each is."""

import math
from collections import UserDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, RecordedLoader, Signals, SingleMethod
from adaselection.errors import ArgumentError
from adaselection.targets import ByTarget, targets_of, told

ROWS, BATCH = 24, 4
BEFORE = 0.7, 0.3, 0.2, 0.1  # what the targets told of the window before
IDS = [7, 0, 3]
X, Y = torch.arange(3.0).reshape(3, 1), torch.tensor([2, 0, 2])
Pair = namedtuple("Pair", "image kind")


@dataclass
class Record:
    image: Tensor
    label: Tensor


def some(*columns: list[float]) -> Tensor:
    return torch.tensor(columns, dtype=torch.float64).T


# Which parts of a batch they are


@pytest.mark.parametrize(
    "batch",
    [
        (X, Y),
        [X, Y],
        (X, Y.to(torch.uint8)),
        (X, Y.float().requires_grad_()),
        (X, nn.Parameter(Y.double())),
        (X, Y.unsqueeze(1)),
        (torch.arange(3), Y),
        (X, torch.tensor(IDS), Y),
        (X, Y, torch.tensor(IDS)),
        (X, 2 * torch.ones(3, 5), Y),
        (X, (Y, torch.rand(3, 2))),
        (X, {"length": torch.rand(3), "label": Y}),
        (X, nn.functional.one_hot(Y)),
        (X, nn.functional.one_hot(Y, 5).float()),
        Pair(X, Y),
        Record(X, Y),
        {"image": X, "label": Y},
        UserDict({"input_ids": torch.ones(3, 5, dtype=torch.int64), "length": torch.tensor([5, 4, 5]), "labels": Y}),
        {"x": X, "y": Y, "labels": 2 * torch.ones(3, 5, dtype=torch.int64)},
        {"inputs": {"label": torch.arange(3)}, "targets": {"label": Y}},
    ],
)
def test_classes_are_found(batch: Any) -> None:
    found = targets_of(batch, IDS)
    assert found.tolist() == [[2], [0], [2]]
    assert not found.requires_grad


def test_every_part_that_may_be_a_target_is_a_column_and_three_are_enough() -> None:
    length, weight = torch.tensor([9, 8, 7]), torch.tensor([0.5, -1.0, float("nan")])
    found = targets_of((X, length, weight, Y, Y, Y), IDS)
    assert found.shape == (3, 3)
    assert found[:, 0].tolist() == [9, 8, 7]
    assert found[:2, 1].tolist() == [0.5, -1.0]
    assert found[:, 2].tolist() == [2, 0, 2]


class Odd:
    """Raises whatever is asked."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


class Closed(UserDict[str, Any]):
    def __contains__(self, key: object) -> bool:
        raise RuntimeError("no keys")


ROUND: list[Any] = [X, {}]
ROUND[1]["y"] = ROUND


@pytest.mark.parametrize(
    "batch",
    [
        Y,
        (Y,),
        (X, 2 * torch.ones(3, 5, dtype=torch.int64)),
        (X, torch.tensor([[1, 0, 0], [0, 1, 0], [0, 1, 1]])),
        (X, torch.tensor([[0.9, 0.1], [0.0, 1.0], [1.0, 0.0]])),
        (X, torch.ones(3, 1, 2, dtype=torch.int64)),
        (X, torch.ones(3, 0)),
        (X, torch.tensor(3)),
        (X, Y[:2]),
        (X, ["a", "b", "a"]),
        (X, np.arange(3)),
        (X, torch.ones(3, dtype=torch.complex64)),
        (X, nn.functional.one_hot(Y).to_sparse()),
        (X, torch.ones(3).to_sparse()),
        (X, torch.ones(3, device="meta")),
        ((X, Y),),
        {"length": Y},
        {"x": X, "labels": None},
        {3: Y},
        None,
        "labels",
        [],
    ],
)
def test_what_says_nothing_of_each_row_is_left_alone(batch: Any) -> None:
    assert targets_of(batch, IDS).shape == (3, 0)


def test_what_raises_whatever_is_asked_is_left_alone() -> None:
    for batch in (Closed({"labels": Y}), Odd(), (X, Odd())):
        assert targets_of(batch, IDS).shape == (3, 0)
    assert len(targets_of(ROUND, IDS)) == 3  # has no end


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor", "ignore:The PyTorch API of nested tensors")
def test_quantized_and_nested_numbers_are_left_alone() -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3), torch.ones(1)])
    for values in (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8), nested):
        assert targets_of((X, values), IDS).shape == (3, 0)


def test_numbers_of_the_instances_alone_are_no_targets() -> None:
    assert targets_of((X, torch.tensor(IDS)), IDS).shape == (3, 0)


def test_no_rows_and_a_copy() -> None:
    assert len(targets_of((X[:0], Y[:0]), [])) == 0
    labels = Y.double()
    found = targets_of((X, labels), IDS)
    labels.zero_()
    assert found.tolist() == [[2], [0], [2]]


@pytest.mark.parametrize("said", [[1, 1, 0], np.array([1, 1, 0]), torch.tensor([[1.0], [1.0], [0.0]])])
def test_what_the_loop_says_of_each_row_is_taken(said: Any) -> None:
    own = told(said, 3)
    assert own is not None
    assert own.tolist() == [[1], [1], [0]]


@pytest.mark.parametrize("said", [["cat", "dog", "cat"], ("cat", "dog", "cat"), np.array(["cat", "dog", "cat"])])
def test_names_are_told_apart(said: Any) -> None:
    own = told(said, 3)
    assert own is not None
    first, second, third = own.flatten().tolist()
    assert first == third != second


ODD = [
    torch.rand(3, 7),
    [1, 2],
    "abc",
    torch.ones(3).to_sparse(),
    object(),
    {"y": Y},
    3,
    torch.tensor(3),
    ["cat", 1, 2],
]


@pytest.mark.parametrize("said", ODD)
def test_what_is_not_one_for_each_row_is_refused_and_the_batch_still_waits(said: Any) -> None:
    assert told(said, 3) is None
    rows = TensorDataset(torch.rand(6), torch.arange(6))
    loader = RecordedLoader(DataLoader(rows, 3, shuffle=True), AdaSelection(rate=0.5))
    x, _ = next(iter(loader))
    with pytest.raises(ArgumentError, match="targets must say what each of the 3 rows is, one number or name for each"):
        loader.record(x, targets=said)
    assert loader.waiting == 1
    assert loader.record(x, targets=said, outputs=torch.rand(3, 7)) == x.mean()  # for what reads gradients


# What they explain


def test_classes_by_hand() -> None:
    counts = ByTarget()
    assert counts.told(*BEFORE)[0] == 0.7
    counts.see(None, torch.tensor([True]))
    counts.see(torch.empty(2, 0, dtype=torch.float64), torch.tensor([True, False]))
    assert counts.told(*BEFORE)[0] == 0.7
    minus, plus = some([-1] * 20), some([1] * 20)
    counts.see(minus, torch.arange(20) < 4)
    again = ByTarget()
    again.load_state_dict(counts.state_dict())
    again.see(plus, torch.arange(20) < 16)
    # within 20 * .16 twice over 38, total 40 * .25 over 39
    explained, numbers, common, emptied = again.told(*BEFORE)
    assert explained == pytest.approx(1 - 6.4 / 38 / (10 / 39))
    assert (numbers, common) == (0, 0.5)
    assert emptied == pytest.approx((16 + 2 - 2 * math.sqrt(16 * 4 / 20 + 1)) / 24)  # the limit of 16 of 20
    again.clear()
    assert again.told(*BEFORE)[0] == 0.7


def test_the_column_that_explains_most_counts_and_nan_does_not() -> None:
    upper = torch.arange(40) < 10
    counts = ByTarget()
    alike, rare = [0.0] * 40, [1.0] * 10 + [0.0] * 30
    counts.see(some(alike[:20], rare[:20]), upper[:20])
    counts.see(some(alike[20:]), upper[20:])  # the second is not there: all that is known of it is as rare as before
    assert counts.told(*BEFORE)[0] == pytest.approx(1)
    lost = ByTarget()
    lost.see(some([float("nan")] * 40), upper)
    assert lost.told(*BEFORE)[0] == 0.7


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e30])
@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_numbers_of_both_ends_explain_nothing_and_those_of_one_all(scale: float, shift: float) -> None:
    numbers = np.random.default_rng(0).standard_cauchy(1000)
    for upper, expected in ((abs(numbers) > 3, 0.0), (numbers > 3, 1.0), (numbers < -3, 1.0)):
        counts = ByTarget()
        counts.see(torch.from_numpy(scale * numbers + shift).unsqueeze(1), torch.from_numpy(upper))
        assert counts.told(*BEFORE)[0] == pytest.approx(expected, abs=0.1 if expected else 0.02)


@pytest.mark.parametrize(("off", "expected"), [("by chance", 0.0), ("to one number", 1.0)])
def test_outliers_among_rounded_numbers_are_not_explained_by_being_rare(off: str, expected: float) -> None:
    """Right numbers are on a grid, where many rows have each; wrong ones are anywhere, or all the same."""
    chance = np.random.default_rng(0)
    numbers, wrong = chance.integers(0, 40, 1000) / 7, chance.random(1000) < 0.1
    numbers[wrong] = chance.normal(3, 10, wrong.sum()) if off == "by chance" else 2.9
    counts = ByTarget()
    counts.see(torch.from_numpy(numbers).unsqueeze(1), torch.from_numpy(wrong))
    assert counts.told(*BEFORE)[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("dtype", "classes", "walk", "numeric"),
    [
        (torch.int64, 2000, 20_000, 0.0),  # ten rows each
        (torch.int32, 2000, 20_000, 0.0),
        (torch.float64, 2000, 20_000, 1.0),  # whole amounts may be meant
        (torch.int64, 5000, 20_000, 1.0),  # four rows each
        (torch.int64, 2000, 0, 1.0),
        (torch.float64, 500, 0, 0.0),
    ],
)
def test_integers_are_classes_where_a_walk_has_enough_rows_of_each(
    dtype: torch.dtype, classes: int, walk: int, numeric: float
) -> None:
    chance = torch.Generator().manual_seed(0)
    labels, upper = torch.randint(classes, (8192,), generator=chance), torch.rand(8192, generator=chance) < 0.2
    counts = ByTarget()
    counts.see(labels[:4000].to(dtype).unsqueeze(1), upper[:4000])
    again = ByTarget()
    again.load_state_dict(counts.state_dict())
    again.see(labels[4000:].to(dtype).unsqueeze(1), upper[4000:])
    explained, numbers, _, emptied = again.told(*BEFORE, walk)
    assert numbers == numeric
    assert abs(explained) < 0.05
    assert emptied < 0.8


def test_wrong_labels_of_two_thousand_classes_are_left_out_also_after_a_resume() -> None:
    """Ten rows of each class, a fifth of them wrong; what waits for the next window is saved as integers too."""
    rows = 20_000
    chance = torch.Generator().manual_seed(0)
    labels, wrong = torch.arange(rows) % 2000, torch.rand(rows, generator=chance) < 0.2
    said = []
    for breaks in (False, True):
        order = torch.Generator().manual_seed(1)
        plain = DataLoader(TensorDataset(torch.arange(rows), labels), 100, shuffle=True, generator=order)
        loader = RecordedLoader(plain, AdaSelection(rate=0.5))
        for number in range(8):
            losses = torch.where(wrong, 4.0, 0.6**number)
            for at, (numbers, _) in enumerate(loader):
                loader.record(losses[numbers] * (1 + 0.1 * (numbers % 7)))
                if breaks and number == 3 and at == 40:
                    state = loader.state_dict()
                    loader = RecordedLoader(plain, AdaSelection(rate=0.5))
                    loader.load_state_dict(state)
                    break
            else:
                continue
            for numbers, _ in loader:
                loader.record(losses[numbers] * (1 + 0.1 * (numbers % 7)))
        report = loader.report()
        assert report.targets_numeric is False
        assert report.verdicts["trusted"] > 3
        said.append((report.verdicts, report.opened))
    assert said[0] == said[1]


def test_numbers_of_instances_explain_nothing_and_so_many_rows_are_enough() -> None:
    chance = torch.Generator().manual_seed(0)
    counts = ByTarget()
    for _ in range(3):
        counts.see(
            torch.randperm(5000, generator=chance).double().unsqueeze(1), torch.rand(5000, generator=chance) < 0.3
        )
    assert counts.state_dict()["values"].shape == (8192, 1)
    assert abs(counts.told(*BEFORE)[0]) < 0.01


@pytest.mark.parametrize(
    ("columns", "numbers", "common"),
    [
        ([[0.5, 1.5, 2, 3, 4, 5, 6, 7]], 1.0, 1 / 8),
        ([[0.5, 0.5, 2, 3, 4, 5, 6, 7]], 1.0, 1 / 4),
        ([[0, 1, 2, 3, 4, 5, 6, 7]], 1.0, 1 / 8),
        ([[0, 0, 0, 0, 1, 1, 1, 1] * 2], 0.0, 1 / 2),  # classes
        ([[0.5, 1.5, 2, 3, 4, 5, 6, 7] * 2, [0, 0, 0, 0, 1, 1, 1, 1] * 2], 0.5, 1 / 2),  # one part of two
        ([[0.5, 1.5, 2, 3, 4, 5, 6, 7], [math.nan] * 8], 1.0, 1 / 8),
        ([[math.nan] * 8], 0.3, 0.2),
    ],
)  # fmt: skip
def test_what_numbers_are(columns: list[list[float]], numbers: float, common: float) -> None:
    counts = ByTarget()
    assert counts.told(*BEFORE) == BEFORE
    counts.see(some(*columns), torch.arange(len(columns[0])) < 2)
    assert counts.told(*BEFORE)[1:3] == (numbers, common)


# Through the loader


class Watching(SingleMethod):
    """Takes all, notes what it is told, and asks for targets at every so manieth batch of the walks."""

    def __init__(self, every: int = 1) -> None:
        super().__init__("uniform", rate=0.5)
        self.told: list[tuple[Tensor, Tensor | None]] = []
        self.asked, self.every = 0, every

    @property
    def reads_targets(self) -> bool:
        self.asked += 1
        return self.asked % self.every == 0

    def observe(self, before: Signals, losses: Tensor) -> None:
        self.told.append((losses, before.targets))


def watched(
    batches: Callable[[Tensor, Tensor], Any], workers: int = 0, says: bool = False, every: int = 1
) -> dict[int, set[Any]]:
    """Targets that a policy is told for each instance, which its loss says the number of."""
    numbers = torch.arange(ROWS)
    dataset = TensorDataset(numbers.float(), numbers % 5)

    def collate(rows: list[Any]) -> Any:
        return batches(*torch.utils.data.default_collate(rows))

    policy = Watching(every)
    loader = RecordedLoader(DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, collate_fn=collate), policy)
    for _ in range(6):
        for batch in loader:
            x = batch["x"] if isinstance(batch, dict) else batch[0]
            loader.record(x, targets=x.long() % 3 if says else None)
    found: dict[int, set[Any]] = {}
    for losses, labels in policy.told:
        assert labels is not None
        for number, label in zip(losses.tolist(), labels.tolist(), strict=True):
            found.setdefault(int(number), set()).add(tuple(label))
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_each_instance_has_its_own_label(workers: int) -> None:
    assert watched(lambda x, y: (x, y), workers) == {number: {(number % 5,)} for number in range(ROWS)}


def test_labels_of_a_mapping_and_none_at_all() -> None:
    assert watched(lambda x, y: {"x": x, "labels": y}) == {number: {(number % 5,)} for number in range(ROWS)}
    assert watched(lambda x, y: {"x": x}) == {number: {()} for number in range(ROWS)}


def test_nothing_is_said_of_batches_that_the_policy_does_not_ask_about() -> None:
    found = watched(lambda x, y: (x, y), every=2, says=True)
    told = [(number, target) for number, targets in found.items() for (target,) in targets]
    assert {target == number % 3 or target != target for number, target in told} == {True}
    assert {target != target for _, target in told} == {True, False}  # some are not known
    never = watched(lambda x, y: (x, y), every=1000, says=True)
    assert never == {number: {()} for number in range(ROWS)}


def test_the_default_asks_in_whole_walks_that_it_can_compare_with_others() -> None:
    chance = torch.Generator().manual_seed(0)
    rows = TensorDataset(torch.arange(300), torch.randint(10, (300,), generator=chance))
    policy = AdaSelection(rate=0.5)
    assert not policy.reads_targets
    loader, asked = RecordedLoader(DataLoader(rows, 10, shuffle=True, generator=chance), policy), []
    for _ in range(40):
        for number, _ in loader:
            asked.append((policy.reads_targets, policy.verdict))
            wrong = number % 5 == 0
            late = max(0.05, 1 - 0.05 * loader.walk)
            loader.record(torch.where(wrong, 4.0, late) + 0.01 * torch.rand(len(number), generator=chance))
    assert [reads for reads, _ in asked[:30]] == [False] * 30  # nothing is known of any yet
    assert {reads for reads, verdict in asked[30:] if verdict == "uniform"} == {True}
    assert {reads for reads, verdict in asked if verdict == "trusted"} == {False}


def test_targets_that_the_loop_hands_in_are_told() -> None:
    assert watched(lambda x, y: (x, y), says=True) == {number: {(number % 3,)} for number in range(ROWS)}


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
        assert labels.tolist() == again.tolist() == [[int(number) % 5] for number in losses.tolist()]
