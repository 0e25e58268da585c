"""Claim: this library beside the packages for data selection that can be installed, at equal work.

Every arm trains the same network on the same rows with the same seeds, initial weights, optimizer, schedule over the
budget, and number of trials for its learning rate. It may use the same forward and backward work, counted by hooks on
the model. All arms of a seed run one after the other, each in a child process of its own environment, on one thread.

    python benchmarks/peers/run.py      # makes the environments (6 GB), then some 550 trainings
    python tools/peers.py               # docs/results/peers.md, from the record
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))  # where _record is

import task
from _record import run
from arms import ARMS, ENVIRONMENTS, Arm
from driver import Driver, FailedError, Row, chosen_rate, turns
from environments import make
from lines import lines_of_loop

CLAIM = "this library beside the packages for data selection that can be installed, at equal work"
Tasks = dict[tuple[float, int], Path]
"""Files by label noise and seed."""


def tune(driver: Driver, arm: Arm, tasks: Tasks, rates: Sequence[float]) -> list[Row]:
    """Give every learning rate its trials on the validation split.

    Raises:
        FailedError: A trial failed.
    """
    rows = driver.rows(arm, [(path, rates) for path in tasks.values()])
    found = []
    for noise in sorted({noise for noise, _ in tasks}):
        means, chosen = chosen_rate([row for row in rows if row["noise"] == noise])
        print(f"tuned {arm.name}, {noise:.0%} noise: {means}", flush=True)
        found.append({"arm": arm.name, "noise": noise, "validation": means, "chosen": chosen})
    return found


def tune_all(driver: Driver, arms: Sequence[Arm], tasks: Tasks, arguments: argparse.Namespace) -> list[Row | str]:
    """Tune the arms, some at a time, as no seconds count here; why it failed in the place of an arm that did."""

    def one(arm: Arm) -> list[Row | str]:
        try:
            return [*tune(driver, arm, tasks, arguments.learning_rates)]
        except FailedError as error:
            return [f"{arm.name}: {error}"]

    with ThreadPoolExecutor(arguments.jobs) as pool:
        return [row for rows in pool.map(one, arms) for row in rows]


def compare(
    driver: Driver, arms: Sequence[Arm], tasks: Tasks, tuning: Sequence[Row], arguments: argparse.Namespace
) -> list[Row | str]:
    """Run all arms of a seed in turn, then those of the next; why it failed in the place of a run that did."""

    def one(turn: tuple[int, Arm]) -> list[Row | str]:
        seed, arm = turn
        rates = {row["noise"]: row["chosen"] for row in tuning if row["arm"] == arm.name}
        try:
            found = driver.rows(arm, [(tasks[noise, seed], [rate]) for noise, rate in rates.items()])
        except FailedError as error:
            return [f"{arm.name}: {error}"]
        print(f"seed {seed}, {arm.name}: {[row['accuracy'] for row in found]}", flush=True)
        return [{"arm": arm.name, **row} for row in found]

    with ThreadPoolExecutor(arguments.together) as pool:
        return [row for rows in pool.map(one, turns(arms, arguments.seeds)) for row in rows]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the environments, tune, and run every arm with every seed."""
    folder = Path(arguments.envs).absolute()
    made = {name: make(folder / name, environment, arguments.torch) for name, environment in ENVIRONMENTS.items()}
    asked = [arm for arm in ARMS if not arguments.arms or arm.name in arguments.arms]
    arms = [arm for arm in asked if arm.loop and made[arm.environment].failed is None]
    failures = [f"{arm.name}: {made[arm.environment].failed or 'no loop yet'}" for arm in asked if arm not in arms]
    driver = Driver(made, arguments.budget, arguments.limit, folder / "journal.jsonl" if arguments.resume else None)
    with tempfile.TemporaryDirectory() as temporary:

        def files(seeds: int, hold_out: bool) -> Tasks:
            cells = [(noise, seed) for noise in arguments.noises for seed in range(seeds)]
            return {cell: task.write(Path(temporary), *cell, hold_out=hold_out) for cell in cells}

        trials = tune_all(driver, arms, files(arguments.trials, True), arguments)
        tuning = [row for row in trials if not isinstance(row, str)]
        arms = [arm for arm in arms if any(row["arm"] == arm.name for row in tuning)]
        runs = compare(driver, arms, files(arguments.seeds, False), tuning, arguments)
    failures += [row for row in (*trials, *runs) if isinstance(row, str)]
    return {
        "task": task.facts(),
        "environments": {
            key: {"commands": one.commands, "packages": one.packages, "failed": one.failed} for key, one in made.items()
        },
        "arms": [asdict(arm) | {"lines": arm.loop and lines_of_loop(arm.loop)} for arm in asked],
        "failures": dict(reversed([text.split(": ", 1) for text in failures])),  # the first of each arm
        "tuning": tuning,
        "runs": [row for row in runs if not isinstance(row, str)],
    }


def show(results: dict[str, Any]) -> None:
    """Print a short table."""
    noises = sorted({row["noise"] for row in results["runs"]})
    print(f"{'':<26}" + "".join(f"{f'{noise:.0%} noise':>14}" for noise in noises) + f"{'lines':>8}")
    for arm in results["arms"]:
        cells = []
        for noise in noises:
            rows = [row for row in results["runs"] if (row["arm"], row["noise"]) == (arm["name"], noise)]
            cells.append(f"{sum(row['accuracy'] for row in rows) / len(rows):.2f}" if rows else "-")
        failed = results["failures"].get(arm["name"], "")
        lines = "-" if arm["lines"] is None else arm["lines"]
        print(f"{arm['name']:<26}" + "".join(f"{cell:>14}" for cell in cells) + f"{lines:>8}  {failed}")


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--envs", default=".venv-peers", help="folder of the environments (default: .venv-peers)")
    parser.add_argument("--torch", default="torch==2.13.0", help="what pip installs as torch; may carry pip's options")
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS], help="only these (default: all)")
    parser.add_argument("--noises", nargs="+", type=float, default=[0.0, 0.4], help="shares of wrong labels")
    parser.add_argument("--seeds", type=int, default=10, help="of the comparison (default: 10)")
    parser.add_argument("--trials", type=int, default=3, help="seeds of each learning rate's trials (default: 3)")
    parser.add_argument(
        "--learning-rates", nargs="+", type=float, default=[0.02, 0.05, 0.15, 0.4], help="that are tried"
    )
    parser.add_argument("--budget", type=float, default=0.5, help="share of the full run's work (default: 0.5)")
    parser.add_argument("--limit", type=float, default=900, help="seconds that a child may take (default: 900)")
    parser.add_argument("--jobs", type=int, default=2, help="children at a time while tuning (default: 2)")
    parser.add_argument("--together", type=int, default=1, help="and in the comparison; above 1 no seconds count")
    parser.add_argument("--resume", action="store_true", help="do not do again what the folder's journal has")
    return run("peers", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
