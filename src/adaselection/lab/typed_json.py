"""Between typed dataclasses and plain JSON values, every type checked."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal


def canonical(value: Any, *, sort_keys: bool = False) -> str:
    """Return JSON without spaces; with `sort_keys` the same value always gives the same text."""
    return json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def to_plain(value: Any) -> Any:
    """Return dataclasses as dicts, tuples as lists, and numbers that are not finite as None.

    A field that has a default and holds it is left out, so that new fields leave old records, and their names, as
    they were.
    """
    if dataclasses.is_dataclass(value):
        held = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: to_plain(item) for field, item in held if not _is_default(field, item)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse(hint: Any, value: Any, where: str) -> Any:
    """Check `value` against a type hint and return it in the hint's own form.

    Knows dataclasses, `X | None`, `Literal`, `tuple[X, ...]`, float, int, str, bool and `Mapping`. An unknown key is an
    error, and so is a missing one, unless its field has a default; an integer will do for a float; a number that is
    not finite is None where None may be.

    Args:
        hint: The type to check against.
        value: What JSON decoded to.
        where: The path of `value` from the top, for messages; empty at the top.

    Raises:
        ValueError: Naming the place, what was wanted and what was there.
    """
    try:
        return _parser(hint)(value)
    except _FaultError as fault:
        raise ValueError(fault.say(where)) from None


class _FaultError(Exception):
    """What is wrong with a value; the steps to it, the last one first, are gathered on the way up."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.steps: list[str] = []

    def say(self, where: str) -> str:
        path = (where + "".join(reversed(self.steps))).removeprefix(".")
        return self.words.format(where=path or "the top level", dot=f"{path}." if path else "")


@functools.cache
def _parser(hint: Any) -> Callable[[Any], Any]:
    """What checks values against a type hint; made once for each hint, as records are many."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return functools.partial(_fields, hint, *_fields_of(hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return functools.partial(_optional, _parser(args[0]))
    if origin is Literal:
        return functools.partial(_wanted, lambda value: value in args, f"one of {', '.join(args)}")
    if origin is tuple:
        return functools.partial(_list, _parser(args[0]))
    return _PLAIN.get(hint) or functools.partial(_wanted, lambda value: isinstance(value, Mapping), "a mapping")


def _wanted(good: Callable[[Any], bool], wanted: str, value: Any) -> Any:
    if not good(value):
        raise _FaultError(_must(value, wanted))
    return value


def _float(value: Any) -> float:
    if type(value) is float and math.isfinite(value):  # as most of a record is
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise _FaultError(_must(value, "a finite number"))


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    float: _float,
    int: functools.partial(_wanted, lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"),
    str: functools.partial(_wanted, lambda value: isinstance(value, str), "text"),
    bool: functools.partial(_wanted, lambda value: isinstance(value, bool), "true or false"),
}


def _optional(inner: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None or (isinstance(value, float) and not math.isfinite(value)) else inner(value)


def _list(inner: Callable[[Any], Any], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _FaultError(_must(value, "a list"))
    found = []
    try:
        for item in value:
            found.append(inner(item))  # how many there are says which one is wrong
    except _FaultError as fault:
        fault.steps.append(f"[{len(found)}]")
        raise
    return tuple(found)


def _fields(cls: Any, hints: dict[str, Any], needed: tuple[str, ...], value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _FaultError(_must(value, "a mapping"))
    if not value.keys() <= hints.keys():
        unknown = min(map(str, value.keys() - hints.keys()))
        raise _FaultError(f"unknown key {{dot}}{_literal(unknown)} (was it written by a newer version?)")
    if missing := [name for name in needed if name not in value]:
        raise _FaultError(f"missing key {{dot}}{missing[0]}")
    found, name = {}, ""
    try:
        for name, item in value.items():
            found[name] = _parser(hints[name])(item)
    except _FaultError as fault:
        fault.steps.append(f".{name}")
        raise
    return cls(**found)


@functools.cache
def _fields_of(cls: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The type of each field, and the fields that have no default."""
    needed = (field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING)
    return typing.get_type_hints(cls), tuple(needed)


def require_plain(value: Any, where: str) -> None:
    """Check that a value is made of mappings, lists, text, true, false, null and finite numbers.

    Raises:
        ValueError: Naming the place and what was there.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            require_plain(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            require_plain(item, f"{where}[{place}]")
    elif isinstance(value, float):
        _require(math.isfinite(value), value, where, "a finite number")
    else:
        _require(value is None or isinstance(value, str | int), value, where, "plain JSON")


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    return field.default is not dataclasses.MISSING and value == field.default


def _require(good: bool, value: Any, where: str, wanted: str) -> None:
    if not good:
        raise ValueError(_FaultError(_must(value, wanted)).say(where))


def _must(value: Any, wanted: str) -> str:
    """What is wrong with a value, with a gap for its place."""
    shown = repr(value)
    return f"{{where}} must be {wanted}, not {_literal(shown if len(shown) < 60 else shown[:57] + '...')}"


def _literal(text: str) -> str:
    """A text that `str.format` leaves as it is."""
    return text.replace("{", "{{").replace("}", "}}")
