"""README.md says what the committed records say."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

from lab.records_factory import grid, make

BLOCK = re.compile(r"<!-- results:(\w+) -->\n(.*?)<!-- /results:\1 -->", re.DOTALL)


@pytest.fixture(scope="module")
def tool(root):
    found = importlib.util.spec_from_file_location("readme_tool", root / "tools" / "readme.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def copy(root, tmp_path):
    """Copies of the committed README, page and pictures."""
    shutil.copy(root / "README.md", tmp_path)
    shutil.copy(root / "docs" / "results" / "scoring.md", tmp_path)
    if (root / "docs" / "images").is_dir():
        shutil.copytree(root / "docs" / "images", tmp_path / "images")
    return tmp_path


def test_the_readme_says_what_the_committed_records_say(tool, copy, root):
    """In a process of its own: without the checks of shapes and types it takes a fraction of the time."""
    command = [sys.executable, str(root / "tools" / "readme.py")]
    command += ["--readme", str(copy / "README.md"), "--page", str(copy / "scoring.md")]
    command += ["--images", str(copy / "images")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert ".md" not in done.stdout, "run python tools/readme.py"
    assert "skipped" not in done.stdout  # a picture's bytes depend on the matplotlib that drew it
    blocks = dict(BLOCK.findall((copy / "README.md").read_text(encoding="utf-8")))
    assert set(blocks) == {tool.SCORING, tool.RECORDED}
    tables = dict(BLOCK.findall((copy / "scoring.md").read_text(encoding="utf-8")))
    assert set(tables) == set(tool.TASKS)
    for name, text in tables.items():
        assert bool(text.strip()) == any((root / "results" / name).rglob("*.json")), name
        assert f"- {text.splitlines()[0]}\n" in blocks[tool.SCORING]
    assert (root / "docs" / "images" / f"{tool.PICTURE}.svg").exists()


def test_new_records_change_their_own_block_and_picture_and_only_once(tool, copy):
    readme, page, picture = copy / "README.md", copy / "scoring.md", copy / "images" / "digits.svg"
    before = dict(BLOCK.findall(page.read_text(encoding="utf-8")))
    chosen = ("full", "uniform_budget", "adaselection")
    records = [make("digits", arm, seed, config={"learning_rate": 0.77}) for arm in chosen for seed in range(3)]
    assert tool.update(readme, page, copy / "images", records) == [page, readme, picture]
    after = dict(BLOCK.findall(page.read_text(encoding="utf-8")))
    assert {task for task in after if after[task] != before[task]} == {"digits"}
    assert "| `adaselection` | 0.3 |" in after["digits"]
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert tool.update(readme, page, copy / "images", records) == []
    another = make("digits", "full", 3, config={"learning_rate": 0.77})
    assert tool.update(readme, page, copy / "images", [*records, another])[::2] == [page, picture]


def test_one_rate_one_budget_and_full_training_are_shown(tool):
    records = grid(("digits",), seeds=1)
    trial = make(config={"split": "validation"})
    shown = {(r.config.arm, r.config.rate, r.config.budget) for r in [*records, trial] if tool.shown(r)}
    assert not tool.shown(trial)
    assert {row for row in shown if row[2] == 0.5} == {
        ("uniform_budget", None, 0.5), *((arm, 0.3, 0.5) for arm in ("uniform_rate", "adaselection", "big_loss"))
    }  # fmt: skip
    assert ("full", None, 1.0) in shown
