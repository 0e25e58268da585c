"""Trainings on pictures for ``other_pictures.py``: rows of CIFAR-10, CIFAR-100 and MNIST that no task uses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np
import torch
from _fit import fit, perceptron
from _kinds import Kind, Loss, accuracy, cross_entropy, focal, smooth
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from adaselection.lab.data import load_arrays

FIRST, ROWS, EPOCHS = 20000, 9000, 12  # the tasks use the first 15,000 rows
PRETRAINED = 20000  # rows of CIFAR-100
GROUPS = (  # of the 100 fine classes, as their makers have them
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7,
    6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10,
    16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16,
    12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)  # fmt: skip


class Moved(nn.Module):
    """Flips and shifts pictures while the model trains."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Shape ``[b, 3, 32, 32]``."""
        if not self.training:
            return pictures
        flipped = torch.rand(len(pictures), 1, 1, 1) < 0.5
        pictures = torch.where(flipped, pictures.flip(3), pictures)
        down, right = torch.randint(-3, 4, (2,)).tolist()
        return pictures.roll((down, right), (2, 3))


class Patches(nn.Module):
    """A small transformer over patches of 4 x 4."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 64, 4, stride=4)
        self.places = nn.Parameter(0.02 * torch.randn(1, 64, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True, norm_first=True)
        self.inner = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Shape ``[b, classes]``."""
        found: Tensor = self.head(self.inner(self.embed(pictures).flatten(2).mT + self.places).mean(1))
        return found


def convolutional(classes: int, *, normed: bool = True, moved: bool = False) -> nn.Sequential:
    """Three convolutions."""
    parts: list[nn.Module] = [Moved()] if moved else []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        norm = [nn.BatchNorm2d(outputs)] if normed else []
        parts += [nn.Conv2d(inputs, outputs, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(1024, classes))


def _colours(name: str, first: int, rows: int) -> tuple[Tensor, Tensor]:
    arrays = load_arrays(name).values
    pictures = torch.from_numpy(arrays["x_train"][first : first + rows]).float().permute(0, 3, 1, 2) / 255
    return (pictures - 0.47) / 0.25, torch.from_numpy(arrays["y_train"][first : first + rows].astype(np.int64))


def _cifar10(build: Callable[[], nn.Module], loss: Loss = cross_entropy) -> Kind:
    return Kind(*_colours("cifar10", FIRST, ROWS), build, loss, accuracy, classes=10, epochs=EPOCHS)


def _momentum() -> Kind:
    optimizer = partial(torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return replace(_cifar10(_ten), optimizer=optimizer, rates=(0.01, 0.03, 0.1))


@cache
def _pretrained() -> nn.Sequential:
    """A network that was trained on all classes of CIFAR-100."""
    pictures, labels = _colours("cifar100", FIRST, PRETRAINED)
    torch.manual_seed(77)
    model = convolutional(100)
    plain = DataLoader(TensorDataset(pictures, labels), 64, shuffle=True, generator=torch.Generator().manual_seed(77))
    optimizer = torch.optim.AdamW(model.parameters(), 0.003)
    row_losses = lambda x, y: functional.cross_entropy(model(x), y, reduction="none")  # noqa: E731
    fit(optimizer, 0.003, plain, None, row_losses, 4 * len(plain))
    return model


def _fine_tuned() -> Kind:
    known = _pretrained()

    def build() -> nn.Module:
        model = copy.deepcopy(known)
        model[-1] = nn.Linear(1024, 10)
        return model

    return replace(_cifar10(build), epochs=EPOCHS // 2)


def _groups() -> Kind:
    pictures, labels = _colours("cifar100", FIRST, ROWS)
    groups = torch.tensor(GROUPS)[labels]
    return Kind(pictures, groups, lambda: convolutional(20), cross_entropy, accuracy, classes=20, epochs=EPOCHS)


def _numerals() -> Kind:
    arrays = load_arrays("mnist").values
    rows = slice(FIRST, FIRST + ROWS)
    pictures = torch.from_numpy(arrays["x_train"][rows]).float().flatten(1) / 255
    labels = torch.from_numpy(arrays["y_train"][rows].astype(np.int64))
    return Kind(pictures, labels, lambda: perceptron(784, 10), cross_entropy, accuracy, classes=10, epochs=EPOCHS)


_ten = partial(convolutional, 10)

PICTURES: dict[str, tuple[str, str, Callable[[], Kind]]] = {
    "small network": ("CIFAR-10, three convolutions", "points", lambda: _cifar10(_ten)),
    "momentum": ("the same, SGD", "points", _momentum),
    "not normalised": ("no batch normalisation", "points", lambda: _cifar10(partial(_ten, normed=False))),
    "augmented": ("flips and shifts", "points", lambda: _cifar10(partial(_ten, moved=True))),
    "smoothed pictures": ("label smoothing of 0.1", "points", lambda: _cifar10(_ten, smooth)),
    "focal pictures": ("focal loss", "points", lambda: _cifar10(_ten, focal)),
    "patches": ("a transformer over patches", "points", lambda: _cifar10(partial(Patches, 10))),
    "fine-tuned": ("trained on CIFAR-100 first", "points", _fine_tuned),
    "20 groups": ("CIFAR-100, its groups of classes", "points", _groups),
    "numerals": ("MNIST, a perceptron", "points", _numerals),
}
"""What it is, the unit of a difference, and how it is made, by name."""
