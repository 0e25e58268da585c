"""Real processes on one folder: killed at any moment, and side by side."""

import subprocess
import sys
from pathlib import Path

import pytest

from adaselection.lab.cli import main
from adaselection.lab.paper import plan
from adaselection.lab.store import RecordStore
from lab import paper_grid
from lab.smoke import SHORT, SOURCE, compare
from soak.counts import count

WORDS = ["--seeds", "5", "--arms", "full,uniform_budget,adaselection,big_loss"]
RUNS = 20
COMPARE = ["compare", "digits", *SHORT, *WORDS]
PAPER = ["paper", *paper_grid.WORDS]
KILLS = count(3, 20)  # of the paper's grid

# One clean process that imports everything once and forks a child for each command, so that kills cost little.
FORKS = """
import os, random, signal, sys, time
from pathlib import Path
from adaselection.lab.cli import main
from lab.paper_grid import use_tiny
import adaselection.lab.grid, adaselection.lab.live, adaselection.lab.tables, scipy.stats, sklearn.datasets

def start(out, log, words):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY), 1)
        if words[0] == "paper":
            use_tiny()
        os._exit(main([*words, "--out", str(out)]))
    return child

def code(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

KILL = """
out, kills, words = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
draw = random.Random(0)
for kill in range(kills):
    before = len(list(out.glob("digits/*.json")))
    child = start(out, f"{out}.{kill}.log", words)
    until = time.monotonic() + 60
    while len(list(out.glob("digits/*.json"))) <= before and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    ended = code(child)  # first: until then it may still write
    print(before, len(list(out.glob("digits/*.json"))), ended, flush=True)  # or the next child prints it too
print(code(start(out, f"{out}.last.log", words)))
"""

SHARE = """
out, words = Path(sys.argv[1]), sys.argv[2:]
children = [start(out, f"{out}.{place}.log", words) for place in range(2)]
print(*map(code, children))
"""


PATHS = [str(SOURCE), str(Path(__file__).resolve().parents[1])]


def python(code, *words):
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {PATHS!r}\n{FORKS}{code}", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a grid gives that nobody kills."""
    out = tmp_path_factory.mktemp("undisturbed")
    assert compare(out, *WORDS) == 0
    return repeatable(out)


def repeatable(out):
    records, damages = RecordStore(out, writable=False).read_all()
    assert damages == []
    return {record.run_id: record.repeatable() for record in records}


def test_a_grid_that_is_killed_again_and_again_ends_as_if_nobody_had(tmp_path, undisturbed):
    out = tmp_path / "killed"
    *kills, last = python(KILL, out, 4, *COMPARE)
    assert last == "0"
    counts = [tuple(map(int, line.split())) for line in kills]
    assert all(code == -9 for *_, code in counts)
    assert all(before < after < RUNS for before, after, _ in counts)
    assert [before for before, *_ in counts] == [0, *(after for _, after, _ in counts[:-1])]
    assert len(undisturbed) == RUNS
    assert repeatable(out) == undisturbed
    log = (tmp_path / "killed.last.log").read_text()
    assert log.count("(had its record)") == counts[-1][1]


def test_the_papers_grid_that_is_killed_ends_as_if_nobody_had(tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(plan, "TASKS", {"bike": paper_grid.TINY})
    assert main([*PAPER, "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "killed"
    *kills, last = python(KILL, out, KILLS, *PAPER)
    assert last == "0"
    counts = [tuple(map(int, line.split())) for line in kills]
    assert len(counts) == KILLS
    record_property("kills", len(counts))
    assert all(code == -9 and before < after for before, after, code in counts)
    assert repeatable(out) == repeatable(tmp_path / "whole")
    assert len(repeatable(out)) == 2 * paper_grid.RUNS
    said = (tmp_path / "killed.last.log").read_text().splitlines()[0]
    assert said.startswith(f"{2 * paper_grid.RUNS} runs, {counts[-1][1]} of them have their record.")


def test_processes_that_share_a_folder_neither_repeat_nor_lose_a_run(tmp_path, undisturbed):
    out = tmp_path / "shared"
    assert python(SHARE, out, *COMPARE) == ["0 0"]
    assert repeatable(out) == undisturbed
    logs = [(tmp_path / f"shared.{place}.log").read_text() for place in range(2)]
    tables = [log.partition("digits (smoke preset)")[2] for log in logs]
    assert tables[0].strip()
    assert tables == [tables[0]] * 2
    lines = [line for log in logs for line in log.splitlines() if line.startswith("digits/smoke ")]
    assert len(lines) == 2 * RUNS
    assert sum("(had its record)" not in line for line in lines) == RUNS
