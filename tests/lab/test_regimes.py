"""The regimes: which rows train, which targets are wrong and when, and that nothing else moves."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from adaselection.lab.tasks import (
    REGIMES,
    TASKS,
    ArrayDataset,
    LoadOptions,
    Splits,
    bike,
    cifar10,
    digits,
    regression,
    setting_in_words,
)
from adaselection.lab.tasks.regimes import regime_rows
from adaselection.lab.tasks.splits import move_targets
from lab.stand_ins import no_files

__all__ = ["no_files"]  # a fixture

EVERY = [(task, regime) for task in TASKS.values() for regime in task.regimes]
CLASSES = [task for task in TASKS.values() if task.kind == "classification"]


def loaded(task, regime="plain", **options):
    noise = {"label_noise": 0.3} if regime == "noise_switch" else {}
    return task.load(task.presets["smoke"], LoadOptions(regime=regime, **(noise | options)))


def rows_of(part):
    """Each row's input and target, to be counted."""
    rows = part.inputs.flatten(1).double()
    return [(*row, target) for row, target in zip(rows.tolist(), part.targets.tolist(), strict=True)]


# Which rows train


def reference_long_tail(labels, classes):
    """How many rows of each class are left, one class after the other."""
    sizes = [list(labels).count(label) for label in range(classes)]
    most = min((size for size in sizes if size), default=0)
    kept = []
    for label, size in enumerate(sizes):
        wanted = round(most * (1 / 100) ** (label / (classes - 1) if classes > 1 else 0))
        kept.append(min(size, max(1, wanted)))
    return kept


@given(st.integers(1, 12), st.lists(st.integers(0, 11), max_size=300))
def test_a_long_tail_keeps_as_many_rows_of_each_class_as_a_slow_reference(classes, numbers):
    labels = torch.tensor(numbers, dtype=torch.int64) % classes
    distinct, places = regime_rows("long_tail", len(labels), labels, classes)
    assert torch.bincount(labels[distinct], minlength=classes).tolist() == reference_long_tail(labels.tolist(), classes)
    assert distinct.tolist() == sorted(set(distinct.tolist()))
    assert places.tolist() == list(range(len(distinct)))


def test_the_first_and_the_last_class_of_a_long_tail_are_100_to_1():
    labels = torch.arange(50_000) % 10
    distinct, _ = regime_rows("long_tail", len(labels), labels, 10)
    assert torch.bincount(labels[distinct]).tolist() == [5000, 2997, 1797, 1077, 646, 387, 232, 139, 83, 50]
    assert distinct[:5].tolist() != list(range(5))  # drawn, not the first ones


@given(st.integers(0, 200))
def test_duplicated_rows_are_as_many_as_before_and_a_fifth_of_them_is_distinct(rows):
    distinct, places = regime_rows("duplicated", rows)
    copies = [places.tolist().count(place) for place in range(len(distinct))]
    assert len(places) == rows
    assert len(distinct) == -(-rows // 5)
    assert distinct.tolist() == sorted(set(distinct.tolist()))
    assert all(0 <= row < rows for row in distinct.tolist())
    assert max(copies, default=0) <= 5
    assert max(copies, default=0) - min(copies, default=0) <= 1
    assert rows % 5 or copies == [5] * len(distinct)


@pytest.mark.parametrize("regime", ["plain", "outliers", "clean", "noise_switch"])
def test_other_regimes_take_every_row_once(regime):
    for part in regime_rows(regime, 7, torch.zeros(7, dtype=torch.int64), 1):
        assert part.tolist() == list(range(7))


# Every task


@pytest.mark.parametrize(("task", "regime"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_a_regime_changes_what_trains_and_nothing_else(task, regime, no_files):
    plain, parts = loaded(task, hold_out=True), loaded(task, regime, hold_out=True)
    judged, test = loaded(task), loaded(task, regime)
    assert parts.fingerprint == plain.fingerprint
    assert parts.train_noisy.shape == (len(parts.train),)
    inputs, targets = parts.train.__getitems__(range(8))
    assert (len(inputs), len(targets)) == (8, 8)
    for one, other in ((plain.validation, parts.validation), (judged.test, test.test)):
        assert torch.equal(one.inputs, other.inputs) or (task, regime) == (bike.TASK, "duplicated")
        assert torch.equal(one.targets, other.targets) or (task, regime) == (bike.TASK, "duplicated")
    same = torch.equal(plain.train.inputs, parts.train.inputs) and torch.equal(plain.train.targets, parts.train.targets)
    assert same == (regime in ("plain", "noise_switch"))


@pytest.mark.parametrize(("task", "regime"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_a_regime_is_the_same_each_time_and_its_rows_are_those_of_every_seed(task, regime, no_files):
    one, again, other = (loaded(task, regime, seed=seed) for seed in (3, 3, 4))
    for parts in (one, again, other):
        parts.train.advance(1.0)
    assert torch.equal(one.train.targets, again.train.targets)
    assert torch.equal(one.train_noisy, again.train_noisy)
    assert torch.equal(one.train.inputs, other.train.inputs)
    by_seed = regime in ("noise_switch", "outliers")
    assert torch.equal(one.train.targets, other.train.targets) != by_seed
    assert torch.equal(one.train_noisy, other.train_noisy) != by_seed


@pytest.mark.parametrize(
    "task", [task for task in TASKS.values() if "duplicated" in task.regimes], ids=lambda t: t.name
)
def test_duplicated_data_are_exact_copies_of_a_fifth_of_the_rows(task, no_files):
    noise = {"label_noise": 0.3} if task.kind == "classification" else {}
    plain, parts = loaded(task), loaded(task, "duplicated", **noise)
    count = len(plain.train)
    assert len(parts.train) == count
    found = rows_of(parts.train)
    distinct = -(-count // 5)
    assert found == [found[place % distinct] for place in range(count)]
    assert parts.train_noisy.tolist() == [bool(parts.train_noisy[place % distinct]) for place in range(count)]
    assert len(set(found)) <= distinct
    if task.kind == "classification":
        assert int(parts.train_noisy[:distinct].sum()) == round(0.3 * distinct)
        inputs = {row[:-1] for row in found}
        assert inputs <= {row[:-1] for row in rows_of(plain.train)}


@pytest.mark.parametrize("task", CLASSES, ids=lambda task: task.name)
def test_a_long_tail_is_in_training_alone_and_takes_noise_too(task, no_files):
    plain, parts, noisy = loaded(task), loaded(task, "long_tail"), loaded(task, "long_tail", label_noise=0.2)
    classes = 100 if task.name == "cifar100" else 10
    kept = reference_long_tail(plain.train.targets.tolist(), classes)
    assert torch.bincount(parts.train.targets, minlength=classes).tolist() == kept
    assert set(rows_of(parts.train)) <= set(rows_of(plain.train))
    assert torch.equal(noisy.train.inputs, parts.train.inputs)
    assert torch.equal(noisy.train_noisy, noisy.train.targets != parts.train.targets)
    assert int(noisy.train_noisy.sum()) == round(0.2 * sum(kept))


# Wrong targets


@pytest.mark.parametrize("task", CLASSES, ids=lambda task: task.name)
def test_noisy_rows_are_those_whose_label_is_wrong(task, no_files):
    clean, noisy = loaded(task), loaded(task, label_noise=0.3)
    assert not clean.train_noisy.any()
    assert torch.equal(noisy.train_noisy, noisy.train.targets != clean.train.targets)
    assert int(noisy.train_noisy.sum()) == round(0.3 * len(noisy.train))


def test_switched_noise_is_the_label_noise_of_the_same_seed_from_the_middle_on():
    clean, noisy = loaded(digits.TASK), loaded(digits.TASK, label_noise=0.3, seed=5)
    parts = loaded(digits.TASK, "noise_switch", seed=5)
    for done, expected in ((0.0, clean), (0.499, clean), (0.5, noisy), (1.0, noisy), (0.2, clean)):
        parts.train.advance(done)
        assert torch.equal(parts.train.targets, expected.train.targets)
        assert torch.equal(parts.train.__getitems__([7, 3])[1], expected.train.targets[[7, 3]])
    assert torch.equal(parts.train_noisy, noisy.train_noisy)


def test_data_without_late_targets_stay_as_they_are():
    data = ArrayDataset(torch.zeros(3, 1), torch.arange(3))
    data.advance(1.0)
    assert data.targets.tolist() == [0, 1, 2]


def test_workers_that_outlive_an_epoch_see_the_switch():
    data = ArrayDataset(torch.zeros(8, 1), torch.zeros(8, dtype=torch.int64), late_targets=torch.ones(8), switch_at=0.3)
    loader = DataLoader(
        data, batch_size=4, collate_fn=ArrayDataset.collate, num_workers=1, persistent_workers=True,
    )  # fmt: skip
    assert torch.cat([targets for _, targets in loader]).tolist() == [0] * 8
    data.advance(0.3)
    assert torch.cat([targets for _, targets in loader]).tolist() == [1] * 8


def test_late_targets_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 inputs but 2 targets"):
        ArrayDataset(torch.zeros(3, 1), torch.zeros(3), late_targets=torch.zeros(2))


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_moved_targets_are_as_many_as_asked_and_within_the_range(share):
    targets = torch.linspace(-1, 1, 1000)
    moved = move_targets(targets, share, (3.0, 9.0), seed=2)
    shift = (moved - targets).abs()
    assert int((shift > 0).sum()) == round(share * 1000)
    assert bool(((shift == 0) | ((shift > 2.999) & (shift < 9.001))).all())
    assert torch.equal(targets, torch.linspace(-1, 1, 1000))
    assert len(move_targets(torch.zeros(0), share, (3.0, 9.0), seed=2)) == 0
    if share == 1.0:
        assert 400 < int((moved > targets).sum()) < 600  # up about as often as down


def test_bike_outliers_are_in_training_alone_and_only_on_request(no_files):
    plain, parts = loaded(bike.TASK, seed=1), loaded(bike.TASK, "outliers", seed=1)
    shift = (parts.train.targets - plain.train.targets).abs()
    assert not plain.train_noisy.any()
    assert torch.equal(parts.train_noisy, shift > 0)
    assert int(parts.train_noisy.sum()) == round(0.05 * len(plain.train))
    assert shift[parts.train_noisy].min() > 2.9
    assert torch.equal(plain.train.inputs, parts.train.inputs)


def test_clean_regression_is_the_same_line_without_its_outliers():
    plain, parts = loaded(regression.TASK), loaded(regression.TASK, "clean")
    off = (plain.train.targets - (10 * plain.train.inputs[:, 0] + 1)).abs() > 6
    assert torch.equal(plain.train_noisy, off)
    assert not parts.train_noisy.any()
    assert torch.equal(parts.train.targets[~off], plain.train.targets[~off])
    assert (parts.train.targets - (10 * parts.train.inputs[:, 0] + 1)).abs().max() < 6
    assert plain.train_noisy.float().mean().item() == pytest.approx(0.05, abs=0.02)


# What is refused, and how it is said


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_regime_that_a_task_does_not_have_is_refused_with_those_it_has(task):
    for regime in set(REGIMES) - set(task.regimes):
        with pytest.raises(ValueError, match=f"{task.name} has no regime {regime} .* Choose one of: plain[,.]"):
            loaded(task, regime)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regime": "long_tial"}, "unknown regime 'long_tial'. Did you mean 'long_tail'"),
        ({"regime": "noise_switch"}, "noise_switch switches label noise on, and there is none: .* --label-noise 0.3"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        LoadOptions(**options)


def test_marks_of_another_length_or_type_are_refused():
    parts = loaded(regression.TASK)
    for marks in (torch.zeros(3, dtype=torch.bool), torch.zeros(len(parts.train))):
        with pytest.raises(ValueError, match=r"train_noisy is .* give one bool a row"):
            replace(parts, train_noisy=marks)
    assert isinstance(parts, Splits)


@pytest.mark.parametrize(
    ("regime", "noise", "words"),
    [
        ("plain", 0.0, ""),
        ("plain", 0.075, "7.5 % label noise"),
        ("duplicated", 0.0, "5x duplicated data"),
        ("long_tail", 0.07, "100:1 long tail, 7 % label noise"),
        ("noise_switch", 0.3, "30 % label noise from halfway on"),
        ("of_tomorrow", 0.2, "of_tomorrow, 20 % label noise"),
    ],
)
def test_a_setting_is_said_in_words(regime, noise, words):
    assert setting_in_words(regime, noise) == words


def test_every_task_has_plain_data_and_knows_its_regimes():
    assert all(task.regimes[0] == "plain" and set(task.regimes) <= set(REGIMES) for task in TASKS.values())
    assert {regime for task in TASKS.values() for regime in task.regimes} == set(REGIMES)


def test_pictures_keep_their_augmentation_in_every_regime(no_files):
    plain = loaded(cifar10.TASK, seed=7).train
    for regime in cifar10.TASK.regimes:
        train = loaded(cifar10.TASK, regime, seed=7).train
        assert (train.augment, train.normalize) == (plain.augment, plain.normalize)
        assert torch.isfinite(train.__getitems__([0, 1])[0]).all()
