"""The members of the earned mixture, and which of them may get the weight."""

from __future__ import annotations

from collections.abc import Sequence

from adaselection import checks
from adaselection.errors import ArgumentError, StateError

MEMBERS = ("uniform", "trusted", "hard", "uncertain")
"""The first needs no evidence."""


def member_at(place: float, allowed: Sequence[str]) -> str:
    """The member at a place of `MEMBERS`, as a state has it.

    Raises:
        StateError: there is none, or it may not get the weight.
    """
    name = next((name for number, name in enumerate(MEMBERS) if number == place), None)
    if name is None or name not in allowed:
        raise StateError(
            f"the state gives the weight to {name or place!r}, and this policy's members are "
            f"{', '.join(allowed)}. Load it into a policy with the same members=, or start without it."
        )
    return name


def members_of(given: Sequence[str]) -> tuple[str, ...]:
    """Those that may get the weight: ``uniform``, and these.

    Raises:
        ArgumentError: none, a word that is no member, or one string.
    """
    if isinstance(given, str) or not given:
        raise ArgumentError(f'members must be a list of names, such as ("hard",); got {given!r}.')
    named = {checks.one_of("a member", member, MEMBERS) for member in given}
    return tuple(member for member in MEMBERS if member in named | {MEMBERS[0]})
