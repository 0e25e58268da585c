"""The default on two classes that overlap, none of them wrong: what the model is unsure of is no wrong label."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, RecordedLoader

ROWS, WIDTH, PASSES, RATE = 4000, 20, 40, 0.003


def overlapping(share: float, slope: float, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose label is drawn with a chance that is logistic in the row, a share of 1 on average."""
    inputs = torch.randn(ROWS, WIDTH, generator=chance)
    direction = torch.randn(WIDTH, generator=chance)
    logits = slope * inputs @ direction / direction.norm()
    low, high = -10.0, 10.0
    for _ in range(40):
        offset = (low + high) / 2
        low, high = (offset, high) if (logits + offset).sigmoid().mean() < share else (low, offset)
    return inputs, (torch.rand(ROWS, generator=chance) < (logits + low).sigmoid()).long()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("share", "slope"), [(0.4, 0.5), (0.38, 0.7)])
def test_two_classes_that_overlap_are_not_doubted(share: float, slope: float, seed: int) -> None:
    inputs, labels = overlapping(share, slope, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    loader = RecordedLoader(DataLoader(TensorDataset(inputs, labels), 32, shuffle=True), AdaSelection(rate=0.3))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, loader.total_batches(PASSES))
    for _ in range(PASSES):
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    assert loader.report().left_out == 0
