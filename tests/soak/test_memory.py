"""A long training takes as much memory at its end as soon after its beginning."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, CheapScores, RecordedLoader, SelectiveLoader
from soak.counts import count

BATCHES = count(1000, 100_000)
GROWTH = 2**21  # bytes that the allocator may come to hold between a tenth of the way and the end
CE = nn.CrossEntropyLoss(reduction="none")
DATA = TensorDataset(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3)


def plain() -> DataLoader[Any]:
    return DataLoader(DATA, 8, shuffle=True)


LOADERS: dict[str, Callable[[nn.Module], Any]] = {
    "SelectiveLoader": lambda model: SelectiveLoader(
        plain(),
        AdaSelection(rate=0.5),
        model=model,
        loss_fn=CE,
        update="every_batch",
        cheap=CheapScores(reuse=2, measure_every=0),
    ),
    "RecordedLoader": lambda _: RecordedLoader(plain(), AdaSelection(("proportional", "uniform"), 0.5)),
}


def resident() -> int:
    """Bytes of memory that this process really occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def entries(state: Any) -> int:
    """Numbers and bytes of text in a state."""
    if isinstance(state, dict):
        return sum(map(entries, state.values()))
    if isinstance(state, list):
        return sum(map(entries, state))
    return state.numel() if isinstance(state, torch.Tensor) else 1


def held(loader: Any) -> dict[str, int]:
    """What is there at this moment."""
    gc.collect()
    found = gc.get_objects()
    tensors = sum(issubclass(type(value), torch.Tensor) for value in found)
    return {"objects": len(found), "tensors": tensors, "resident": resident(), "state": entries(loader.state_dict())}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", LOADERS)
def test_memory_does_not_grow(name: str, record_property: Any) -> None:
    model = nn.Linear(4, 3)
    loader = LOADERS[name](model)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    done, marks = 0, []
    while len(marks) < 2:
        for x, y in loader:
            losses = CE(model(x), y)
            loss = loader.record(losses) if name == "RecordedLoader" else loader.reduce(losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
        if done >= BATCHES // 10 * (1 if not marks else 10):  # between passes, where the same things wait
            marks.append(held(loader))
    early, late = marks
    record_property("batches", done)
    record_property("grown_bytes", late["resident"] - early["resident"])
    assert late["state"] == early["state"]
    assert late["tensors"] <= early["tensors"]
    assert late["objects"] <= early["objects"] + 100  # of the whole interpreter
    assert late["resident"] <= early["resident"] + GROWTH
