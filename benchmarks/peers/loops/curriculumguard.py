"""curriculumguard: the quick start of its README, with the import that works."""

from curriculum_guard import Curriculum
from meter import Run
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Numbered(Dataset[tuple[int, Tensor, Tensor]]):
    """Rows with their numbers."""

    def __init__(self, data: Dataset[tuple[Tensor, ...]]) -> None:
        self.data = data

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[int, Tensor, Tensor]:
        """Number, input and label of a row."""
        return (index, *self.data[index])


def train(run: Run) -> None:
    """Train until the budget ends it."""
    model, optimizer, schedule = run.model, run.optimizer, run.schedule
    data = Numbered(run.data)
    loader = DataLoader(data, run.batch_size, shuffle=True, generator=run.order)
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    curriculum = Curriculum.auto(data)
    for _ in range(run.epochs):
        for ids, x, y in curriculum(loader):
            outputs = model(x)
            loss = loss_fn(outputs, y)
            curriculum.step(ids, loss, outputs, y)
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            schedule.step()
