"""The record of a run says what its gate lacked in the last window."""

import pytest

from adaselection.lab.spec import RunSpec
from adaselection.lab.training import train_one


@pytest.mark.parametrize(("learning_rate", "asked"), [(0.01, ">= 1.05"), (0.25, ">= 1.5")])
def test_a_record_says_what_kept_the_gate_shut(learning_rate, asked):
    """Of `hard` the way that it was nearer to: the second where hardly anything is learnt yet."""
    spec = RunSpec(task="digits", method="recorded", rate=0.3, budget=0.1, seed=0, learning_rate=learning_rate)
    record = train_one(spec)
    trace = record.policy_trace
    assert trace["selected"] == 0 < trace["windows"]
    assert set(trace["lacking"]) == {"trusted", "uncertain", "hard"}
    assert any(text.startswith("find ") and text.endswith(f"(asks {asked})") for text in trace["lacking"]["hard"])
    assert type(record).from_json(record.to_json()) == record
