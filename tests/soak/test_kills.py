"""Trainings killed at random moments end bit-equal to those that nobody disturbed, and lose no record."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from adaselection import RecordedLosses
from soak.counts import count
from soak.states import differences
from soak.training import ROWS, SETTINGS, STEPS

SCRIPT = Path(__file__).with_name("training.py")
KILLS = count(10, 200)  # under each loader


def ran(folder: Path, loader: str) -> list[dict[str, Any]]:
    """Kill and resume; what became of every child process."""
    seed = random.SystemRandom().randrange(2**32)
    words = [sys.executable, str(SCRIPT), str(folder), loader, str(KILLS), str(seed)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def lines(path: Path) -> list[tuple[int, str]]:
    """Steps of a log, each with its digest of instances and loss; a line cut off by a kill is no line."""
    whole = [line.split() for line in path.read_text().splitlines(True) if line.endswith("\n")]
    return [(int(step), digest) for step, digest in whole]


@pytest.mark.parametrize("loader", SETTINGS)
def test_a_training_killed_at_random_moments_ends_as_if_nobody_had(
    loader: str, tmp_path: Path, record_property: Any
) -> None:
    children = ran(tmp_path, loader)
    killed = [child for child in children if child["code"] == -signal.SIGKILL and child["phase"] != "ended"]
    for child in children:
        output = (tmp_path / f"{child['setting']}-{child['run']}" / "output.txt").read_text()
        assert child["code"] in (0, -signal.SIGKILL), f"{child}\n{output}"
    assert len(killed) == KILLS
    ends = [child for child in children if child["code"] == 0 and child["run"] != "whole"]
    assert {child["setting"] for child in ends} == set(SETTINGS[loader])
    for child in ends:
        same(tmp_path / f"{child['setting']}-whole", tmp_path / f"{child['setting']}-{child['run']}")
    record_property("kills", len(killed))
    record_property("moments", json.dumps(Counter(child["phase"] for child in killed)))
    record_property("trainings", len(ends))


def same(whole: Path, resumed: Path) -> None:
    """The same end, and the same steps on the way there, those included that a kill undid."""
    one, two = (torch.load(folder / "end.pt", weights_only=True) for folder in (whole, resumed))
    assert len(one["seen"]) == STEPS
    assert differences(one, two) == [], resumed
    steps = dict(lines(whole / "log.txt"))
    assert list(steps) == list(range(1, STEPS + 1))
    assert [step for step, digest in lines(resumed / "log.txt") if steps[step] != digest] == [], resumed
    if "records" in one["loader"]:
        taken = sorted(number for rows in one["seen"] for number in rows)
        assert visits(two["loader"]) == torch.bincount(torch.tensor(taken), minlength=ROWS).tolist()


def visits(state: dict[str, Any]) -> list[int]:
    """How often each row was recorded, those included whose losses wait for the next window."""
    columns = {name: value.dtype for name, value in state["records"]["columns"].items() if name != "packed"}
    record = RecordedLosses(ROWS, columns=columns)
    record.load_state_dict(state["records"])
    known = record.read(torch.arange(ROWS), now=record.last_pass).visits
    assert known is not None
    return (known + torch.bincount(state["recorder"]["pending"]["numbers"], minlength=ROWS)).tolist()


def test_a_difference_would_be_found() -> None:
    one = {"a": [torch.tensor([1.0, float("nan")]), {"b": 2}], "seconds": 1}
    assert differences(one, {"a": [torch.tensor([1.0, float("nan")]), {"b": 2}], "seconds": 2}) == []
    for other in (torch.tensor([1.0, 2.0]), torch.tensor([1.0, float("nan")], dtype=torch.float64), 3):
        assert differences(one, {"a": [other, {"b": 2}], "seconds": 1}) == [".a[0]"]
    assert differences(one, {"a": [one["a"][0], {"c": 2}], "seconds": 1}) == [".a[1]"]
    assert differences(True, 1) == [""]
