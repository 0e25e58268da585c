"""A recorded run that is killed after any batch goes on bit for bit; a state that does not fit changes nothing."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, RandomSampler, WeightedRandomSampler

from adaselection import AdaSelection, Policy, RecordedLoader, SingleMethod
from adaselection.errors import AdaSelectionError, CopyError, StateError
from core.parts import data, ids, stored
from core.recorded_parts import RecordedTrainer, passes, recorded

ROWS, STEPS = 42, 28
Make = Callable[[], RecordedLoader]


POLICIES: dict[str, Callable[[], Policy]] = {
    "proportional": lambda: SingleMethod("proportional", 0.5, seed=3),
    "mixture": lambda: AdaSelection(("big_loss", "proportional", "uniform"), 0.5, weight_exponent=0.5, seed=3),
    "default": lambda: AdaSelection(rate=0.5, seed=3),
    "paper": lambda: AdaSelection(("big_loss", "uniform"), 0.5, replicate="paper", seed=3),
    "early_stopping": lambda: SingleMethod("early_stopping", 0.5, seed=3),
    "infobatch": lambda: SingleMethod("infobatch", 0.5, seed=3),
    "all": lambda: AdaSelection(rate=1),
}


def maker(policy: str, workers: int = 0, options: dict[str, Any] | None = None, **more: Any) -> Make:
    def make() -> RecordedLoader:
        inner = {"shuffle": True} if options is None else options
        given = {key: value() if callable(value) else value for key, value in inner.items()}
        sizes = {} if "batch_sampler" in given else {"batch_size": 4}
        loader = DataLoader(data(ROWS), num_workers=workers, **sizes, **given)
        return RecordedLoader(loader, POLICIES[policy](), **more)

    return make


def check(make: Make, kills: list[int] | None = None) -> list[int]:
    """Kill and resume after every batch, or those named; all that follows is the same. Gives where it was killed."""

    def begun() -> RecordedTrainer:
        torch.manual_seed(4)
        return RecordedTrainer(make())

    whole = begun().run(STEPS)
    final, order = whole.loader.state_dict(), torch.get_rng_state()
    assert len({tuple(rows) for rows, _ in whole.seen}) > 9
    compared = []
    for kill in kills or range(1, STEPS):
        killed = begun().run(kill)
        state = stored(killed.state())
        torch.manual_seed(99)  # another process
        resumed = RecordedTrainer(make(), seed=98)
        resumed.load(state)
        resumed.run(STEPS - kill)
        assert killed.seen + resumed.seen == whole.seen, f"killed after batch {kill}"
        assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))
        assert torch.equal(torch.get_rng_state(), order)
        same(resumed.loader.state_dict(), final)
        compared.append(kill)
    return compared


def same(one: Any, two: Any, path: str = "") -> None:
    """Equal states, but for seconds."""
    if path.endswith(".seconds"):
        return
    if isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            same(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), path
    elif isinstance(one, list):
        assert len(one) == len(two), path
        for place, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{path}[{place}]")
    else:
        assert one == two, path


@pytest.mark.parametrize("policy", POLICIES)
def test_killed_after_every_batch(policy: str) -> None:
    assert check(maker(policy)) == list(range(1, STEPS))


@pytest.mark.parametrize("policy", ["proportional", "mixture", "infobatch", "all"])
def test_killed_with_two_workers(policy: str) -> None:
    kills = [3, 9, 10, 11, 12, 16, 17, 21, 27]
    assert check(maker(policy, 2), kills) == kills


def test_killed_with_workers_that_persist() -> None:
    kills = [4, 11, 15, 16]
    assert check(maker("proportional", 2, {"shuffle": True, "persistent_workers": True}), kills) == kills


def test_killed_with_small_windows_and_at_the_end() -> None:
    assert check(maker("proportional", window=16)) == list(range(1, STEPS))
    kills = [5, 10, 11, 12, 15, 16, 20, 21]
    assert check(maker("mixture", 2, window=16), kills) == kills
    kills = [18, 19, 20, 21, 25, 26, 27]
    assert check(maker("proportional", passes=8, anneal=0.4), kills) == kills


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(11)


SAMPLERS: dict[str, dict[str, Any]] = {
    "loader_generator": {"shuffle": True, "generator": seeded},
    "replacement": {"sampler": lambda: RandomSampler(range(ROWS), replacement=True)},
    "own_generator": {"sampler": lambda: RandomSampler(range(ROWS), replacement=True, generator=seeded())},
    "distributed": {"sampler": lambda: DistributedSampler(range(ROWS), num_replicas=2, rank=1)},
    "weighted": {"sampler": lambda: WeightedRandomSampler(torch.rand(ROWS, generator=seeded()).tolist(), 40)},
    "batches": {"batch_sampler": lambda: BatchSampler(RandomSampler(range(ROWS)), 4, drop_last=True)},
    "sequential": {},
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name: str) -> None:
    kills = [1, 5, 6, 10, 11, 12, 16, 20, 27]
    assert check(maker("proportional", options=SAMPLERS[name]), kills) == kills


def test_asking_for_a_state_changes_nothing() -> None:
    runs = []
    for ask in (True, False):
        torch.manual_seed(4)
        trainer = RecordedTrainer(maker("early_stopping", options=SAMPLERS["replacement"])())
        for done in trainer.steps():
            if ask:
                trainer.loader.state_dict()
                trainer.loader.report()
            if done >= STEPS:
                break
        runs.append((trainer.seen, trainer.loader.state_dict()))
    assert runs[0][0] == runs[1][0]
    same(runs[0][1], runs[1][1])


@pytest.mark.parametrize("policy", ["proportional", "infobatch"])
def test_between_passes_and_at_the_end_of_one(policy: str) -> None:
    torch.manual_seed(4)
    one, two = maker(policy, options={})(), maker(policy, options={})()
    before = passes(one, 3)
    two.load_state_dict(stored(one.state_dict()))
    assert len(two) == len(one)
    assert passes(two, 3) == passes(one, 3)
    assert before
    at_end = maker(policy, options={})()
    for batch in at_end:  # left before the loop asks for more
        at_end.record(torch.ones(len(batch[0])))
        state = at_end.state_dict()
    two.load_state_dict(state)
    assert len(two) == state["length"]  # of the pass that is not over
    assert list(two) == []
    assert passes(two, 1) == passes(at_end, 1)


def test_what_was_handed_out_and_not_recorded_is_in_the_state() -> None:
    loader, other = (recorded(40, 4, SingleMethod("big_loss", 0.5)) for _ in range(2))
    batches = iter(loader)
    for number in range(3):  # a wrapper that looks one batch ahead
        ahead = ids(next(batches))
        if number < 2:
            loader.record(torch.ones(4))
    other.load_state_dict(stored(loader.state_dict()))
    assert other.report().trained == 8
    again = passes(other, 1)[0]
    assert again[0] == ahead
    assert len(again) == 3


def test_a_state_may_be_loaded_in_the_middle_of_a_pass() -> None:
    loader = recorded(40, 4, SingleMethod("proportional", 0.5), shuffle=True, num_workers=2)
    passes(loader, 2)
    state = stored(loader.state_dict())
    first = passes(loader, 3)
    running = iter(loader)
    next(running)
    loader.load_state_dict(state)
    assert passes(loader, 3) != first  # the sampler draws from the global generator, which moved on
    torch.manual_seed(1)
    loader = recorded(40, 4, SingleMethod("proportional", 0.5), shuffle=True, generator=seeded())
    passes(loader, 3)
    state = stored(loader.state_dict())
    first = passes(loader, 3)
    running = iter(loader)
    next(running)
    loader.load_state_dict(state)
    assert passes(loader, 3) == first


def spoilt(state: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one entry changed, or taken out."""
    other = copy.deepcopy(state)
    *parents, last = path.split(".")
    inner = other
    for name in parents:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return other


SPOILT: list[tuple[str, Any, str]] = [
    ("version", 99, "version=99"),
    ("settings", {"rows": 3}, "rows"),
    ("given", "many", "damaged"),
    ("given", -1, "damaged"),
    ("given", 10**9, "damaged"),
    ("length", -1, "damaged"),
    ("recorder.now", -1, "damaged"),
    ("walks", None, "lacks walks"),
    ("walks.version", 99, "version=99"),
    ("walks.sizes", [1], "the walks is damaged"),
    ("walks.start", {"rng": 3}, "walk state is damaged"),
    ("walks.taken", "x", "walk state is damaged"),
    ("records.momentum", 0.25, "momentum=0.25"),
    ("records.columns", {}, "column"),
    ("policy.rate", 0.25, "rate=0.25"),
    ("policy.earned", {"visits": 1}, "evidence state lacks"),
    ("policy.generator", None, "lacks generator"),
    ("chooser.left", 3, "damaged"),
    ("chooser.tally", {}, r"chooser state lacks tally\.windows"),
    ("recorder.pending.numbers", 3, "recorder state is damaged"),
    ("recorder.pending.runs", [[0, 99]], "recorder state is damaged"),
    ("recorder.pending.runs", [3], "recorder state is damaged"),
    ("recorder.pending.columns", {"grad_norms": torch.ones(3)}, "recorder state is damaged"),
    ("recorder.meter", {}, "meter state lacks"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), SPOILT, ids=[f"{path}-{i}" for i, (path, *_) in enumerate(SPOILT)]
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_state_that_does_not_fit_changes_nothing(path: str, value: Any, message: str, workers: int) -> None:
    def begun() -> tuple[RecordedLoader, Any]:
        torch.manual_seed(2)
        loader = maker("default", workers, SAMPLERS["loader_generator"])()
        passes(loader, 3)
        running = iter(loader)
        for batch in running:
            loader.record(torch.tensor([1.0 + number for number in ids(batch)]))
            return loader, running
        raise AssertionError

    def rest(loader: RecordedLoader, running: Any) -> list[list[int]]:
        seen = []
        for batch in running:
            seen.append(ids(batch))
            loader.record(torch.tensor([1.0 + number for number in ids(batch)]))
        return seen + passes(loader, 2)

    (loader, running), (untouched, other) = begun(), begun()
    donor = maker("default", 0, SAMPLERS["loader_generator"])()
    passes(donor, 7)
    before = loader.state_dict()
    with pytest.raises(StateError, match=message):
        loader.load_state_dict(spoilt(donor.state_dict(), path, value))
    same(loader.state_dict(), before)
    assert rest(loader, running) == rest(untouched, other)


def test_a_state_of_another_set_up_is_refused() -> None:
    state = recorded(40, 4).state_dict()
    for other in (
        recorded(44, 4),
        recorded(40, 5),
        recorded(40, 4, longest_unseen=99),
        recorded(40, 4, window=16),
        recorded(40, 4, passes=3, anneal=0.5),
        recorded(40, 4, AdaSelection(rate=0.4)),
        recorded(40, 4, SingleMethod("uniform")),
    ):
        with pytest.raises(StateError):
            other.load_state_dict(state)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_state_of_a_shuffled_run_does_not_fit_one_in_order(shuffled: bool) -> None:
    state = recorded(40, 4, shuffle=shuffled).state_dict()
    recorded(40, 4, shuffle=shuffled).load_state_dict(state)
    with pytest.raises(StateError, match=r"'order': '(of the data set|shuffled, or of a sampler)'.*'order': '(of|sh)"):
        recorded(40, 4, shuffle=not shuffled).load_state_dict(state)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(StateError, match="must be a dict"):
        recorded(40, 4).load_state_dict(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("taken", [0, 3])
@pytest.mark.parametrize("of", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_is_refused_and_the_fix_that_is_named_works(of: Callable[[Any], Any], taken: int) -> None:
    make = maker("default")
    loader = make()
    batches = iter(loader)
    for _ in range(taken):
        next(batches)
        loader.record(torch.ones(4))
    with pytest.raises(
        CopyError, match=r"cannot be copied .*other\.load_state_dict\(loader\.state_dict\(\)\)"
    ) as error:
        of(loader)
    assert isinstance(error.value, AdaSelectionError)
    assert isinstance(error.value, TypeError)
    other = make()
    other.load_state_dict(copy.deepcopy(loader.state_dict()))
    same(other.state_dict(), loader.state_dict())
    assert other.position == taken
