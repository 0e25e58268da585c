"""A run with cheap scores that is killed and resumed goes on bit for bit."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from adaselection import AdaSelection, SelectiveLoader
from adaselection.cheap import CheapScores
from adaselection.errors import StateError
from adaselection.records import RecordedLosses
from core.parts import CE, Trainer, data, net, selective, stored
from core.test_resume_state import plain

KINDS: list[dict[str, Any]] = [
    {"reuse": 2, "ambiguous": 0.4, "measure_every": 2},
    {"reuse": 3, "measure_every": 0},
    {"autocast": torch.bfloat16, "measure_every": 3},
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"surplus": "carry", "window": 2},
    {"surplus": "flush", "batch_size": 4, "warmup": 1},
]


def trainer_of(kind: dict[str, Any], options: dict[str, Any], workers: int) -> Trainer:
    torch.manual_seed(1)
    model = net()
    inner = DataLoader(data(75), batch_size=16, shuffle=True, num_workers=workers)
    policy = AdaSelection(("uniform", "big_loss", "grad_norm"), 0.3, seed=7)
    trainer = Trainer(
        SelectiveLoader(inner, policy, model=model, loss_fn=CE, cheap=CheapScores(**kind), **options), model
    )
    step = trainer.step

    def observed(batch: Any) -> None:
        trainer.loader.observe(CE(model.eval()(batch[0]), batch[1]))
        model.train()
        step(batch)

    trainer.step = observed  # type: ignore[method-assign]
    return trainer


def run(trainer: Trainer, first: int, kill: int | None = None) -> tuple[dict[str, Any], int] | None:
    for number in range(first, 3):
        for batch in trainer.loader:
            trainer.step(batch)
            if len(trainer.seen) == kill:
                return trainer.state(), number
    return None


def facts(trainer: Trainer) -> Any:
    report = trainer.loader.report()
    return report.scored, report.loaded, report.score_correlation, report.window_correlation, report.weights


@pytest.mark.filterwarnings("ignore:a batch of", "ignore:the scores rank")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_killed_after_every_batch(kind: dict[str, Any], options: dict[str, Any]) -> None:
    assert check(kind, options, 0, [1, 5, 6, 11] if options.get("batch_size") else None) >= 3


@pytest.mark.filterwarnings("ignore:a batch of")
def test_killed_with_two_workers() -> None:
    assert check(KINDS[0], {"surplus": "carry"}, 2, [2, 3]) == 2


def check(kind: dict[str, Any], options: dict[str, Any], workers: int, kills: list[int] | None) -> int:
    """Kill and resume after every batch, or those named; how many were compared with the whole run."""
    whole = trainer_of(kind, options, workers)
    run(whole, 0)
    assert whole.loader.report().score_correlation is not None
    kills = kills or list(range(1, len(whole.seen) + 1))
    for kill in kills:
        killed = trainer_of(kind, options, workers)
        state, number = run(killed, 0, kill)  # type: ignore[misc]
        assert plain(state["loader"])
        resumed = trainer_of(kind, options, workers)
        resumed.load(stored(state))
        run(resumed, number)
        assert killed.seen + resumed.seen == whole.seen, f"killed after batch {kill}"
        assert facts(resumed) == facts(whole)
    return len(kills)


@pytest.mark.filterwarnings("ignore:a batch of")
def test_states_of_other_ways_are_refused_and_leave_all_as_it_was() -> None:
    def made(**options: Any) -> SelectiveLoader:
        loader = selective(75, 16, AdaSelection(rate=0.6), cheap=CheapScores(**options) if options else None)
        next(iter(loader))
        return loader

    own = made(reuse=2)
    for other in (made(), made(reuse=3), made(shrink=lambda batch: batch), made(reuse=2, ambiguous=0.5)):
        with pytest.raises(StateError, match="the loader state has settings="):
            own.load_state_dict(other.state_dict())
    small = made(reuse=2, store=RecordedLosses(slots=512))
    weights, before = own.policy.state_dict(), own.state_dict()
    for _ in own:
        pass
    later = own.policy.state_dict()
    with pytest.raises(StateError, match="record"):
        own.load_state_dict(small.state_dict())
    assert torch.equal(own.policy.state_dict()["log_weights"], later["log_weights"])
    own.load_state_dict(before)
    assert torch.equal(own.policy.state_dict()["log_weights"], weights["log_weights"])
