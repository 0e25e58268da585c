"""The rules of the house: what an import loads, what is public, sizes, docstrings, one version."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import adaselection

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "adaselection"
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 250, 40

PUBLIC = frozenset(
    {
        "AdaSelection",
        "AdaSelectionError",
        "CheapScores",
        "Meter",
        "MethodInfo",
        "ModelScorer",
        "Policy",
        "RecordedLoader",
        "RecordedLosses",
        "RecordedReport",
        "Report",
        "Selection",
        "SelectiveLoader",
        "Signals",
        "SingleMethod",
        "__version__",
        "diagnosis",
        "errors",
        "functional",
        "method_info",
        "methods",
        "recalibrate_batchnorm",
        "register_method",
        "short_sequences",
    }
)

# What torch itself loads, tqdm where it is installed, and jaxtyping, which gives the shapes their meaning where it is.
ALLOWED = frozenset({"torch", "torchgen", "numpy", "tqdm", "typing_extensions", "adaselection", "jaxtyping"})


def third_party(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the third-party top-level packages that it loaded."""
    ask = "import json, sys; print(json.dumps([m.partition('.')[0] for m in list(sys.modules)]))"
    lines = [f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r})", code, ask]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    loaded -= {"sitecustomize", "usercustomize"}  # which an interpreter loads by itself, as Debian's does
    return {name for name in loaded - sys.stdlib_module_names if not name.startswith("_")}


def test_import_loads_torch_and_nothing_heavier() -> None:
    loaded = third_party("import adaselection")
    assert "torch" in loaded
    assert loaded <= ALLOWED


def test_the_import_check_can_fail() -> None:
    assert "hypothesis" in third_party("import adaselection, hypothesis") - ALLOWED


def test_import_changes_nothing_in_torch() -> None:
    code = (
        "import torch, torch.utils.data as d\n"
        "def state():\n"
        "    own = d.DataLoader.__iter__, d.dataloader._BaseDataLoaderIter.__next__, torch.Tensor.backward\n"
        "    return own, torch.get_rng_state().tolist(), torch.is_grad_enabled(), torch.get_default_dtype()\n"
        "before = state()\n"
        "import adaselection\n"
        "assert state() == before\n"
    )
    assert "adaselection" in third_party(code)


def test_the_core_works_without_numpy_and_jaxtyping() -> None:
    code = (
        "sys.modules.update(numpy=None, jaxtyping=None)\n"
        "import warnings; warnings.filterwarnings('ignore', 'Failed to initialize NumPy')\n"
        "import torch, adaselection\n"
        "kept = adaselection.SingleMethod('big_loss', rate=0.5).select(torch.tensor([1.0, 4.0, 2.0, 3.0]))\n"
        "assert kept.indices.tolist() == [1, 3], kept\n"
        "adaselection.AdaSelection(rate=0.5).select(torch.rand(8))\n"
    )
    assert third_party(code) >= {"torch", "adaselection"}


def test_the_public_names_are_these_and_no_more() -> None:
    assert set(adaselection.__all__) == PUBLIC
    assert sorted(adaselection.__all__) == sorted(set(adaselection.__all__))
    assert all(hasattr(adaselection, name) for name in PUBLIC)


def test_the_package_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    citation = re.search(r"^version: (\S+)$", text, re.MULTILINE)
    assert citation is not None
    assert {project, citation[1], adaselection.__version__} == {project}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_is_short_documented_and_typed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "the module has no docstring"
    faults = [fault for node, public in definitions(tree) for fault in faults_of(node, public)]
    if (lines := text.count("\n")) > MOST_LINES:
        faults.append(f"{lines} lines, {MOST_LINES} at most")
    assert faults == []


def definitions(tree: ast.AST, public: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Give every function and class with whether its whole path is public."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            seen = public and not node.name.startswith("_")
            yield node, seen
            yield from definitions(node, seen and isinstance(node, ast.ClassDef))
        else:
            yield from definitions(node, public)


def faults_of(node: ast.AST, public: bool) -> list[str]:
    """Say what a function or class breaks. A function's lines are those of its body, without the docstring."""
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    faults = [f"{node.name} has no docstring"] if public and not ast.get_docstring(node) else []
    if not isinstance(node, ast.ClassDef):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lines = node.end_lineno - body[0].lineno + 1 if body else 0
        if lines > MOST_LINES_OF_A_FUNCTION:
            faults.append(f"{node.name} has {lines} lines, {MOST_LINES_OF_A_FUNCTION} at most")
    return faults


def test_the_size_and_docstring_checks_can_fail() -> None:
    body = "\n".join(f"    x{i} = {i}" for i in range(50))
    tree = ast.parse(f'def long():\n    """Doc."""\n{body}\n\nclass Bare:\n    def _hidden(self): pass\n')
    assert [fault for node, public in definitions(tree) for fault in faults_of(node, public)] == [
        "long has 50 lines, 40 at most",
        "Bare has no docstring",
    ]
