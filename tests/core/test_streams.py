"""Streams: tar shards read by workers, and losses that arrive from outside."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from adaselection import AdaSelection, RecordedLoader, RecordedLosses, SelectiveLoader, SingleMethod
from adaselection.errors import UnknownLengthError
from core.parts import CE, data, ids, net, stored

Row = tuple[torch.Tensor, torch.Tensor]


class Shards(IterableDataset[Row]):
    """Rows of tar shards: ``7.x`` holds four numbers, ``7.y`` the class; each worker reads shards of its own."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __iter__(self) -> Iterator[Row]:
        worker = get_worker_info()
        for path in self.paths[worker.id :: worker.num_workers] if worker else self.paths:
            with tarfile.open(path) as tar:
                parts = {entry.name: tar.extractfile(entry).read().decode() for entry in tar}
            for name in [name for name in parts if name.endswith(".x")]:
                yield torch.tensor([float(v) for v in parts[name].split()]), torch.tensor(int(parts[name[:-1] + "y"]))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four shards of 24 rows."""
    folder, (x, y) = tmp_path_factory.mktemp("shards"), data(96).tensors
    made = [folder / f"{number}.tar" for number in range(4)]
    for number, path in enumerate(made):
        with tarfile.open(path, "w") as tar:
            for row in range(24 * number, 24 * (number + 1)):
                for name, text in ((f"{row}.x", " ".join(map(str, x[row].tolist()))), (f"{row}.y", str(int(y[row])))):
                    entry, content = tarfile.TarInfo(name), text.encode()
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    return made


def wrapped(paths: list[Path], workers: int, **options: Any) -> SelectiveLoader:
    torch.manual_seed(0)
    stream = DataLoader(Shards(paths), 8, num_workers=workers)
    return SelectiveLoader(stream, AdaSelection(rate=0.375, seed=1), model=net(), loss_fn=CE, **options)


def test_a_stream_gives_the_rows_that_the_same_rows_in_memory_give(paths: list[Path]) -> None:
    streamed = [ids(batch) for batch in wrapped(paths, 0)]
    torch.manual_seed(0)
    held = SelectiveLoader(DataLoader(data(96), 8), AdaSelection(rate=0.375, seed=1), model=net(), loss_fn=CE)
    assert streamed == [ids(batch) for batch in held]
    assert len(streamed) == 4


def test_a_stream_has_a_length_where_its_batches_are_told(paths: list[Path]) -> None:
    with pytest.raises(UnknownLengthError, match="incoming_sizes="):
        len(wrapped(paths, 0))
    for workers in (0, 2):
        loader = wrapped(paths, workers, incoming_sizes=[8] * 12)
        assert len(loader) == len(list(loader)) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_of_tar_shards_resumes_with_the_same_rows(paths: list[Path], workers: int) -> None:
    whole = wrapped(paths, workers, surplus="carry")
    expected = [ids(batch) for _ in range(2) for batch in whole]
    loader = wrapped(paths, workers, surplus="carry")
    seen, state = [], {}
    for batch in loader:
        seen.append(ids(batch))
        if len(seen) == 2:
            state = stored(loader.state_dict())
            break
    again = wrapped(paths, workers, surplus="carry")
    again.load_state_dict(state)
    with pytest.warns(UserWarning, match="reads and throws away .* batches of DataLoader"):
        seen += [ids(batch) for batch in again]
    seen += [ids(batch) for batch in again]
    assert seen == expected


def test_losses_from_outside_decide_what_is_loaded() -> None:
    records = RecordedLosses(96)
    hard = torch.arange(0, 96, 4)
    losses = torch.full((96,), 0.1).index_fill(0, hard, 5.0)
    records.update(torch.arange(96), losses, now=0)
    loader = RecordedLoader(DataLoader(data(96), 8), SingleMethod("big_loss", 0.25), records=records)
    first = set()
    for batch in loader:
        first |= set(ids(batch))
        loader.record(torch.full((8,), 0.1))
    assert first == set(hard.tolist())  # without a first walk over all
    # news in the middle of a training count from the next walk on
    loader = RecordedLoader(DataLoader(data(96), 8), SingleMethod("big_loss", 0.25))
    for _ in range(4):
        for _batch in loader:
            loader.record(torch.full((8,), 0.1))
    loader.records.update(hard, torch.full((24,), 5.0), now=loader.records.last_pass)
    seen = set()
    for batch in loader:
        seen |= set(ids(batch))
        loader.record(torch.full((8,), 0.1))
    assert seen == set(hard.tolist())
