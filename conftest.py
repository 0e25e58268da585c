"""What tests and doctests share: one thread, fixed seeds, hypothesis profiles, and which files need what."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests run in several processes
os.environ.setdefault("MPLBACKEND", "Agg")

import random

import hypothesis
import pytest

# Nothing of adaselection is imported up here: the shape checks start after this file is read.

ROOT = Path(__file__).resolve().parent
LAB_NEEDS = ("tyro", "rich", "scipy", "sklearn", "matplotlib", "jinja2", "joblib")
HAS_LAB = all(find_spec(name) for name in LAB_NEEDS)
# By a word in the names of the files that need them.
FRAMEWORKS = {
    "accelerate": ("accelerate",),
    "hf": ("accelerate", "transformers"),
    "lightning": ("lightning", "tensorboard"),
    "transformers": ("accelerate", "transformers"),
    "zensical": ("latex2mathml", "mkdocstrings", "zensical"),
}

hypothesis.settings.register_profile("work", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "work")

# The lab is an extra. Without it (make test-core) its tests and doctests are no part of the suite.
_SOAK = ROOT / "tests" / "soak"
_LAB = (
    ROOT / "tests" / "lab",
    ROOT / "src" / "adaselection" / "lab",
    _SOAK / "test_kills.py",
    _SOAK / "training.py",
    _SOAK / "test_bad_words.py",
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the lab, and the integrations, out of a suite that runs without their extras."""
    if not HAS_LAB and any(collection_path.is_relative_to(folder) for folder in _LAB):
        return True
    if collection_path.parent.name == "integrations":
        wanted = [needs for word, needs in FRAMEWORKS.items() if word in collection_path.stem]
        if not all(find_spec(name) for needs in wanted for name in needs):
            return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of real data whose file is not in ``$ADASELECTION_DATA``."""
    folder = os.environ.get("ADASELECTION_DATA")
    without = [item for item in items if any(not _there(folder, m) for m in item.iter_markers("needs_data"))]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


def _there(folder: str | None, marker: pytest.Mark) -> bool:
    return folder is not None and all(Path(folder, name).is_file() for name in marker.args)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same global random state."""
    import torch

    random.seed(0)
    torch.manual_seed(0)
    if find_spec("numpy"):
        import numpy as np

        np.random.seed(0)


@pytest.fixture(autouse=True)
def _own_accelerator() -> Iterator[None]:
    """Let every test build its own Accelerator: accelerate keeps the state of the first for the whole process."""
    yield
    if (state := sys.modules.get("accelerate.state")) is not None:
        state.AcceleratorState._reset_state(True)
        state.GradientState._reset_state()


@pytest.fixture(autouse=True)
def _doctest_names(request: pytest.FixtureRequest, doctest_namespace: dict[str, object]) -> None:
    """Give the examples of the docstrings a folder of their own, as ``tmp_path``."""
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace["tmp_path"] = request.getfixturevalue("tmp_path")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT
