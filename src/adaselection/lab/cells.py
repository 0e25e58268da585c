"""What tells runs apart: a cell is every setting of a run but its seed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from adaselection.lab.record import Record

__all__ = ["CellKey", "cell_key", "distinctions", "seeds_with_several_data"]


class CellKey(NamedTuple):
    """The settings that runs of one cell share, beside task, preset, regime and label noise."""

    arm: str
    rate: float | None
    budget: float
    learning_rate: float
    policy: str
    version: str
    data: str


def cell_key(record: Record, *, by_data: bool) -> CellKey:
    """Return the cell of a run; `by_data` also tells runs on different data apart."""
    c = record.config
    version, data = record.environment.adaselection, c.data if by_data else ""
    return CellKey(c.arm, c.rate, c.budget, c.learning_rate, _policy_text(c.policy), version, data)


def seeds_with_several_data(records: Iterable[Record]) -> bool:
    """Say whether one seed appears with more than one data set.

    A generated set may well differ from seed to seed; that is no reason to part its runs.
    """
    by_seed: dict[int, set[str]] = defaultdict(set)
    for record in records:
        by_seed[record.config.seed].add(record.config.data)
    return any(len(fingerprints) > 1 for fingerprints in by_seed.values())


def distinctions(keys: Sequence[CellKey]) -> dict[CellKey, str]:
    """Return, for each cell, the settings in which it differs from others of its arm, rate and budget."""
    details = {}
    for key in keys:
        peers = [other for other in keys if (other.arm, other.rate, other.budget) == (key.arm, key.rate, key.budget)]
        parts = [f"learning rate {key.learning_rate:g}"] if len({peer.learning_rate for peer in peers}) > 1 else []
        policies = [json.loads(peer.policy) or {} for peer in peers]
        mine = json.loads(key.policy) or {}
        for name in sorted({name for policy in policies for name in policy}):
            if len({json.dumps(policy.get(name), sort_keys=True) for policy in policies}) > 1:
                parts.append(f"{name}={mine.get(name)}")
        parts += [f"version {key.version}"] if len({peer.version for peer in peers}) > 1 else []
        parts += [f"data {key.data[:8]}"] if len({peer.data for peer in peers}) > 1 else []
        details[key] = ", ".join(parts)
    return details


def _policy_text(policy: Mapping[str, Any] | None) -> str:
    """Return a policy's arguments as text, seeds left out: they differ inside a cell."""

    def strip(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: strip(item) for key, item in value.items() if key != "seed"}
        return [strip(item) for item in value] if isinstance(value, list | tuple) else value

    return json.dumps(strip(policy), sort_keys=True)
