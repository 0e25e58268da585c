"""The command `paper`, on a small paper: what it says, what it leaves, in parts and on a cluster."""

import re

import pytest

from adaselection.lab import cluster as cluster_module
from adaselection.lab.cli import main
from adaselection.lab.cluster import ClusterError, run_on_cluster
from adaselection.lab.grid import named
from adaselection.lab.machine import DEVICE_VARIABLE, device
from adaselection.lab.paper import command, plan
from adaselection.lab.paper.command import duration
from adaselection.lab.paper.runs import paper_specs
from adaselection.lab.store import RecordStore
from lab.paper_grid import RUNS, TINY, WORDS

FEW = ["--tasks", "bike", "--rows", "full,mix_big_small"]  # 6 runs of a seed


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Digits in the place of bike, as the paper's only task."""
    monkeypatch.setattr(plan, "TASKS", {"bike": TINY})


def paper(out, *words):
    return main(["paper", "--out", str(out), *words])


def records(out):
    found, damages = RecordStore(out, writable=False).read_all()
    assert damages == []
    return found


def test_it_says_what_is_left_goes_on_and_fills_seeds_in_order(tmp_path, capsys):
    assert paper(tmp_path, *FEW, "--seeds", "1") == 0
    first = capsys.readouterr().out.splitlines()
    assert re.match(
        r"6 runs, 0 of them have their record\. 6 left: about \d+ s on this machine \(timed now: digits/smoke\)",
        first[0],
    )
    assert sum(line.startswith("digits/smoke") for line in first) == 6
    assert paper(tmp_path, *FEW) == 0
    second = capsys.readouterr().out.splitlines()
    assert re.match(r"12 runs, 6 of them have their record\. 6 left: about \d+ s on this machine\.", second[0])
    assert [line.split(" seed ")[1][0] for line in second[1:]] == ["1"] * 6
    assert paper(tmp_path, *FEW) == 0
    assert capsys.readouterr().out == "12 runs, 12 of them have their record.\n"
    assert len(records(tmp_path)) == 12


def test_slices_make_the_whole_on_machines_of_their_own(tmp_path):
    for part in (1, 2):
        assert paper(tmp_path / str(part), *FEW, "--seeds", "1", "--slice", f"{part}/2") == 0
        assert paper(tmp_path / str(part), "--pack", str(tmp_path / f"{part}.tar.gz")) == 0
        assert paper(tmp_path / "all", "--merge", str(tmp_path / f"{part}.tar.gz")) == 0
    assert len(records(tmp_path / "1")) == len(records(tmp_path / "2")) == 3
    names = {run.run_id for run in named(paper_specs("cpu", ["bike"], 1, rows=["full", "mix_big_small"]))}
    assert {record.run_id for record in records(tmp_path / "all")} == names


def test_no_run_is_started_that_would_not_be_done_in_time(tmp_path, monkeypatch, capsys):
    runs = named(paper_specs("cpu", ["bike"], 1, rows=["full", "mix_big_small"]))
    long = {run.run_id: 1e6 if run.spec.method == "full" else 0.01 for run in runs}
    monkeypatch.setattr(command, "estimates", lambda left, have: command.Estimate(long, ()))
    assert paper(tmp_path, *FEW, "--seeds", "1", "--minutes", "2") == 0
    assert {record.config.arm for record in records(tmp_path)} == {"adaselection_paper"}
    assert paper(tmp_path, *FEW, "--seeds", "1", "--minutes", "2") == 1
    assert "the shortest run that is left takes about 277.8 h. Give more minutes." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "0"], "--minutes 0 must be above 0"),
        (["--slice", "5/4"], "--slice 5/4"),
        (["--scheduler", "tcp://nowhere:1"], "--scheduler is for --backend dask"),
        (["--jobs", "0"], "--jobs 0 must be at least 1"),
        (["--tasks", "digits"], "unknown task of the paper 'digits'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(tmp_path, words, said, capsys):
    assert paper(tmp_path, *FEW, *words) == 1
    assert said in capsys.readouterr().err
    assert records(tmp_path) == [] if tmp_path.exists() else True


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (150, "2 min"), (7200, "2.0 h")])
def test_durations_are_in_the_unit_that_people_would_use(seconds, words):
    assert duration(seconds) == words


# On a cluster


def test_two_workers_of_a_cluster_give_the_records_of_one_process(tmp_path):
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    from distributed import Client, LocalCluster

    specs = paper_specs("cpu", ["bike"], 1, rows=["full", "mix_big_small"])
    due = named(specs)
    plain = RecordStore(tmp_path / "plain")
    assert paper(plain.folder, *FEW, "--seeds", "1", "--slice", "1/1") == 0
    far = RecordStore(tmp_path / "far")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        done = list(run_on_cluster(due, far, scheduler=local.scheduler_address))
        with Client(local) as client:
            ran = {name: info["nthreads"] for name, info in client.scheduler_info()["workers"].items()}
    assert list(ran.values()) == [1, 1]
    assert {run.run_id for run in done} == {run.run_id for run in due}
    assert all(run.fresh for run in done)
    repeatable = [{r.run_id: r.repeatable() for r in records(store.folder)} for store in (plain, far)]
    assert repeatable[0] == repeatable[1]
    again = list(run_on_cluster(due, far, scheduler="tcp://127.0.0.1:9"))  # nothing is left, so nobody is asked
    assert not any(run.fresh for run in again)


def test_a_scheduler_that_does_not_answer_is_named_with_what_to_start(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs the extra [cluster]")

    def refuse(address, timeout):
        raise OSError(f"Timed out trying to connect to {address}")

    monkeypatch.setattr(distributed, "Client", refuse)
    due = named(paper_specs("cpu", ["bike"], 1, rows=["full"]))
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9.*dask worker"):
        list(run_on_cluster(due, RecordStore(tmp_path), scheduler="tcp://127.0.0.1:9"))
    assert records(tmp_path) == []


def test_without_dask_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    due = named(paper_specs("cpu", ["bike"], 1, rows=["full"]))
    with pytest.raises(ClusterError, match=r"pip install '\.\[cluster\]' in a clone"):
        list(run_on_cluster(due, RecordStore(tmp_path)))
    assert cluster_module.__doc__


# The device


def test_runs_train_where_the_variable_says(monkeypatch):
    monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    assert device().type == "cpu"
    for name in ("warp", "cuda:99"):
        monkeypatch.setenv(DEVICE_VARIABLE, name)
        with pytest.raises(ValueError, match=rf"\$ADASELECTION_DEVICE is '{name}', which cannot be used here"):
            device()


def test_the_tiny_grid_is_the_one_that_the_kills_use(tmp_path):
    specs = paper_specs("cpu", ["bike"], 1, rows=WORDS[-1].split(","))
    assert len(specs) == RUNS
