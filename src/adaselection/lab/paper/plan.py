"""What the paper's experiments are: tasks, rows, rates, and the run behind every cell.

A *row* is one line of a table or one curve of a figure: an arm with its options. A *cell* is a row at one rate.
Runs are records in a store; `cells_of` says which cells a record fills, without any data. One run may fill two cells:
the beta sweep shares its middle with the configuration that it sweeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, NamedTuple

from adaselection.lab.arms import PolicyOptions, get_arm
from adaselection.lab.naming import lookup
from adaselection.lab.record import Config

RATES = (0.1, 0.2, 0.3, 0.4, 0.5)
BETAS = (-1.0, -0.5, 0.0, 0.5, 1.0)
BETA = 0.5
SINGLE_RATE = 0.2
"""The rate of the weight evolution (Fig. 8) and of the beta sweep (Fig. 7)."""

PresetName = Literal["cpu", "paper"]
Cost = Literal["full", "kept", "scored"]
Part = Literal["paper", "beta", "beside"]


class LabTask(NamedTuple):
    """The lab's task and preset that stand for one of the paper's tasks."""

    task: str
    preset: str


@dataclass(frozen=True)
class PaperTask:
    """One of the paper's tasks.

    Attributes:
        name: As on the command line.
        title: As the paper writes it.
        labs: What runs for it, by preset of the whole grid.
        seeds: How many seeds a complete grid has at least, by preset of the whole grid.
        note: What has to be said wherever its `cpu` numbers are shown; empty where there is nothing.
    """

    name: str
    title: str
    labs: Mapping[PresetName, LabTask]
    seeds: Mapping[PresetName, int]
    note: str = ""


def _task(name: str, title: str, cpu: tuple[str, str], seeds: int, note: str = "") -> PaperTask:
    labs: dict[PresetName, LabTask] = {"cpu": LabTask(*cpu), "paper": LabTask(name, "paper")}
    return PaperTask(name, title, MappingProxyType(labs), MappingProxyType({"cpu": seeds, "paper": seeds}), note)


_SMALL = "a small network on a part of the training data"
TASKS: Mapping[str, PaperTask] = MappingProxyType(
    {
        task.name: task
        for task in (
            _task("cifar10", "CIFAR10", ("cifar10", "brief"), 3, _SMALL),
            _task("cifar100", "CIFAR100", ("cifar100", "brief"), 3, _SMALL),
            _task("svhn", "SVHN", ("mnist", "brief"), 3, f"MNIST stands in for SVHN; {_SMALL}"),
            _task("regression", "Simple regression", ("regression", "paper"), 20),
            _task("bike", "Bike", ("bike", "paper"), 20),
            _task("wikitext2", "Wikitext-2", ("wikitext2", "brief"), 3, _SMALL),
        )
    }
)
"""The paper's six tasks, by name, in its order."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: Stable, for code and files.
        label: For people.
        arm: Of the lab.
        options: Of its policy.
        rates: Sampling rates; empty for the one run on all samples.
        cost: What a run costs next to full training: "full" all of it, "kept" the rate (nothing is scored), "scored" a
            third more than the rate (every row is scored).
        part: "paper" for what the paper has, "beta" for Fig. 7, "beside" for what it left out.
        column: The paper's column in Tables 3 and 4, as in method.md A9; None where it has none.
    """

    name: str
    label: str
    arm: str
    options: PolicyOptions = PolicyOptions()  # noqa: RUF009  # frozen
    rates: tuple[float, ...] = RATES
    cost: Cost = "scored"
    part: Part = "paper"
    column: str | None = None


_POOLS = {
    "big_small": (("big_loss", "small_loss"), "{big, small}"),
    "big_small_uniform": (("big_loss", "small_loss", "uniform"), "{big, small, uniform}"),
    "with_grad_norm": (("big_loss", "small_loss", "uniform", "grad_norm"), "{big, small, uniform, grad norm}"),
    "with_coreset_1": (
        ("big_loss", "small_loss", "uniform", "coreset_extremes"),
        "{big, small, uniform, coreset 1}",
    ),
}


def _mix(pool: str, *, curriculum: bool) -> Row:
    methods, words = _POOLS[pool]
    options = PolicyOptions(methods=methods, beta=BETA, curriculum="printed" if curriculum else None)
    name = f"mix_{pool}{'_cl' if curriculum else ''}"
    label = f"AdaSelection {words}, {'CL' if curriculum else 'no CL'}"
    return Row(name, label, "adaselection_paper", options, column="adaselection")


def _beta(beta: float) -> Row:
    options = PolicyOptions(methods=_POOLS["big_small_uniform"][0], beta=beta)
    label = f"AdaSelection {{big, small, uniform}}, no CL, beta {beta:g}"
    return Row(f"beta_{beta:g}", label, "adaselection_paper", options, (SINGLE_RATE,), part="beta")


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        row.name: row
        for row in (
            Row("full", "No sampling", "full", rates=(), cost="full", column="full"),
            _mix("big_small", curriculum=True),
            _mix("big_small", curriculum=False),
            _mix("big_small_uniform", curriculum=True),
            _mix("big_small_uniform", curriculum=False),
            _mix("with_grad_norm", curriculum=True),
            _mix("with_coreset_1", curriculum=True),
            Row("uniform", "Uniform", "uniform_rate", cost="kept", column="uniform"),
            Row("big_loss", "Big loss", "big_loss", column="big"),
            Row("small_loss", "Small loss", "small_loss", column="small"),
            Row("adaboost", "AdaBoost (eq. 1, clamped)", "adaboost_paper", column="adaboost"),
            Row("grad_norm", "Gradient norm", "grad_norm", column="gradnorm"),
            Row("coreset_1", "Coresets 1", "coreset_extremes", column="coreset1"),
            Row("coreset_2", "Coresets 2", "coreset_mean", column="coreset2"),
            *map(_beta, BETAS),
            Row("same_cost", "Uniform at the cost of AdaSelection", "uniform_budget", part="beside"),
            Row("recorded", "This library's default, recorded losses, same cost", "recorded", part="beside"),
            Row("fresh_default", "This library's default with a scoring pass", "adaselection", part="beside"),
        )
    }
)
"""Every row, by name, in the order that tables show them."""

CONFIGURATIONS = ("mix_big_small_cl", "mix_big_small", "mix_big_small_uniform_cl", "mix_big_small_uniform")
"""The four configurations of Table 3's caption; the paper prints the best of them."""
FOUR_CANDIDATES = ("mix_with_grad_norm_cl", "mix_with_coreset_1_cl")
"""The two mixes of four candidates of Fig. 1's text."""
EVOLUTION = "mix_big_small_uniform"
"""The row whose method weights Fig. 8 shows, at `SINGLE_RATE`; every mix keeps them, in `Record.weights`."""


class Cell(NamedTuple):
    """A row at a rate; the rate is None for the row that has none."""

    row: str
    rate: float | None


def get_task(name: str) -> PaperTask:
    """Return one of the paper's tasks by name.

    Raises:
        ValueError: There is none of that name; the message has the nearest.
    """
    return lookup(TASKS, name, "task of the paper")


def get_row(name: str) -> Row:
    """Return a row by name.

    Raises:
        ValueError: There is none of that name; the message has the nearest.
    """
    return lookup(ROWS, name, "row")


def cells(rows: Sequence[str] = tuple(ROWS)) -> tuple[Cell, ...]:
    """Every cell of one task and seed, row by row.

    Raises:
        ValueError: An unknown row.
    """
    return tuple(Cell(name, rate) for name in rows for rate in get_row(name).rates or (None,))


def task_of(config: Config) -> tuple[PaperTask, PresetName] | None:
    """Which of the paper's tasks a run is for, and in which grid; None for a run of another kind.

    Regression and bike run at paper scale in both grids: they count for `cpu`, and so for `paper` too.
    """
    presets: tuple[PresetName, ...] = ("cpu", "paper")
    plain = config.split == "test" and config.regime == "plain" and not config.label_noise
    if not plain:
        return None
    here = LabTask(config.task, config.preset)
    return next(((task, preset) for preset in presets for task in TASKS.values() if task.labs[preset] == here), None)


def cells_of(config: Config) -> tuple[Cell, ...]:
    """Which cells a run fills: none, one or two.

    Of the library's default on recorded losses the thresholds are not compared: records say which it had. Nor is the
    budget, but for `same_cost`, where it tells the rate: nearest to a third and the rate.
    """
    key = _key(config.arm, config.rate, config.policy)
    if config.arm == get_arm(ROWS["same_cost"].arm).name:
        rate = min(RATES, key=lambda rate: abs(1 / 3 + rate - config.budget))
        return (Cell("same_cost", rate),)
    return tuple(cell for cell, wanted in _wanted().items() if wanted == key)


@cache
def _wanted() -> dict[Cell, str]:
    """What arm, rate and policy the runs of each cell have; `same_cost` aside."""
    found = {}
    for cell in cells():
        row = ROWS[cell.row]
        arm = get_arm(row.arm)
        if cell.row == "same_cost":
            continue
        policy = None if arm.build is None or cell.rate is None else arm.build(cell.rate, 0, row.options)
        if policy is not None and arm.recorded:
            policy.use_records()
        settings = None if policy is None else {k: v for k, v in policy.settings.items() if k != "seed"}
        found[cell] = _key(arm.name, cell.rate, settings)
    return found


def _key(arm: str, rate: float | None, policy: Mapping[str, object] | None) -> str:
    if policy is not None and "earned" in policy:  # the default, whatever its thresholds were when it ran
        policy = {**policy, "earned": True}
    return json.dumps([arm, rate, policy], sort_keys=True)
