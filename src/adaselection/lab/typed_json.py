"""Between typed dataclasses and plain JSON values, every type checked."""

from __future__ import annotations

import dataclasses
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
    """Return dataclasses as dicts, tuples as lists, and numbers that are not finite as None."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse(hint: Any, value: Any, where: str) -> Any:
    """Check `value` against a type hint and return it in the hint's own form.

    Knows dataclasses, `X | None`, `Literal`, `tuple[X, ...]`, float, int, str, bool and `Mapping`. A missing or an
    unknown key is an error; an integer will do for a float; a number that is not finite is None where None may be.

    Args:
        hint: The type to check against.
        value: What JSON decoded to.
        where: The path of `value` from the top, for messages; empty at the top.

    Raises:
        ValueError: Naming the place, what was wanted and what was there.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _parse_fields(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        return parse(args[0], value, where)
    if origin is Literal:
        return _require(value in args, value, where, f"one of {', '.join(args)}")
    if origin is tuple:
        _require(isinstance(value, list | tuple), value, where, "a list")
        return tuple(parse(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(_require(number, value, where, "a finite number"))
    if hint is int:
        return _require(isinstance(value, int) and not isinstance(value, bool), value, where, "an integer")
    if hint is str or hint is bool:
        return _require(isinstance(value, hint), value, where, "text" if hint is str else "true or false")
    return _require(isinstance(value, Mapping), value, where, "a mapping")


def _parse_fields(cls: Any, value: Any, where: str) -> Any:
    _require(isinstance(value, Mapping), value, where or "the top level", "a mapping")
    hints, dot = typing.get_type_hints(cls), f"{where}." if where else ""
    if unknown := sorted(map(str, value.keys() - hints.keys())):
        raise ValueError(f"unknown key {dot}{unknown[0]} (was it written by a newer version?)")
    if missing := [name for name in hints if name not in value]:
        raise ValueError(f"missing key {dot}{missing[0]}")
    return cls(**{name: parse(hint, value[name], f"{dot}{name}") for name, hint in hints.items()})


def _require(good: bool, value: Any, where: str, wanted: str) -> Any:
    if not good:
        shown = repr(value)
        raise ValueError(f"{where} must be {wanted}, not {shown if len(shown) < 60 else shown[:57] + '...'}")
    return value
