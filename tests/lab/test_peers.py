"""The comparison with other packages: lines, counts, loops, and the page from the record. No peer is needed."""

import importlib.util
import json
import runpy
import sys

import pytest
import torch

PLAIN = '''
import torch

def train(run):
    """Train."""
    for x, y in run.loader:
        loss = run.loss(run.model(x), y)
        loss.backward()
'''
NAMES = ("arms", "lines", "loops", "meter")


@pytest.fixture(scope="module")
def peers(root):
    return root / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def tool(root):
    found = importlib.util.spec_from_file_location("peers_tool", root / "tools" / "peers.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def record(tool):
    return json.loads(tool.RECORD.read_text(encoding="utf-8"))


@pytest.fixture
def child(peers, monkeypatch):
    monkeypatch.syspath_prepend(peers)
    yield runpy.run_path(str(peers / "child.py"))
    for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("import torch", "import torch\nfrom other import loader", 0),
        ('"""Train."""', '"""Train otherwise."""  # with a comment', 0),
        ("run.loss(run.model(x), y)", "run.loss(\n            run.model(x),\n            y,\n        )", 0),
        ("loss.backward()", "loss.mean().backward()", 1),
        ("        loss.backward()", "        run.tell(loss)\n        loss.backward()", 1),
        ("        loss.backward()\n", "", 1),
        ("        loss = run.loss(run.model(x), y)\n        loss.backward()", "        run.step(x, y)\n", 2),
        ("    for x, y in run.loader:", "    for x, y in run.loader:\n      if True:", 1),
    ],
)
def test_lines_of_change_are_those_that_have_to_be_touched(peers, old, new, lines):
    count = runpy.run_path(str(peers / "lines.py"))["lines_of_change"]
    assert PLAIN.count(old) == 1
    changed = PLAIN.replace(old, new)
    if "if True" in new:
        changed = changed.replace("        loss", "          loss")
    assert count(PLAIN, changed) == lines


def test_every_arm_has_a_loop_that_compiles_and_the_record_has_its_lines(peers, record, monkeypatch):
    monkeypatch.syspath_prepend(peers)
    arms = runpy.run_path(str(peers / "arms.py"))["ARMS"]
    loops = {path.stem: path for path in (peers / "loops").glob("[!_]*.py")}
    assert {arm.loop for arm in arms} - {None} == set(loops)
    for path in loops.values():
        assert "train" in compile(path.read_text(encoding="utf-8"), str(path), "exec").co_names
    count = runpy.run_path(str(peers / "lines.py"))["lines_of_loop"]
    lines = {arm.name: arm.loop and count(arm.loop) for arm in arms}
    assert lines == {row["name"]: row["lines"] for row in record["results"]["arms"]}
    assert lines["uniform_budget"] == 0


@pytest.mark.parametrize(
    ("loop", "rule", "scores"),
    [
        ("plain", "", False),
        ("recorded", "", False),
        ("big_loss", "", True),
        *(("own_rule", rule, False) for rule in ("selective_backprop", "infobatch", "kakurenbo")),
    ],
)
def test_a_loop_stays_within_its_budget(child, tmp_path, capsys, loop, rule, scores):
    generator = torch.Generator().manual_seed(0)
    rows, labels = torch.randn(100, 4, generator=generator), torch.randint(3, (100,), generator=generator)
    task = {"noise": 0.0, "seed": 3, "classes": 3, "train": (rows, labels), "test": (rows, labels),
            "model": "mlp_small", "epochs": 10, "batch_size": 16, "momentum": 0.9}  # fmt: skip
    torch.save(task, tmp_path / "task.pt")
    child["main"]([loop, f"{tmp_path / 'task.pt'}@0.1,0.2", "--budget", "0.5", "--rule", rule])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["learning_rate"] for row in found] == [0.1, 0.2]
    for row in found:
        used = row["scored"] + 3 * row["trained"]
        assert used + 16 * scores >= 1500 - 3 * 16
        assert used <= 1500
        assert row["backward"] == row["trained"] >= row["with_gradient"] > 0
        assert (row["scored"] > 0) == scores
        assert 30 < row["accuracy"] <= 100


def test_the_page_says_what_the_committed_record_says(tool):
    assert tool.main(["--check"]) == 0


def test_the_check_fails_for_an_edited_page_and_writing_mends_it(tool, tmp_path, capsys):
    where = ["--page", str(tmp_path / "peers.md")]
    assert tool.main([*where, "--check"]) == 1
    assert "run python tools/peers.py" in capsys.readouterr().err
    assert tool.main(where) == 0
    assert tool.main([*where, "--check"]) == 0


def made_up(**busy):
    """Two seeds of uniform, a package that gains a point for twice the seconds, and one that did not install."""
    row = {"noise": 0.0, "learning_rate": 0.1, "scored": 0, "trained": 500, "backward": 500, "with_gradient": 500,
           "others_busy": 0.0, "seconds": 1.0, "processor": 1.0} | busy  # fmt: skip
    runs = [row | {"arm": "uniform_budget", "seed": seed, "accuracy": 90.0 + seed} for seed in range(2)]
    more = {"arm": "peer", "seconds": 2.0, "processor": 1.5, "scored": 700, "with_gradient": 200}
    runs += [row | more | {"seed": seed, "accuracy": 91.0 + seed} for seed in range(2)]
    kinds = {"uniform_budget": "plain", "peer": "package", "absent": "package"}
    return {
        "settings": {"budget": 0.5, "learning_rates": [0.1], "trials": 1, "together": 1},
        "environment": {"cpu": "Example", "cores": 2, "python": "3", "adaselection": "0"},
        "results": {
            "task": {"task": "digits", "preset": "cpu"},
            "environments": {"peer": {"commands": ["pip install peer==1"], "packages": {"torch": "2"}, "failed": None}},
            "arms": [{"name": name, "kind": kinds[name], "lines": None if name == "absent" else 3} for name in kinds],
            "failures": {"absent": "pip install absent: no such thing"},
            "runs": runs,
        },
    }


def cells(text, start):
    (found,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_row_has_the_gain_the_work_and_the_reason_of_what_did_not_run(tool):
    text = tool.page(made_up(), "Notes.")
    row = cells(text, "| `peer` |")
    assert row[2:] == ["91.50 ± 0.71", "+1.00 [+1.00, +1.00]", "2.00", "1.50", "1,200", "500", "3", "0.1", "2"]
    assert cells(text, "| `uniform_budget` |")[3:6] == ["\u2013", "1.00", "1.00"]
    absent = cells(text, "| `absent` |")
    assert absent[2] == "did not run: pip install absent: no such thing"
    assert len(absent) == len(row)
    assert "won `peer`; not told apart none; worse" not in text
    assert "won `peer`; not told apart none; lost none." in text
    assert "Of the rows that `peer` back-propagated, 40 % had a gradient." in text
    assert "cores busy" not in text


def test_seconds_do_not_count_where_others_were_busy(tool):
    text = tool.page(made_up(others_busy=0.9), "Notes.")
    assert cells(text, "| `peer` |")[4:6] == ["\u2013", "1.50"]
    assert "Other processes kept 0.9 cores busy in the median run, so seconds of the clock are left out" in text
