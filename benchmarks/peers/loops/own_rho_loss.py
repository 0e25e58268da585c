"""RHO-LOSS (Mindermann et al. 2022) as this library has it, on recorded losses: there is no package of the authors'."""

import torch
from meter import Run
from torch import nn
from torch.utils.data import DataLoader

from adaselection import RecordedLoader, SingleMethod


def train(run: Run) -> None:
    """Train until the budget ends it; what the irreducible losses cost before is not charged."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    loader = DataLoader(run.data, run.batch_size, shuffle=True, generator=run.order)
    loader = RecordedLoader(loader, SingleMethod("rho_loss", rate=0.3, seed=run.seed))
    loader.records.fill("irreducible", torch.arange(len(run.data)), run.irreducible)
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    for _ in range(run.epochs):
        for x, y in loader:
            loss = loader.record(loss_fn(model(x), y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
