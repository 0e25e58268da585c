"""Irreducible losses: judged by models of other rows, kept with what they belong to, and refused anywhere else."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaselection.errors import AdaSelectionError, ArgumentError
from adaselection.lab import holdout as module
from adaselection.lab import training
from adaselection.lab.arms import PolicyOptions
from adaselection.lab.grid import grid, named
from adaselection.lab.holdout import HoldoutSpec, fold_of_rows, train_holdout
from adaselection.lab.irreducible import IrreducibleFileError, Origin, find_irreducible, read_irreducible
from adaselection.lab.record import run_id
from adaselection.lab.tasks import ArrayDataset
from adaselection.lab.training import train_one
from lab.smoke import ROWS, irreducible, spec

ORIGIN = Origin("digits", "smoke", "plain", 0.0, "test", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return irreducible(tmp_path_factory.mktemp("irreducible"))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(2, 5), st.integers(0, 9))
def test_copies_of_a_row_share_a_fold_and_folds_are_nearly_equal(values, folds, seed):
    inputs = torch.tensor(values, dtype=torch.float32)[:, None, None].expand(-1, 2, 3)
    if len(set(values)) < folds:
        with pytest.raises(ArgumentError, match="cannot be shared out"):
            fold_of_rows(inputs, folds, seed)
        return
    fold = fold_of_rows(inputs, folds, seed)
    of_value = {}
    for value, place in zip(values, fold.tolist(), strict=True):
        assert of_value.setdefault(value, place) == place
    sizes = [list(of_value.values()).count(place) for place in range(folds)]
    assert max(sizes) - min(sizes) <= 1
    assert torch.equal(fold, fold_of_rows(inputs, folds, seed))


def test_a_row_is_judged_by_a_model_that_never_saw_it(monkeypatch):
    seen, judged, fetch = [], [], ArrayDataset.__getitems__

    def note(self, indices):
        found = fetch(self, indices)
        (seen if torch.is_grad_enabled() else judged)[-1].update(row.numpy().tobytes() for row in found[0])
        return found

    passes = module._passes

    def fold(*arguments):
        seen.append(set())
        judged.append(set())
        return passes(*arguments)

    monkeypatch.setattr(ArrayDataset, "__getitems__", note)
    monkeypatch.setattr(module, "_passes", fold)
    found, splits = train_holdout(HoldoutSpec(ORIGIN, folds=3, epochs=2))
    assert len(seen) == 3
    assert all(not of_training & of_judging for of_training, of_judging in zip(seen, judged, strict=True))
    assert set.union(*judged) == {row.numpy().tobytes() for row in splits.train.inputs}
    assert bool(found.losses.isfinite().all())


def test_the_losses_are_those_of_the_best_pass(monkeypatch):
    curves = {0: [3.0, 1.0, 2.0], 1: [1.5, 1.75, 4.0]}

    def passes(spec, splits, trained, judged, number):
        for loss in curves[number]:
            yield torch.full((len(judged),), loss)

    monkeypatch.setattr(module, "_passes", passes)
    shown = []
    found, _ = train_holdout(HoldoutSpec(ORIGIN, epochs=3), shown.append)
    assert found.best == (2, 1)
    assert sorted(set(found.losses.tolist())) == [1.0, 1.5]
    assert [(s.fold, s.epoch, s.loss) for s in shown] == [
        (fold + 1, epoch + 1, loss) for fold, curve in curves.items() for epoch, loss in enumerate(curve)
    ]
    halves = (ROWS + 1) // 2, ROWS // 2
    assert found.units == 3 * sum(3 * (ROWS - half) + half for half in halves)
    curves[1][2] = math.nan
    with pytest.raises(AdaSelectionError, match=r"not finite after pass 3: give a lower --learning-rate than 0\.1"):
        train_holdout(HoldoutSpec(ORIGIN, epochs=3))


def test_it_is_repeatable_and_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    first, second = (train_holdout(HoldoutSpec(ORIGIN))[0] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.losses, second.losses)
    assert not torch.equal(first.losses, train_holdout(HoldoutSpec(replace(ORIGIN, seed=1)))[0].losses)


def test_wrong_labels_cannot_be_learnt_from_other_rows():
    noisy = replace(ORIGIN, label_noise=0.3, preset="cpu")
    found, splits = train_holdout(HoldoutSpec(noisy, epochs=5))
    wrong = splits.train_noisy
    assert float(found.losses[wrong].mean()) > 2 * float(found.losses[~wrong].mean())


def test_a_file_comes_back_as_it_was(tmp_path):
    made, _ = train_holdout(HoldoutSpec(replace(ORIGIN, label_noise=0.25, split="validation", seed=7)))
    path = made.write(tmp_path / "new")
    assert path.name == "digits-smoke-noise0.25-validation-seed7.npz"
    back = read_irreducible(path)
    assert torch.equal(back.losses, made.losses)
    assert replace(back, losses=made.losses) == made
    assert find_irreducible(path, made.origin).data == find_irreducible(path.parent, made.origin).data == made.data
    before = path.read_bytes()
    made.write(tmp_path / "new")
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [0, 10, 200, -30])
def test_a_damaged_file_is_named(cut, folder, tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes((folder / ORIGIN.name).read_bytes()[:cut])
    with pytest.raises(IrreducibleFileError, match=r"x\.npz has no usable irreducible losses: .*adaselection holdout"):
        read_irreducible(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"irreducible": np.zeros((2, 2), np.float32)}, "shape"),
        ({"irreducible": np.full(4, np.nan, np.float32)}, "finite"),
        ({"facts": np.str_("{}")}, "format"),
        ({"facts": np.str_('{"format": 9}')}, "another format"),
        ({"facts": np.str_("nonsense")}, "usable"),
        ({"irreducible": np.array([None])}, "usable"),
    ],
)
def test_a_file_of_another_kind_is_refused(change, says, folder, tmp_path):
    with np.load(folder / ORIGIN.name) as file:
        arrays = {**{name: file[name] for name in file.files}, **change}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(IrreducibleFileError, match=says):
        read_irreducible(tmp_path / "x.npz")


@pytest.mark.parametrize("change", [{"seed": 1}, {"label_noise": 0.1}, {"preset": "cpu"}, {"split": "validation"}])
def test_a_run_refuses_losses_of_other_rows(change, folder):
    asked = {"method": "recorded_rho_loss", **change}
    with pytest.raises(IrreducibleFileError, match="Make those: adaselection holdout digits"):
        spec(irreducible=folder / ORIGIN.name, **asked)
    with pytest.raises(FileNotFoundError, match="Make them first: adaselection holdout digits") as caught:
        spec(irreducible=folder, **asked)
    for name, value in change.items():
        assert f"--{name.replace('_', '-')} {value}" in str(caught.value)


def test_losses_of_other_data_or_of_too_few_rows_are_refused_before_training(folder, tmp_path, monkeypatch):
    made = read_irreducible(folder / ORIGIN.name)
    replace(made, data="other:00").write(tmp_path)
    monkeypatch.setattr(training, "Trainer", None)
    asked = spec(method="recorded_rho_loss", irreducible=tmp_path)
    with pytest.raises(IrreducibleFileError, match="are of other data"):
        named([asked])
    replace(made, losses=made.losses[:-1]).write(tmp_path)
    with pytest.raises(IrreducibleFileError, match=f"there are {ROWS - 1} irreducible losses"):
        train_one(asked)


def test_the_losses_reach_the_record_and_the_choice(folder, monkeypatch):
    asked = spec(method="recorded_rho_loss", irreducible=folder, budget=3.0)
    kept = []
    first = train_one(asked, keep=lambda record, loader, splits: kept.append(loader.records))
    rows = torch.arange(ROWS)
    expected = read_irreducible(folder / ORIGIN.name).losses
    assert torch.equal(kept[0].read(rows, now=10**6).irreducible, expected.bfloat16().float())
    assert first.units.used <= first.units.allowed  # training the other models is charged elsewhere
    others = replace(read_irreducible(folder / ORIGIN.name), losses=expected.flip(0))
    monkeypatch.setattr("adaselection.lab.spec.find_irreducible", lambda *_: others)
    assert train_one(asked).curve != first.curve


def test_a_run_is_named_by_how_its_losses_were_made_and_not_by_where_they_are(folder, tmp_path):
    asked = spec(method="recorded_rho_loss", irreducible=folder)
    name = run_id(asked.config("data"))
    assert run_id(replace(asked, irreducible=folder / ORIGIN.name).config("data")) == name
    train_holdout(HoldoutSpec(ORIGIN, epochs=2))[0].write(tmp_path)
    assert run_id(replace(asked, irreducible=tmp_path).config("data")) != name
    assert asked.config("data").policy["irreducible"] == {
        "model": "mlp_small", "folds": 2, "epochs": 1, "learning_rate": 0.1
    }  # fmt: skip
    assert asked.command().endswith(f"--irreducible irreducible/{ORIGIN.name}")
    assert json.loads(json.dumps(asked.config("data").policy))


def test_a_grid_gives_the_losses_to_the_arms_that_read_them(folder):
    specs = grid(spec(), ("full", "recorded", "recorded_rho_loss"), [0.3], [0.5], [0], irreducible=folder)
    assert [each.irreducible for each in specs] == [None, None, folder]
    mixed = spec(method="recorded", options=PolicyOptions(methods=("uniform", "rho_loss")), irreducible=folder)
    assert "irreducible" in mixed.config("data").policy
