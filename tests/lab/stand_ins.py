"""Random arrays in place of the tasks' files, so that no test needs a data folder."""

import numpy as np
import pytest

from adaselection.lab.data import LoadedArrays
from adaselection.lab.formats import BIKE_COLUMNS
from adaselection.lab.tasks import bike, cifar10, mnist


@pytest.fixture
def no_files(monkeypatch):
    """Arrays of the right form, by task; a test may change them."""
    draw = np.random.default_rng(0)

    def pictures(*shape):
        arrays = {}
        for split, rows in (("train", 700), ("test", 100)):
            arrays[f"x_{split}"] = draw.integers(0, 256, (rows, *shape), dtype=np.uint8)
            arrays[f"y_{split}"] = draw.integers(0, 10, rows, dtype=np.uint8)
        return arrays

    days = np.stack([draw.integers(1, 5, 731).astype(float) for _ in BIKE_COLUMNS], axis=1)
    sets = {"mnist": pictures(28, 28), "cifar10": pictures(32, 32, 3), "bike": {"days": days}}

    def load_arrays(name, data_dir=None):
        return LoadedArrays(sets[name], "test", f"test:{name}", ())

    for module in (mnist, cifar10, bike):
        monkeypatch.setattr(module, "load_arrays", load_arrays)
    return sets
