"""datacull, RCAP: half of the rows of each epoch, drawn class by class from the losses of the epoch before."""

import tempfile

from datacull import DCDataset, DCLogger, RCAPDataLoader, RCAPImportance
from meter import Run
from torch import nn


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    data = DCDataset(run.data)
    data.dataset.targets = run.data.tensors[1]
    logger = DCLogger(trajectory_dir=tempfile.mkdtemp() + "/")
    importance = RCAPImportance(dataset=data, logger_object=logger, beta=2.0)
    loader = RCAPDataLoader(dataset=data, pruning_rate=0.5, batch_size=run.batch_size)
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    for epoch in range(run.epochs):
        loader.resample(importance.compute_importance())
        for x, y, ids in loader:
            loss = loss_fn(model(x), y)
            logger.log_metric(epoch, ids, loss)
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            schedule.step()
