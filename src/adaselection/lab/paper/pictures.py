"""Which figures the report shows, from which runs, and what their captions say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adaselection.lab import plots, stats, wording
from adaselection.lab.figures import Figure
from adaselection.lab.paper import drawing, equations, plan
from adaselection.lab.paper.drawing import Curve, Point
from adaselection.lab.paper.published import PUBLISHED
from adaselection.lab.paper.results import TaskResults

__all__ = ["UNKNOWN_FIGURES", "Picture", "of_equations", "of_results"]

UNKNOWN_FIGURES = (
    "Of the paper's nine figures we know what three show: Fig. 3 the training time on CIFAR10, Fig. 7 the sweep of "
    "beta, "
    "Fig. 8 the candidates' weights at rate 0.2. Fig. 1's text speaks of SVHN and of two mixes of four candidates. "
    "Figures 1, "
    "2, 4, 5, 6 and 9 are six, as are the tasks; we draw the metric against the rate once for each task, in the "
    "order of the "
    "tables, and do not say which number is whose. Fig. 7's rate and data sets are assumptions too."
)
_SHORT = {
    "mix_big_small_cl": "big+small, CL", "mix_big_small": "big+small",
    "mix_big_small_uniform_cl": "big+small+unif., CL", "mix_big_small_uniform": "big+small+unif.",
    "mix_with_grad_norm_cl": "with grad norm, CL", "mix_with_coreset_1_cl": "with coresets 1, CL",
    "adaboost": "AdaBoost (eq. 1)", "same_cost": "uniform, same cost", "recorded": "our default, recorded",
    "fresh_default": "our default, scored",
}  # fmt: skip
_BARS = "Bars: one standard deviation over the seeds; points at one rate are drawn side by side."


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file."""

    name: str
    figure: Figure


def of_results(results: Mapping[str, TaskResults]) -> list[Picture]:
    """Draw the figures of one grid: metric against rate for each task, cost, beta, weights."""
    parts = (*map(_of_task, results.values()), _cost(results["cifar10"]), _beta(results), _weights(results))
    return [picture for part in parts for picture in part]


def of_equations() -> list[Picture]:
    """Draw what eq. 3 and eq. 4 do by themselves; needs no runs."""
    return [picture for part in (_eq_3(), _eq_4()) for picture in part]


def _of_task(task: TaskResults) -> Iterator[Picture]:
    best = task.best_configuration()
    columns = [("best", "AdaSelection, best of four", best)] if best else []
    columns += [(row.name, _short(row.name), row.name) for row in _rows() if row.column not in ("full", "adaselection")]
    shown = [row.name for row in _rows() if row.column == "adaselection"]
    mixes = [(row, _short(row), row) for row in (*shown, "uniform", "same_cost", "recorded", "fresh_default")]
    metric = PUBLISHED[task.task.name].metric
    seeds = len({run.config.seed for run in task.records})
    note = f" {wording.capital(task.task.note)}." if task.task.note and task.preset == "cpu" else ""
    for suffix, rows, words in (
        ("columns", columns, "the columns of Tables 3 and 4"),
        ("configurations", mixes, "each configuration, and what the paper left out"),
    ):
        curves = [_curve(task, key, label, row) for key, label, row in rows]
        if svg := drawing.metric_against_rate(curves, _full(task), metric):
            edge = " Triangles at an edge: rows far beyond it, with their values." if "clip_on" in svg else ""
            caption = f"{_BARS} Dotted line and band: no sampling. {wording.plural(seeds, 'seed')} at most.{edge}{note}"
            yield Picture(f"{task.task.name}_{suffix}", Figure(f"{task.title}: {words}", svg, caption))


def _short(row: str) -> str:
    return _SHORT.get(row, plan.ROWS[row].label)


def _rows() -> list[plan.Row]:
    return [row for row in plan.ROWS.values() if row.part == "paper"]


def _full(task: TaskResults) -> Point | None:
    values = _finite(task, "full", None)
    return Point(1.0, stats.mean(values), stats.standard_deviation(values), 0, "full") if values else None


def _curve(task: TaskResults, key: str, label: str, row: str) -> Curve:
    points = []
    for rate in plan.RATES:
        if values := _finite(task, row, rate):
            collapsed = sum(run.result.collapsed for run in task.at(row, rate))
            points.append(Point(rate, stats.mean(values), stats.standard_deviation(values), collapsed, row))
    return Curve(key, label, tuple(points))


def _finite(task: TaskResults, row: str, rate: float | None) -> list[float]:
    return [value for value in task.value_by_seed(row, rate).values() if math.isfinite(value)]


def _cost(task: TaskResults) -> Iterator[Picture]:
    work = []
    for key, label, kind in (
        ("uniform", "all that score nothing", "kept"),
        ("scored", "all that score every row", "scored"),
    ):
        rows = [row.name for row in _rows() if row.cost == kind]
        shares = [
            (rate, stats.mean([s for row in rows if (s := task.work(row, rate)) is not None])) for rate in plan.RATES
        ]
        points = tuple(Point(rate, 100 * share, None) for rate, share in shares if share is not None)
        if points:
            work.append(Curve(key, label, points))
    full = stats.mean(task.seconds("full", None) or [])
    seconds = [curve for row in _rows() if full and (curve := _timed(task, row, full)).points]
    if svg := drawing.cost_against_rate(work, seconds):
        timed = "Below: seconds with scoring charged." if seconds else (
            "Seconds are not drawn: there are none of runs that had the machine to themselves."
        )  # fmt: skip
        caption = (
            "In % of training on everything. The paper draws seconds. Above: counted work, forward 1 and backward "
            f"2. {timed} "
            "Dashed: a saving of 20 %, which the paper states for almost all methods at all rates (T7)."
        )
        yield Picture("fig_3_time", Figure(f"Fig. 3: training time on {task.title}", svg, caption))


def _timed(task: TaskResults, row: plan.Row, full: float) -> Curve:
    points = []
    for rate in plan.RATES if row.rates else ():
        if seconds := task.seconds(row.name, rate):
            shares = [100 * value / full for value in seconds]
            points.append(Point(rate, stats.mean(shares), stats.standard_deviation(shares)))
    return Curve(row.name, _short(row.name), tuple(points))


def _beta(results: Mapping[str, TaskResults]) -> Iterator[Picture]:
    curves: dict[bool, list[Curve]] = {True: [], False: []}
    for task in results.values():
        base = task.value_by_seed("beta_0", plan.SINGLE_RATE)
        points = [point for beta in plan.BETAS if (point := _from_base(task, beta, base))]
        if len(points) > 1:
            curves[task.higher_is_better].append(Curve(task.task.name, task.title, tuple(points)))
    if svg := drawing.beta_sweep(curves[True], curves[False]):
        caption = (
            f"{plan.ROWS['beta_0'].label.partition(', beta')[0]} at rate {plan.SINGLE_RATE:g}: difference from beta "
            "0, which "
            "leaves the weights alone, paired by seed. Bars: one standard deviation of the differences. Accuracy: up "
            "is "
            "better; loss: down is better."
        )
        yield Picture("fig_7_beta", Figure("Fig. 7: the sweep of beta", svg, caption))


def _from_base(task: TaskResults, beta: float, base: Mapping[int, float]) -> Point | None:
    mine = task.value_by_seed(f"beta_{beta:g}", plan.SINGLE_RATE)
    pairs = [(mine[seed], base[seed]) for seed in sorted(mine.keys() & base.keys())]
    pairs = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    scale = 1.0 if task.higher_is_better else 100 / (stats.mean([b for _, b in pairs]) or 1.0)
    found = [scale * (a - b) for a, b in pairs]
    return Point(beta, stats.mean(found), stats.standard_deviation(found)) if found else None


def _weights(results: Mapping[str, TaskResults]) -> Iterator[Picture]:
    for task in results.values():
        runs = [run.weights for run in task.at(plan.EVOLUTION, plan.SINGLE_RATE) if run.weights]
        if svg := plots.weights_over_steps(runs):
            caption = (
                f"{plan.ROWS[plan.EVOLUTION].label}, beta {plan.BETA:g}, rate {plan.SINGLE_RATE:g}. Line: mean over "
                f"{wording.plural(len(runs), 'seed')}. Band: least to most."
            )
            yield Picture(f"fig_8_weights_{task.task.name}", Figure(f"Fig. 8: weights on {task.title}", svg, caption))


def _eq_3() -> Iterator[Picture]:
    batches = 1_000
    made = (
        f"Losses drawn anew for each batch of {equations.BATCH}, all alike: nothing is learnt, and no candidate is "
        "better than "
        f"another. Candidates keep {equations.RATE:g} of the rows."
    )
    above, below = equations.lock_in(0.5), equations.lock_in(-0.5)
    words = " ".join(
        f"With beta {beta} {found[0].replace('_', ' ')} holds 90 % of the weight from batch {found[1]} on."
        for beta, found in (("0.5", above), ("\u22120.5", below)) if found
    )  # fmt: skip
    if svg := drawing.eq_3((0.5, -0.5), batches):
        yield Picture("eq_3_weights", Figure("Eq. 3 picks a winner by chance alone", svg, f"{made} {words}"))
    if svg := drawing.eq_3_sums(0.5, batches):
        caption = (
            f"{made} Beta 0.5. Each batch multiplies a weight by at least 1, so that the logarithm only grows, and "
            "fastest for "
            "the candidate whose loss is the most restless. We keep normalised log-weights: the ranking of the rows "
            "is the same."
        )
        yield Picture("eq_3_sums", Figure("Eq. 3's product never comes down", svg, caption))


def _eq_4() -> Iterator[Picture]:
    if svg := drawing.eq_4(0.5):
        caption = (
            "Eq. 4's reward for the smallest loss of a batch over that for the largest, exponent 0.5, losses with "
            "mean 1; cut "
            "off at a million. 1 means no effect. As printed it starts fair and ends with the easiest rows alone, "
            "the opposite "
            "of its text; with the exponent negated it does next to nothing; and the size of the losses decides "
            "everything."
        )
        yield Picture("eq_4_reward", Figure("Eq. 4 runs the other way, and depends on the loss's unit", svg, caption))
