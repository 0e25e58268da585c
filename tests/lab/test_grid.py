"""Many runs: none twice, none lost, whoever does them and whatever happens to whom."""

from pathlib import Path

import pytest

from adaselection.errors import ArgumentError
from adaselection.lab import grid as grid_module
from adaselection.lab.arms import PolicyOptions
from adaselection.lab.grid import grid, named, run_grid
from adaselection.lab.instances import instances_path
from adaselection.lab.store import RecordStore
from lab.smoke import spec

ARMS = ("full", "uniform_budget", "adaselection")


def due(arms=ARMS, rates=(0.3,), budgets=(0.5,), seeds=range(2)):
    return named(grid(spec(), arms, rates, budgets, seeds))


@pytest.fixture
def trained(monkeypatch):
    """The runs that were trained, by arm and seed."""
    done, train = [], grid_module.train_one

    def note(asked, *arguments, **more):
        done.append((asked.method, asked.seed))
        return train(asked, *arguments, **more)

    monkeypatch.setattr(grid_module, "train_one", note)
    return done


def test_a_grid_has_every_run_once_and_goes_seed_by_seed():
    arms = ("full", "uniform_budget", "uniform", "big_loss", "uniform_rate", "full")
    specs = grid(spec(), arms, [0.1, 0.3, 0.1], [0.25, 0.5], range(2))
    per_seed = [("full", None, 1.0), ("uniform_budget", None, 0.25), ("uniform_budget", None, 0.5)]
    per_seed += [(arm, r, b) for arm in ("uniform_rate", "big_loss") for b in (0.25, 0.5) for r in (0.1, 0.3)]
    configs = [each.config("") for each in specs]
    assert [(c.arm, c.rate, c.budget, c.seed) for c in configs] == [(*row, seed) for seed in (0, 1) for row in per_seed]
    assert len({run.run_id for run in named(specs)}) == len(specs)


def test_options_go_to_the_default_policy_alone():
    arms = ("adaselection", "recorded", "placebo", "recorded_placebo", "big_loss")
    specs = grid(spec(options=PolicyOptions(beta=0.2)), arms, [0.3], [0.5], [0])
    assert [each.options.beta for each in specs] == [0.2, 0.2, None, None, None]


def test_a_grid_takes_groups_and_full_training_once():
    specs = grid(spec(), ["baselines"], [0.1, 0.3], [0.25, 0.5], [0])
    assert [(s.method, s.budget) for s in specs] == [
        ("full", 1.0), ("uniform_budget", 0.25), ("uniform_budget", 0.5),
        *(("uniform_rate", budget) for budget in (0.25, 0.25, 0.5, 0.5)),
    ]  # fmt: skip


def test_instances_are_kept_for_the_runs_that_record_losses(tmp_path, trained):
    store, runs = RecordStore(tmp_path / "one"), due(("full", "recorded_proportional"), seeds=range(2), budgets=[3.0])
    done = list(run_grid(runs, store, instances=True))
    files = {instances_path(store.path(run.found())): run.spec.method for run in done}
    assert {method for path, method in files.items() if path.is_file()} == {"recorded_proportional"}
    assert len(trained) == 4
    assert not any(run.fresh for run in run_grid(runs, store, instances=True))
    assert len(trained) == 4
    apart = RecordStore(tmp_path / "two")
    assert all(run.fresh for run in run_grid(runs, apart, jobs=2, instances=True))
    for path in files:
        other = apart.folder / path.relative_to(store.folder)
        assert other.is_file() == path.is_file()
        assert not path.is_file() or other.read_bytes() == path.read_bytes()
    records = [{r.run_id: r.repeatable() for r in each.read_all()[0]} for each in (store, apart)]
    assert records[0] == records[1]


@pytest.mark.parametrize("missing", range(4))
def test_a_grid_of_nothing_is_refused(missing):
    parts = [ARMS, [0.3], [0.5], range(1)]
    parts[missing] = []
    with pytest.raises(ArgumentError, match="at least one arm, rate, budget and seed"):
        grid(spec(), *parts)
    with pytest.raises(ValueError, match="Did you mean 'big_loss'"):
        grid(spec(), ["big_los"], [0.3], [0.5], [0])


def test_runs_that_have_a_record_are_not_done_again(tmp_path, trained):
    store = RecordStore(tmp_path)
    first = list(run_grid(due(seeds=range(1)), store))
    assert [run.fresh for run in first] == [True] * 3
    again = list(run_grid(due(), store))
    assert [run.fresh for run in again] == [False] * 3 + [True] * 3
    assert trained == [(arm, seed) for seed in (0, 1) for arm in ARMS]
    assert [run.found() for run in again[:3]] == [run.found() for run in first]


def test_a_damaged_record_is_due_again_and_kept_aside(tmp_path, trained):
    store, runs = RecordStore(tmp_path), due(seeds=range(1))
    before = [run.found() for run in run_grid(runs, store)]
    path = store.path(before[1])
    path.write_text(path.read_text()[:100])
    broken = path.read_text()
    del trained[:]
    after = [run.found() for run in run_grid(runs, store)]
    assert trained == [("uniform_budget", 0)]
    assert {r.run_id: r.repeatable() for r in after} == {r.run_id: r.repeatable() for r in before}
    assert path.with_name(path.name + ".damaged").read_text() == broken
    assert store.read_all()[1] == []


def test_runs_of_other_processes_come_last_and_are_taken_over_when_those_die(tmp_path, trained, monkeypatch):
    store, runs = RecordStore(tmp_path), due(seeds=range(2))
    theirs, dead = runs[0], runs[1]
    other = RecordStore(tmp_path)
    claims = [other.claim(run.run_id) for run in (theirs, dead)]
    for claim in claims:
        assert claim.__enter__()
    pauses = []

    def meanwhile(seconds):
        pauses.append(seconds)
        if len(pauses) == 1:  # the first process finishes its run, the other dies
            other.write(grid_module.train_one(theirs.spec))
            claims[0].__exit__(None, None, None)
        else:
            claims[1].__exit__(None, None, None)

    monkeypatch.setattr(grid_module.time, "sleep", meanwhile)
    done = list(run_grid(runs, store))
    assert [run.run_id for run in done] == [run.run_id for run in (*runs[2:], theirs, dead)]
    assert [run.fresh for run in done] == [True] * 4 + [False, True]
    assert len(pauses) == 2
    assert sorted(trained) == sorted((run.spec.method, run.spec.seed) for run in runs)


def test_two_jobs_give_the_same_records_as_one(tmp_path):
    records = {}
    for jobs in (1, 2):
        store = RecordStore(tmp_path / str(jobs))
        done = list(run_grid(due(), store, jobs=jobs))
        assert sorted(run.run_id for run in done) == sorted(run.run_id for run in due())
        assert all(run.fresh for run in done)
        records[jobs] = {record.run_id: record for record in store.read_all()[0]}
    assert {k: r.repeatable() for k, r in records[1].items()} == {k: r.repeatable() for k, r in records[2].items()}
    assert not any(record.environment.exclusive for record in records[2].values())


def test_a_folder_that_cannot_be_written_stops_a_grid_before_it_trains(tmp_path, trained):
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match="a file stands where a folder must be"):
        list(run_grid(due(), RecordStore(Path(tmp_path, "file", "below"))))
    assert not trained
