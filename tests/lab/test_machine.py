"""Whether a run had the machine to itself."""

import os
import subprocess
import sys
import time

import pytest
import torch

from adaselection.lab import machine
from adaselection.lab.machine import QUIET, Watch, environment

SPIN = "import time, sys\nprint('on', flush=True)\nend = time.time() + 60\nwhile time.time() < end: pass"


@pytest.fixture
def counters(monkeypatch):
    """Clocks set by hand: wall, the whole machine, this process."""
    now = {"wall": 100.0, "machine": 5000.0, "own": 40.0}
    monkeypatch.setattr(machine.time, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(machine, "_machine_seconds", lambda: now["machine"])
    monkeypatch.setattr(machine, "_own_seconds", lambda: now["own"])
    return now


def test_a_busy_process_beside_is_seen():
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as beside:
        assert beside.stdout.readline() == b"on\n"
        watch, started = Watch(), machine._machine_seconds()
        time.sleep(1.0)
        busy = watch.others_busy()
        beside.kill()
    assert started is not None
    assert busy > 0.3


def test_own_work_is_not_others_work(monkeypatch):
    """Measured against the machine of this process alone: what others do now is none of this test."""
    started = machine._own_seconds()
    monkeypatch.setattr(machine, "_machine_seconds", machine._own_seconds)
    watch, until = Watch(), time.perf_counter() + 0.3
    while time.perf_counter() < until:
        pass
    assert machine._own_seconds() - started > 0.02
    assert watch.others_busy() == pytest.approx(0.0, abs=1e-3)


def test_ended_children_are_own_work():
    before = machine._own_seconds()
    spin = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    assert machine._own_seconds() - before > 0.3


@pytest.mark.parametrize(
    ("wall", "whole", "own", "busy"), [(10, 15, 10, 0.5), (10, 10, 10, 0.0), (10, 9.9, 10, 0.0), (4, 8, 0, 2.0)]
)
def test_others_are_the_machine_less_oneself_over_the_wall_clock(counters, wall, whole, own, busy):
    watch = Watch()
    counters["wall"] += wall
    counters["machine"] += whole
    counters["own"] += own
    assert watch.others_busy() == pytest.approx(busy)


def test_a_system_that_does_not_tell_gives_none(counters, monkeypatch):
    assert Watch().others_busy() is None  # no time has passed
    monkeypatch.setattr(machine, "_machine_seconds", lambda: None)
    watch = Watch()
    counters["wall"] += 1
    assert watch.others_busy() is None


@pytest.mark.parametrize(
    ("busy", "alone", "exclusive"),
    [
        (0.0, True, True),
        (QUIET - 0.001, True, True),
        (QUIET, True, False),
        (3.0, True, False),
        (0.0, False, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_seconds_count_where_nobody_else_was_busy(busy, alone, exclusive):
    found = environment(busy, alone=alone)
    assert found.exclusive is exclusive
    assert found.others_busy == (None if busy is None else round(busy, 3))


def test_the_machine_is_described():
    found = environment(None, alone=True)
    assert found.python == sys.version.split()[0]
    assert found.torch == torch.__version__
    assert (found.cores, found.threads) == (os.cpu_count(), torch.get_num_threads())
    assert found.cpu
    assert found.platform == f"{os.uname().sysname} {os.uname().machine}"


def test_a_repeatable_run_has_its_own_random_numbers_and_leaves_every_setting_as_it_was(monkeypatch) -> None:
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    before = torch.get_rng_state()
    drawn = []

    def fail() -> None:
        with machine.repeatable(torch.device("cpu"), 3):
            assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
            drawn.append(torch.rand(5))
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            fail()
    assert torch.equal(*drawn)
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)
    assert torch.equal(torch.get_rng_state(), before)
