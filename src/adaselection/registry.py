"""The table of methods: one frozen row each, built in or the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from adaselection import functional
from adaselection._shapes import Float
from adaselection.errors import ArgumentError
from adaselection.types import Method, Signals

MethodLike = str | tuple[str, Method] | Method
"""A method's name, a pair of a name and a function, or a named function."""


@dataclass(frozen=True)
class MethodInfo:
    """One row of the table.

    Attributes:
        name: the method's name, also in state dicts and records.
        function: raw scores of the rows from their `Signals`, larger is more wanted.
        needs: the signals that it reads: ``"losses"``, ``"grad_norms"``; empty if chance is enough.
        equation: where the paper defines it.
        source: where the rule comes from.
        summary: one line for people.
    """

    name: str
    function: Method
    needs: frozenset[str]
    equation: str
    source: str
    summary: str


def required(value: Tensor | None, what: str) -> Tensor:
    """The signal, or an error that says which one is missing.

    Raises:
        ArgumentError: the signal is None.
    """
    if value is None:
        raise ArgumentError(
            f"a method needs {what}, and the signals have none. Pass Signals(losses=..., {what}=...) to select(), "
            "or let SelectiveLoader compute them."
        )
    return value


def adaboost_method(reading: functional.AdaBoostReading | None) -> Method:
    """The AdaBoost weight as a method; with no reading it follows the kind of the losses.

    Cross-entropy losses are read as ``artanh(1 - exp(-l))``, all others scale-free by the running mean loss.
    """

    def score(signals: Signals) -> Float[Tensor, " b"]:
        automatic = "cross_entropy" if signals.kind == "cross_entropy" else "scale_free"
        return functional.adaboost(signals.losses, reading or automatic, signals.scale)  # type: ignore[arg-type]

    return score


_PAPER = "AdaSelection, section 3.2"


def _row(name: str, function: Method, needs: str, equation: str, source: str, summary: str) -> MethodInfo:
    return MethodInfo(name, function, frozenset(needs.split()), equation, source, summary)


_METHODS: dict[str, MethodInfo] = {
    row.name: row
    for row in (
        _row(
            "uniform",
            lambda s: functional.uniform(required(s.noise, "noise")),
            "",
            "eq. 2",
            _PAPER,
            "random rows, fresh each batch: the opponent that every rule must beat",
        ),
        _row(
            "big_loss",
            lambda s: functional.big_loss(s.losses),
            "losses",
            "eq. 2",
            f"{_PAPER}; Jiang et al. 2019 (1910.00762)",
            "the largest losses: fast on clean data, fragile under label noise and outliers",
        ),
        _row(
            "small_loss",
            lambda s: functional.small_loss(s.losses),
            "losses",
            "eq. 2",
            f"{_PAPER}; Shah et al. 2020 (2001.03316)",
            "the smallest losses: robust to outliers, learns little when run alone",
        ),
        _row(
            "grad_norm",
            lambda s: functional.grad_norm(required(s.grad_norms, "grad_norms")),
            "losses grad_norms",
            "eq. 2",
            f"{_PAPER}; Katharopoulos & Fleuret 2018 (1803.00942)",
            "the largest gradients at the model's output, in closed form, text included",
        ),
        _row(
            "adaboost",
            adaboost_method(None),
            "losses",
            "eq. 1",
            _PAPER,
            "AdaBoost's weight of the loss: ranks as big_loss does, but weighs the rows differently in a mixture",
        ),
        _row(
            "coreset_extremes",
            lambda s: functional.coreset_extremes(s.losses, s.valid),
            "losses",
            "eq. 2",
            f"{_PAPER}, coresets approximation 1",
            "half of the rows from the top of the losses, half from the bottom",
        ),
        _row(
            "coreset_mean",
            lambda s: functional.coreset_mean(s.losses, s.valid),
            "losses",
            "eq. 2",
            f"{_PAPER}, coresets approximation 2",
            "the losses nearest to the mean of the batch",
        ),
    )
}
BUILT_IN = frozenset(_METHODS)


def methods() -> tuple[str, ...]:
    """Names of all methods, the built-in ones first."""
    return tuple(_METHODS)


def method_info(name: str) -> MethodInfo:
    """The row of a method.

    Raises:
        ArgumentError: no method has that name; the message names the nearest one.
    """
    if name in _METHODS:
        return _METHODS[name]
    near = difflib.get_close_matches(str(name), _METHODS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(f"unknown method {name!r}.{hint} There are: {', '.join(_METHODS)}.")


def register_method(
    name: str, function: Method, *, needs: Iterable[str] = ("losses",), source: str = "", summary: str = ""
) -> MethodInfo:
    """Add a method of your own, so that it can be named like the built-in ones.

    Args:
        name: its name.
        function: `Signals` of a batch in, raw scores ``[b]`` out, larger is more wanted. A pure function: no global
            random numbers (use ``signals.noise``), no reading of values back to the host.
        needs: the signals it reads, of ``"losses"`` and ``"grad_norms"``.
        source: where the rule comes from.
        summary: one line for people.

    Raises:
        ArgumentError: the name is a built-in method's, or ``needs`` names an unknown signal.
    """
    row = _own(name, function, needs, source, summary)
    _METHODS[name] = row
    return row


def resolve(method: MethodLike) -> MethodInfo:
    """The row for a name, a ``(name, function)`` pair or a named function; only names need to be registered.

    Raises:
        ArgumentError: none of these, or an unknown name.
    """
    if isinstance(method, str):
        return method_info(method)
    if isinstance(method, tuple) and len(method) == 2 and isinstance(method[0], str) and callable(method[1]):
        return _own(method[0], method[1], ("losses",), "", "")
    name = getattr(method, "__name__", "<lambda>")
    if callable(method) and name != "<lambda>":
        return _own(name, method, ("losses",), "", "")
    raise ArgumentError(
        f"a method is a name, a pair (name, function) or a named function; got {method!r}. "
        'Give a nameless function a name: ("mine", lambda signals: -signals.losses).'
    )


def _own(name: str, function: Callable[..., Tensor], needs: Iterable[str], source: str, summary: str) -> MethodInfo:
    if not name.isidentifier():
        raise ArgumentError(f"a method's name must be an identifier such as 'my_method'; got {name!r}.")
    if name in BUILT_IN:
        raise ArgumentError(f"{name!r} is the name of a built-in method; give yours another one.")
    wanted = frozenset(needs)
    unknown = wanted - {"losses", "grad_norms"}
    if unknown:
        raise ArgumentError(f"unknown signals {sorted(unknown)}; a method can need 'losses' and 'grad_norms'.")
    return MethodInfo(name, function, wanted, "", source, summary)


def checked_scores(info: MethodInfo, signals: Signals) -> Float[Tensor, " b"]:
    """Raw scores of a method, with their shape checked.

    Raises:
        ArgumentError: the function did not return one number per row.
    """
    scores = info.function(signals)
    if not isinstance(scores, torch.Tensor) or scores.shape != signals.losses.shape:
        got = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise ArgumentError(
            f"method {info.name!r} must return a tensor with one score per row, shape "
            f"{tuple(signals.losses.shape)}; got {got}. If it reads grad_norms, register it with "
            'register_method(name, function, needs=("losses", "grad_norms")) and use its name.'
        )
    return scores
