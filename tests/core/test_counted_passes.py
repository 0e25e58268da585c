"""Loops that count batches, as frameworks do: they never ask for the one after the last, and resume between passes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DistributedSampler

from adaselection import AdaSelection, RecordedLoader
from core.parts import CE, Trainer, data, ids, net, selective, stored
from core.recorded_parts import recorded

OPTIONS: list[dict[str, Any]] = [
    {},
    {"surplus": "carry", "batch_size": 9},
    {"surplus": "flush", "batch_size": 9},
    {"surplus": "carry", "window": 3},
    {"update": "every_batch"},
]
pytestmark = pytest.mark.filterwarnings("ignore:a batch of")


def build(options: dict[str, Any]) -> Trainer:
    """A training as a fresh process would build it."""
    torch.manual_seed(1)
    model = net()
    return Trainer(selective(75, 16, AdaSelection(rate=0.4, seed=2), model=model, shuffle=True, **options), model)


def counted(trainer: Trainer, passes: int) -> Trainer:
    """Take as many batches as `len` says, and no more; what it gives for each pass must be right."""
    for _ in range(passes):
        iter(trainer.loader)  # as Lightning does, to see that it can be iterated
        batches = iter(trainer.loader)
        for _ in range(len(trainer.loader)):
            trainer.step(next(batches))
    return trainer


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_batches_are_those_of_a_loop_that_asks_to_the_end(options: dict[str, Any]) -> None:
    to_the_end, by_count = build(options).run(4), counted(build(options), 4)
    assert by_count.seen == to_the_end.seen
    next(iter(by_count.loader))  # ends the last pass
    assert by_count.loader.policy.weights != build(options).loader.policy.weights


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cut", [0, 1])
def test_a_state_between_passes_and_the_next_begins_anew(options: dict[str, Any], cut: int) -> None:
    def first(trainer: Trainer) -> Trainer:
        counted(trainer, 1)
        batches = iter(trainer.loader)
        for _ in range(len(trainer.loader) - cut):
            trainer.step(next(batches))
        return trainer

    whole = first(build(options))
    state, done = stored(whole.state()), len(whole.seen)
    counted(whole, 2)
    resumed = build(options)
    batches = iter(resumed.loader)  # made before the state is loaded, and not begun
    resumed.load(state)
    resumed.loader.end_pass()
    torch.set_rng_state(state["rng"])
    for _ in range(len(whole.seen[done:]) // 2):
        resumed.step(next(batches))
    counted(resumed, 1)
    assert resumed.seen == whole.seen[done:]


def test_an_iterator_that_has_not_begun_goes_on_from_a_state_loaded_since() -> None:
    whole = build({}).run(1)
    killed = build({})
    batches: Iterator[Any] = iter(killed.loader)
    killed.step(next(batches))
    state = stored(killed.state())
    resumed = build({})
    batches = iter(resumed.loader)
    resumed.load(state)
    for batch in batches:
        resumed.step(batch)
    assert killed.seen + resumed.seen == whole.seen


def steps(loader: RecordedLoader, batches: Iterator[Any], count: int | None = None) -> list[list[int]]:
    """Instances of the batches, with losses that differ."""
    seen = []
    for batch in itertools.islice(batches, count):
        loader.record(1.0 + batch[0][:, 0] % 7)
        seen.append(ids(batch))
    return seen


def test_recorded_passes_that_are_counted_left_and_resumed() -> None:
    def make() -> RecordedLoader:
        policy = AdaSelection(methods=("big_loss", "uniform"), rate=0.4, seed=2)
        return recorded(80, 8, policy, shuffle=True, generator=torch.Generator().manual_seed(3))

    whole, one = make(), make()
    order = [steps(whole, iter(whole)) for _ in range(8)]
    assert [steps(one, iter(one), len(one)) for _ in range(8)] == order
    assert len({tuple(map(tuple, rows)) for rows in order}) == 8
    for left in (0, 1):  # a whole pass, and one that is left before its last batch
        one = make()
        [steps(one, iter(one)) for _ in range(5)]
        steps(one, iter(one), len(one) - left)
        state, expected = stored(one.state_dict()), steps(one, iter(one))
        resumed = make()
        batches = iter(resumed)
        resumed.load_state_dict(state)
        resumed.end_pass()
        assert steps(resumed, batches) == expected


def test_nothing_is_drawn_before_the_first_batch_is_asked_for() -> None:
    for loader in (selective(40, 8, shuffle=True), recorded(40, 8, shuffle=True)):
        before = torch.get_rng_state()
        batches = iter(loader)
        assert torch.equal(torch.get_rng_state(), before)
        next(batches)
        assert not torch.equal(torch.get_rng_state(), before)


def test_the_sampler_inside_is_told_the_epoch() -> None:
    rows = data(80)
    sampler: DistributedSampler[Any] = DistributedSampler(rows, num_replicas=2, rank=0)
    loader = selective(80, 8, model=net(), loss_fn=CE, sampler=sampler)
    loader.sampler.set_epoch(3)
    assert loader.sampler is sampler
    assert sampler.epoch == 3
    assert not hasattr(RecordedLoader, "sampler")  # its walks are numbered apart from epochs
