"""That the default looks at targets, and at the roots of losses, changes nothing on tasks with wrong ones."""

from functools import partial

import pytest

from adaselection import conditions, earned
from adaselection.lab.spec import RunSpec
from adaselection.lab.training import train_one

CASES = {
    "digits": {"budget": 0.3, "learning_rate": 0.05, "label_noise": 0.4},
    "regression": {"budget": 0.5, "learning_rate": 0.001},
}


@pytest.mark.parametrize("without", [{"explained": 2.0, "emptied": 2.0}, {"rooted": 2.0}], ids=["targets", "roots"])
@pytest.mark.parametrize("task", CASES)
def test_runs_with_wrong_targets_are_the_same_without_it(task, without, monkeypatch):
    spec = RunSpec(task=task, preset="cpu", method="recorded", rate=0.3, seed=0, **CASES[task])
    looked = train_one(spec)
    monkeypatch.setattr(earned, "Thresholds", partial(conditions.Thresholds, **without))
    blind = train_one(spec)
    assert looked.policy_trace["verdicts"]["trusted"] > 3
    assert looked.policy_trace["verdicts"] == blind.policy_trace["verdicts"]
    assert looked.result == blind.result
