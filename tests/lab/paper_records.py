"""Made-up records of the paper's grid, one for each cell and seed. Nothing here was measured."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache

from adaselection.lab.arms import get_arm
from adaselection.lab.paper import plan
from adaselection.lab.record import Record, run_id
from lab.records_factory import make

METRICS = {
    "cifar10": ("accuracy", "%", True), "cifar100": ("accuracy", "%", True), "svhn": ("accuracy", "%", True),
    "regression": ("mse", "", False), "bike": ("mse", "", False), "wikitext2": ("loss", "nats", False),
}  # fmt: skip
Value = Callable[[str, str, float | None, int], float | None]


def value(task: str, row: str, rate: float | None, seed: int) -> float:
    """A metric that differs between rows by a fixed step, and a little between seeds."""
    step = 0.3 * list(plan.ROWS).index(row) + 2 * (1 - (rate or 1))
    noise = random.Random(f"{task}{row}{rate}{seed}").gauss(0, 0.1) + random.Random(seed).gauss(0, 0.5)
    return (90 - step + noise) if METRICS[task][2] else (1 + 0.05 * step + noise / 20)


@cache
def _template(task: str, row: str, rate: float | None, top: str) -> Record:
    """The record of a cell with seed 0; `top` is what overrides the factory's fields, as JSON."""
    line, lab = plan.ROWS[row], plan.TASKS[task].labs["cpu"]
    arm = get_arm(line.arm)
    policy = None if arm.build is None or rate is None else arm.build(rate, 0, line.options)
    if policy is not None and arm.recorded:
        policy.use_records()
    settings = None if policy is None else {k: v for k, v in policy.settings.items() if k != "seed"}
    budget = {"full": 1.0, "kept": rate or 1.0, "scored": 1 / 3 + (rate or 0)}[line.cost]
    name, unit, higher = METRICS[task]
    result = {"metric": name, "unit": unit, "higher_is_better": higher}
    config = {"preset": lab.preset, "policy": settings, "rate": None if policy is None else rate, "budget": budget}
    bare = {"weights": None, "losses": None, "curve": []} | json.loads(top)
    return make(lab.task, arm.name, rate=rate, budget=budget, config=config, result=result, **bare)


def run(
    task: str, row: str, rate: float | None, seed: int, metric: float | None, *, collapsed: bool = False, **top
) -> Record:
    """One record that fills a cell of the `cpu` grid; keywords override the factory's fields."""
    made = _template(task, row, rate, json.dumps(top, sort_keys=True))
    config = replace(made.config, seed=seed)
    result = replace(made.result, value=metric, loss=metric, collapsed=collapsed)
    command = made.command.replace("--seed 0", f"--seed {seed}")
    return replace(made, run_id=run_id(config), config=config, result=result, command=command)


def paper_grid(
    tasks: Iterable[str] = tuple(plan.TASKS),
    rows: Sequence[str] = tuple(plan.ROWS),
    seeds: int = 3,
    metric: Value = value,
    **top,
) -> list[Record]:
    """The records of whole tasks; one that fills two cells comes once."""
    found = {}
    for task in tasks:
        for cell in plan.cells(rows):
            for seed in range(seeds):
                record = run(task, cell.row, cell.rate, seed, metric(task, cell.row, cell.rate, seed), **top)
                found.setdefault(record.run_id, record)
    return list(found.values())
