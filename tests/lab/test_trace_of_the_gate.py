"""The record of a run says what its gate lacked in the last window."""

from adaselection.lab.spec import RunSpec
from adaselection.lab.training import train_one


def test_a_record_says_what_kept_the_gate_shut():
    record = train_one(RunSpec(task="digits", method="recorded", rate=0.3, budget=0.1, seed=0, learning_rate=0.01))
    trace = record.policy_trace
    assert trace["selected"] == 0 < trace["windows"]
    assert set(trace["lacking"]) == {"trusted", "uncertain", "hard"}
    assert any(text.startswith("tau ") and text.endswith("(asks > 3)") for text in trace["lacking"]["hard"])
    assert type(record).from_json(record.to_json()) == record
