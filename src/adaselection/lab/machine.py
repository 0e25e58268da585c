"""What a run ran on, and whether it had the machine to itself."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import torch

import adaselection
from adaselection.errors import ArgumentError
from adaselection.lab.record import Environment

DEVICE_VARIABLE = "ADASELECTION_DEVICE"
QUIET = 0.15  # cores busy with other processes, below which seconds count as measured alone


class Watch:
    """Measures, from its making to `others_busy`, how many cores other processes kept busy."""

    def __init__(self) -> None:
        self._start = (time.perf_counter(), _machine_seconds(), _own_seconds())

    def others_busy(self) -> float | None:
        """Mean number of cores busy with other processes since the start; None where the system does not tell."""
        wall, machine, own = self._start
        now = _machine_seconds()
        elapsed = time.perf_counter() - wall
        if machine is None or now is None or elapsed <= 0:
            return None
        return max(0.0, (now - machine) - (_own_seconds() - own)) / elapsed


def device() -> torch.device:
    """Where runs train: ``$ADASELECTION_DEVICE``, such as ``cuda``; the CPU where it is not set.

    Raises:
        ArgumentError: The variable names no device that is here.
    """
    name = os.environ.get(DEVICE_VARIABLE) or "cpu"
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ArgumentError(f"${DEVICE_VARIABLE} is {name!r}, which cannot be used here: {reason}") from error
    return found


@contextlib.contextmanager
def repeatable(where: torch.device, seed: int) -> Iterator[None]:
    """Run with random numbers from a seed and cuDNN's repeatable algorithms; both are afterwards as they were before.

    With its fastest algorithms two runs of one seed differ on a GPU, by more than many an arm differs from uniform.
    """
    devices = [] if where.type == "cpu" else [where.index or 0]
    kind = "cuda" if where.type == "cpu" else where.type  # any will do for a run on the CPU
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=devices, device_type=kind):
        torch.manual_seed(seed)
        try:
            cudnn.deterministic, cudnn.benchmark = True, False
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before


def environment(busy: float | None, *, alone: bool) -> Environment:
    """Describe the machine.

    Args:
        busy: From `Watch.others_busy`.
        alone: Whether the run was the only one that its grid ran at the time.
    """
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        adaselection=adaselection.__version__,
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=str(device()),
        host=platform.node(),
        exclusive=alone and (busy is None or busy < QUIET),
        others_busy=None if busy is None else round(busy, 3),
    )


def _own_seconds() -> float:
    """Processor seconds of this process and its ended children."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _machine_seconds() -> float | None:
    """Processor seconds that the whole machine was busy since it started; None where /proc/stat is missing."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _wait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _cpu_name() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
