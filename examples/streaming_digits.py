"""A stream that passes by: handwritten digits in tar shards, read by two workers, and scored as they come.

Run it with ``python examples/streaming_digits.py``. It needs scikit-learn for the pictures, and takes some seconds.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from adaselection import AdaSelection, SelectiveLoader


def write_shards(folder: Path, x: Tensor, y: Tensor, rows: int = 160) -> list[Path]:
    """Pictures as tar files in the form of WebDataset: ``00012.img`` is followed by its label ``00012.cls``."""
    paths = []
    for start in range(0, len(y), rows):
        paths.append(folder / f"digits-{start // rows:03d}.tar")
        with tarfile.open(paths[-1], "w") as tar:
            for number in range(start, min(start + rows, len(y))):
                for ending, content in (("img", bytes(x[number].tolist())), ("cls", str(int(y[number])).encode())):
                    entry = tarfile.TarInfo(f"{number:05d}.{ending}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    return paths


class Shards(IterableDataset[tuple[Tensor, Tensor]]):
    """Pictures of tar shards, one shard after the other; each shard is read by one worker of one process.

    Args:
        paths: of the shards.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(self, paths: list[Path], rank: int = 0, world: int = 1) -> None:
        self.paths = paths[rank::world]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        mine = self.paths if worker is None else self.paths[worker.id :: worker.num_workers]
        for path in mine:
            with tarfile.open(path) as tar:
                parts = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
            for name in [name for name in parts if name.endswith(".img")]:
                pixels = torch.tensor(list(parts[name]), dtype=torch.float32)
                yield pixels / 8 - 1, torch.tensor(int(parts[name.removesuffix("img") + "cls"]))


def main(passes: int = 4) -> None:
    """Train on the stream, and print what came of it."""
    bunch = load_digits()
    x, y = torch.tensor(bunch.data, dtype=torch.uint8), torch.tensor(bunch.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    test, train = order[:500], order[500:]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_shards(Path(folder), x[train], y[train])
        stream = DataLoader(Shards(paths), batch_size=32, num_workers=2, drop_last=True)
        loader = SelectiveLoader(stream, AdaSelection(rate=0.5), model=model, loss_fn=loss_fn)
        for _ in range(passes):
            for pictures, labels in loader:
                loss = loss_fn(model(pictures), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = float((model(x[test] / 8 - 1).argmax(1) == y[test]).float().mean())
    print(f"{len(paths)} shards, {passes} passes: {100 * right:.1f} % right")
    print(loader.report())


if __name__ == "__main__":
    main()
