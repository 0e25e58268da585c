"""What the paper prints: Tables 2, 3 and 4 as they stand there, one row a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["COLUMNS", "PUBLISHED", "Published", "best_column"]

COLUMNS = MappingProxyType(
    {
        "full": "no sampling",
        "adaselection": "AdaSelection (best of its configurations)",
        "uniform": "uniform",
        "big": "big loss",
        "small": "small loss",
        "adaboost": "AdaBoost",
        "gradnorm": "grad norm",
        "coreset1": "coresets 1",
        "coreset2": "coresets 2",
    }
)
"""The columns of Tables 3 and 4, in the paper's order."""


@dataclass(frozen=True)
class Published:
    """A data set's row of Tables 2, 3 and 4.

    Attributes:
        name: The data set, as the paper writes it.
        size: Training and test rows, as in Table 2.
        setting: Learning rate, batch size and model, as in Table 2.
        metric: What Table 4 averages: accuracy in %, or a loss.
        higher_is_better: Whether a larger metric is better.
        ranks: Table 3: average rank over the rates by column; None where the paper has no number.
        values: Table 4: average of the metric over the rates by column; None likewise.
    """

    name: str
    size: str
    setting: str
    metric: str
    higher_is_better: bool
    ranks: Mapping[str, float | None]
    values: Mapping[str, float | None]


def _row(*numbers: float | None) -> Mapping[str, float | None]:
    return MappingProxyType(dict(zip(COLUMNS, numbers, strict=True)))


_RESNET = "learning rate 0.01, batch 128, ResNet-18"

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "cifar10": Published(
            "CIFAR-10", "50,000 + 10,000 pictures, 10 classes", _RESNET, "accuracy (%)", True,
            _row(3.5, 8.25, 8.25, 1.75, 4.75, 7.5, 3.0, 7.0, 11.75),
            _row(92.57, 89.39, 90.74, 92.25, 91.04, 85.13, 91.97, 84.67, 84.29),
        ),
        "cifar100": Published(
            "CIFAR-100", "50,000 + 10,000 pictures, 100 classes", _RESNET, "accuracy (%)", True,
            _row(8.75, 1.5, 6.25, 4.25, 12.0, 10.75, 3.5, 7.0, 10.25),
            _row(70.47, 71.38, 71.05, 70.83, 31.96, 50.19, 71.29, 69.33, 59.98),
        ),
        "svhn": Published(
            "SVHN", "73,257 + 26,032 pictures, 10 classes", _RESNET, "accuracy (%)", True,
            _row(1.0, 4.4, 5.8, 6.0, 13.8, 9.8, 7.2, 6.8, 11.8),
            _row(95.71, 93.38, 93.32, 65.38, 40.74, 78.14, 67.14, 67.89, 70.66),
        ),
        "regression": Published(
            "Simple regression", "10,000 + 5,000 rows of y = 2x + 1",
            "learning rate 0.01, batch 100, simple MLP", "loss", False,
            _row(7.4, 1.8, 9.6, 8.6, 6.8, 7.4, 9.4, 7.4, 7.6),
            _row(10.51, 8.42, 12.37, 52.25, 10.94, 11.14, 24.13, 35.05, 12.18),
        ),
        "bike": Published(
            "Bike", "730 rows in all", "learning rate 0.01, batch 100, two-layer MLP", "loss", False,
            _row(5.6, 3.8, 4.0, 4.2, 10.8, 12.0, 5.6, 7.0, 9.6),
            _row(3.61, 3.45, 3.48, 7.08, 50.19, 87.90, 7.53, 3.75, 7.54),
        ),
        "wikitext2": Published(
            "Wikitext-2", "2,088,628 + 245,569 tokens", "learning rate 0.01, batch 100, Transformer",
            "loss (nats a token)", False,
            _row(1.6, 2.0, 2.4, 4.4, 7.8, 8.2, None, 5.2, 5.4),
            _row(5.45, 5.52, 5.53, 5.58, 5.85, 5.85, None, 5.61, 5.60),
        ),
    }
)  # fmt: skip
"""By the name of the task. Source: AdaSelection, arXiv 2306.10728, Tables 2 to 4."""


def best_column(row: Published) -> str:
    """Return the column with the best value of Table 4, full training and AdaSelection among them.

    >>> best_column(PUBLISHED["cifar100"])
    'adaselection'
    """
    sign = 1.0 if row.higher_is_better else -1.0
    known = {column: value for column, value in row.values.items() if value is not None}
    return max(known, key=lambda column: sign * known[column])
