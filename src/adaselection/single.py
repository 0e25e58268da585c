"""One subsampling method alone."""

from __future__ import annotations

from typing import Any

from adaselection import checks
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.registry import MethodLike, resolve_all
from adaselection.step import Recipe


class SingleMethod(Policy):
    """One subsampling method alone: the k rows with its highest raw scores, or a draw of k by its chances.

    Drawn are the rules that their sources leave to chance, such as ``selective_backprop``; on fresh losses always k.
    ``katharopoulos_fleuret`` comes with sample weights, so `SelectiveLoader` asks for ``weighted=True``.

    Args:
        method: a name (`adaselection.methods()` lists them), your own function, or a pair ``(name, function)``.
        rate: share of the rows to keep, in ``(0, 1]``; 1 keeps all.
        seed: of the policy's own random generator.
        adaboost: reading of eq. 1, for the method ``"adaboost"``; by the kind of loss if None.
        max_nonfinite: share of NaN or infinite losses in a batch that is an error. Such rows are never kept.

    Raises:
        ArgumentError: an argument out of its range, or an unknown method.
    """

    def __init__(
        self,
        method: MethodLike,
        rate: float = 0.3,
        *,
        seed: int = 0,
        adaboost: F.AdaBoostReading | None = None,
        max_nonfinite: float = 0.25,
    ) -> None:
        rows = resolve_all((method,), adaboost)
        recipe = Recipe(
            methods=rows,
            rate=checks.rate(rate),
            beta=0.0,
            weighting="fixed",
            loss_average="kept",
            half_life=1.0,
            share=0.0,
            importance=None,
            choice="draw" if rows[0].draws else "top_k",
            weight_exponent=0.0,
            curriculum=None,
            curriculum_power=0.0,
            curriculum_batches=1,
            max_nonfinite=checks.within("max_nonfinite", max_nonfinite, 0, 1),
        )
        settings = {"method": rows[0].name, "rate": rate, "adaboost": adaboost, "seed": seed}
        super().__init__(recipe, checks.seed(seed), settings)

    def _usual(self) -> dict[str, Any]:
        return {"adaboost": None, "seed": 0}
