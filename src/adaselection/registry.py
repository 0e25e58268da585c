"""The table of methods: one frozen row each, built in or the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from adaselection import checks
from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.catalogue import PAPER_ROWS, Inclusion, MethodInfo, adaboost_method, required
from adaselection.catalogue_recorded import RECORDED_ROWS
from adaselection.errors import ArgumentError
from adaselection.types import Method, Signals

__all__ = [
    "BUILT_IN",
    "MethodInfo",
    "MethodLike",
    "adaboost_method",
    "checked_inclusion",
    "checked_scores",
    "method_info",
    "methods",
    "register_method",
    "required",
    "resolve",
    "resolve_all",
]

MethodLike = str | tuple[str, Method] | Method
"""A method's name, a pair of a name and a function, or a named function."""

_METHODS: dict[str, MethodInfo] = {row.name: row for row in (*PAPER_ROWS, *RECORDED_ROWS)}
BUILT_IN = frozenset(_METHODS)


_LISTED_LATER = frozenset(row.name for row in RECORDED_ROWS)


def methods(plane: Literal["fresh", "recorded"] | None = None) -> tuple[str, ...]:
    """Names of the methods, the built-in ones first.

    Args:
        plane: ``"fresh"`` for those that can judge a batch by fresh losses, ``"recorded"`` for those that can judge a
            window by recorded ones, which are all. None for the paper's seven and your own.

    Raises:
        ArgumentError: another plane.
    """
    checks.one_of("plane", plane, ("fresh", "recorded"), optional=True)
    if plane is None:
        return tuple(name for name in _METHODS if name not in _LISTED_LATER)
    return tuple(name for name, row in _METHODS.items() if plane == "recorded" or row.plane == "both")


def method_info(name: str) -> MethodInfo:
    """The row of a method.

    Raises:
        ArgumentError: no method has that name; the message names the nearest one.
    """
    if isinstance(name, str) and name in _METHODS:
        return _METHODS[name]
    near = difflib.get_close_matches(str(name), _METHODS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(f"unknown method {name!r}.{hint} There are: {', '.join(_METHODS)}.")


def register_method(
    name: str,
    function: Method,
    *,
    needs: Iterable[str] = ("losses",),
    source: str = "",
    summary: str = "",
    inclusion: Inclusion | None = None,
) -> MethodInfo:
    """Add a method of your own, so that it can be named like the built-in ones.

    Args:
        name: its name.
        function: `Signals` of a batch in, raw scores ``[b]`` out, larger is more wanted. A pure function: no global
            random numbers (use ``signals.noise``), no reading of values back to the host.
        needs: the signals it reads, of ``"losses"`` and ``"grad_norms"``.
        source: where the rule comes from.
        summary: one line for people.
        inclusion: its rule on the recorded plane: `Signals` of a window and k in, inclusion probabilities ``[b]`` out,
            each in ``[0, 1]`` and their sum k; 0 where ``signals.valid`` is False. The k highest raw scores if None.

    Raises:
        ArgumentError: the name is none or a built-in method's, ``needs`` names an unknown signal, or what must be a
            function is none.
    """
    row = _own(name, function, needs, source, summary, inclusion)
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


def resolve_all(methods: Sequence[MethodLike], reading: F.AdaBoostReading | None) -> tuple[MethodInfo, ...]:
    """The methods' rows, with AdaBoost in the reading asked for.

    Raises:
        ArgumentError: no method, an unknown or a repeated one, or an unknown reading.
    """
    if isinstance(methods, str) or not isinstance(methods, Sequence):
        hint = f" Did you mean rate={methods!r}?" if isinstance(methods, (int, float)) and 0 < methods <= 1 else ""
        raise ArgumentError(f'methods is a list of methods, such as ("big_loss", "uniform"); got {methods!r}.{hint}')
    if not methods:
        raise ArgumentError('methods is empty; name at least one, such as methods=("big_loss", "uniform").')
    checks.one_of("adaboost", reading, F.ADABOOST_READINGS, optional=True)
    rows = tuple(resolve(method) for method in methods)
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"method {name!r} is named {names.count(name)} times; name each method once.")
    return tuple(replace(r, function=adaboost_method(reading)) if r.name == "adaboost" else r for r in rows)


def _own(
    name: str,
    function: Callable[..., Tensor],
    needs: Iterable[str],
    source: str,
    summary: str,
    inclusion: Inclusion | None = None,
) -> MethodInfo:
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(f"a method's name must be an identifier such as 'my_method'; got {name!r}.")
    if name in BUILT_IN:
        raise ArgumentError(f"{name!r} is the name of a built-in method; give yours another one.")
    wanted = list(needs) if isinstance(needs, Iterable) else [needs]
    unknown = [word for word in wanted if not isinstance(word, str) or word not in ("losses", "grad_norms")]
    if unknown:
        raise ArgumentError(f"unknown signals {unknown}; a method can need 'losses' and 'grad_norms'.")
    checks.function("function", function)
    checks.function("inclusion", inclusion, optional=True)
    return MethodInfo(name, function, frozenset(wanted), "", source, summary, inclusion)


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


def checked_inclusion(info: MethodInfo, signals: Signals, k: int) -> Float[Tensor, " b"]:
    """Inclusion probabilities of a method over a window, with their shape checked.

    Raises:
        ArgumentError: the rule did not return one number per row, or lacks a signal.
    """
    assert info.inclusion is not None  # filled in by MethodInfo
    chances = info.inclusion(signals, k)
    if not isinstance(chances, torch.Tensor) or chances.shape != signals.losses.shape:
        got = tuple(chances.shape) if isinstance(chances, torch.Tensor) else type(chances).__name__
        raise ArgumentError(
            f"the inclusion of method {info.name!r} must return a tensor with one probability per row, shape "
            f"{tuple(signals.losses.shape)}; got {got}."
        )
    return chances
