"""adaptive-sparse-training: its trainer owns the loop, so the schedule hangs on the optimizer.

It wants a validation loader and runs it after each epoch; one row is what it gets here.
"""

from adaptive_sparse_training import AdaptiveSparseTrainer, ASTConfig
from meter import Run
from torch import nn
from torch.utils.data import DataLoader, Subset


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    loader = DataLoader(run.data, run.batch_size, shuffle=True, generator=run.order)
    validation = DataLoader(Subset(run.data, [0]))
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    config = ASTConfig(target_activation_rate=0.4, use_amp=False, device="cpu")
    trainer = AdaptiveSparseTrainer(model, loader, validation, config, optimizer=optimizer, criterion=loss_fn)
    trainer.train(epochs=run.epochs)
