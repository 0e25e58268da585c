"""datacull, RS2: a random half of the rows of each epoch."""

from datacull import DCDataset, RS2DataLoader
from meter import Run
from torch import nn


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    loader = RS2DataLoader(dataset=DCDataset(run.data), pruning_rate=0.5, batch_size=run.batch_size)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(run.epochs):
        loader.resample(None)
        for x, y, _ids in loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
