"""This library with a scoring pass: `SelectiveLoader` and the rule `big_loss` alone."""

from meter import Run
from torch import nn
from torch.utils.data import DataLoader

from adaselection import SelectiveLoader, SingleMethod


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    loader = DataLoader(run.data, run.batch_size, shuffle=True, generator=run.order)
    loss_fn = nn.CrossEntropyLoss()
    loader = SelectiveLoader(loader, SingleMethod("big_loss", rate=0.5, seed=run.seed), model=model, loss_fn=loss_fn)
    for _ in range(run.epochs):
        for x, y in loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
