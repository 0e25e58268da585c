"""Starts the child processes, and keeps what they say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arms import Arm
from environments import Made

from adaselection.lab.machine import Watch

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "src"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
Row = dict[str, Any]


class FailedError(Exception):
    """A child process did not do its runs."""


@dataclass
class Driver:
    """Starts children, each in the environment of its arm.

    Attributes:
        made: Environments by name.
        budget: Share of the full run's work that an arm without a budget of its own may use.
        limit: Seconds that a child may take.
        journal: File of what was done, which is not done again; None to do everything.
    """

    made: dict[str, Made]
    budget: float
    limit: float
    journal: Path | None = None

    def __post_init__(self) -> None:
        lines = self.journal.read_text(encoding="utf-8").splitlines() if self.journal and self.journal.exists() else []
        self._known = {tuple(entry["key"]): entry["rows"] for entry in map(json.loads, lines)}

    def rows(self, arm: Arm, tasks: Sequence[tuple[Path, Sequence[float]]]) -> list[Row]:
        """Train an arm on every task, at every learning rate that stands beside it.

        Raises:
            FailedError: The child failed, or took too long.
        """
        asked = [(path, ",".join(map(str, rates))) for path, rates in tasks]
        key = (arm.name, *(f"{path.stem}@{rates}" for path, rates in asked))
        if key not in self._known:
            self._known[key] = self._train(arm, [f"{path}@{rates}" for path, rates in asked])
            if len(self._known[key]) != sum(len(rates) for _, rates in tasks):
                raise FailedError("it did not do all of its runs")
            if self.journal:
                with self.journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "rows": self._known[key]}) + "\n")
        return self._known[key]

    def _train(self, arm: Arm, runs: list[str]) -> list[Row]:
        budget = self.budget if arm.budget is None else arm.budget
        words = [str(self.made[arm.environment].python), "-W", "ignore", str(HERE / "child.py"), arm.loop]
        words += [*runs, "--budget", str(budget), "--rule", arm.rule]
        variables = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(SOURCE)}
        watch = Watch()
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                env=variables,
                timeout=self.limit,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise FailedError(f"not done after {self.limit:g} s") from error
        busy = watch.others_busy()
        if done.returncode:
            raise FailedError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return [row | {"others_busy": None if busy is None else round(busy, 3)} for row in rows]


def turns(arms: Sequence[Arm], seeds: int) -> Iterator[tuple[int, Arm]]:
    """All arms of a seed, then those of the next, each time from another first one on."""
    for seed in range(seeds):
        first = seed % len(arms)
        yield from ((seed, arm) for arm in (*arms[first:], *arms[:first]))


def chosen_rate(rows: Sequence[Row]) -> tuple[dict[str, float], float]:
    """Mean on the validation split by learning rate, and the rate of the best mean; of equals the smaller."""
    rates = sorted({row["learning_rate"] for row in rows})
    values = [[row["accuracy"] for row in rows if row["learning_rate"] == rate] for rate in rates]
    means = {rate: sum(found) / len(found) for rate, found in zip(rates, values, strict=True)}
    return {f"{rate:g}": round(mean, 3) for rate, mean in means.items()}, max(rates, key=lambda rate: means[rate])
