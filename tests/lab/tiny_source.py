"""A data set of ten pictures, and a fixture that makes it the only one there is."""

import sys

import numpy as np
import pytest

from adaselection.lab import data, formats
from adaselection.lab.digests import array_digests, rows_digest
from adaselection.lab.sources import Layout, Source

RNG = np.random.default_rng(0)
GOOD = {
    "x_train": RNG.integers(0, 256, (6, 2, 2, 3), dtype=np.uint8),
    "y_train": np.arange(6, dtype=np.uint8),
    "x_test": RNG.integers(0, 256, (4, 2, 2, 3), dtype=np.uint8),
    "y_test": np.arange(4, dtype=np.uint8),
}


def tiny_source(**changes):
    fields = {
        "name": "tiny",
        "title": "Tiny set",
        "arrays": {key: (str(array.dtype), array.shape) for key, array in GOOD.items()},
        "orders": {"first": array_digests(GOOD)},
        "layouts": (
            Layout(("tiny.npz",), formats.read_npz),
            Layout(
                ("tiny-published.npz",),
                formats.read_npz,
                ("http://127.0.0.1:9/tiny-published.npz",),
                ("0" * 64,),
            ),
        ),
        "rows": {split: rows_digest(GOOD[f"x_{split}"], GOOD[f"y_{split}"]) for split in ("train", "test")},
    }
    return Source(**{**fields, **changes})


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Return a function that makes a source the only one; nothing outside tmp_path is looked at."""
    monkeypatch.setattr(data, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.delenv(data.FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv(data.ACCEPT_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)  # importing it fails: no test downloads by accident

    def register(source=None):
        monkeypatch.setattr(data, "SOURCES", {"tiny": source or tiny_source()})

    register()
    return register


def store(path, arrays=GOOD):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path
