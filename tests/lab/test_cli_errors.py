"""How the commands say no: in one line that names the fix, with nothing lost."""

import errno
import sys

import pytest

from adaselection.lab import grid as grid_module
from adaselection.lab import store as store_module
from adaselection.lab.cli import main
from adaselection.lab.store import RecordStore
from lab.smoke import SHORT, compare
from lab.test_cli import FLAGS


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results"


NOTHING_TRAINED = [
    (["run", "digit"], "unknown task 'digit'. Did you mean 'digits'?"),
    (
        ["run", "digits", "--method", "big_los"],
        "unknown arm 'big_los'. Did you mean 'big_loss'? `adaselection methods` lists all.\n",
    ),
    (["run", "digits", "--methods", "big_los,uniform"], "Did you mean 'big_loss'?"),
    (["run", "digits", "--methods", ","], "methods is empty"),
    (["run", "digits", "--rate", "0"], "rate"),
    (["run", "digits", "--rate", "2"], "rate"),
    (["run", "digits", "--budget", "0"], "budget 0 is outside (0, 10]"),
    (["run", "digits", "--beta", "3"], "beta=3.0 is outside [-1, 1]"),
    (["run", "digits", "--beta", "0.5", "--method", "big_loss"], "--beta: only arms that mix methods"),
    (["run", "digits", "--seed", "-1"], "seed -1"),
    (["run", "digits", "--label-noise", "1.5"], "[0, 1)"),
    (["run", "digits", "--preset", "large"], "There are: paper, cpu, smoke."),
    (["run", "digits", "--threads", "0"], "--threads 0 must be at least 1."),
    (["compare", "digits", "--arms", ","], "at least one arm"),
    (["compare", "digits", "--arms", "full,big_los"], "Did you mean 'big_loss'?"),
    (["compare", "digits", "--seeds", "0"], "at least one arm, rate, budget and seed"),
    (["compare", "digits", "--rates", "0.3,x"], "--rates '0.3,x' is no comma-separated list of numbers."),
    (["compare", "digits", "--rates", "0.3,7"], "rate"),
    (["compare", "digits", "--budgets", ""], "--budgets '' is no comma-separated list of numbers."),
    (["compare", "digits", "--jobs", "0"], "--jobs 0 must be at least 1."),
    (["tune", "digits", "--learning-rates", ""], "--learning-rates '' is no comma-separated list of numbers."),
    (["tune", "digits", "--learning-rates", "0.1,-1"], "learning rate -1 must be above 0"),
    (["profile", "digits", "--repeats", "0"], "--repeats 0 must be at least 1."),
    (["report", "nowhere"], "no results folder nowhere"),
    (["report"], "no results folder runs"),
    (["compare", "digits", "--arms", "recorded_al"], "Did you mean 'recorded_all'?"),
    (["run", "digits", "--instances"], "--instances: adaselection records nothing of its rows."),
    (["run", "digits", "--method", "recorded_rho_loss"], "Make them first: adaselection holdout digits --preset smoke"),
    (["run", "digits", "--method", "recorded", "--irreducible", "x.npz"], "recorded does not read irreducible losses"),
    (["run", "digits", "--method", "recorded_rho_loss", "--irreducible", "x.npz"], "no irreducible losses x.npz"),
    (["run", "digits", "--methods", "uniform,rho_loss"], "Take an arm on recorded losses: recorded_rho_loss"),
    (["compare", "digits", "--arms", "full,recorded_rho_loss"], "Then add --irreducible irreducible."),
    (["compare", "digits", "--irreducible", "x"], "--irreducible: none of these arms reads it."),
    (["holdout", "digit"], "unknown task 'digit'. Did you mean 'digits'?"),
    (["holdout", "digits", "--folds", "1"], "--folds 1 is outside [2, 20]."),
    (["holdout", "digits", "--epochs", "0"], "--epochs 0 must be at least 1."),
    (["holdout", "digits", "--learning-rate", "0"], "learning rate 0 must be above 0"),
    (["holdout", "digits", "--model", "mlp_smal"], "Did you mean 'mlp_small'?"),
    (["holdout", "digits", "--seeds", "0"], "--seeds 0 must be at least 1."),
    (["holdout", "digits", "--regime", "noise_switch", "--label-noise", "0.2"], "labels change halfway"),
    (["inspect", "abc", "--folder", "nowhere"], "no results folder nowhere"),
]


@pytest.mark.parametrize(("words", "why"), NOTHING_TRAINED)
def test_what_cannot_be_done_is_explained_in_one_line(words, why, out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grid_module, "train_one", None)
    preset = [] if "--preset" in words or "--preset" not in FLAGS[words[0]] else SHORT
    assert main([*words, *preset, *(["--out", str(out)] if "--out" in FLAGS[words[0]] else [])]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("adaselection: ")
    assert why in said.err
    assert said.err.count("\n") == 1
    assert not out.exists() or not RecordStore(out).read_all()[0]
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize("words", [[], ["train"], ["run"], ["run", "digits", "--rate", "much"], ["tune", "digits"]])
def test_words_that_are_no_command_end_with_code_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert capsys.readouterr().err


def test_missing_data_are_explained_with_what_to_do(out, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ADASELECTION_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    mine = tmp_path / "mine"
    mine.mkdir()
    assert main(["run", "bike", *SHORT, "--data-dir", str(mine), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("adaselection: ")
    for part in ("day.csv", str(mine), "ADASELECTION_DATA", "pip install '.[data]' in a clone"):
        assert part in said
    assert main(["run", "bike", *SHORT, "--data-dir", str(mine / "typo"), "--out", str(out)]) == 1
    assert "typo, which is no folder. Correct it, or leave it out." in capsys.readouterr().err


def test_a_folder_below_a_file_stops_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grid_module, "train_one", None)
    (tmp_path / "file").write_text("")
    for words in (["run", "digits"], ["compare", "digits"], ["tune", "digits", "--learning-rates", "0.1"]):
        assert main([*words, *SHORT, "--out", str(tmp_path / "file" / "below")]) == 1
        assert "a file stands where a folder must be: move it, or name another folder." in capsys.readouterr().err


def test_a_full_disk_is_explained_and_leaves_no_half_record(out, monkeypatch, capsys):
    move = store_module.os.replace

    def full(source, target):
        if str(target).endswith(".json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        move(source, target)

    monkeypatch.setattr(store_module.os, "replace", full)
    assert compare(out, "--seeds", "1") == 1
    said = capsys.readouterr().err
    assert "No space left on device. Fix: free some space, or name a folder on another disk." in said
    assert said.count("\n") == 1
    assert not list((out / "digits").iterdir())


def test_control_c_says_that_nothing_is_lost(out, monkeypatch, capsys):
    train = grid_module.train_one

    def stop(asked, *arguments, **more):
        if asked.seed == 1:
            raise KeyboardInterrupt
        return train(asked, *arguments, **more)

    monkeypatch.setattr(grid_module, "train_one", stop)
    assert compare(out, "--arms", "full", "--seeds", "3") == 130
    assert "the same command goes on from here" in " ".join(capsys.readouterr().err.split())
    assert len(RecordStore(out).read_all()[0]) == 1
