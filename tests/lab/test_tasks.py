"""The tasks: what they load, how they split, what they measure."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from adaselection.lab.formats import BIKE_COLUMNS
from adaselection.lab.models import MODELS
from adaselection.lab.tasks import (
    TASKS,
    ArrayDataset,
    LoadOptions,
    Preset,
    bike,
    cifar10,
    get_task,
    regression,
)
from adaselection.lab.tasks.arrays import Augment
from adaselection.lab.tasks.splits import replace_labels, split_rows
from lab.stand_ins import no_files

__all__ = ["no_files"]  # a fixture


# Every task


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_trains_and_is_evaluated(task, no_files):
    preset = task.preset("smoke")
    parts = task.load(preset, LoadOptions())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = task.build(preset, parts)
    loader = DataLoader(parts.train, batch_size=preset.batch_size, collate_fn=ArrayDataset.collate)
    inputs, targets = next(iter(loader))
    losses = task.loss()(model(inputs), targets)
    assert inputs.dtype == (torch.int64 if task.kind == "language" else torch.float32)
    assert losses.shape == (preset.batch_size,)
    losses.mean().backward()
    result = task.evaluate(model, parts.test)
    assert np.isfinite([result.value, result.loss]).all()
    assert len(parts.validation) == 0


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_held_out_part_is_taken_from_training_and_hides_the_test_set(task, no_files):
    preset = task.preset("smoke")
    whole = task.load(preset, LoadOptions(seed=1)).train
    parts = task.load(preset, LoadOptions(seed=2, hold_out=True))
    other_seed = task.load(preset, LoadOptions(seed=3, hold_out=True))
    assert len(parts.train) + len(parts.validation) == len(whole)
    assert len(parts.validation) / len(whole) == pytest.approx(
        0.2 if task.kind == "regression" or task.name == "digits" else 0.1, abs=0.01
    )
    assert len(parts.test) == 0
    assert torch.equal(parts.validation.inputs, other_seed.validation.inputs)
    assert torch.equal(parts.train.inputs, other_seed.train.inputs)
    assert parts.fingerprint == other_seed.fingerprint
    if task.name != "bike":  # there the held-out rows change the statistics that standardise
        both = torch.cat([parts.train.inputs, parts.validation.inputs]).flatten(1)
        assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, whole.inputs.flatten(1).tolist()))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_presets_are_complete_and_paper_means_the_papers_optimiser(task):
    pictures = task.name in ("cifar10", "cifar100", "svhn")
    wanted = ["paper", "cpu", *(["gpu"] if pictures else []), "smoke"]
    assert [name for name in task.presets if name != "brief"] == wanted
    if pictures:  # the network and the passes of the paper, on the rows of cpu
        gpu, cpu, paper = (task.presets[name] for name in ("gpu", "cpu", "paper"))
        assert (gpu.model, gpu.epochs, gpu.batch_size) == (paper.model, paper.epochs, paper.batch_size)
        assert gpu.train_size == cpu.train_size
    assert all(preset.model in MODELS for preset in task.presets.values())
    paper = task.presets["paper"]
    assert (paper.learning_rate, paper.momentum, paper.schedule, paper.score_mode) == (
        0.01,
        0.9,
        "constant",
        "train",
    )
    assert paper.batch_size == (128 if task.kind == "classification" else 100)
    assert paper.train_size is None
    if brief := task.presets.get("brief"):
        assert (brief.momentum, brief.schedule, brief.score_mode) == (0.9, "constant", "train")


@pytest.mark.parametrize("name", [task.name for task in TASKS.values() if task.kind == "classification"])
def test_label_noise_is_in_what_trains_and_nowhere_else(name, no_files):
    task = TASKS[name]
    clean = task.load(task.presets["smoke"], LoadOptions(hold_out=True))
    noisy = task.load(task.presets["smoke"], LoadOptions(hold_out=True, label_noise=0.3))
    changed = (clean.train.targets != noisy.train.targets).float().mean().item()
    assert changed == pytest.approx(0.3, abs=1 / len(clean.train))
    assert torch.equal(clean.validation.targets, noisy.validation.targets)
    assert torch.equal(
        task.load(task.presets["smoke"], LoadOptions(label_noise=0.3)).test.targets,
        task.load(task.presets["smoke"], LoadOptions()).test.targets,
    )
    assert clean.fingerprint == noisy.fingerprint


def test_text_refuses_label_noise_and_other_regimes(no_files):
    with pytest.raises(ValueError, match="wikitext2 is text and has no labels"):
        TASKS["wikitext2"].load(TASKS["wikitext2"].presets["smoke"], LoadOptions(label_noise=0.1))
    with pytest.raises(ValueError, match="wikitext2 has no regime duplicated"):
        TASKS["wikitext2"].load(TASKS["wikitext2"].presets["smoke"], LoadOptions(regime="duplicated"))


@pytest.mark.parametrize("name", [task.name for task in TASKS.values() if task.kind == "regression"])
def test_a_regression_refuses_label_noise(name):
    with pytest.raises(ValueError, match=f"{name} is a regression task"):
        TASKS[name].load(TASKS[name].presets["smoke"], LoadOptions(label_noise=0.1))


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_of_noisy_labels_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="share of the training labels"):
        LoadOptions(label_noise=share)


def test_unknown_names_are_answered_with_the_nearest():
    assert get_task("digits") is TASKS["digits"]
    with pytest.raises(ValueError, match=r"unknown task 'digit'\. Did you mean 'digits'"):
        get_task("digit")
    with pytest.raises(ValueError, match=r"unknown preset of digits 'cpus'\. Did you mean 'cpu'"):
        get_task("digits").preset("cpus")


# Single tasks


def test_digits_are_all_there_and_scaled():
    parts = TASKS["digits"].load(TASKS["digits"].presets["cpu"], LoadOptions())
    assert (len(parts.train), len(parts.test)) == (1297, 500)
    assert parts.train.inputs.shape == (1297, 64)
    assert (parts.train.inputs.min(), parts.train.inputs.max()) == (-1, 1)
    assert parts.fingerprint == ("scikit-learn:f017e69ee16eddc69fe513bc5c06ced4974eb9dad8a4809d0ffc3c312518b51c")


def test_a_subset_of_pictures_is_a_prefix_with_channels_first(no_files):
    stored = no_files["cifar10"]
    parts = cifar10.TASK.load(
        Preset(model="resnet8", epochs=1, batch_size=2, learning_rate=0.1, train_size=5), LoadOptions()
    )
    np.testing.assert_array_equal(parts.train.inputs.numpy(), stored["x_train"][:5].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(parts.train.targets.numpy(), stored["y_train"][:5])
    assert len(parts.test) == 100
    assert parts.train.augment is None


def test_only_training_pictures_are_augmented_and_by_the_runs_seed(no_files):
    parts = cifar10.TASK.load(cifar10.TASK.presets["smoke"], LoadOptions(seed=7))
    assert parts.train.augment == Augment(seed=7)
    assert parts.test.augment is None
    assert parts.test.normalize == parts.train.normalize


def test_regression_outliers_are_in_training_only():
    preset = regression.TASK.presets["cpu"]
    parts = regression.load(preset, LoadOptions())
    assert (len(parts.train), len(parts.test)) == (10_000, 5_000)

    def errors(part):
        return (part.targets - (2 * 5 * part.inputs[:, 0] + 1)).double()

    outliers = errors(parts.train).abs() > 6  # six standard deviations of the noise, four below the least shift
    assert int(outliers.sum()) == 500
    assert errors(parts.train)[outliers].mean().abs() < 3  # up as often as down
    assert errors(parts.test).abs().max() < 6
    assert errors(parts.test).square().mean().item() == pytest.approx(1, abs=0.05)
    assert errors(parts.test).mean().item() == pytest.approx(0, abs=0.05)
    held_out = regression.load(preset, LoadOptions(hold_out=True))
    assert errors(held_out.validation).abs().max() < 6


def test_regression_data_do_not_depend_on_the_runs_seed():
    one, other = (regression.load(regression.TASK.presets["cpu"], LoadOptions(seed=seed)) for seed in (1, 2))
    assert torch.equal(one.train.targets, other.train.targets)
    assert one.fingerprint == other.fingerprint


def test_bike_features_leave_out_what_gives_the_target_away(no_files):
    days = no_files["bike"]["days"]
    columns = {name: days[:, index] for index, name in enumerate(BIKE_COLUMNS)}
    before = bike.features_of(columns)
    changed = columns | {name: columns[name] + 1000 for name in ("casual", "registered", "cnt")}
    np.testing.assert_array_equal(bike.features_of(changed), before)
    for name in set(BIKE_COLUMNS) - {"casual", "registered", "cnt"}:
        values = columns[name].copy()
        values[0] = 2 if values[0] != 2 else 3
        assert not np.array_equal(bike.features_of(columns | {name: values}), before)


def test_bike_is_standardised_by_its_training_rows_alone(no_files):
    days = no_files["bike"]["days"]
    parts = bike.load(bike.TASK.presets["cpu"], LoadOptions(hold_out=True))
    torch.testing.assert_close(parts.train.inputs.mean(0), torch.zeros(parts.train.inputs.shape[1]), atol=1e-5, rtol=0)
    assert parts.train.targets.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    before = parts.train.inputs.clone(), parts.train.targets.clone()
    rest, test = split_rows(731, 146)
    validation = rest[split_rows(len(rest), 117).held_out]
    days[test, 7:] *= 100  # the numbers and the target, of rows that do not train
    days[validation, 7:] *= 100
    after = bike.load(bike.TASK.presets["cpu"], LoadOptions(hold_out=True))
    assert torch.equal(after.train.inputs, before[0])
    assert torch.equal(after.train.targets, before[1])
    assert not torch.equal(after.validation.inputs, parts.validation.inputs)


@pytest.mark.parametrize(
    ("name", "train", "test", "shape"),
    [
        pytest.param(*row, marks=pytest.mark.needs_data(file), id=row[0])
        for file, *row in (
            ("mnist.npz", "mnist", 60_000, 10_000, (1, 28, 28)),
            ("cifar10.npz", "cifar10", 50_000, 10_000, (3, 32, 32)),
            ("cifar100.npz", "cifar100", 50_000, 10_000, (3, 32, 32)),
            ("bike/day.csv", "bike", 585, 146, (33,)),
        )
    ],
)
def test_the_real_sets_have_their_size_and_scale(name, train, test, shape):
    parts = TASKS[name].load(TASKS[name].presets["paper"], LoadOptions())
    assert (len(parts.train), len(parts.test)) == (train, test)
    inputs, targets = parts.test.__getitems__(range(100))
    assert inputs.shape == (100, *shape)
    assert inputs.mean().abs() < 0.2
    assert inputs.std() == pytest.approx(1, abs=0.2)
    if TASKS[name].kind == "classification":
        assert torch.bincount(parts.train.targets).shape == (100 if name == "cifar100" else 10,)
        assert targets.dtype == torch.int64


# Splits and noise


def test_a_split_is_a_partition_and_always_the_same():
    rows = split_rows(100, 20)
    assert (len(rows.train), len(rows.held_out)) == (80, 20)
    assert sorted([*rows.train, *rows.held_out]) == list(range(100))
    assert rows.held_out.tolist() == split_rows(100, 20).held_out.tolist()
    assert rows.held_out.tolist() != list(range(20))


def test_noisy_labels_are_exactly_as_many_all_wrong_and_spread_over_the_other_classes():
    labels = torch.arange(10_000) % 10
    noisy = replace_labels(labels, 0.25, 10, seed=3)
    changed = noisy != labels
    assert int(changed.sum()) == 2500
    assert noisy.min() >= 0
    assert noisy.max() <= 9
    steps = torch.bincount((noisy - labels)[changed] % 10, minlength=10)
    assert steps[0] == 0
    assert (steps[1:] - 2500 / 9).abs().max() < 5 * (2500 / 9) ** 0.5
    assert torch.equal(noisy, replace_labels(labels, 0.25, 10, seed=3))
    assert not torch.equal(noisy, replace_labels(labels, 0.25, 10, seed=4))
    assert torch.equal(labels, torch.arange(10_000) % 10)
