"""A small paper: digits in the place of each task, so that its grid takes seconds."""

from __future__ import annotations

from types import MappingProxyType

from adaselection.lab.paper import plan

TINY = plan.PaperTask(
    "bike",
    "Bike",
    MappingProxyType({"cpu": plan.LabTask("digits", "smoke"), "paper": plan.LabTask("digits", "smoke")}),
    MappingProxyType({"cpu": 2, "paper": 2}),
)
ROWS = ("full", "mix_big_small_uniform", "uniform", "beta_0.5", "same_cost", "recorded")
RUNS = 21  # of a seed: full, and four rows at five rates; beta_0.5 is one of them
WORDS = ["--tasks", "bike", "--rows", ",".join(ROWS)]


def use_tiny() -> None:
    """Make the small task the paper's only one, in this process; for processes of their own."""
    plan.TASKS = {"bike": TINY}  # type: ignore[assignment]
