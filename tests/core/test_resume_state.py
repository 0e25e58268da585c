"""What a loader's state holds, which states it refuses, and a run that is really killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from adaselection import AdaSelection, SelectiveLoader, SingleMethod
from adaselection.errors import BatchStructureError, StateError
from core.parts import CE, Stateful, data, net, selective

ROOT = Path(__file__).resolve().parents[2]


def running(policy: Any = None, **options: Any) -> SelectiveLoader:
    """A loader in the middle of its first pass, with rows that wait."""
    loader = selective(75, 16, policy or AdaSelection(rate=0.6), **({"surplus": "carry"} | options))
    next(iter(loader))
    return loader


def flat(value: Any) -> Any:
    """A state as plain values; seconds left out."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: flat(part) for key, part in value.items() if key != "seconds"}
    return [flat(part) for part in value] if isinstance(value, list) else value


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or type(value) in (torch.Tensor, int, float, str, bool)


def test_a_state_holds_plain_values_of_its_own() -> None:
    loader = running()
    state = loader.state_dict()
    assert plain(state)
    assert len(state["waiting"]["parts"]) == 2
    before = flat(state)
    for _ in loader:
        pass
    assert flat(state) == before


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: running(AdaSelection(rate=0.5)), "rate=0.5"),
        (lambda: running(AdaSelection(("uniform", "big_loss"), 0.6)), "methods="),
        (lambda: running(SingleMethod("uniform", 0.6)), "policy='SingleMethod'"),
        (lambda: running(surplus="flush"), "'surplus': 'flush'"),
        (lambda: running(window=2), "'window': 2"),
        (lambda: running(warmup=1), "'warmup': 1"),
        (lambda: running(update="every_batch"), "'update': 'every_batch'"),
        (lambda: running(batch_size=8), "'batch_size': 8"),
        (lambda: selective(75, 8, AdaSelection(rate=0.6), surplus="carry", batch_size=16), "'incoming_batches': 10"),
        (lambda: selective(74, 16, AdaSelection(rate=0.6), surplus="carry"), "'incoming_rows': 74"),
        (
            lambda: SelectiveLoader(
                Stateful(list(DataLoader(data(75), batch_size=16))),
                AdaSelection(rate=0.6),
                model=net(),
                loss_fn=CE,
                surplus="carry",
                batch_size=16,
                incoming_sizes=[16, 16, 16, 16, 11],
            ),
            "'stateful': True",
        ),
    ],
)
def test_states_of_another_set_up_are_refused_and_change_nothing(other: Any, words: str) -> None:
    loader, state = running(), other().state_dict()
    before = flat(loader.state_dict())
    with pytest.raises(StateError, match=words):
        loader.load_state_dict(state)
    assert flat(loader.state_dict()) == before
    rest = [batch[1].tolist() for batch in loader]  # the loader still works
    assert len(rest) > 0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("damage", ["version", "place", "position", "parts", "counts", "weights"])
def test_damaged_states_are_refused_and_change_nothing(damage: str) -> None:
    loader, state = running(), running(AdaSelection(rate=0.6, seed=4)).state_dict()
    if damage == "version":
        state["version"] = 0
    elif damage == "place":
        del state["place"]
    elif damage == "position":
        del state["place"]["position"]
    elif damage == "parts":
        del state["waiting"]["parts"]
    elif damage == "counts":
        state["meter"] = []
    else:
        del state["policy"]["log_weights"]
    before = flat(loader.state_dict())
    with pytest.raises(StateError):
        loader.load_state_dict(state)
    assert flat(loader.state_dict()) == before


def test_waiting_rows_that_do_not_fit_the_next_batch() -> None:
    state = running().state_dict()
    batches = [(*batch, batch[1]) for batch in DataLoader(data(75), batch_size=16)]
    loader = SelectiveLoader(
        batches, AdaSelection(rate=0.6), model=net(), score=lambda m, b: CE(m(b[0]), b[1]), surplus="carry"
    )
    loader.load_state_dict(state)
    with pytest.raises(BatchStructureError, match="with 3 parts cannot take 2 saved"):
        list(loader)


@pytest.mark.parametrize("names", [tuple, list])
def test_waiting_strings_come_back_as_they_were(names: Any) -> None:
    batches = [(torch.full((4, 4), i), names(f"{i:g}{row}" for row in "abcd")) for i in (0.0, 1.0, 2.0, 3.0)]

    def make() -> SelectiveLoader:
        rule = ("first", lambda signals: -torch.arange(len(signals.losses), dtype=torch.float64))
        return SelectiveLoader(
            batches,
            SingleMethod(rule, 0.75),
            model=torch.nn.Linear(4, 1),
            score=lambda m, b: b[0][:, 0],
            surplus="flush",
        )

    whole = [batch[1] for batch in make()]
    assert whole == [
        names(part) for part in (["0a", "0b", "0c", "1a"], ["1b", "1c", "2a", "2b"], ["2c", "3a", "3b", "3c"])
    ]
    first = make()
    got = [next(iter(first))[1]]
    second = make()
    second.load_state_dict(first.state_dict())
    got += [batch[1] for batch in second]
    assert got == whole
    assert all(type(part) is names for part in got)


SCRIPT = """
import json, os, sys, torch
from pathlib import Path
from core.parts import CE, Trainer, net, selective

folder = Path(sys.argv[1])
torch.manual_seed(2)
model = net()
trainer = Trainer(selective(400, 16, model=model, shuffle=True, surplus="carry"), model)
passes = 0
if (folder / "state.pt").exists():
    state = torch.load(folder / "state.pt", weights_only=True)
    trainer.load(state)
    passes = state["passes"]
for number in range(passes, 3):
    for batch in trainer.loader:
        trainer.step(batch)
        torch.save(trainer.state() | {"passes": number, "seen": len(trainer.seen)}, folder / "new.pt")
        os.replace(folder / "new.pt", folder / "state.pt")  # what comes after this is lost by a kill
        print(json.dumps(trainer.seen[-1]), flush=True)
        sys.stdin.readline()
print(json.dumps(["weights", trainer.loader.policy.weights]), flush=True)
"""


def start(folder: Path, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, env=environment)


def lines(process: subprocess.Popen[str]) -> list[Any]:
    """What a process says until it ends; a line cut off by a kill is no line."""
    return [json.loads(line) for line in process.communicate(timeout=60)[0].splitlines(True) if line.endswith("\n")]


def test_a_process_killed_at_any_moment_goes_on(tmp_path: Path) -> None:
    whole, process = start(tmp_path / "whole"), start(tmp_path / "parts", subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    moment = random.Random(os.urandom(8))
    got: list[Any] = []
    for _ in range(moment.randrange(1, 15)):
        got.append(json.loads(process.stdout.readline()))
        process.stdin.write("\n")
        process.stdin.flush()
    time.sleep(moment.uniform(0, 0.03))  # somewhere in the next batch: loading, scoring, training, saving
    process.send_signal(signal.SIGKILL)
    got += lines(process)
    assert process.returncode == -signal.SIGKILL
    expected = lines(whole)
    assert len(expected) > 20
    saved = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["seen"]
    assert saved - len(got) in (0, 1)  # the last checkpoint may have lost its line
    if saved > len(got):
        del expected[saved - 1]
    assert got + lines(start(tmp_path / "parts")) == expected
