"""Every Python block of the documents runs."""

import ast
import builtins
import contextlib
import io
import re
from pathlib import Path

import pytest

from adaselection import registry
from doc_blocks import can_run, commands, read_blocks, run_blocks

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if can_run(path))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_python_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))  # a page may register methods of its own
    blocks = read_blocks(path, "python")
    assert len(blocks) == len(
        re.findall(r"^\s*```python", path.read_text(encoding="utf-8"), re.MULTILINE)
    )  # none is missed
    with contextlib.redirect_stdout(io.StringIO()) as out:
        run_blocks(blocks)
    printed = [float(value) for value in re.findall(r"([\d.]+) ?%", out.getvalue())]
    shares = [
        value for block in blocks for value in re.findall(r"^print\(.*\)  # ([\d.]+) ?%", block.code, re.MULTILINE)
    ]
    assert [value for value in shares if not any(abs(float(value) - got) <= 1 for got in printed)] == []


def test_the_readme_shows_the_one_line_change() -> None:
    first = read_blocks(ROOT / "README.md", "python")[0]
    assert "RecordedLoader(" in first.code
    assert first.no_run is None
    assert any("SelectiveLoader(" in block.code for block in read_blocks(ROOT / "README.md", "python"))


FIRST = ("accelerate", "index", "lightning", "own_method", "recorded", "streams", "transformers")


@pytest.mark.parametrize("name", FIRST)
def test_the_first_block_imports_what_it_uses_and_names_what_is_yours(name: str) -> None:
    code = read_blocks(ROOT / "docs" / f"{name}.md", "python")[0].code
    yours = re.search(r"^# your own: (.+)$", code, re.MULTILINE)
    assert yours is not None
    assert free_names(code) <= set(re.findall(r"\w+", yours[1]))


def test_names_from_nowhere_are_found() -> None:
    assert free_names("import torch.nn\nfrom a import b as c\nprint(torch, c, b)\nf = x") == {"b", "x"}
    assert free_names("def f(a, *, k=z):\n    for i in a:\n        print(i, k, f)\nclass C(D): pass") == {"z", "D"}


def free_names(code: str) -> set[str]:
    """Names that code reads and nowhere imports, binds or takes as an argument."""
    nodes = list(ast.walk(ast.parse(code)))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return read - bound - set(dir(builtins))


def test_blocks_share_a_namespace_in_order_and_errors_name_the_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("x\n\n```python\na = 1\n```\n\n```bash\nb\n```\n\n```python\n\nassert a == 2\n```\n")
    blocks = read_blocks(page, "python")
    assert [block.line for block in blocks] == [4, 12]
    with pytest.raises(AssertionError) as failure:
        run_blocks(blocks)
    assert failure.traceback[-1].lineno + 1 == 13
    assert run_blocks(blocks[:1])["a"] == 1


def test_a_page_of_an_extra_says_what_it_needs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for needs, there in (("torch", True), ("torch, no_such_package", False)):
        page.write_text(f"<!-- needs: {needs} -->\n# Page\n")
        assert can_run(page) is there
    page.write_text("# Page\n")
    assert can_run(page)


def test_a_block_is_left_out_for_a_stated_reason_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- no-run: takes a day -->\n```python\n1 / 0\n```\n\n```python\nb = 1\n```\n")
    blocks = read_blocks(page, "python")
    assert [block.no_run for block in blocks] == ["takes a day", None]
    assert run_blocks(blocks)["b"] == 1
    page.write_text("<!-- no-run: -->\n```python\n1 / 0\n```\n")
    with pytest.raises(ValueError, match="needs a reason"):
        read_blocks(page, "python")


def test_commands_are_found_with_continued_lines_and_comments(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    lines = "make demo\n$ adaselection run digits \\\n  --rate 0.3  # a comment\nadaselection tasks\n"
    page.write_text(f"```bash\n{lines}```\n")
    (block,) = read_blocks(page, "bash")
    assert commands(block) == [["run", "digits", "--rate", "0.3"], ["tasks"]]
