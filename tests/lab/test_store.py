"""The store: whole files or none, no run twice, no run lost, damage named."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adaselection.errors import AdaSelectionError
from adaselection.lab import store as store_module
from adaselection.lab.record import DamagedRecordError, Record, run_id
from adaselection.lab.store import Damage, RecordStore, StoreError, write_atomically
from lab.records_factory import grid, make

SOURCE = Path(__file__).resolve().parents[2] / "src"


def plain(**changes: object) -> dict:
    return json.loads(make().to_json()) | changes


def child(code: str, *arguments: object, wait: bool = True) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if wait:
        process.wait()
    return process


def test_a_record_survives_the_way_to_disk_and_back(tmp_path):
    store, record = RecordStore(tmp_path), make(seed=3)
    path = store.write(record)
    assert path == tmp_path / "digits" / f"{record.run_id}.json"
    assert store.read_all() == ([record], [])
    assert Record.from_json(path.read_bytes()) == record
    assert store.has(record.run_id)
    assert not store.has("0" * 16)


def test_the_run_id_is_the_hash_of_canonical_json():
    config = plain()["config"]
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    import hashlib

    assert run_id(config) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert run_id(dict(reversed(config.items()))) == run_id(config)
    assert run_id(config | {"budget": 1}) == run_id(config | {"budget": 1.0})
    assert run_id(config | {"seed": 1}) != run_id(config)


def test_committed_records_are_still_read_under_their_names_and_written_as_they_were():
    code = (  # in a process of its own, where not every call is type-checked: there are many
        "from pathlib import Path\n"
        "from adaselection.lab.record import Record, run_id\n"
        "paths = sorted(path for folder in sys.argv[1:] for path in Path(folder).rglob('*.json'))\n"
        "for path in paths[::max(1, len(paths) // 1000)]:\n"  # names are digests: an even sample of all kinds
        "    text = path.read_text(encoding='utf-8')\n"
        "    record = Record.from_json(text, path)\n"
        "    good = record.run_id == run_id(record.config) == path.stem and record.to_json() == text\n"
        "    print('good' if good else path)\n"
    )
    root = SOURCE.parent
    reader = child(code, root / "results", root / "benchmarks" / "records" / "choice", wait=False)
    lines = reader.communicate()[0].splitlines()
    assert reader.returncode == 0
    assert set(lines) == {"good"}
    assert len(lines) >= 1000


def test_new_fields_are_left_out_where_they_say_nothing():
    record, config = make(value=90.0), plain()["config"]
    assert (record.config.regime, record.result.worst_class, record.policy_trace) == ("plain", None, None)
    assert not {"regime", "worst_class", "policy_trace"} & set(re.findall(r'"(\w+)":', record.to_json()))
    assert run_id(config | {"regime": "plain"}) == run_id(config)
    assert make(value=90.0, config={"regime": "plain"}, result={"worst_class": None}, policy_trace=None) == record
    assert run_id(config | {"regime": "long_tail"}) != run_id(config)


def test_new_fields_survive_the_way_to_text_and_back():
    trace = {"gate": {"open": [True, False], "predicted_gain": [0.1, -2]}, "note": None, "by": "gate", "empty": {}}
    record = make(config={"regime": "long_tail"}, result={"worst_class": 12.5}, policy_trace=trace)
    again = Record.from_json(record.to_json())
    assert again == record
    assert (again.config.regime, again.result.worst_class, again.policy_trace) == ("long_tail", 12.5, trace)
    assert record.repeatable()["policy_trace"] == trace
    assert make(policy_trace={}).to_json().endswith('"policy_trace": {}\n}\n')


@pytest.mark.parametrize("value", [{2}, [object()], {"deep": [1, b"x"]}])
def test_a_policys_trace_is_plain_json(value):
    with pytest.raises(DamagedRecordError, match=r"policy_trace\.a\S* must be plain JSON"):
        make(policy_trace={"a": value})


def test_values_that_are_not_finite_are_kept_as_null():
    record = make(value=float("nan"))
    assert record.result.value is None
    assert '"value":null' in record.to_json()
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        (make().to_json()[:500], "Unterminated string|Expecting"),
        ("[1, 2]", "the top level must be a mapping"),
        ("[" * 100_000, "recursion"),
        (b"\x80{}", "decode|codec"),
        (plain(schema=2), "schema 2 is not 1"),
        ({key: value for key, value in plain().items() if key != "units"}, "missing key units"),
        (plain(surprise=1), "unknown key surprise"),
        (plain(run_id="0" * 16), "does not match its config"),
        (plain(command=None), "command must be text"),
        (plain(started="yesterday"), "Invalid isoformat"),
        (plain(counts={**plain()["counts"], "steps": 1.5}), r"counts.steps must be an integer, not 1.5"),
        (plain(counts={**plain()["counts"], "steps": True}), "counts.steps must be an integer, not True"),
        (plain(units={**plain()["units"], "used": "many"}), "units.used must be a finite number, not 'many'"),
        (plain(seconds={**plain()["seconds"], "total": float("inf")}), "seconds.total must be a finite number"),
        (plain(config={**plain()["config"], "split": "train"}), "config.split must be one of test, validation"),
        (plain(command={"a": {}}), r"command must be text, not {'a': {}}"),
        (plain(**{"{where}": 1}), "unknown key {where}"),
        (
            plain(curve=[{"step": 1, "units": 1.0, "train_loss": 0.5}, {"step": 2, "units": "x", "train_loss": 0.5}]),
            r"curve\[1\].units must be a finite number, not 'x'",
        ),
        (plain(curve=[{"step": 1, "units": 1.0}]), r"missing key curve\[0\].train_loss"),
        (plain(weights={"methods": ["a"], "steps": [1], "values": [[0.5, 0.5]]}), "weights.values must have"),
        (plain(config={**plain()["config"], "regime": None}), "config.regime must be text"),
        (plain(config={**plain()["config"], "regime": "duplicated"}), "does not match its config"),
        (plain(config={**plain()["config"], "surprise": 1}), "unknown key config.surprise"),
        (plain(result={**plain()["result"], "worst_class": "low"}), "result.worst_class must be a finite number"),
        (plain(policy_trace=[1]), "policy_trace must be a mapping"),
        (plain(policy_trace={"gain": [0.5, float("nan")]}), r"policy_trace.gain\[1\] must be a finite number, not nan"),
        (
            plain(policy_trace={"gate": {"open": float("inf")}}),
            "trace.gate.open must be a finite number, not inf",
        ),
        (plain(losses={"edges": [0, 1], "seen": [1, 2], "kept": [1]}), "one shorter than losses.edges"),
    ],
)
def test_a_damaged_record_is_refused_with_file_and_reason(text, reason):
    with pytest.raises(DamagedRecordError, match=reason) as caught:
        Record.from_json(text, "results/digits/x.json")
    assert str(caught.value).startswith("results/digits/x.json: ")
    assert isinstance(caught.value, AdaSelectionError)


def test_damaged_files_are_named_skipped_and_left_alone(tmp_path):
    store = RecordStore(tmp_path)
    records = grid(("digits", "bike"), arms=("full",), seeds=2)
    for record in records:
        store.write(record)
    torn = tmp_path / "digits" / "torn.json"
    torn.write_text('{"schema": 1,')
    (tmp_path / "digits" / ".x.json.1-ab.tmp").write_text("half")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.json").write_text("half")
    folder = tmp_path / "bike" / "folder.json"
    folder.mkdir()
    found, damages = store.read_all()
    assert sorted(r.run_id for r in found) == sorted(r.run_id for r in records)
    assert {damage.path for damage in damages} == {torn, folder}
    assert all(isinstance(damage, Damage) and damage.reason for damage in damages)
    assert torn.read_text() == '{"schema": 1,'


def test_one_run_never_counts_twice(tmp_path):
    first = RecordStore(tmp_path).write(make())
    second = tmp_path / "other" / first.name
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    found, damages = RecordStore(tmp_path, writable=False).read_all()
    assert [record.run_id for record in found] == [make().run_id]
    assert damages == [Damage(second, f"a second record of the run in {first}")]


def test_a_store_inside_a_store_is_another_study(tmp_path):
    outer, inner = RecordStore(tmp_path), RecordStore(tmp_path / "recorded")
    theirs = make(seed=1)
    outer.write(make())
    inner.write(make())
    inner.write(theirs)
    assert outer.read_all() == ([make()], [])
    assert {record.run_id for record in inner.read_all()[0]} == {make().run_id, theirs.run_id}


def test_a_damaged_record_is_due_again_and_kept_beside_the_new_one(tmp_path):
    store, record = RecordStore(tmp_path), make()
    path = store.write(record)
    path.write_text("half")
    assert not store.has(record.run_id)
    store.write(record)
    assert store.read_all() == ([record], [])
    assert path.with_name(f"{path.name}.damaged").read_text() == "half"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        RecordStore(tmp_path / "nothing-here", writable=False).read_all()


@pytest.mark.parametrize("name", ["../up", ".hidden", "a/b", ""])
def test_a_task_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name a folder"):
        RecordStore(tmp_path).write(make(config={"task": name}))


def test_a_file_in_the_place_of_the_folder_fails_at_construction(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"file/results.*Not a directory. Fix: a file stands where"):
        RecordStore(tmp_path / "file" / "results")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "fix"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "disk that can be written"), (errno.EACCES, "write permission")],
)
def test_a_full_disk_or_a_read_only_folder_leaves_nothing_behind(tmp_path, monkeypatch, number, fix):
    path = RecordStore(tmp_path).write(make())
    before = path.read_bytes()

    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store_module.os, "fsync", fail)
    with pytest.raises(StoreError, match=f"cannot write .*{os.strerror(number)}. Fix: .*{fix}"):
        RecordStore(tmp_path)
    with pytest.raises(StoreError, match=make(seed=1).run_id):
        RecordStore(tmp_path, writable=False).write(make(seed=1))
    with pytest.raises(StoreError):
        RecordStore(tmp_path, writable=False).write(make())
    assert path.read_bytes() == before
    assert [p.name for p in (tmp_path / "digits").iterdir()] == [path.name]


def test_a_real_limit_of_the_system_leaves_no_half_file(tmp_path):
    code = (
        "import resource\nfrom pathlib import Path\nfrom adaselection.lab.store import StoreError, write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]) / 'big.json', 'x' * 100_000)\n"
        "except StoreError as error: print(error)\n"
    )
    process = child(code, tmp_path)
    assert "File too large. Fix: lift the limit on file sizes" in process.communicate()[0]
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_size_of_the_old_one_is_replaced_whole(tmp_path):
    path = tmp_path / "x.txt"
    write_atomically(path, "ö\n")
    write_atomically(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_claim_is_ours_alone_and_ends_with_the_block(tmp_path):
    one, other = RecordStore(tmp_path), RecordStore(tmp_path)
    with one.claim("run") as mine:
        assert mine
        with other.claim("run") as theirs, other.claim("another") as free:
            assert not theirs
            assert free
    with other.claim("run") as theirs:
        assert theirs


def test_a_run_that_is_done_cannot_be_claimed(tmp_path):
    store, record = RecordStore(tmp_path), make()
    store.write(record)
    with store.claim(record.run_id) as mine:
        assert not mine
    with store.claim(record.run_id, again=True) as mine:
        assert mine


def test_an_error_inside_a_claim_gives_it_back(tmp_path):
    store = RecordStore(tmp_path)
    with pytest.raises(KeyError), store.claim("run"):
        raise KeyError
    with store.claim("run") as mine:
        assert mine


def test_a_killed_process_gives_its_claim_back(tmp_path):
    code = (
        "import time\nfrom adaselection.lab.store import RecordStore\n"
        "with RecordStore(sys.argv[1]).claim('run') as mine:\n print(mine, flush=True)\n time.sleep(60)\n"
    )
    process = child(code, tmp_path, wait=False)
    try:
        assert process.stdout.readline() == "True\n"
        with RecordStore(tmp_path).claim("run") as mine:
            assert not mine
    finally:
        process.kill()
        process.communicate()
    with RecordStore(tmp_path).claim("run") as mine:
        assert mine


def test_processes_that_share_a_folder_do_every_run_once(tmp_path):
    todo = tmp_path / "todo"
    todo.mkdir()
    records = grid(("digits",), arms=("uniform_budget",), budgets=(0.5,), seeds=12)
    for record in records:
        (todo / record.run_id).write_text(record.to_json())
    code = (
        "from pathlib import Path\nfrom adaselection.lab.store import Record, RecordStore\n"
        "store = RecordStore(Path(sys.argv[1], 'out'))\n"
        "for path in sorted(Path(sys.argv[1], 'todo').iterdir()):\n"
        " with store.claim(path.name) as mine:\n"
        "  if mine:\n   store.write(Record.from_json(path.read_text()))\n   print(path.name)\n"
    )
    workers = [child(code, tmp_path, wait=False) for _ in range(3)]
    done = [line for worker in workers for line in worker.communicate()[0].split()]
    assert sorted(done) == sorted(record.run_id for record in records)
    found, damages = RecordStore(tmp_path / "out").read_all()
    assert sorted(found, key=lambda r: r.run_id) == sorted(records, key=lambda r: r.run_id)
    assert damages == []


def test_repeatable_leaves_out_what_a_second_run_may_change():
    first = make(seed=1)
    changes = {"finished": "2027-01-01T00:00:00Z", "environment": {"host": "other", "exclusive": False}}
    again = make(seed=1, environment=changes["environment"], finished=changes["finished"])
    assert first != again
    assert first.repeatable() == again.repeatable()
    assert first.repeatable() != make(seed=1, value=12.0).repeatable()
