"""The arms in groups, for lists that people read and for `compare --arms`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaselection import methods
from adaselection.lab.arms import Arm, arms, get_arm
from adaselection.lab.naming import lookup

__all__ = ["Group", "expand", "groups"]

ASKS_FOR_MORE = "recorded_rho_loss"


@dataclass(frozen=True)
class Group:
    """Arms that belong together.

    Attributes:
        name: As `compare --arms` takes it.
        summary: One line.
        arms: All of them.
    """

    name: str
    summary: str
    arms: tuple[Arm, ...]

    @property
    def joins(self) -> bool:
        """Whether it joins other groups."""
        return self.name.endswith("_all")

    @property
    def alone(self) -> bool:
        """Whether each of its arms is one method alone."""
        return self.name.endswith("_alone")

    @property
    def members(self) -> tuple[str, ...]:
        """The arms that the name stands for: all but the one that needs a file of its own."""
        return tuple(arm.name for arm in self.arms if arm.name != ASKS_FOR_MORE)


def groups() -> dict[str, Group]:
    """Every group by name: five that share out the arms, and two that join some of them."""
    rows = list(arms().values())
    single = methods("recorded")
    alone = {arm.name for arm in rows if arm.name.removeprefix("recorded_").removesuffix("_paper") in single}
    mixing = {arm.name for arm in rows if arm.build is not None and arm.name != "uniform_rate"} - alone
    fresh, recorded = "chosen by a scoring pass over each batch", "chosen by the losses that training saw last"
    kinds = (
        ("baselines", "every row, or random rows", lambda arm: arm.name not in alone | mixing),
        ("fresh_policies", fresh, lambda arm: arm.name in mixing and not arm.recorded),
        ("fresh_alone", f"{fresh}, one method each", lambda arm: arm.name in alone and not arm.recorded),
        ("recorded_policies", recorded, lambda arm: arm.name in mixing and arm.recorded),
        ("recorded_alone", f"{recorded}, one method each", lambda arm: arm.name in alone and arm.recorded),
        ("fresh_all", "fresh_policies and fresh_alone", lambda arm: arm.name in alone | mixing and not arm.recorded),
        ("recorded_all", f"recorded_policies and recorded_alone, {ASKS_FOR_MORE} apart", lambda arm: arm.recorded),
    )
    return {name: Group(name, summary, tuple(arm for arm in rows if has(arm))) for name, summary, has in kinds}


def expand(given: Sequence[str]) -> tuple[str, ...]:
    """Names of arms for names of arms and groups, each once, in the order given.

    Raises:
        ValueError: A name is neither; the message has the nearest.
    """
    known = groups()
    found: dict[str, None] = {}
    for name in given:
        if name in known:
            found |= dict.fromkeys(known[name].members)
        else:
            lookup(dict.fromkeys((*arms(), "uniform", *known)), name, "arm")
            found[get_arm(name).name] = None
    return tuple(found)
