"""The record of a run that has ended."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from adaselection import Report
from adaselection.lab.record import SCHEMA, Environment, Record, run_id
from adaselection.lab.spec import FULL_STEP, RunSpec
from adaselection.lab.tasks import Evaluation
from adaselection.lab.trace import Trace


def record_of(
    spec: RunSpec,
    report: Report,
    trace: Trace,
    outcome: Evaluation | None,
    *,
    data: tuple[str, int],
    evaluating: float,
    machine: Environment,
    started: datetime,
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
            "started": _stamp(started),
            "finished": _stamp(datetime.now(UTC)),
        }
    )


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
