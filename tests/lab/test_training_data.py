"""What a run trains on, is judged on, and is charged for."""

import time

import pytest
import torch

from adaselection.lab.tasks import Evaluation, get_task
from adaselection.lab.training import train_one
from lab.smoke import EPOCHS, ROWS, loads, spec, watch_task


def test_label_noise_changes_training_labels_only(monkeypatch):
    seen, judged, task = [], [], get_task("digits")

    def evaluate(model, part):
        judged.append(part)
        return task.evaluate(model, part)

    watch_task(monkeypatch, load=loads(seen, task), evaluate=evaluate)
    train_one(spec(seed=5))
    train_one(spec(seed=5, label_noise=0.3))
    clean, noisy = seen
    assert torch.equal(clean.train.inputs, noisy.train.inputs)
    assert (clean.train.targets != noisy.train.targets).sum() == round(0.3 * ROWS)
    assert torch.equal(judged[0].targets, judged[1].targets)
    assert len(judged[1]) == 500


def test_a_validation_run_never_touches_test_rows(monkeypatch):
    seen, judged, task = [], [], get_task("digits")

    def evaluate(model, part):
        judged.append(part)
        return Evaluation(value=1.0, loss=2.0, collapsed=False)

    watch_task(monkeypatch, load=loads(seen, task), evaluate=evaluate)
    record = train_one(spec(split="validation", label_noise=0.3))
    train_one(spec())
    held, plain = seen
    assert (len(held.train), len(held.validation), len(held.test)) == (1038, 259, 0)
    assert judged[0] is held.validation
    assert judged[1] is plain.test
    rows = {row.numpy().tobytes() for part in (held.train, held.validation) for row in part.inputs}
    assert not rows & {row.numpy().tobytes() for row in plain.test.inputs}
    assert record.units.full == 3 * 1038 * EPOCHS
    assert record.result.value == 1.0


def test_looking_is_off_the_clock():
    shown = []

    def slowly(progress):
        shown.append((progress.step, progress.steps, progress.report.steps))
        time.sleep(0.7 * (progress.step == progress.steps))

    record = train_one(spec(budget=0.5), slowly)
    steps = record.counts.steps
    assert shown[0] == (1, steps, 1)
    assert shown[-1] == (steps, steps, steps)
    assert record.seconds.total < 0.7
    parts = (record.seconds.load, record.seconds.score, record.seconds.select, record.seconds.train)
    assert record.seconds.total == pytest.approx(sum(parts))
