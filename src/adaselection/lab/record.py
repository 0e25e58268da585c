"""The record of one run: typed, validated, and the same bytes for the same run.

A record is one JSON file. `Record.from_json` checks every key and type, so the code behind it may trust what it reads.
Fields with a default came later: they are left out where they hold it, so older records stay valid under their names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from adaselection.errors import AdaSelectionError
from adaselection.lab.typed_json import canonical, parse, require_plain, to_plain

SCHEMA = 1


class DamagedRecordError(AdaSelectionError, ValueError):
    """A file or mapping is not a valid record. The message names the file, the place in it and the reason."""

    def __init__(self, source: str | Path | None, reason: str) -> None:
        self.source = None if source is None else str(source)
        self.reason = reason
        super().__init__(f"{self.source or 'record'}: {reason}")

    def __reduce__(self) -> tuple[type[DamagedRecordError], tuple[str | None, str]]:
        """Let it come back whole from the process of a run."""
        return type(self), (self.source, self.reason)


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run computes. `rate` is None for arms that do not select.

    `regime` says what the training data were like, a name in `adaselection.lab.tasks.REGIMES`.
    """

    task: str
    preset: str
    arm: str
    rate: float | None
    budget: float
    seed: int
    learning_rate: float
    label_noise: float
    split: Literal["test", "validation"]
    data: str
    policy: Mapping[str, Any] | None
    regime: str = "plain"


@dataclass(frozen=True)
class Result:
    """The final metric and loss. None stands for a value that was not finite: the run diverged.

    `worst_class` is the metric on the class where it is worst; None where there are no classes or it was not recorded.
    """

    metric: str
    unit: str
    higher_is_better: bool
    value: float | None
    loss: float | None
    collapsed: bool
    worst_class: float | None = None


@dataclass(frozen=True)
class Counts:
    """Samples loaded, scored and trained (back-propagated), optimizer steps, passes over the data."""

    loaded: int
    scored: int
    trained: int
    steps: int
    passes: float


@dataclass(frozen=True)
class Units:
    """Cost in sample units (forward 1, backward 2): used, allowed by the budget, and of the full run."""

    used: float
    allowed: float
    full: float


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds by phase."""

    load: float
    score: float
    select: float
    train: float
    total: float
    evaluate: float


@dataclass(frozen=True)
class Measured:
    """Ratios that the meter derives. None where a run gives no value (no scoring pass, for example)."""

    forward_step_ratio: float | None
    speedup_bound: float | None
    equivalent_uniform_rate: float | None
    unit_equivalent_uniform_rate: float | None


@dataclass(frozen=True)
class CurvePoint:
    """Training loss after `step` optimizer steps and `units` of cost."""

    step: int
    units: float
    train_loss: float | None


@dataclass(frozen=True)
class Weights:
    """Method weights over steps: `values[i][j]` is the weight of `methods[j]` at `steps[i]`."""

    methods: tuple[str, ...]
    steps: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Losses:
    """Histogram of the losses seen and kept: bin i runs from `edges[i]` to `edges[i + 1]`."""

    edges: tuple[float, ...]
    seen: tuple[int, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Environment:
    """Where a run ran. `exclusive` False: others used the machine, so its seconds mean nothing."""

    python: str
    torch: str
    adaselection: str
    platform: str
    cpu: str
    cores: int
    threads: int
    device: str
    host: str
    exclusive: bool
    others_busy: float | None


@dataclass(frozen=True)
class Record:
    """One run, as stored. Build it with `from_json`, which checks every key, type and length.

    `policy_trace` is what a policy says about itself, in keys of its own: its gate's decisions, predicted and realised
    gain, effective sample size, coverage. Plain JSON with finite numbers; None where a policy says nothing.
    """

    schema: int
    run_id: str
    config: Config
    command: str
    result: Result
    counts: Counts
    units: Units
    seconds: Seconds
    measured: Measured
    curve: tuple[CurvePoint, ...]
    weights: Weights | None
    losses: Losses | None
    environment: Environment
    started: str
    finished: str
    policy_trace: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, data: str | bytes | Mapping[str, Any], source: str | Path | None = None) -> Record:
        """Read a record from JSON text or from its mapping.

        Args:
            data: JSON text, or the mapping that it decodes to.
            source: The file that it came from, for messages.

        Raises:
            DamagedRecordError: If it is not a valid record of this schema.
        """
        try:
            plain = data if isinstance(data, Mapping) else json.loads(data)
            if isinstance(plain, Mapping) and plain.get("schema") != SCHEMA:
                raise ValueError(f"schema {plain.get('schema')!r} is not {SCHEMA}, the one this version reads")
            record: Record = parse(cls, plain, "")
            _check(record)
        except (ValueError, RecursionError) as error:  # bad JSON and bad UTF-8 are ValueErrors too
            raise DamagedRecordError(source, str(error)) from error
        return record

    def to_json(self) -> str:
        """Return the record as JSON text, one top-level key a line."""
        lines = (f" {json.dumps(key)}: {canonical(value)}" for key, value in to_plain(self).items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def repeatable(self) -> dict[str, Any]:
        """Return what a second run of the same config must reproduce: no seconds, times, host or load."""
        plain: dict[str, Any] = to_plain(self)
        for key in ("seconds", "measured", "started", "finished"):
            del plain[key]
        for key in ("host", "exclusive", "others_busy"):
            del plain["environment"][key]
        if "policy_trace" in plain:
            plain["policy_trace"] = {k: v for k, v in plain["policy_trace"].items() if k != "overhead"}  # of seconds
        return plain


def run_id(config: Config | Mapping[str, Any]) -> str:
    """Return the name of a run: 16 hex digits of the SHA-256 of its config as canonical JSON.

    Numbers are typed first, so that a budget of `1` and of `1.0` name the same run.

    Raises:
        ValueError: If `config` lacks a key, has an unknown one or a value of the wrong type.
    """
    typed = config if isinstance(config, Config) else parse(Config, config, "config")
    return hashlib.sha256(canonical(to_plain(typed), sort_keys=True).encode()).hexdigest()[:16]


def _check(record: Record) -> None:
    """Check what types cannot say: the name, the lengths, what is free in form, and the time stamps."""
    expected = run_id(record.config)
    if record.run_id != expected:
        raise ValueError(f"run_id {record.run_id} does not match its config, which gives {expected}")
    weights, losses = record.weights, record.losses
    if weights is not None:
        shape = len(weights.values) == len(weights.steps)
        if not shape or any(len(row) != len(weights.methods) for row in weights.values):
            raise ValueError("weights.values must have one row a step and one number a method")
    if losses is not None and not len(losses.edges) - 1 == len(losses.seen) == len(losses.kept):
        raise ValueError("losses.seen and losses.kept must be one shorter than losses.edges")
    if record.policy_trace is not None:
        require_plain(record.policy_trace, "policy_trace")
    for stamp in (record.started, record.finished):
        datetime.fromisoformat(stamp)
