"""The members of the earned mixture, and which of them may get the weight."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from adaselection import checks, kinds
from adaselection.errors import ArgumentError, StateError

MEMBERS = ("uniform", "trusted", "hard", "uncertain")
"""The first needs no evidence."""


def check_now(now: Mapping[str, float], allowed: Sequence[str]) -> None:
    """Refuse places of `MEMBERS`, as a state has them, that are none of those allowed, and counts that are none.

    Raises:
        StateError: it is none.
    """
    for name in ("before", "idle", "long"):
        if now[name] < 0 or now[name] % 1:
            raise kinds.damaged("evidence", name, now[name])
    for what, place in (("the weight is on", now["open"]), ("it was taken from", now["gave"])):
        if not any(number == place and name in allowed for number, name in enumerate(MEMBERS)):
            raise StateError(f"the state dict is damaged: {what} member {place!r}. Take an undamaged checkpoint.")


def members_of(given: Sequence[str]) -> tuple[str, ...]:
    """Those that may get the weight: ``uniform``, and these.

    Raises:
        ArgumentError: none, a word that is no member, or one string.
    """
    if isinstance(given, str) or not isinstance(given, Collection) or not given:
        raise ArgumentError(f'members must be a list of names, such as ("hard",); got {given!r}.')
    named = {checks.one_of("members", member, MEMBERS) for member in given}
    return tuple(member for member in MEMBERS if member in named | {MEMBERS[0]})
