"""One number that is held against a bound."""

from __future__ import annotations

import math
import operator
from typing import NamedTuple

_SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_NEXT_TO_0 = 0.05


class Condition(NamedTuple):
    """One number that a member asks for before it gets the weight.

    Attributes:
        name: what the number is, in words.
        value: that of the last window; NaN where it is not known, which meets nothing.
        sign: how it must stand to the bound: ``">"``, ``">="``, ``"<"`` or ``"<="``.
        bound: the other side.
    """

    name: str
    value: float
    sign: str
    bound: float

    @property
    def met(self) -> bool:
        """Whether the number is as asked."""
        return bool(_SIGNS[self.sign](self.value, self.bound))

    @property
    def short(self) -> float:
        """How far the number is from being as asked: 0 where it is, else a share of the bound, 1 at most or if unknown.

        Of a bound that is 0, or next to it, the difference itself counts.
        """
        if self.met:
            return 0.0
        off = abs(self.value - self.bound) / (abs(self.bound) if abs(self.bound) > _NEXT_TO_0 else 1.0)
        return 1.0 if math.isnan(off) else min(1.0, off)

    def __str__(self) -> str:
        """Name, number and what was asked; the number with as many digits as it takes to see which side it is on."""
        bound = f"{self.bound:.4g}"
        near = next((said for said in (f"{self.value:.{digits}g}" for digits in (4, 6, 9)) if said != bound), bound)
        return f"{self.name} {near} (asks {self.sign} {bound})"
