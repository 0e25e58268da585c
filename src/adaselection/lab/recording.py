"""The record of a run that has ended."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

import torch

from adaselection import RecordedLoader, RecordedLosses, RecordedReport, Report, SelectiveLoader
from adaselection.errors import NonFiniteLossError
from adaselection.lab.record import SCHEMA, Environment, Record, run_id
from adaselection.lab.spec import FULL_STEP, RunSpec
from adaselection.lab.tasks import Evaluation, Splits
from adaselection.lab.trace import Trace


class OffTheClock:
    """Time inside is not charged to training: it is spent on looking, not on learning."""

    def __init__(self, loader: SelectiveLoader | RecordedLoader) -> None:
        self._meter = loader.meter

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._meter.charge("train", self._start - time.perf_counter())


def record_of(
    spec: RunSpec,
    report: Report | RecordedReport,
    trace: Trace,
    outcome: Evaluation | None,
    *,
    data: tuple[str, int],
    evaluating: float,
    machine: Environment,
    started: datetime,
    policy_trace: dict[str, Any] | None = None,
) -> Record:
    """Put a run's record together, checked by its own reader.

    Args:
        spec: The run.
        report: Of its loader.
        trace: Its curve, weights and losses.
        outcome: Its evaluation; None if its loss stopped being finite.
        data: Fingerprint of the data, and rows of the training set.
        evaluating: Seconds of the evaluation.
        machine: What it ran on.
        started: When it began.
        policy_trace: What a recorded loader's gate did; None for other runs.
    """
    fingerprint, rows = data
    full = FULL_STEP * rows * spec.get_preset().epochs
    config, metric = spec.config(fingerprint), spec.get_task().metric
    return Record.from_json(
        {
            "schema": SCHEMA,
            "run_id": run_id(config),
            "config": vars(config),
            "command": spec.command(),
            "result": {
                "metric": metric.name,
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "value": None if outcome is None else _finite(outcome.value),
                "loss": None if outcome is None else _finite(outcome.loss),
                "collapsed": outcome is None or bool(outcome.collapsed),
                "worst_class": None if outcome is None else outcome.worst_class,
            },
            "counts": {
                "loaded": report.loaded,
                "scored": report.scored,
                "trained": report.trained,
                "steps": report.steps,
                "passes": round(report.loaded / rows, 4),
            },
            "units": {"used": report.units, "allowed": spec.effective_budget * full, "full": float(full)},
            "seconds": {**report.seconds, "total": sum(report.seconds.values()), "evaluate": evaluating},
            "measured": {
                "forward_step_ratio": report.forward_step_ratio,
                "speedup_bound": report.speedup_bound,
                "equivalent_uniform_rate": report.equivalent_uniform_rate,
                "unit_equivalent_uniform_rate": report.unit_equivalent_uniform_rate,
            },
            **trace.as_dict(report.units / max(1, report.steps)),
            "environment": vars(machine),
            **({} if policy_trace is None else {"policy_trace": policy_trace}),
            "started": _stamp(started),
            "finished": _stamp(datetime.now(UTC)),
        }
    )


def recorded_trace(loader: SelectiveLoader | RecordedLoader, splits: Splits) -> dict[str, Any] | None:
    """What the gate of a recorded loader expected and got, and what it left out that was really wrong."""
    if isinstance(loader, SelectiveLoader):
        return None
    report = loader.report()
    names = (
        "windows",
        "selected",
        "shut",
        "left_out",
        "forced",
        "verdicts",
        "effective",
        "predicted_gain",
        "realised_gain",
        "stopped",
    )
    found: dict[str, Any] = {name: getattr(report, name) for name in (*names, "overhead", "steps_per_pass")}
    opened = report.opened
    found["opened"] = None if opened is None else [str(opened), *map(str, opened.met)]
    for name in ("lacking", "given_up"):
        found[name] = {member: [str(each) for each in lacks] for member, lacks in getattr(report, name).items()}
    signals = _all_recorded(loader).read(torch.arange(len(splits.train)), now=2**31)
    assert signals.visits is not None  # a record counts them
    visits, wrong = signals.visits.double(), splits.train_noisy
    found["visits"] = {"fewest": int(visits.min()), "mean": float(visits.mean()), "most": int(visits.max())}
    if bool(wrong.any()) and not bool(wrong.all()):
        found["visits"] |= {"mean_of_wrong": float(visits[wrong].mean()), "mean_of_right": float(visits[~wrong].mean())}
    return found


def _all_recorded(loader: RecordedLoader) -> RecordedLosses:
    """The record, once what is on its way is in it; of a run that diverged, without its last losses."""
    try:
        return loader.records
    except NonFiniteLossError:  # they are dropped by now
        return loader.records


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
