"""Models, losses and targets of ``other_models.py``: each a small training that is not one of the tasks."""

from __future__ import annotations

import email
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _fit import perceptron
from numpy.typing import NDArray
from sklearn import datasets, metrics
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of outputs, inputs and targets
ROWS = 3000  # of the sets that are made


@dataclass(frozen=True)
class Kind:
    """A training.

    Attributes:
        inputs, targets: the rows.
        build: a fresh network.
        loss: one for each row.
        score: of rows that were held out; the larger, the better.
        rates: learning rates to try.
        classes: how many, where a share of the labels can be made wrong.
        epochs: of the full run.
        optimizer: of the parameters and a learning rate.
    """

    inputs: Tensor
    targets: Tensor
    build: Callable[[], nn.Module]
    loss: Loss
    score: Callable[[Tensor, Tensor, Tensor], float]
    rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    classes: int = 0
    epochs: int = 30
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW


class Recurrent(nn.Module):
    """A GRU over symbols, read at every place or at the last one."""

    def __init__(self, symbols: int, outputs: int, everywhere: bool) -> None:
        super().__init__()
        self.embed, self.everywhere = nn.Embedding(symbols, 32), everywhere
        self.inner, self.head = nn.GRU(32, 64, batch_first=True), nn.Linear(64, outputs)

    def forward(self, symbols: Tensor) -> Tensor:
        """``[b, outputs]``, or ``[b, length, outputs]``."""
        states, _ = self.inner(self.embed(symbols))
        found: Tensor = self.head(states if self.everywhere else states[:, -1])
        return found


def convolutional() -> nn.Module:
    """Two convolutions with batch normalisation, for the 8 x 8 digits."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


def accuracy(outputs: Tensor, _: Tensor, targets: Tensor) -> float:
    """In percent."""
    return 100 * float((outputs.argmax(1) == targets).float().mean())


def cross_entropy(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
    """One for each row."""
    return functional.cross_entropy(outputs, targets, reduction="none")


def less(loss: Loss) -> Callable[[Tensor, Tensor, Tensor], float]:
    """A score that is minus the mean of a loss."""
    return lambda outputs, inputs, targets: -float(loss(outputs, inputs, targets).mean())


def _digits() -> tuple[Tensor, Tensor]:
    found = datasets.load_digits()
    return torch.tensor(found.images / 16, dtype=torch.float32).unsqueeze(1), torch.tensor(found.target)


def _classifier(loss: Loss, build: Callable[[], nn.Module] | None = None) -> Kind:
    pictures, labels = _digits()
    build = build or (lambda: nn.Sequential(nn.Flatten(), perceptron(64, 10)))
    return Kind(pictures, labels, build, loss, accuracy, classes=10)


def focal(outputs: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """One for each row; what is known counts little."""
    plain = cross_entropy(outputs, inputs, targets)
    return plain * (1 - torch.exp(-plain)).square()


def smooth(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
    """One for each row, of labels that share a tenth with the other classes."""
    return functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=0.1)


def _margin(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
    return functional.multi_margin_loss(outputs, targets, reduction="none")


def _counting() -> Kind:
    symbols = torch.randint(0, 12, (ROWS, 20), generator=torch.Generator().manual_seed(5))
    more = (symbols == 3).sum(1) - (symbols == 5).sum(1)
    return Kind(
        symbols, more.clamp(-2, 2) + 2, lambda: Recurrent(12, 5, False), cross_entropy, accuracy, classes=5, epochs=15
    )


def _characters() -> Kind:
    files = sorted(Path(email.__file__).parent.glob("*.py"))[:6]
    text = "".join(file.read_text(encoding="utf-8", errors="ignore") for file in files)[:60000]
    known, length = sorted(set(text)), 40
    numbers = torch.tensor([known.index(sign) for sign in text])
    rows = (len(numbers) - 1) // length
    inputs, targets = (numbers[at : at + rows * length].view(rows, length) for at in (0, 1))

    def loss(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs.transpose(1, 2), targets, reduction="none").mean(1)

    return Kind(inputs, targets, lambda: Recurrent(len(known), len(known), True), loss, less(loss), epochs=8)


def _several_labels() -> Kind:
    x, y = datasets.make_multilabel_classification(2500, n_features=40, n_classes=12, n_labels=3, random_state=3)

    def loss(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)

    def score(outputs: Tensor, _: Tensor, targets: Tensor) -> float:
        return 100 * float(metrics.average_precision_score(targets.numpy(), outputs.numpy(), average="macro"))

    inputs, targets = _floats((x - x.mean(0)) / x.std(0)), _floats(y)
    return Kind(inputs, targets, lambda: perceptron(40, 12), loss, score)


def _reconstruction() -> Kind:
    pictures = _digits()[0].flatten(1)

    def build() -> nn.Module:
        sizes = ((64, 32), (32, 8), (8, 32))
        return nn.Sequential(*(part for size in sizes for part in (nn.Linear(*size), nn.ReLU())), nn.Linear(32, 64))

    def loss(outputs: Tensor, inputs: Tensor, _: Tensor) -> Tensor:
        return (outputs - inputs).square().mean(1)

    return Kind(pictures, torch.zeros(len(pictures), 0), build, loss, less(loss), (0.003, 0.01, 0.03))


def _floats(values: NDArray[np.float64]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _signal() -> tuple[np.random.Generator, NDArray[np.float64], NDArray[np.float64]]:
    chance = np.random.default_rng(11)
    x = chance.normal(size=(ROWS, 8))
    return chance, x, np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2] + 0.5 * np.abs(x[:, 3])


def _counts() -> Kind:
    chance, x, signal = _signal()

    def loss(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
        return functional.poisson_nll_loss(outputs.squeeze(1), targets, full=True, reduction="none")

    return Kind(_floats(x), _floats(chance.poisson(np.exp(0.7 * signal))), lambda: perceptron(8, 1), loss, less(loss))


def _quantile() -> Kind:
    chance, x, signal = _signal()
    y = signal + np.exp(0.5 * x[:, 4]) * chance.exponential(size=ROWS)

    def loss(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
        error = targets - outputs.squeeze(1)
        return torch.maximum(0.9 * error, -0.1 * error)

    return Kind(_floats(x), _floats(y), lambda: perceptron(8, 1), loss, less(loss))


def _mean_and_variance() -> Kind:
    chance, x, signal = _signal()
    y = signal + np.exp(0.7 * x[:, 4]) * chance.normal(size=ROWS)

    def loss(outputs: Tensor, _: Tensor, targets: Tensor) -> Tensor:
        mean, variance = outputs.unbind(1)
        return 0.5 * (variance + (mean - targets).square() * torch.exp(-variance))

    return Kind(_floats(x), _floats(y), lambda: perceptron(8, 2), loss, less(loss))


def _rare_event() -> Kind:
    chance, x, signal = _signal()
    score = signal + 0.8 * chance.normal(size=ROWS)

    def precision(outputs: Tensor, _: Tensor, targets: Tensor) -> float:
        return 100 * float(metrics.average_precision_score(targets.numpy(), (outputs[:, 1] - outputs[:, 0]).numpy()))

    targets = torch.from_numpy(score > np.quantile(score, 0.96)).long()
    return Kind(_floats(x), targets, lambda: perceptron(8, 2), cross_entropy, precision)


KINDS: dict[str, tuple[str, str, Callable[[], Kind]]] = {
    "convolutions": ("digits, batch normalisation", "points", lambda: _classifier(cross_entropy, convolutional)),
    "focal loss": ("digits, the same network", "points", lambda: _classifier(focal, convolutional)),
    "smoothed labels": ("digits, label smoothing of 0.1", "points", lambda: _classifier(smooth)),
    "margin loss": ("digits, multi-class hinge", "points", lambda: _classifier(_margin)),
    "recurrent": ("a GRU compares how often two symbols came", "points", _counting),
    "several labels": ("12 labels a row, average precision", "points", _several_labels),
    "rare event": ("4 % positive, average precision", "points", _rare_event),
    "characters": ("a GRU predicts the next of Python source", "% of the loss", _characters),
    "reconstruction": ("an autoencoder of the digits, without targets", "% of the loss", _reconstruction),
    "counts": ("Poisson likelihood", "% of the loss", _counts),
    "quantile": ("pinball loss of the upper tenth", "% of the loss", _quantile),
    "mean and variance": ("Gaussian likelihood, losses below 0", "% of the loss", _mean_and_variance),
}
"""What it is, the unit of a difference, and how it is made, by name."""
