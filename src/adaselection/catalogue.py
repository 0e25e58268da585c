"""What a row of the table of methods holds, and the rows of the paper's seven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.errors import ArgumentError
from adaselection.types import Method, Signals

Plane = Literal["both", "recorded"]
Inclusion = Callable[[Signals, int], Tensor]
"""A rule of the recorded plane: signals of a window ``[b]`` and k in, inclusion probabilities ``[b]`` out."""
Columns = tuple[tuple[str, torch.dtype], ...]
GRAD_NORMS: Columns = (("grad_norms", torch.bfloat16),)
_RECORD_BYTES = 8


@dataclass(frozen=True)
class TopK:
    """The rule of a method that has raw scores only: the k highest, ties by position."""

    function: Method

    def __call__(self, signals: Signals, k: int) -> Float[Tensor, " b"]:
        """1 for the rows kept and 0 for the others, shape ``[b]``."""
        return F.top_k_inclusion(self.function(signals), k, signals.valid)


@dataclass(frozen=True)
class MethodInfo:
    """One row of the table.

    Attributes:
        name: the method's name, also in state dicts and records.
        function: raw scores of the rows from their `Signals`, larger is more wanted.
        needs: the signals that it reads, by their names in `Signals`; empty if chance is enough.
        equation: where the paper defines it.
        source: where the rule comes from.
        summary: one line for people.
        inclusion: its rule as chances: signals and k in, inclusion probabilities out. Always used on the recorded
            plane, and on fresh losses where the method is alone. The k highest raw scores if None is given.
        own_count: whether the probabilities sum to what the rule wants, where those of the others sum to k.
        columns: further columns that it needs in the record, name and type.
        plane: ``"both"``, or ``"recorded"`` if it has no reading for fresh losses.
        weights: sample weights that belong to the rule, from the signals and the inclusion probabilities of a window,
            shape ``[b]``; None if kept rows all count the same.
        update: new values of its columns, from what the record held of the rows that were trained on and their new
            losses; None if the training loop supplies them.
        from_zero: whether its rule for recorded losses takes those below 0 for 0, or for a probability above 1.
    """

    name: str
    function: Method
    needs: frozenset[str]
    equation: str
    source: str
    summary: str
    inclusion: Inclusion | None = None
    own_count: bool = False
    columns: Columns = ()
    plane: Plane = "both"
    weights: Callable[[Signals, Tensor], Tensor] | None = None
    update: Callable[[Signals, Tensor], dict[str, Tensor]] | None = None
    from_zero: bool = False

    def __post_init__(self) -> None:
        if self.inclusion is None or isinstance(self.inclusion, TopK):  # so that it follows a replaced function
            object.__setattr__(self, "inclusion", TopK(self.function))

    @property
    def draws(self) -> bool:
        """Whether its rule leaves to chance what is kept; ``uniform`` does so by raw scores that are chance."""
        return not isinstance(self.inclusion, TopK) and bool(self.needs)

    @property
    def bytes_per_instance(self) -> int:
        """Size of its record: 8 bytes and its columns."""
        return _RECORD_BYTES + sum(dtype.itemsize for _, dtype in self.columns)

    @property
    def cost(self) -> str:
        """What a kept row costs, with a forward pass as 1 and a backward pass as 2, in one sentence."""
        recorded = f"Recorded: 3 a kept row, {self.bytes_per_instance} bytes an instance"
        if self.plane == "recorded":
            return f"{recorded}. Fresh: not there."
        return f"{recorded}. Fresh: {'1 / rate + 3' if self.needs else '3'} a kept row."


def required(value: Tensor | None, what: str, fix: str = "let SelectiveLoader compute them") -> Tensor:
    """The signal, or an error that says which one is missing.

    Raises:
        ArgumentError: the signal is None.
    """
    if value is None:
        raise ArgumentError(
            f"a method needs {what}, and the signals have none. Pass Signals(losses=..., {what}=...) to select(), "
            f"or {fix}."
        )
    return value


def column(columns: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> Tensor:
    """A further column of the record, or an error that says how to get it.

    Raises:
        ArgumentError: the record has no such column.
    """
    if name not in columns:
        raise ArgumentError(
            f"a method needs the column {name!r} of the record, and it is not there. Make the record with it: "
            f"RecordedLosses(..., columns={{{name!r}: {dtype}}})."
        )
    return columns[name]


def gradient_norms(signals: Signals) -> Float[Tensor, " b"]:
    """Gradient norms, fresh or from the record.

    Raises:
        ArgumentError: the signals have none.
    """
    return required(
        signals.grad_norms,
        "grad_norms",
        "let SelectiveLoader compute them; on the recorded plane give the record the column, RecordedLosses(..., "
        "columns={'grad_norms': torch.bfloat16}), and its values with the losses",
    )


def adaboost_method(reading: F.AdaBoostReading | None) -> Method:
    """The AdaBoost weight as a method; with no reading it follows the kind of the losses.

    Cross-entropy losses are read as ``artanh(1 - exp(-l))``, all others scale-free by the running mean loss.
    """

    def score(signals: Signals) -> Float[Tensor, " b"]:
        automatic = "cross_entropy" if signals.kind == "cross_entropy" else "scale_free"
        return F.adaboost(signals.losses, reading or automatic, signals.scale)  # type: ignore[arg-type]

    return score


def row(name: str, function: Method, needs: str, source: str, summary: str, **more: Any) -> MethodInfo:
    """A row, with what it needs as words in one string; ``more`` are the fields that have defaults, and equation."""
    return MethodInfo(name, function, frozenset(needs.split()), more.pop("equation", ""), source, summary, **more)


_PAPER = "AdaSelection, section 3.2"

PAPER_ROWS = (
    row(
        "uniform",
        lambda s: F.uniform(required(s.noise, "noise")),
        "",
        _PAPER,
        "random rows, fresh each batch: the opponent that every rule must beat",
        equation="eq. 2",
        inclusion=lambda s, k: F.uniform_inclusion(s.losses, k, s.valid),
    ),
    row(
        "big_loss",
        lambda s: F.big_loss(s.losses),
        "losses",
        f"{_PAPER}; Jiang et al. 2019 (1910.00762)",
        "the largest losses: fast on clean data, fragile under label noise and outliers",
        equation="eq. 2",
    ),
    row(
        "small_loss",
        lambda s: F.small_loss(s.losses),
        "losses",
        f"{_PAPER}; Shah et al. 2020 (2001.03316)",
        "the smallest losses: robust to outliers, learns little when run alone",
        equation="eq. 2",
    ),
    row(
        "grad_norm",
        lambda s: F.grad_norm(gradient_norms(s)),
        "losses grad_norms",
        f"{_PAPER}; Katharopoulos & Fleuret 2018 (1803.00942)",
        "the largest gradients at the model's output, in closed form, text included",
        equation="eq. 2",
        columns=GRAD_NORMS,
    ),
    row(
        "adaboost",
        adaboost_method(None),
        "losses",
        _PAPER,
        "AdaBoost's weight of the loss: ranks as big_loss does, but weighs the rows differently in a mixture",
        equation="eq. 1",
    ),
    row(
        "coreset_extremes",
        lambda s: F.coreset_extremes(s.losses, s.valid),
        "losses",
        f"{_PAPER}, coresets approximation 1",
        "half of the rows from the top of the losses, half from the bottom",
        equation="eq. 2",
    ),
    row(
        "coreset_mean",
        lambda s: F.coreset_mean(s.losses, s.valid),
        "losses",
        f"{_PAPER}, coresets approximation 2",
        "the losses nearest to the mean of the batch",
        equation="eq. 2",
    ),
)
