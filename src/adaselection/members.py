"""The members of the earned mixture, and which of them may get the weight."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from adaselection import checks
from adaselection.errors import ArgumentError

MEMBERS = ("uniform", "trusted", "hard", "uncertain")
"""The first needs no evidence."""


def members_of(given: Sequence[str]) -> tuple[str, ...]:
    """Those that may get the weight: ``uniform``, and these.

    Raises:
        ArgumentError: none, a word that is no member, or one string.
    """
    if isinstance(given, str) or not isinstance(given, Collection) or not given:
        raise ArgumentError(f'members must be a list of names, such as ("hard",); got {given!r}.')
    named = {checks.one_of("members", member, MEMBERS) for member in given}
    return tuple(member for member in MEMBERS if member in named | {MEMBERS[0]})
