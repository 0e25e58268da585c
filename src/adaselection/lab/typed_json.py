"""Between typed dataclasses and plain JSON values, every type checked."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
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
    if hint is float:  # first, as most of a record is numbers
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(_require(number, value, where, "a finite number"))
    if dataclasses.is_dataclass(hint):
        return _parse_fields(hint, value, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        return parse(args[0], value, where)
    if origin is Literal:
        return _require(value in args, value, where, f"one of {', '.join(args)}")
    if origin is tuple:
        _require(isinstance(value, list | tuple), value, where, "a list")
        return tuple(parse(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if hint is int:
        return _require(isinstance(value, int) and not isinstance(value, bool), value, where, "an integer")
    if hint is str or hint is bool:
        return _require(isinstance(value, hint), value, where, "text" if hint is str else "true or false")
    return _require(isinstance(value, Mapping), value, where, "a mapping")


def _parse_fields(cls: Any, value: Any, where: str) -> Any:
    _require(isinstance(value, Mapping), value, where or "the top level", "a mapping")
    (hints, needed), dot = _fields_of(cls), f"{where}." if where else ""
    if unknown := sorted(map(str, value.keys() - hints.keys())):
        raise ValueError(f"unknown key {dot}{unknown[0]} (was it written by a newer version?)")
    if missing := [name for name in needed if name not in value]:
        raise ValueError(f"missing key {dot}{missing[0]}")
    given = {name: hint for name, hint in hints.items() if name in value}
    return cls(**{name: parse(hint, value[name], f"{dot}{name}") for name, hint in given.items()})


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


def _require(good: bool, value: Any, where: str, wanted: str) -> Any:
    if not good:
        shown = repr(value)
        raise ValueError(f"{where} must be {wanted}, not {shown if len(shown) < 60 else shown[:57] + '...'}")
    return value
