"""Whether what a state dict holds is of the kinds that it must be, looked at before anything of it is used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from adaselection.errors import StateError

_NUMBER = (int, float)


def present(own: Mapping[str, Any], given: Any, what: str) -> None:
    """Refuse what is no mapping with all the entries of ``own``.

    Raises:
        StateError: it is none, or lacks some; names them.
    """
    if not isinstance(given, Mapping):
        raise StateError(f"the {what} state must be a dict as state_dict() gives it; got {type(given).__name__}.")
    missing = [key for key in own if key not in given]
    if missing:
        raise StateError(
            f"the {what} state lacks {', '.join(missing)}: it is not one of this version's. Take a checkpoint that "
            "this version of adaselection wrote."
        )


def check(own: Mapping[str, Any], given: Any, what: str, path: str = "") -> None:
    """Refuse what is no mapping with values of the kinds of those of ``own`` at the same places.

    It may have more keys, anything may be in what is an empty mapping in ``own``, and the entries of lists are for
    `entries` to look at. Tensors need the same sort of numbers and as many dimensions.

    Raises:
        StateError: it is no mapping, a key is missing, or a value is of another kind; names the place.
    """
    if not path:
        present(own, given, what)
    for key, value in own.items():
        place = f"{path}{key}"
        if key not in given:
            raise StateError(f"the {what} state lacks {place}: it is damaged. Take an undamaged checkpoint.")
        if not _alike(value, given[key]):
            raise damaged(what, place, given[key])
        if isinstance(value, Mapping):
            check(value, given[key], what, f"{place}.")


def entries(given: Iterable[Any], kinds: type | tuple[type, ...], what: str, place: str) -> None:
    """Refuse a list, or the values of a mapping, with an entry of another kind.

    Raises:
        StateError: there is one.
    """
    for value in given.values() if isinstance(given, Mapping) else given:
        if not isinstance(value, kinds):
            raise damaged(what, place, value)


def numbers(own: Mapping[str, Any], given: Mapping[str, Any], names: Iterable[str], what: str) -> None:
    """Refuse tensors of other shapes than those of ``own``, and tensors or numbers that are NaN or infinite.

    Raises:
        StateError: there is one among those of these names.
    """
    for name in names:
        value = given[name]
        fine = bool(value.isfinite().all()) if isinstance(value, Tensor) else math.isfinite(value)
        if not fine or (isinstance(value, Tensor) and value.shape != own[name].shape):
            raise damaged(what, name, value)


def check_snapshot(now: Mapping[str, Any], given: Any, what: str) -> None:
    """Refuse what is no `replay.snapshot` of the loader that ``now`` is one of: random states and epochs.

    Raises:
        StateError: it is none.
    """
    check({"rng": now["rng"], "generators": [], "epochs": []}, given, what)
    entries(given["generators"], Tensor, what, "generators")
    entries(given["epochs"], int, what, "epochs")
    pairs = zip((now["rng"], *now["generators"]), (given["rng"], *given["generators"]), strict=False)
    for own, saved in pairs:
        if (own.dtype, own.shape) != (saved.dtype, saved.shape):
            raise damaged(what, "a random state", saved)


def same(own: Any, given: Any) -> bool:
    """Whether two values are equal, and of one kind; whatever ``given`` is."""
    if not _alike(own, given):
        return False
    if isinstance(own, Mapping):
        return own.keys() == given.keys() and all(same(value, given[key]) for key, value in own.items())
    if isinstance(own, (list, tuple)):
        return len(own) == len(given) and all(map(same, own, given))
    return bool(own == given)


def refuse_other_loader(given: object, sign: str, owner: str, this: str) -> None:
    """Refuse the state of the other kind of loader, which an entry of its own gives away.

    Raises:
        StateError: it has the entry ``sign``, which only the states of an ``owner`` have.
    """
    if isinstance(given, Mapping) and sign in given:
        raise StateError(
            f"this is the state of a {owner}, and this loader is a {this}. Load it into a {owner}, or take a "
            f"checkpoint that a {this} wrote."
        )


def damaged(what: str, place: str, value: object) -> StateError:
    """The error about a value that cannot be."""
    found = f"{place} is {value!r:.80}, of type {type(value).__name__}"
    return StateError(f"the {what} state is damaged: {found}. Take an undamaged checkpoint.")


def _alike(own: Any, given: Any) -> bool:
    """Whether a value is of the kind of another."""
    if isinstance(own, Tensor):
        return isinstance(given, Tensor) and _sort(own) == _sort(given) and not given.is_meta
    if isinstance(own, Mapping):
        return isinstance(given, Mapping)
    if isinstance(own, (list, tuple)):
        return isinstance(given, (list, tuple))
    if isinstance(own, _NUMBER):
        return isinstance(given, int if isinstance(own, int) else _NUMBER)
    return isinstance(given, type(own))


def _sort(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dim(), tensor.is_floating_point(), tensor.is_complex(), tensor.layout, tensor.is_quantized


def apart(own: Any, given: Any) -> tuple[Any, Any]:
    """Two values that differ; of two mappings, the entries that do."""
    if not (isinstance(own, Mapping) and isinstance(given, Mapping)):
        return own, given
    names = [name for name in own if name not in given or not same(own[name], given[name])]
    return {name: own[name] for name in names} or own, {name: given.get(name) for name in names} or given
