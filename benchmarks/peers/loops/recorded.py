"""This library on recorded losses: `RecordedLoader` with its default policy."""

from meter import Run
from torch import nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, RecordedLoader


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    loader = DataLoader(run.data, run.batch_size, shuffle=True, generator=run.order)
    loader = RecordedLoader(loader, AdaSelection(rate=0.3, seed=run.seed))
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    for _ in range(run.epochs):
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
