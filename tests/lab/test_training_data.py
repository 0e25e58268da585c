"""What a run trains on, is judged on, and is charged for."""

import time

import pytest
import torch

from adaselection.lab.tasks import ArrayDataset, Evaluation, LoadOptions, get_task
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


def test_a_run_trains_on_its_regime_and_its_record_says_so(monkeypatch):
    seen, task = [], get_task("digits")
    watch_task(monkeypatch, load=loads(seen, task))
    records = [train_one(spec(seed=2, regime=regime)) for regime in ("plain", "duplicated", "long_tail")]
    assert [record.config.regime for record in records] == ["plain", "duplicated", "long_tail"]
    assert len({record.run_id for record in records}) == 3
    assert [len(set(map(tuple, parts.train.inputs.tolist()))) for parts in seen] == [1297, 260, len(seen[2].train)]
    assert len(seen[2].train) < 400
    assert records[2].units.full == 3 * len(seen[2].train) * EPOCHS
    assert all(0 <= record.result.worst_class <= record.result.value for record in records)


@pytest.mark.parametrize(("budget", "method"), [(1.0, "full"), (0.5, "uniform_budget"), (1.0, "big_loss")])
def test_noise_is_switched_on_after_half_of_the_steps(budget, method, monkeypatch):
    parts, told, task = [], [], get_task("digits")
    advance = ArrayDataset.advance
    monkeypatch.setattr(ArrayDataset, "advance", lambda self, done: (told.append(done), advance(self, done))[1])
    watch_task(monkeypatch, load=loads(parts, task))
    record = train_one(spec(regime="noise_switch", label_noise=0.4, budget=budget, method=method))
    steps = record.counts.steps
    assert told == [(step + 1) / steps for step in range(steps)]
    wrong = (parts[0].train.targets != task.load(spec().get_preset(), LoadOptions()).train.targets).sum()
    assert wrong == parts[0].train_noisy.sum() == round(0.4 * ROWS)
    clean = train_one(spec(budget=budget, method=method)).curve
    half = [point.train_loss for point in record.curve if point.step <= steps // 2]
    assert half == [point.train_loss for point in clean[: len(half)]]  # until then the very run on right labels
    assert record.curve[-1].train_loss > clean[-1].train_loss


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
