"""A published rule as this library has it, on recorded losses: its authors' code is on no package index."""

from meter import Run
from torch import nn
from torch.utils.data import DataLoader

from adaselection import RecordedLoader, SingleMethod


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    loader = DataLoader(run.data, run.batch_size, shuffle=True, generator=run.order)
    loader = RecordedLoader(loader, SingleMethod(run.rule, rate=0.3, seed=run.seed))
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    for _ in range(run.epochs):
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
