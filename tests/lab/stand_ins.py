"""Random arrays in place of the tasks' files, so that no test needs a data folder."""

import numpy as np
import pytest

from adaselection.lab.data import LoadedArrays
from adaselection.lab.formats import BIKE_COLUMNS
from adaselection.lab.tasks import bike, mnist, wikitext2
from adaselection.lab.tasks import pictures as picture_tasks


@pytest.fixture
def no_files(monkeypatch):
    """Arrays of the right form, by task; a test may change them."""
    draw = np.random.default_rng(0)

    def pictures(*shape, classes=10):
        arrays = {}
        for split, rows in (("train", 700), ("test", 100)):
            arrays[f"x_{split}"] = draw.integers(0, 256, (rows, *shape), dtype=np.uint8)
            arrays[f"y_{split}"] = draw.integers(0, classes, rows, dtype=np.uint8)
        return arrays

    days = np.stack([draw.integers(1, 5, 731).astype(float) for _ in BIKE_COLUMNS], axis=1)
    # text in which the last two words tell the next
    words = np.tile(np.repeat(np.arange(40), 3), 80).astype(np.uint16)
    sets = {
        "mnist": pictures(28, 28),
        "cifar10": pictures(32, 32, 3),
        "cifar100": pictures(32, 32, 3, classes=100),
        "svhn": pictures(32, 32, 3),
        "bike": {"days": days},
        "wikitext2": {"train": words, "valid": words[:400], "test": words[:1600]},
    }

    def load_arrays(name, data_dir=None):
        return LoadedArrays(sets[name], "test", f"test:{name}", ())

    for module in (mnist, picture_tasks, bike, wikitext2):
        monkeypatch.setattr(module, "load_arrays", load_arrays)
    return sets
