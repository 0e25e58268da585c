"""Plain training: the loop that the other files change. Their lines of change are counted against this one."""

from meter import Run
from torch import nn
from torch.utils.data import DataLoader


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    loader = DataLoader(run.data, run.batch_size, shuffle=True, generator=run.order)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(run.epochs):
        for x, y in loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
