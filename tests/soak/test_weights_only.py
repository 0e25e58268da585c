"""What is loaded never runs code: states are plain, and no file is read by what could."""

import ast
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from adaselection.errors import StateError
from core.parts import stored
from soak.running import STATES, losses_due, records
from soak.states import differences

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
RUNS_CODE = {"eval", "exec", "compile", "Unpickler", "load_module", "run_path", "run_module", "unsafe_load"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml", "runpy"}
KNOWN = {
    "lab/formats.py": {"import pickle"},  # an unpickler that knows arrays and nothing else; tests/lab/test_formats.py
}


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def parts() -> Iterator[tuple[str, Any]]:
    """Everything public with a state, after some batches."""
    for name, family in STATES.items():
        yield from (
            (f"{name}: {key}", part) for key, part in vars(family.make()).items() if hasattr(part, "state_dict")
        )
    yield from vars(records()).items()
    yield from ((name, part) for name, part in vars(losses_due()).items() if hasattr(part, "state_dict"))


@pytest.mark.parametrize(("name", "part"), [pytest.param(*pair, id=pair[0]) for pair in parts()])
def test_a_state_loads_without_running_code(name: str, part: Any) -> None:
    state = part.state_dict()
    again = stored(state)  # by weights_only=True
    assert differences(state, again) == []
    part.load_state_dict(again)
    assert differences(part.state_dict().get("policy"), state.get("policy")) == []


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", STATES)
def test_an_object_in_the_place_of_a_state_is_refused_and_does_nothing(name: str, tmp_path: Path) -> None:
    subject, trap = STATES[name].make(), Trap(tmp_path / "sprung")
    with pytest.raises(StateError, match="must be a dict"):
        subject.load_state_dict(trap)
    with pytest.raises(StateError):
        subject.load_state_dict({"version": trap, "policy": trap})
    file = io.BytesIO()
    torch.save(trap, file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)
    assert not trap.path.exists()
    file.seek(0)
    torch.load(file, weights_only=False)
    assert trap.path.exists()  # it would have been noticed


def faults(path: Path, tree: ast.AST) -> list[str]:
    """Calls and imports of what runs code from a file."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"import {name}" for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called.endswith("torch.load") and options.get("weights_only") != "True":
            found.append(called)
        if called.endswith("np.load") and options.get("allow_pickle", "False") != "False":
            found.append(called)
        if called in ("joblib.load", "pickle.load", "pickle.loads"):
            found.append(called)
        bare = isinstance(node.func, ast.Name) and called in RUNS_CODE
        if bare or (called.rsplit(".", 1)[-1] in RUNS_CODE - {"compile", "eval"} and "." in called):
            found.append(called)
    return found


def test_no_source_reads_a_file_by_what_could_run_code() -> None:
    found = {}
    for path in SOURCES:
        name = path.relative_to(ROOT / "src" / "adaselection").as_posix()
        wrong = set(faults(path, ast.parse(path.read_text(encoding="utf-8")))) - KNOWN.get(name, set())
        found |= {name: wrong} if wrong else {}
    assert len(SOURCES) > 100
    assert found == {}


def test_what_runs_code_would_be_found() -> None:
    lines = ["torch.load(f)", "torch.load(f, weights_only=True)", "import pickle", "eval(f)", "x.exec(y)"]
    lines += ["np.load(f)", "np.load(f, allow_pickle=True)"]
    assert sorted(faults(ROOT, ast.parse("\n".join(lines)))) == [
        "eval",
        "import pickle",
        "np.load",
        "torch.load",
        "x.exec",
    ]
