"""The arms of a comparison: what trains, and on which rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adaselection import AdaSelection, Policy, SingleMethod, method_info, methods
from adaselection.lab.naming import lookup


@dataclass(frozen=True)
class PolicyOptions:
    """What the command line may say about the policy of the `adaselection` arms; None leaves the default.

    Attributes:
        methods: Candidate methods.
        beta: Of eq. 3, in [-1, 1].
        curriculum: Of eq. 4: printed, text or scale_free.
        importance: Of eq. 2: softmax_z, softmax, indicator or rank.
        weighting: Of eq. 3: bounded, paper, fixed or placebo; on recorded losses variance or progress too.
        choice: Of eq. 6: top_k, quota or draw.
    """

    methods: tuple[str, ...] | None = None
    beta: float | None = None
    curriculum: str | None = None
    importance: str | None = None
    weighting: str | None = None
    choice: str | None = None

    def given(self) -> dict[str, Any]:
        """The options that were given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


Build = Callable[[float, int, PolicyOptions], Policy]


@dataclass(frozen=True)
class Arm:
    """One row of a comparison.

    Attributes:
        name: As on the command line.
        summary: One line.
        build: Makes the policy from a rate, a seed and the options; None where every row is trained on.
        mixes: Whether it mixes methods and so takes the options.
        recorded: Whether it chooses from recorded losses; else from a scoring pass, or not at all.
        anneal: Share of the run, at its end, that goes in whole walks, for recorded arms.
    """

    name: str
    summary: str
    build: Build | None
    mixes: bool = False
    recorded: bool = False
    anneal: float = 0.0


def _single(method: str, **fixed: Any) -> Build:
    return lambda rate, seed, options: SingleMethod(method, rate, seed=seed, **fixed)


def _mixture(**fixed: Any) -> Build:
    return lambda rate, seed, options: AdaSelection(rate=rate, seed=seed, **{**options.given(), **fixed})


_LADDER = ("uniform", "trusted", "proportional", "uncertain")


def _candidates(*members: str, **fixed: Any) -> Build:
    """A mixture on recorded losses; without names, of what the default chooses between and a rule for noise."""
    return lambda rate, seed, options: AdaSelection(members or _LADDER, rate, seed=seed, **fixed)


def _recorded() -> list[Arm]:
    """The arms on recorded losses: the default, the rungs of the ladder below it, then each method alone."""
    even = _candidates("uniform", "proportional", weighting="fixed", weight_exponent=0.0)
    half = _candidates("uniform", "proportional", weighting="fixed", weight_exponent=0.5)
    full = _candidates("uniform", "proportional", weighting="fixed", weight_exponent=1.0)
    by_variance = _candidates(weighting="variance", weight_exponent=1.0, share=0.4)
    rungs: list[tuple[str, str, Build, float]] = [
        ("paper", "eq. 3 as printed", _candidates(weighting="paper"), 0.0),
        ("bounded", "eq. 3 bounded and with a fixed share", _candidates(weighting="bounded"), 0.0),
        ("placebo", "random method weights", _candidates(weighting="placebo"), 0.0),
        ("variance", "weights by variance, unbiased", by_variance, 0.0),
        ("progress", "weights by the progress of what is drawn", _candidates(weighting="progress"), 0.0),
        ("biased", "half uniform, half by loss, weights of exponent 0", even, 0.0),
        ("half_biased", "the same with weights of exponent 1/2", half, 0.0),
        ("unbiased", "the same with weights of exponent 1", full, 0.0),
        ("wrong_labels", "the default, told that labels are wrong", _mixture(wrong_labels=True), 0.0),
        ("annealed", "the default, and whole walks for the last eighth", _mixture(), 0.125),
        ("infobatch_annealed", "InfoBatch as published: whole walks for the last eighth", _single("infobatch"), 0.125),
    ]
    default = "AdaSelection on recorded losses as it is by default, or as the options say"
    rows = [Arm("recorded", default, _mixture(), mixes=True, recorded=True)]
    rows += [
        Arm(f"recorded_{name}", f"recorded losses: {summary}", build, recorded=True, anneal=anneal)
        for name, summary, build, anneal in rungs
    ]
    alone = "recorded losses, alone:"
    for name in methods("recorded"):
        rows.append(Arm(f"recorded_{name}", f"{alone} {method_info(name).summary}", _single(name), recorded=True))
    return rows


def arms() -> dict[str, Arm]:
    """Every arm by name: the fixed ones, then one for each method alone."""
    rows = [
        Arm("full", "every row, all epochs: the run that the others want to be cheaper than", None),
        Arm("uniform_budget", "every row, fewer epochs, schedule fitted to the budget: the opponent", None),
        Arm("uniform_rate", "random rows of each batch at the same rate, no scoring", _single("uniform")),
        Arm("placebo", "AdaSelection with random method weights", _mixture(weighting="placebo"), True),
        Arm("adaselection", "AdaSelection as it is by default, or as the options say", _mixture(), True),
        Arm(
            "adaselection_paper",
            "AdaSelection in the paper's reading of every equation",
            _mixture(replicate="paper"),
            True,
        ),
        Arm("adaboost_paper", "alone: eq. 1 as printed, losses clamped below 1", _single("adaboost", adaboost="clamp")),
    ]
    rows += _recorded()
    rows += [Arm(name, f"alone: {method_info(name).summary}", _single(name)) for name in methods() if name != "uniform"]
    return {row.name: row for row in rows}


def get_arm(name: str) -> Arm:
    """Return an arm by name.

    Raises:
        ValueError: There is none of that name; the message has the nearest.
    """
    return lookup(arms(), "uniform_rate" if name == "uniform" else name, "arm")


def names(given: Sequence[str]) -> tuple[str, ...]:
    """Check the names of arms, and return them as the table has them.

    Raises:
        ValueError: One is unknown.
    """
    return tuple(get_arm(name).name for name in given)
