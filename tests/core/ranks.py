"""Processes that train together, which the tests of several processes share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def assert_no_gloo(seconds: float = 2.0) -> None:
    """Refuse threads of gloo that outlive their group, as they may abort the process when Python ends; needs /proc."""
    assert Path("/proc/self/task").is_dir()
    end = time.monotonic() + seconds
    while (threads := [name for name in map(_name, Path("/proc/self/task").glob("*/comm")) if "gloo" in name]) and (
        time.monotonic() < end
    ):
        time.sleep(0.05)
    assert not threads, threads


def _name(thread: Path) -> str:
    """Of a thread; empty if it has just ended."""
    try:
        return thread.read_text().strip()
    except OSError:
        return ""


def two_ranks(
    child: str,
    folder: Path,
    *arguments: str,
    flags: Sequence[str] = (),
    seconds: float = 60.0,
    world: int = 2,
    freed: bool = True,
    **env: str,
) -> list[Any]:
    """What two processes, or ``world``, had to say: each runs the code and writes ``RANK.json`` into the folder.

    All must end well within the time: one that does not says where it hangs. What they wrote is shown then. Where the
    group is ``freed`` none may end with its threads.
    """
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    shared = {
        "PYTHONPATH": paths,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(world),
    }
    watched = f"import faulthandler; faulthandler.dump_traceback_later({seconds}, exit=True)\n{child}"
    if freed:
        watched += "\nfrom core.ranks import assert_no_gloo\nassert_no_gloo()"
    children = [
        subprocess.Popen(
            [sys.executable, *flags, "-c", watched, str(folder), *arguments],
            env=os.environ | shared | {"RANK": str(rank), "OMP_NUM_THREADS": "1"} | env,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        errors = [process.communicate(timeout=seconds + 30)[1] for process in children]
    finally:
        for process in children:
            process.kill()
            process.communicate()  # so that nothing is left for another test to stumble over
    assert [process.returncode for process in children] == [0] * world, "\n".join(errors)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]
