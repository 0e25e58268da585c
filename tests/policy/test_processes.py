"""Several processes, each with a part of the rows, judge what one process with all of them would."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from adaselection.earned import Earned
from adaselection.processes import agreed, pooled
from adaselection.thresholds import Evidence
from adaselection.types import Signals

Walk = tuple[Tensor, Tensor, Tensor, Tensor]  # losses by the record, averages, losses now, passes since


class Threads:
    """Processes that are threads."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._barrier, self._slots = threading.Barrier(world, timeout=60), [torch.empty(0)] * world

    def exchange(self, rank: int, values: Tensor) -> list[Tensor]:
        self._slots[rank] = values.clone()
        self._barrier.wait()
        found = list(self._slots)
        self._barrier.wait()
        return found

    def run(self, call: Callable[[Any, "OneOf"], Any], each: Sequence[Any]) -> list[Any]:
        """What a call gives on every process, with what is its own."""
        found: list[Any] = [None] * self.world

        def one(rank: int) -> None:
            found[rank] = call(each[rank], OneOf(self, rank))

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.world)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


class OneOf:
    """What one of the threads sees of all."""

    def __init__(self, threads: Threads, rank: int) -> None:
        self.world = threads.world
        self._threads, self._rank = threads, rank

    def total(self, values: Tensor) -> Tensor:
        return torch.stack(self._threads.exchange(self._rank, values)).sum(0)

    def rows(self, values: Tensor) -> Tensor:
        return torch.cat(self._threads.exchange(self._rank, values))

    def first(self, values: Tensor) -> Tensor:
        return self._threads.exchange(self._rank, values)[0]


def history(base: Tensor, walks: int, seed: int = 0) -> list[Walk]:
    """Walks of rows whose losses fall to a level of their own at once, and jitter."""
    chance = torch.Generator().manual_seed(seed)
    before = 2.3 + 0.01 * torch.randn(len(base), generator=chance)
    averages, found = before, []
    for walk in range(walks):
        ages = torch.randint(1, 4, (len(base),), generator=chance).float()
        now = (base + 0.1 * torch.randn(len(base), generator=chance)).clamp_min(0.005)
        found.append((before, averages, now, ages))
        averages, before = (0.5 * averages + 0.5 * now if walk else now), now
    return found


def signals(walk: Walk, rows: Tensor, labels: Tensor | None = None) -> Signals:
    """What the record and the batches say of some rows."""
    before, averages, _, ages = (part[rows] for part in walk)
    return Signals(
        before, averages=averages, ages=ages, targets=None if labels is None else labels[rows].double().unsqueeze(1)
    )


def opens(gate_and_window: tuple[Earned, Signals], processes: OneOf) -> bool:
    return gate_and_window[0].opens(gate_and_window[1], processes)


def judged(base: Tensor, labels: Tensor, parts: Callable[[int], list[Tensor]], walks: int = 4) -> list[list[Any]]:
    """Verdict and evidence of each walk, of one process and of several, whose parts of the rows are given by walk."""
    world = len(parts(0))
    threads, one, many, found = Threads(world), Earned(0.5), [Earned(0.5) for _ in range(world)], []
    for number, walk in enumerate(history(base, walks)):
        everything = signals(walk, torch.arange(len(base)), labels)
        one.opens(everything)
        own = [signals(walk, rows, labels) for rows in parts(number)]
        assert len(set(threads.run(opens, list(zip(many, own, strict=True))))) == 1
        found.append([one.verdict, many[0].verdict, one._seen, *(each._seen for each in many)])
        one.observe(everything, walk[2])
        for each, seen, rows in zip(many, own, parts(number), strict=True):
            each.observe(seen, walk[2][rows])
    return found


def dealt(rows: int, world: int) -> Callable[[int], list[Tensor]]:
    """As a `DistributedSampler` deals rows out, anew in each walk."""

    def parts(walk: int) -> list[Tensor]:
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(7 + walk))
        return [order[rank::world] for rank in range(world)]

    return parts


def _few_of_one_class() -> tuple[Any, ...]:
    """Wrong labels, and a class of 40 rows that is not learnt; 10 of them on each process."""
    chance = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 9, (4000,), generator=chance)
    labels[:40] = 9
    high = torch.rand(4000, generator=chance) < 0.2
    high[:40] = True
    return high, labels, dealt(4000, 4), "rare targets"


def _one_class_on_one_process() -> tuple[Any, ...]:
    chance = torch.Generator().manual_seed(4)
    labels = torch.randint(0, 9, (4000,), generator=chance)
    labels[3000:3250] = 9
    high = torch.rand(4000, generator=chance) < 0.1
    high[3000:3250] = True
    return high, labels, lambda _: list(torch.arange(4000).chunk(4)), "rare targets"


def _many_classes() -> tuple[Any, ...]:
    """Four rows of each on a process."""
    high = torch.rand(1600, generator=torch.Generator().manual_seed(5)) < 0.2
    return high, torch.arange(1600) % 100, dealt(1600, 4), "trusted"


def _few_rows() -> tuple[Any, ...]:
    """60 rows on each of 8 processes."""
    chance = torch.Generator().manual_seed(6)
    high = torch.rand(480, generator=chance) < 0.15
    return high, torch.randint(0, 4, (480,), generator=chance), dealt(480, 8), "trusted"


def _unequal_parts() -> tuple[Any, ...]:
    """Of one process many rows have a record, of another none."""
    chance = torch.Generator().manual_seed(8)
    high = torch.rand(2000, generator=chance) < 0.3
    rows = torch.randperm(2000, generator=chance)
    return high, rows % 10, lambda _: [rows[:1500], rows[1500:], rows[:0]], "trusted"


CASES = [_few_of_one_class, _one_class_on_one_process, _many_classes, _few_rows, _unequal_parts]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_several_processes_judge_as_one(case: Callable[[], tuple[Any, ...]]) -> None:
    high, labels, parts, verdict = case()
    low = -0.3 * torch.rand(len(high), generator=torch.Generator().manual_seed(9)).log()
    found = judged(torch.where(high, 4.0, low), labels, parts, 6 if len(high) < 1000 else 4)
    assert found[-1][0] == verdict
    for one, several, alone, *each in found:
        assert several == one
        assert len({seen.packed().numpy().tobytes() for seen in each}) == 1  # not even rounding tells them apart
        for name, own, other in zip(Evidence._fields, alone, each[0], strict=True):
            assert other == pytest.approx(own, rel=1e-6, nan_ok=True), name


def test_numbers_are_judged_together_too() -> None:
    """Outliers of every size among targets that are numbers: by the roots of the losses."""
    chance = torch.Generator().manual_seed(10)
    targets = torch.randn(3000, generator=chance)
    errors = torch.where(
        torch.rand(3000, generator=chance) < 0.15, 2.5 + torch.randn(3000, generator=chance).abs(), 0.2
    )
    found = judged(errors.square(), targets, dealt(3000, 3), 5)
    assert found[-1][0] == found[-1][1] == "trusted"
    assert [(one, several) for one, several, *_ in found if one != several] == []


def test_the_groups_are_cut_where_all_rows_say_so() -> None:
    """One process has wrong labels, the other none: of its rows only what is as high as those is left out."""
    chance = torch.Generator().manual_seed(11)
    high = torch.zeros(4000, dtype=torch.bool)
    high[:2000] = torch.rand(2000, generator=chance) < 0.4
    base = torch.where(high, 4.0, 0.5 * (-torch.rand(4000, generator=chance).log()) ** 1.3)
    halves = list(torch.arange(4000).chunk(2))
    threads, gates = Threads(2), [Earned(0.5) for _ in range(2)]
    for walk in history(base, 6):
        own = [signals(walk, rows) for rows in halves]
        opened = threads.run(opens, list(zip(gates, own, strict=True)))
        left = [gate.chances(seen, 1000) < 1 for gate, seen in zip(gates, own, strict=True)] if opened[0] else []
        edge = gates[0]._now["threshold"]
        for gate, seen, rows in zip(gates, own, halves, strict=True):
            gate.observe(seen, walk[2][rows])
    assert opened == [True, True]
    assert [bool((out == (seen.smoothed > edge)).all()) for out, seen in zip(left, own, strict=True)] == [True, True]
    assert float(left[1].double().mean()) < 0.05


def test_rows_come_process_by_process_and_rounding_is_the_first_ones() -> None:
    threads = Threads(3)
    own = [Signals(torch.arange(count).float() + 10 * count, averages=torch.full((count,), 0.5)) for count in (2, 0, 1)]
    for found in threads.run(pooled, own):
        assert found.losses.tolist() == [20, 21, 10]
        assert found.smoothed.tolist() == [0.5] * 3
    said = threads.run(agreed, [(0.1 + rank, math.nan) for rank in range(3)])
    assert [each[0] for each in said] == [0.1] * 3
    assert all(math.isnan(each[1]) for each in said)
    assert agreed((1.0, 2.0), None) == [1.0, 2.0]
