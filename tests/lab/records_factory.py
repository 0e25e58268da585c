"""Made-up records with realistic numbers, for the tests of the lab. Nothing here was measured."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from adaselection.lab.record import Record, run_id

METHODS = ("big_loss", "small_loss", "uniform")
_EDGE = {"full": 0.0, "uniform_budget": 0.0, "uniform_rate": -0.9, "adaselection": -0.15, "big_loss": 0.5}


def make(
    task: str = "digits",
    arm: str = "adaselection",
    seed: int = 0,
    *,
    value: float | None = None,
    rate: float | None = 0.3,
    budget: float = 0.5,
    config: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    **top: Any,
) -> Record:
    """Build one record; keyword mappings override single fields of its parts."""
    if arm in ("full", "uniform_budget"):
        rate = None
    selects = rate is not None
    policy = {"name": "AdaSelection", "rate": rate, "beta": 0.5, "seed": seed} if selects else None
    settings: dict[str, Any] = {
        "task": task, "preset": "cpu", "arm": arm, "rate": rate, "budget": 1.0 if arm == "full" else budget,
        "seed": seed, "learning_rate": 0.1, "label_noise": 0.0, "split": "test", "data": "ab12" * 16, "policy": policy,
    } | dict(config or {})  # fmt: skip
    outcome = _result(settings, value) | dict(result or {})
    full = 1437 * 30 * 3
    used = full * settings["budget"] * 0.996
    trained = round(used / (1 / rate + 3)) if rate and arm != "uniform_rate" else round(used / 3)
    scored = round(trained / rate) if rate and arm != "uniform_rate" else 0
    flag = f" --rate {rate}" if rate is not None else ""
    plain = {
        "schema": 1, "run_id": run_id(settings), "config": settings,
        "command": f"adaselection run {task} --arm {arm}{flag} --budget {settings['budget']} --seed {seed} "
                   f"--learning-rate {settings['learning_rate']}",
        "result": outcome,
        "counts": {"loaded": scored or trained, "scored": scored, "trained": trained, "steps": trained // 32,
                   "passes": (scored or trained) / 1437},
        "units": {"used": used, "allowed": full * settings["budget"], "full": float(full)},
        "seconds": {"load": 0.4, "score": scored / 2e5, "select": scored / 1e6, "train": trained / 5e4,
                    "total": 0.4 + scored / 2e5 + trained / 5e4, "evaluate": 0.1},
        "measured": {"forward_step_ratio": 0.35 if scored else None, "speedup_bound": 1.5 if scored else None,
                     "equivalent_uniform_rate": rate + 0.35 if scored and rate else None,
                     "unit_equivalent_uniform_rate": rate + 1 / 3 if scored and rate else None},
        "curve": [{"step": s, "units": s * 96.0, "train_loss": 2.3 * math.exp(-s / 200)} for s in range(0, 600, 50)],
        "weights": _weights(seed) if selects and arm.startswith("ada") else None,
        "losses": _losses(seed, rate) if rate is not None else None,
        "environment": {
            "python": "3.11.2", "torch": "2.13.0", "adaselection": "0.1.0", "platform": "Linux x86_64",
            "cpu": "Example CPU at 2.5 GHz", "cores": 2, "threads": 1, "device": "cpu", "host": "box",
            "exclusive": True, "others_busy": 0.02,
        } | dict(environment or {}),
        "started": "2026-11-24T15:00:00Z", "finished": f"2026-11-24T15:00:{10 + seed:02d}Z",
    } | top  # fmt: skip
    return Record.from_json(plain)


def grid(
    tasks: tuple[str, ...] = ("digits", "bike"),
    arms: tuple[str, ...] = tuple(_EDGE),
    budgets: tuple[float, ...] = (0.25, 0.5, 1.0),
    rates: tuple[float, ...] = (0.1, 0.3, 0.5),
    seeds: int = 5,
    **parts: Any,
) -> list[Record]:
    """Build the records of a whole comparison."""
    return [
        make(task, arm, seed, rate=rate, budget=budget, **parts)
        for task in tasks
        for arm, rate, budget in _settings(arms, rates, budgets)
        for seed in range(seeds)
    ]


def _settings(
    arms: tuple[str, ...], rates: tuple[float, ...], budgets: tuple[float, ...]
) -> Iterator[tuple[str, float | None, float]]:
    for arm in arms:
        for budget in (1.0,) if arm == "full" else budgets:
            for rate in (None,) if arm in ("full", "uniform_budget") else rates:
                yield arm, rate, budget


def _result(settings: Mapping[str, Any], value: float | None) -> dict[str, Any]:
    """A made-up metric: rises with the budget, moves with the seed (shared by all arms) and a little by itself."""
    noise = random.Random(repr(sorted(settings.items(), key=str)))
    shared = random.Random(settings["seed"]).gauss(0, 0.4)
    edge = _EDGE.get(settings["arm"], -0.4) * (1.2 - settings["budget"] if settings["arm"] != "adaselection" else 1)
    score = 98.2 - 1.3 * (1 / settings["budget"] - 1) ** 0.7 + edge + shared + noise.gauss(0, 0.25)
    if settings["task"] == "bike":
        mse = 0.062 * (1 + (98.4 - score) * 0.05) if value is None else value
        return {"metric": "mse", "unit": "", "higher_is_better": False, "value": mse, "loss": mse, "collapsed": False}
    accuracy = score if value is None else value
    return {"metric": "accuracy", "unit": "%", "higher_is_better": True, "value": accuracy,
            "loss": (100 - accuracy) / 30, "collapsed": False}  # fmt: skip


def _weights(seed: int) -> dict[str, Any]:
    draw, rows, logs = random.Random(seed), [], [0.0, 0.0, 0.0]
    for _ in range(60):
        logs = [log * 0.95 + draw.gauss(drift, 0.15) for log, drift in zip(logs, (0.06, -0.03, 0.0), strict=True)]
        total = sum(math.exp(log) for log in logs)
        rows.append([math.exp(log) / total for log in logs])
    return {"methods": list(METHODS), "steps": list(range(10, 610, 10)), "values": rows}


def _losses(seed: int, rate: float) -> dict[str, Any]:
    edges = [0.0] + [0.001 * 10 ** (i / 5) for i in range(20)]
    seen = [int(2000 * math.exp(-(((i - 9 + 0.2 * (seed % 3)) / 5) ** 2))) for i in range(20)]
    kept = [int(count * min(1.0, rate * (0.3 + 1.7 * i / 19))) for i, count in enumerate(seen)]
    return {"edges": edges, "seen": seen, "kept": kept}
