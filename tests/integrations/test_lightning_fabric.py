"""Fabric: set the loader up first, wrap it last."""

from __future__ import annotations

from typing import Any

import jaxtyping
import pytest
import torch
from lightning import Fabric
from torch.utils.data import DataLoader

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from adaselection.errors import ArgumentError
from adaselection.integrations.lightning import fabric_loader
from core.parts import CE, data, ids, net


def build(plane: str, fabric: Fabric | None) -> tuple[Any, Any, Any]:
    """Model, optimizer and loader, under Fabric or without."""
    torch.manual_seed(1)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader: Any = DataLoader(data(80), batch_size=10, shuffle=True)
    if fabric is not None:
        model, optimizer = fabric.setup(model, optimizer)
        loader = fabric_loader(fabric.setup_dataloaders(loader))
    if plane == "selective":
        return model, optimizer, SelectiveLoader(loader, AdaSelection(rate=0.5), model=model, loss_fn=CE)
    return model, optimizer, RecordedLoader(loader, AdaSelection(methods=("big_loss", "uniform"), rate=0.5))


def train(plane: str, fabric: Fabric | None) -> list[tuple[list[int], float]]:
    model, optimizer, loader = build(plane, fabric)
    assert len(loader) == 4
    seen = []
    for epoch in range(3):
        loader.set_epoch(epoch)
        for batch in loader:
            losses = CE(model(batch[0]), batch[1])
            loss = loader.record(losses) if plane == "recorded" else losses.mean()
            optimizer.zero_grad()
            loss.backward() if fabric is None else fabric.backward(loss)
            optimizer.step()
            seen.append((ids(batch), loss.item()))
    return seen


@pytest.mark.parametrize("plane", ["selective", "recorded"])
def test_set_up_first_and_wrapped_last_it_is_the_plain_training(plane: str) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    assert train(plane, fabric) == train(plane, None)


def test_the_other_order_is_refused_by_fabric_and_by_the_helper() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    loader = SelectiveLoader(DataLoader(data(80), batch_size=10), AdaSelection(rate=0.5), model=net(), loss_fn=CE)
    with pytest.raises(TypeError, match="Only PyTorch DataLoader"):
        fabric.setup_dataloaders(loader)
    with pytest.raises(ArgumentError, match=r"got SelectiveLoader.*wrap it last"):
        fabric_loader(loader)


def test_fabrics_own_wrapper_hides_what_a_recorded_loader_needs() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    prepared = fabric.setup_dataloaders(DataLoader(data(80), batch_size=10))
    jaxtyping.config.update("jaxtyping_disable", True)  # as at users'
    try:
        with pytest.raises(ArgumentError, match="_FabricDataLoader"):
            RecordedLoader(prepared, AdaSelection(rate=0.5))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
