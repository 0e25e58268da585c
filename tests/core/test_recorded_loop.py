"""Any sampler, any batch, workers, and what a loop may do wrong."""

import gc
import multiprocessing
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from adaselection import AdaSelection, RecordedLoader, RecordedLosses, SingleMethod, checks
from adaselection.condition import Condition
from adaselection.errors import AdaSelectionError, ArgumentError, LossShapeError, NonFiniteLossError
from adaselection.tenure import Opening
from core.parts import data, ids
from core.recorded_parts import passes, recorded

ROWS = 48


class Reversed(Sampler[int]):
    """A sampler of the user's own."""

    def __iter__(self) -> Iterator[int]:
        return reversed(range(ROWS))

    def __len__(self) -> int:
        return ROWS


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(11)


SAMPLERS: dict[str, Callable[[], dict[str, Any]]] = {
    "shuffle": lambda: {"shuffle": True},
    "generator": lambda: {"shuffle": True, "generator": seeded()},
    "sequential": lambda: {"sampler": SequentialSampler(range(ROWS))},
    "subset": lambda: {"sampler": SubsetRandomSampler(range(4, 44))},
    "weighted": lambda: {"sampler": WeightedRandomSampler([1.0 + row % 3 for row in range(ROWS)], ROWS)},
    "replacement": lambda: {"sampler": RandomSampler(range(ROWS), replacement=True, generator=seeded())},
    "more_than_all": lambda: {"sampler": RandomSampler(range(ROWS), num_samples=100)},
    "distributed": lambda: {"sampler": DistributedSampler(range(ROWS), num_replicas=2, rank=1)},
    "own": lambda: {"sampler": Reversed()},
    "batches": lambda: {"batch_sampler": BatchSampler(RandomSampler(range(ROWS)), 4, drop_last=False)},
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("workers", [0, 2])
def test_every_sampler_gives_what_it_gives_to_the_plain_loader_and_then_a_part_of_it(name: str, workers: int) -> None:
    torch.manual_seed(3)
    inner = SAMPLERS[name]()
    sizes = {} if "batch_sampler" in inner else {"batch_size": 4}
    plain = [ids(batch) for batch in DataLoader(data(ROWS), num_workers=workers, **sizes, **inner)]
    torch.manual_seed(3)
    loader = recorded(ROWS, 4, SingleMethod("proportional", 0.5), num_workers=workers, **SAMPLERS[name]())
    length = len(plain) // 2
    seen = passes(loader, 6)
    assert [len(batches) for batches in seen] == [length] * 6
    batches = list(chain(*seen))
    assert batches[: len(plain)] == plain
    allowed = set(range(ROWS)) if name in ("distributed", "weighted", "replacement") else set(chain(*plain))
    assert set(chain(*batches[len(plain) :])) <= allowed
    assert all(len(batch) == 4 for batch in batches)


def test_a_sampler_that_repeats_gets_its_unseen_instances_first() -> None:
    weights = [0.05] * 40 + [1.0] * 8
    torch.manual_seed(0)
    sampler = WeightedRandomSampler(weights, 48)
    loader = recorded(ROWS, 4, SingleMethod("proportional", 0.5), sampler=sampler, longest_unseen=1e6)
    known: set[int] = set()
    for number, batches in enumerate(passes(loader, 8)):
        fresh = set(chain(*batches)) - known
        known |= fresh
        if number in (0, 2):
            assert fresh
    assert loader.report().forced > 0
    # a gate that is shut leaves the user's distribution alone
    torch.manual_seed(0)
    shut = list(chain(*passes(recorded(ROWS, 4, AdaSelection(rate=0.5), sampler=sampler), 6)))
    torch.manual_seed(0)
    inner = DataLoader(data(ROWS), batch_size=4, sampler=sampler)
    assert shut == [ids(batch) for _ in range(3) for batch in inner]


def test_set_epoch_is_told_the_walk_and_on_walk_is_called() -> None:
    sampler, told = DistributedSampler(range(ROWS), num_replicas=2, rank=0), []
    loader = recorded(ROWS, 4, SingleMethod("uniform", 0.5), sampler=sampler, on_walk=told.append)
    first, second = [], []
    for number in range(4):
        loader.set_epoch(99 + number)  # as a framework may; passes are no walks
        (first if number < 2 else second).append(passes(loader, 1)[0])
    assert sampler.epoch == 2
    assert told == [0, 1, 2]  # a walk for the first two passes, and one for each pass after
    assert loader.walk == 2
    assert len(set(chain(*chain(*first)))) == 24


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_and_prefetching_change_nothing_but_when_windows_are_planned(persistent: bool) -> None:
    seen = []
    for workers in (0, 2):
        torch.manual_seed(0)
        options = {"num_workers": workers, "persistent_workers": persistent and workers > 0}
        sampler = RandomSampler(range(ROWS), generator=seeded())
        seen.append(passes(recorded(ROWS, 4, SingleMethod("proportional", 0.5), sampler=sampler, **options), 6))
    assert seen[0] == seen[1]


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set")
def test_pinned_memory_and_collating_stay_the_users() -> None:
    def collate(rows: list[Any]) -> dict[str, Tensor]:
        return {"x": torch.stack([row[0] for row in rows]), "many": torch.tensor(len(rows))}

    inner = DataLoader(data(20), batch_size=4, pin_memory=True, collate_fn=collate)
    loader = RecordedLoader(inner, SingleMethod("uniform", 0.5))
    for _ in range(4):
        for batch in loader:
            assert batch.keys() == {"x", "many"}
            loader.record(batch["x"].norm(dim=1))
    assert loader.report().trained == 8 * 4


class Pair(NamedTuple):
    x: Tensor
    name: list[str]


class Fetching(Dataset[Any]):
    """A data set that is asked for whole batches, and says for which."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        raise AssertionError("one row was asked for")

    def __getitems__(self, rows: list[int]) -> Any:
        self.asked.append(rows)
        return [torch.tensor([float(row)]) for row in rows]


class Whole:
    """A batch of a kind that nothing is known of."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = torch.stack(rows)


@pytest.mark.parametrize("collate", [None, Whole, lambda rows: Pair(torch.stack(rows), ["a"] * len(rows))])
def test_only_what_is_drawn_is_loaded_whatever_a_batch_is(collate: Any) -> None:
    rows = Fetching()
    loader = RecordedLoader(DataLoader(rows, batch_size=4, collate_fn=collate), SingleMethod("big_loss", 0.5))
    for _ in range(5):
        for batch in loader:
            numbers = batch if isinstance(batch, Tensor) else getattr(batch, "rows", None)
            numbers = batch.x if numbers is None else numbers
            assert numbers.flatten().tolist() == rows.asked[-1]
            loader.record(1 + numbers.flatten())
    assert len(rows.asked) == 10
    assert loader.report().loaded == 40
    assert loader.report().left_out == pytest.approx(0.5, abs=0.2)


# what a loop may do wrong


def test_losses_of_another_length_are_refused_and_nothing_is_lost() -> None:
    loader = recorded(20, 4, SingleMethod("big_loss", 0.5))
    for batch in loader:
        unreduced = 'reduction="none"'
        for wrong, fix in (
            (torch.ones(3), unreduced),
            (torch.tensor(1.0), unreduced),
            (torch.ones(3, 2), unreduced),
            (torch.ones(4, 1), r"Use losses\.squeeze\(1\)\."),
            (torch.ones(4, 4), r"squeeze\(1\) the one that is \[b, 1\]\. If a row has 4 losses of its own"),
            (torch.ones(4, 3), r"If a row has several losses of its own, use losses\.flatten\(1\)\.mean\(1\)\."),
            (torch.ones(4, 4, 1), r"use losses\.flatten\(1\)\.mean\(1\)\."),
        ):
            with pytest.raises(LossShapeError, match=rf"shape \[4\]; got.*{fix}"):
                loader.record(wrong)
        loader.record(torch.ones(4) * ids(batch)[0])
        words = r"more often than batches were handed out.*in training steps only: not in a validation step"
        with pytest.raises(AdaSelectionError, match=words):
            loader.record(torch.ones(4))
    assert loader.records.read(torch.arange(8), now=1).losses.tolist() == [0, 0, 0, 0, 4, 4, 4, 4]


@pytest.mark.parametrize(
    ("count", "fix"),
    [
        (15, r"dropped 1 of the 16 rows.*torch\.utils\.data\.Subset.*compute the losses of all rows.*loader\.skip\(\)"),
        (2, r"dropped 14 of the 16 rows"),
        (48, r"If a row has 3 losses of its own.*use losses\.view\(16, -1\)\.mean\(1\).*batch by batch"),
        (17, r'Use a loss with reduction="none", and call it once for each batch'),
        (1, r'Use a loss with reduction="none", and call it once for each batch'),
    ],
)
def test_another_number_of_losses_is_told_what_it_may_be(count: int, fix: str) -> None:
    loader = recorded(32, 16, SingleMethod("big_loss", 0.5))
    next(iter(loader))
    with pytest.raises(LossShapeError, match=rf"shape \[16\]; got \({count},\).*{fix}"):
        loader.record(torch.ones(count))
    tokens = torch.arange(48.0).view(16, 3)
    assert torch.equal(tokens.flatten().view(16, -1).mean(1), tokens.mean(1))  # what is advised


def test_the_other_loader_is_not_advised_to_skip() -> None:
    with pytest.raises(LossShapeError, match=r"dropped 4 of the 16 rows") as said:
        checks.row_losses(torch.ones(12), 16, "observe()")
    assert "skip" not in str(said.value)


def test_losses_may_come_late_in_the_order_of_the_batches() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    waiting: list[list[int]] = []
    for batch in loader:  # a wrapper that looks one batch ahead, or gradients that accumulate
        waiting.append(ids(batch))
        if len(waiting) > 1:
            loader.record(torch.tensor([1.0 + number for number in waiting.pop(0)]))
    loader.record(torch.tensor([1.0 + number for number in waiting.pop(0)]))
    assert loader.records.read(torch.arange(12), now=1).losses.tolist() == [1.0 + number for number in range(12)]
    assert [len(batches) for batches in passes(loader, 3)] == [3, 3, 3]


def test_a_loop_that_never_records_is_told_so() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    with pytest.warns(UserWarning, match=r"handed out 3 batches, and none of their losses came.*loader.record") as said:
        assert len(list(loader)) == 3
    assert [warning.filename for warning in said] == [__file__]
    with pytest.raises(AdaSelectionError, match=r"the losses of 3 batches of the last pass never came.*loader.record"):
        iter(loader)
    long = recorded(600, 1, SingleMethod("big_loss", 0.5))
    with pytest.raises(AdaSelectionError, match="256 batches went out and none of their losses came back"):
        list(long)


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_a_batch_that_was_passed_over_is_refused_before_a_loss_goes_to_the_wrong_instance(ahead: int) -> None:
    loader = recorded(80, 4, SingleMethod("big_loss", 1.0))
    waiting: list[list[int]] = []
    said = ""
    for step, batch in enumerate(loader):
        if step == 7:  # a loop that says `continue`
            lost = ids(batch)
            continue
        waiting.append(ids(batch))
        if len(waiting) > ahead:
            losses = torch.tensor([1.0 + number for number in waiting[0]])
            try:
                loader.record(losses)
            except AdaSelectionError as error:
                said += str(error)
                while waiting and waiting[0][0] < lost[0]:  # those before it come in
                    loader.skip()
                    waiting.pop(0)
                loader.skip()
                loader.record(torch.tensor([1.0 + number for number in waiting[0]]))
            waiting.pop(0)
    for rows in waiting:
        loader.record(torch.tensor([1.0 + number for number in rows]))
    assert said.count("1 batch handed out before this one got no record()") == said.count("loader.skip()") == 1
    known = loader.records.read(torch.arange(80), now=1)
    assert not bool(known.valid[lost].any())
    kept = known.valid.nonzero().flatten()
    assert len(kept) == 80 - 4 - 4 * ahead
    assert known.losses[kept].tolist() == (1.0 + kept).to(torch.bfloat16).tolist()
    assert loader.report().trained == len(kept)


def test_the_last_batch_without_a_record_is_told() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    batches = iter(loader)
    for _ in range(2):
        loader.record(torch.ones(len(ids(next(batches)))))
    next(batches)
    with pytest.warns(UserWarning, match=r"the pass is over, and the losses of 1 batch never came"):
        next(batches, None)
    with pytest.raises(AdaSelectionError, match=r"the losses of 1 batch of the last pass never came"):
        iter(loader)


def test_a_batch_may_be_left_out() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    with pytest.raises(AdaSelectionError, match=r"skip\(\) was called, and no batch waits"):
        loader.skip()
    for step, batch in enumerate(loader):
        if step == 1:
            loader.skip()
        else:
            loader.record(torch.ones(len(ids(batch))))
    assert loader.report().trained == 8
    assert loader.records.read(torch.arange(12), now=1).valid.tolist() == [True] * 4 + [False] * 4 + [True] * 4
    state = loader.state_dict()
    again = recorded(24, 4, SingleMethod("big_loss", 0.5))
    again.load_state_dict(state)
    assert passes(again, 2) == passes(loader, 2)


def test_the_first_loss_that_was_not_finite_is_named() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    batches = iter(loader)
    next(batches)
    assert loader.record(torch.tensor([1.0, 1.0, torch.nan, 1.0])).isnan()
    next(batches)
    with pytest.raises(NonFiniteLossError, match="all 4 losses") as said:
        loader.record(torch.full((4,), torch.nan))
    assert said.value.__notes__ == ["The first such loss since the last window was that of instance 2."]


class OwnBatches:
    """A batch sampler that is none of torch's."""

    batch_size = 4

    def __init__(self, batches: BatchSampler) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def test_the_report_says_how_much_was_done_and_why_a_fixed_order_shuts_the_gate() -> None:
    loader = recorded(40, 4, AdaSelection(rate=0.5))
    passes(loader, 6, lambda number, step: 1.0 + number % 7)
    said = str(loader.report())
    assert "so far           the work of 3.0 plain epochs" in said
    assert "the order never changes, so it cannot judge; use shuffle=True" in said
    mixed = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    passes(mixed, 6, lambda number, step: 1.0 + number % 7)
    assert "trained as the plain loader would" in str(mixed.report())
    assert re.search(r"\nnearest +(hard|trusted|uncertain), but for \w.*\(asks [<>]=? [\d.]+\)\n", str(mixed.report()))
    assert "nearest" not in said  # a fixed order is why
    assert "order" not in str(mixed.report())
    batches = BatchSampler(RandomSampler(range(40)), 4, drop_last=False)
    own = recorded(40, 4, AdaSelection(rate=0.5), batch_sampler=OwnBatches(batches))
    passes(own, 6, lambda number, step: 1.0 + number % 7)
    assert "order" not in str(own.report())  # torch gives such a loader a sequential sampler, which it does not use


def test_the_report_says_that_nothing_is_chosen_at_rate_1() -> None:
    for rate, said in ((1.0, "rate 1 takes every instance"), (0.5, "nothing to judge yet: the first walk takes every")):
        loader = recorded(40, 4, AdaSelection(rate=rate), shuffle=True)
        passes(loader, 1)
        assert f"\ngate             {said}" in str(loader.report())


def test_the_report_goes_on_warning_of_a_fixed_order_once_the_gate_is_open() -> None:
    loader = recorded(40, 4, AdaSelection(rate=0.5))
    passes(loader, 6, lambda number, step: 1.0 + number % 7)
    found = replace(loader.report(), selected=2, verdicts={"uniform": 1, "trusted": 2})
    assert "\norder            never changes, so little tells what is learnt from others; use shuffle=True" in str(
        found
    )
    assert "\norder" not in str(replace(found, fixed_order=False))


def test_the_report_says_what_is_lost_to_whole_steps() -> None:
    for rows, said in (
        (52, "3 steps (rate 0.3 would be 3.9); a walk over all data 13"),
        (40, "3 steps (rate 0.3);"),
    ):
        loader = recorded(rows, 4, AdaSelection(rate=0.3), shuffle=True)
        passes(loader, 1)
        assert f"a pass           {said}" in str(loader.report())


def test_the_report_names_the_member_that_is_nearest() -> None:
    """One condition that is far off keeps a member further from opening than two that nearly hold."""
    mixed = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    passes(mixed, 6, lambda number, step: 1.0 + number % 7)
    far, near = Condition("tau", 1.0, ">", 3.0), Condition("staying", 0.22, "<", 0.2)
    lacks = {"trusted": (Condition("visits", 0.0, ">=", 20.0),), "uncertain": (far,), "hard": (near, near)}
    said = str(replace(mixed.report(), lacking=lacks))
    assert "\nnearest          hard, but for staying 0.22 (asks < 0.2); staying 0.22 (asks < 0.2)\n" in said
    said = str(replace(mixed.report(), lacking=dict.fromkeys(lacks, (far,))))
    assert "\nnearest          trusted, but for tau 1 (asks > 3)\n" in said  # the first of equals


def test_the_report_names_the_member_that_was_given_up_and_why() -> None:
    mixed = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    passes(mixed, 6, lambda number, step: 1.0 + number % 7)
    assert "given up" not in str(mixed.report())
    for lacked, why in (((Condition("staying", 0.8, "<", 0.75),), "staying 0.8 (asks < 0.75)"), ((), "another member")):
        said = str(replace(mixed.report(), given_up={"hard": lacked}))
        assert re.search(rf"\ngiven up         hard, for {re.escape(why)}\nnearest ", said)


def test_the_report_says_when_and_why_the_gate_opened() -> None:
    mixed = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    passes(mixed, 6, lambda number, step: 1.0 + number % 7)
    assert mixed.report().opened is None
    assert "\nopened" not in str(mixed.report())
    how = Opening("trusted", "what is high stays", 3, (Condition("staying", 0.8, ">", 0.7),))
    said = str(replace(mixed.report(), opened=how, given_up={"trusted": ()}))
    assert "\nopened           trusted in window 3: what is high stays\ngiven up " in said


def test_the_report_says_what_targets_were_taken_for() -> None:
    numbers = torch.arange(200)
    for said, word, numeric in (
        ((numbers % 4,), "classes", False),
        ((numbers * 0.37,), "numbers", True),
        ((), None, None),
    ):
        rows = TensorDataset(numbers.float().unsqueeze(1), *said)
        loader = RecordedLoader(DataLoader(rows, 10, shuffle=True), AdaSelection(rate=0.5))
        assert loader.report().targets_numeric is None
        for _ in range(8):
            for x, *_ in loader:
                loader.record(x.squeeze(1) + 1)
        assert loader.report().targets_numeric is numeric
        scale = "; if they are not yet, scale them to mean 0 and spread 1, which the gate needs" if numeric else ""
        told = f"found in the batches, taken for {word}{scale}\n" if word else "none found: rare classes may look wrong"
        assert f"\ntargets          {told}" in str(loader.report())
        opened = str(replace(loader.report(), selected=1, verdicts={"trusted": 1}))
        assert "scaled" not in opened


def test_the_report_says_which_member_got_the_windows() -> None:
    """A third of the rows stay wrong while the others are learnt; then the same where it is a matter of the labels."""
    for labels, said in (
        (False, r"gate +open in (\d+) of \d+ windows: trusted \1 \(left out what looks wrong\)\n"),
        (True, r"rare targets +kept in \d+ w"),
        (None, r"targets +none found: rare classes may look wrong, and .*; hand in record\(losses, targets=y\)"),
    ):
        numbers = torch.arange(300)
        says = () if labels is None else ((numbers < 100).long() if labels else numbers % 3,)
        rows = TensorDataset(numbers.float().unsqueeze(1), *says)
        order = torch.Generator().manual_seed(0)
        loader = RecordedLoader(DataLoader(rows, 10, shuffle=True, generator=order), AdaSelection(rate=0.5))
        for number in range(20):
            for x, *_ in loader:
                own = torch.rand(len(x), generator=order)
                loader.record(torch.where(x.squeeze(1) < 100, 4 + own, own + 4 * 0.7**number))
        report = loader.report()
        assert re.search(said, str(report))
        assert sum(report.verdicts.values()) == report.windows
        assert {"uniform", "rare targets" if labels else "trusted"} == set(report.verdicts)
        resumed = RecordedLoader(DataLoader(rows, 10, shuffle=True, generator=order), AdaSelection(rate=0.5))
        resumed.load_state_dict(loader.state_dict())
        assert resumed.report().verdicts == report.verdicts
        assert resumed.report().targets_found is report.targets_found is (labels is not None)
        assert ("none found" in str(report)) == (labels is None)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_losses_of_any_float_type_are_recorded_and_gradients_may_gather(kind: torch.dtype) -> None:
    loader = recorded(16, 4, SingleMethod("big_loss", 1.0))
    weight = torch.ones(1, dtype=kind, requires_grad=True)
    for batch in loader:
        losses = weight * torch.tensor([1.0 + number for number in ids(batch)], dtype=kind)
        mean = loader.record(losses)
        assert mean.dtype == kind
        mean.backward()  # two batches a step, or four
    assert loader.records.read(torch.arange(16), now=1).losses.tolist() == [1.0 + number for number in range(16)]
    assert weight.grad.item() == 34


@pytest.mark.parametrize("ahead", [1, 2, 8])
def test_losses_of_batches_that_were_taken_ahead_are_not_forgotten(ahead: int) -> None:
    batches = ahead if ahead <= 2 else ahead + 1
    loader = recorded(8 * batches, 4, SingleMethod("big_loss", 0.5))
    for _ in range(2):  # warnings are errors
        taken = deque[int]()
        for batch in loader:
            taken.append(len(ids(batch)))
            if len(taken) > ahead:
                loader.record(torch.ones(taken.popleft()))
        for rows in taken:
            loader.record(torch.ones(rows))
    assert (loader.waiting, loader.report().steps) == (0, 2 * batches)


def test_a_resumed_pass_that_recorded_nothing_more_is_told_so() -> None:
    loader, again = (recorded(48, 4, SingleMethod("big_loss", 0.5)) for _ in range(2))
    next(iter(loader))
    loader.record(torch.ones(4))
    again.load_state_dict(loader.state_dict())
    with pytest.warns(UserWarning, match="handed out 5 batches"):
        assert len(list(again)) == 5


def test_a_pass_that_is_left_is_over_and_what_was_not_trained_on_comes_again() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    peeked = ids(next(iter(loader)))
    first, numbers = iter(loader), []
    for _ in range(2):
        numbers += ids(next(first))
        loader.record(torch.ones(4))
    assert numbers[:4] == peeked
    assert len(loader) == 3
    seen = passes(loader, 1)
    assert len(seen[0]) == 3  # a new pass is a whole one, and the walk goes on where it was
    assert numbers + list(chain(*seen[0])) == list(range(20))
    assert loader.report().trained == 20
    with pytest.raises(AdaSelectionError, match="a newer pass over this loader has begun"):
        list(first)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_row_that_cannot_be_loaded_is_tried_again(workers: int, tmp_path: Any) -> None:
    class Flaky(Dataset[Any]):
        def __len__(self) -> int:
            return 24

        def __getitem__(self, index: int) -> Any:
            if index == 9 and not (tmp_path / "seen").exists():
                (tmp_path / "seen").touch()
                raise OSError("the disk is away")
            return torch.tensor([float(index)]), 0

    loader = RecordedLoader(DataLoader(Flaky(), batch_size=4, num_workers=workers), SingleMethod("big_loss", 0.5))
    seen: list[list[int]] = []
    for attempt in range(2):
        try:
            for batch in loader:
                seen.append(ids(batch))
                loader.record(torch.tensor([1.0 + number for number in seen[-1]]))
        except OSError:
            assert attempt == 0
            assert len(seen) == 2
    assert list(chain(*seen)) == list(range(20))
    assert loader.records.read(torch.arange(20), now=2).losses.tolist() == [1.0 + number for number in range(20)]


def test_a_few_losses_that_are_not_finite_are_left_out() -> None:
    def sick(number: int, step: int) -> float:
        return float("nan") if number in (3, 5) else 1.0 + number

    for chosen in (SingleMethod("early_stopping", 0.5), SingleMethod("big_loss", 0.5), AdaSelection(rate=0.5)):
        loader = recorded(24, 4, chosen)
        passes(loader, 4, sick)
        assert loader.records.unseen == 2
        assert loader.records.nonfinite >= 2
        found = loader.records.read(torch.tensor([3, 4]), now=4)
        assert found.losses[1] == 5
        assert all(bool(column.isfinite().all()) for column in found.columns.values())


def test_many_losses_that_are_not_finite_are_an_error_with_their_instances_and_training_can_go_on() -> None:
    loader = recorded(24, 4, SingleMethod("big_loss", 0.5))
    with pytest.raises(NonFiniteLossError, match=r"8 of the last 24 losses are NaN or infinite.*instances") as caught:
        passes(loader, 3, lambda number, step: float("inf") if number < 16 and number % 2 else 1.0 + number)
    assert caught.value.rows == (1, 3, 5, 7, 9, 11, 13, 15)
    seen = passes(loader, 3)
    assert [len(batches) for batches in seen] == [3, 3, 3]
    assert set(caught.value.rows) <= set(chain(*chain(*seen)))  # still without a record, so they come first


def test_methods_that_need_more_say_what() -> None:
    loader = recorded(24, 4, SingleMethod("katharopoulos_fleuret", 0.5))
    next(iter(loader))
    with pytest.raises(ArgumentError, match="outputs=model_outputs, targets=y"):
        loader.record(torch.ones(4))
    outputs, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    loader.record(torch.ones(4), outputs=outputs, targets=targets, features=torch.randn(4, 5))  # it still waits
    with pytest.raises(ArgumentError, match=r"needs the columns grad_norms.*RecordedLosses\(\.\.\., columns="):
        recorded(24, 4, SingleMethod("katharopoulos_fleuret"), records=RecordedLosses(24))
    with pytest.raises(ArgumentError, match=r"4 ids are unknown \(20, 21, 22, 23\)"):
        passes(recorded(24, 4, SingleMethod("big_loss"), records=RecordedLosses(ids=torch.arange(20))), 1)


def test_the_time_of_planning_is_charged_to_the_selection_once() -> None:
    loader = recorded(400, 4, SingleMethod("proportional", 0.3), shuffle=True)
    passes(loader, 6)
    report = loader.report()
    assert report.seconds["select"] > 0
    assert report.seconds["score"] == 0
    assert report.overhead == pytest.approx(
        report.seconds["select"] / (report.seconds["train"] + report.seconds["load"])
    )
    assert str(report).count("\n") >= 5
    assert report.as_dict()["units"] == 3 * report.trained


def test_workers_end_with_the_loader_that_is_left_in_the_middle() -> None:
    loader = recorded(400, 4, SingleMethod("uniform", 0.5), num_workers=2)
    gc.collect()
    gc.disable()  # nothing may hang on a cycle
    try:
        for batch in loader:
            loader.record(torch.ones(len(batch[0])))
            break
        workers = multiprocessing.active_children()
        assert len(workers) == 2
        del loader, batch
        for worker in workers:
            worker.join(3)
        assert not any(worker.is_alive() for worker in workers)
    finally:
        gc.enable()
