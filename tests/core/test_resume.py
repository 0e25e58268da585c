"""A run that is killed after any batch and resumed sees the same rows, losses and weights, bit for bit."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from adaselection import AdaSelection, SelectiveLoader
from adaselection.errors import ReplayError
from core.parts import CE, Stateful, Trainer, data, net, stored

ROWS, SIZE, PASSES = 75, 16, 3
pytestmark = pytest.mark.filterwarnings("ignore:a batch of")
METHODS = ("uniform", "big_loss", "small_loss")
Make = Callable[[], Any]


def build(make: Make, options: dict[str, Any]) -> Trainer:
    """A training as a fresh process would build it."""
    torch.manual_seed(1)
    model = net()
    policy = AdaSelection(METHODS, options.get("rate", 0.3), seed=7)
    rest = {key: value for key, value in options.items() if key != "rate"}
    return Trainer(SelectiveLoader(make(), policy, model=model, loss_fn=CE, **rest), model)


def go_on(trainer: Trainer, first: int, kill: int | None = None) -> tuple[dict[str, Any], int] | None:
    """Train from this pass on; stop after ``kill`` batches in all, with a checkpoint and the pass."""
    for number in range(first, PASSES):
        if not trainer.loader._passes.place.active:  # as a user's loop: set_epoch when an epoch begins
            trainer.loader.set_epoch(number)
        for batch in trainer.loader:
            trainer.step(batch)
            if len(trainer.seen) == kill:
                return trainer.state(), number
    return None


def check(make: Make, options: dict[str, Any], kills: list[int] | None = None) -> list[int]:
    """Kill and resume after every batch (or those named); after which it was done, all of which were equal."""
    whole = build(make, options)
    go_on(whole, 0)
    weights, order = whole.loader.policy.weights, torch.get_rng_state()
    assert len({tuple(rows) for rows, _ in whole.seen}) > 1
    done = [kill for kill in kills or range(1, len(whole.seen) + 1) if kill <= len(whole.seen)]
    for kill in done:
        killed = build(make, options)
        saved = go_on(killed, 0, kill)
        assert saved is not None
        state, number = saved
        resumed = build(make, options)
        resumed.load(stored(state))
        go_on(resumed, number)
        assert killed.seen + resumed.seen == whole.seen, f"killed after batch {kill}"
        assert resumed.loader.policy.weights == weights
        assert torch.equal(torch.get_rng_state(), order)
        report, full = resumed.loader.report(), whole.loader.report()
        assert (report.loaded, report.scored, report.steps) == (full.loaded, full.scored, full.steps)
    return done


def shuffled(workers: int = 0) -> Any:
    return DataLoader(data(ROWS), batch_size=SIZE, shuffle=True, num_workers=workers)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"surplus": "carry"},
    {"surplus": "flush"},
    {"surplus": "carry", "window": 2},
    {"surplus": "flush", "window": 2, "warmup": 1},  # a window fills two batches
    {"surplus": "flush", "batch_size": 4},  # most windows fill one, the rest wait
    {"surplus": "drop", "batch_size": 6, "warmup": 2},
    {"update": "every_batch"},
    {"rate": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_killed_after_every_batch(options: dict[str, Any]) -> None:
    assert len(check(shuffled, options)) >= 3


@pytest.mark.parametrize("options", [{"surplus": "carry"}, {"surplus": "flush", "batch_size": 4}], ids=str)
def test_killed_with_two_workers(options: dict[str, Any]) -> None:
    def workers() -> Any:
        return shuffled(workers=2)

    assert check(workers, options, [2, 4]) == [2, 4]


class Reversed(Sampler[int]):
    """A sampler of the user's own."""

    def __iter__(self) -> Iterator[int]:
        return reversed(range(ROWS))

    def __len__(self) -> int:
        return ROWS


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(11)


SAMPLERS: dict[str, Callable[[], dict[str, Any]]] = {
    "loader_generator": lambda: {"shuffle": True, "generator": seeded()},
    "replacement": lambda: {"sampler": RandomSampler(range(ROWS), replacement=True)},
    "own_generator": lambda: {"sampler": RandomSampler(range(ROWS), replacement=True, generator=seeded())},
    "more_than_all": lambda: {"sampler": RandomSampler(range(ROWS), num_samples=100, generator=seeded())},
    "distributed": lambda: {"sampler": DistributedSampler(range(ROWS), num_replicas=2, rank=1)},
    "weighted": lambda: {"sampler": WeightedRandomSampler(torch.rand(ROWS, generator=seeded()).tolist(), 60)},
    "subset": lambda: {"sampler": SubsetRandomSampler(range(5, 70))},
    "sequential": dict,
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("options", [{"surplus": "carry"}, {"surplus": "flush", "batch_size": 2}], ids=str)
def test_samplers(name: str, options: dict[str, Any]) -> None:
    done = check(lambda: DataLoader(data(ROWS), batch_size=SIZE, **SAMPLERS[name]()), options, [1, 2, 3, 4])
    assert len(done) >= 2


def test_epochs_of_a_distributed_sampler_differ_and_are_restored() -> None:
    make = lambda: DataLoader(data(ROWS), batch_size=SIZE, **SAMPLERS["distributed"]())  # noqa: E731
    whole = build(make, {"surplus": "flush"})
    go_on(whole, 0)
    per_pass = len(whole.seen) // PASSES
    assert whole.seen[0][0] != whole.seen[per_pass][0]
    assert len(check(make, {"surplus": "flush"})) == len(whole.seen)


def test_a_sampler_of_your_own_is_named() -> None:
    def make() -> Any:
        return DataLoader(data(ROWS), batch_size=SIZE, sampler=Reversed())

    with pytest.warns(UserWarning, match="Reversed from torch's random state"):
        assert check(make, {}, [1]) == [1]


def test_a_batch_sampler_and_no_automatic_batches() -> None:
    rows = data(ROWS)
    batches = BatchSampler(RandomSampler(range(ROWS)), 10, drop_last=False)
    assert check(lambda: DataLoader(rows, batch_sampler=batches), {"surplus": "carry"}, [1, 3]) == [1, 3]
    whole = BatchSampler(RandomSampler(range(ROWS)), 10, drop_last=True)  # the data set takes lists of rows
    assert check(lambda: DataLoader(rows, sampler=whole, batch_size=None), {"surplus": "carry"}, [1, 3]) == [1, 3]


def test_lists_of_batches() -> None:
    batches = list(DataLoader(data(ROWS), batch_size=SIZE))
    assert len(check(lambda: batches, {"surplus": "carry"})) >= 3
    assert check(lambda: batches, {"surplus": "flush", "batch_size": 2}, [1, 2, 6]) == [1, 2, 6]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_loaders_that_keep_their_own_place(options: dict[str, Any]) -> None:
    batches = list(DataLoader(data(ROWS), batch_size=SIZE))
    assert len(check(lambda: Stateful(batches), options, [1, 2, 3, 5, 6, 8])) >= 3


class Noisy(Dataset[Any]):
    """Rows with noise from the global generator."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: int) -> Any:
        x, y = data(ROWS)[index]
        return x + torch.rand(1) / 2, y


def test_noise_from_the_global_generator_goes_on_too() -> None:
    options = {"surplus": "flush", "batch_size": 2, "rate": 0.5}
    assert check(lambda: DataLoader(Noisy(), batch_size=SIZE, shuffle=True), options, [1, 2, 4]) == [1, 2, 4]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(data(ROWS))


@pytest.mark.parametrize("options", [{"surplus": "carry"}, {"surplus": "flush", "batch_size": 2}], ids=str)
def test_streams_are_read_again_and_named(options: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=r"throws away \d batches of DataLoader.*StatefulDataLoader"):
        done = check(lambda: DataLoader(Stream(), batch_size=SIZE), options, [1, 2, 5])
    assert len(done) >= 2


def test_loaders_out_of_order_are_refused_and_the_state_waits() -> None:
    def make() -> Any:
        return DataLoader(data(ROWS), batch_size=SIZE, num_workers=1, in_order=False)

    killed = build(make, {"rate": 0.5})
    saved = go_on(killed, 0, 1)
    assert saved is not None
    resumed = build(make, {"rate": 0.5})
    resumed.load(saved[0])
    for _ in range(2):  # asked again, it does not start from the beginning instead
        with pytest.raises(ReplayError, match="in_order=True"):
            next(iter(resumed.loader))


def test_between_passes_and_at_the_end_of_one() -> None:
    whole = build(shuffled, {"surplus": "carry"})
    go_on(whole, 0)
    killed = build(shuffled, {"surplus": "carry"}).run(1)
    state = killed.state()
    resumed = build(shuffled, {"surplus": "carry"})
    resumed.load(stored(state))
    go_on(resumed, 1)
    assert killed.seen + resumed.seen == whole.seen
    last = build(shuffled, {})
    saved = go_on(last, 0, len(last.loader))
    assert saved is not None
    resumed = build(shuffled, {})
    resumed.load(saved[0])
    assert len(resumed.loader) == len(last.loader)  # of the pass that is not over
    assert list(resumed.loader) == []
    assert len(list(resumed.loader)) == len(last.loader)
