"""The tests of the paper's statements: what has to be true of our runs, draw by draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from adaselection.lab import wording
from adaselection.lab.paper import plan
from adaselection.lab.paper.comparing import candidates, spread_over_betas, time_saved, times, work_saved
from adaselection.lab.paper.judging import Judgement, Part, Sample, every, judge, some
from adaselection.lab.paper.results import TaskResults, TooFewRunsError

__all__ = [
    "adaselection_beats_its_candidates",
    "beta_needs_no_tuning",
    "four_candidates_beat_everything",
    "one_configuration_ranks_with_uniform",
    "outliers_mislead_big_loss",
    "small_loss_is_far_behind",
    "some_collapse_on_svhn",
    "text_is_a_tie",
    "time_is_saved",
]

Results = Mapping[str, TaskResults]
_OTHERS = ("full", *plan.CONFIGURATIONS, "uniform", "big_loss", "adaboost", "grad_norm", "coreset_1", "coreset_2")


def _parts(
    results: Results, tasks: Sequence[str], parts_of: Callable[[TaskResults], Iterator[Part]]
) -> tuple[list[Part], list[str]]:
    """Collect the parts of several tasks, and say of which there are no runs."""
    found: list[Part] = []
    missing: list[str] = []
    for task in tasks:
        try:
            for part in parts_of(results[task]):
                found.append(part)
        except TooFewRunsError as error:
            missing.append(str(error))
    return found, missing


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "a diverged run"


def small_loss_is_far_behind(results: Results) -> Judgement:
    """T1: small loss is at least 10 points below every other column, on CIFAR100 and SVHN."""

    def of(task: TaskResults) -> Iterator[Part]:
        sample = Sample(task, (*_OTHERS, "small_loss"))
        small = sample.mean("small_loss")
        columns = [sample.best(plan.CONFIGURATIONS)]
        columns += [sample.mean(row) for row in _OTHERS if row not in plan.CONFIGURATIONS]
        worst = np.min(columns, axis=0)
        words = f"small loss {_number(small[0])}, the next lowest column {_number(worst[0])}"
        yield Part(task.title, words, worst - small >= 10, len(sample.seeds))

    parts, missing = _parts(results, ("cifar100", "svhn"), of)
    return judge(parts, missing)


def some_collapse_on_svhn(results: Results) -> Judgement:
    """T2: at the smallest rate each of three methods has less than half of uniform's accuracy on SVHN."""

    def of(task: TaskResults) -> Iterator[Part]:
        for row in ("big_loss", "grad_norm", "coreset_1"):
            sample = Sample(task, ("uniform", row), (plan.RATES[0],))
            mine, uniform = sample.mean(row, plan.RATES[0]), sample.mean("uniform", plan.RATES[0])
            flagged = sum(run.result.collapsed for run in task.at(row, plan.RATES[0]))
            words = f"{_number(mine[0])} against uniform's {_number(uniform[0])}; {flagged} runs flagged as collapsed"
            yield Part(plan.ROWS[row].label, words, mine < uniform / 2, len(sample.seeds))

    parts, missing = _parts(results, ("svhn",), of)
    return judge(parts, missing)


def outliers_mislead_big_loss(results: Results) -> Judgement:
    """T3: big loss has more than twice uniform's loss on regression, small loss at most uniform's."""

    def of(task: TaskResults) -> Iterator[Part]:
        sample = Sample(task, ("uniform", "big_loss", "small_loss"))
        big, small, uniform = (sample.mean(row) for row in ("big_loss", "small_loss", "uniform"))
        yield Part("Big loss", times(big, uniform), big > 2 * uniform, len(sample.seeds))
        yield Part("Small loss", times(small, uniform), small <= uniform, len(sample.seeds))

    parts, missing = _parts(results, ("regression",), of)
    return judge(parts, missing)


def text_is_a_tie(results: Results) -> Judgement:
    """T4: on Wikitext-2 the best configuration is within 0.1 nats of uniform."""

    def of(task: TaskResults) -> Iterator[Part]:
        sample = Sample(task, ("uniform", *plan.CONFIGURATIONS))
        difference = sample.best(plan.CONFIGURATIONS) - sample.mean("uniform")
        words = f"the best configuration's loss is {wording.signed(float(difference[0]), 3)} nats from uniform's"
        yield Part(task.title, words, np.abs(difference) <= 0.1, len(sample.seeds))

    parts, missing = _parts(results, ("wikitext2",), of)
    return judge(parts, missing)


def one_configuration_ranks_with_uniform(results: Results) -> Judgement:
    """T5: one configuration ranks no worse than uniform on every task."""

    def of(task: TaskResults) -> Iterator[Part]:
        rows = task.ranked_rows()
        wanted = ("uniform", *plan.CONFIGURATIONS)
        sample = Sample(task, tuple(dict.fromkeys((*rows, *wanted))))
        uniform = sample.ranks("uniform")
        for row in plan.CONFIGURATIONS:
            mine = sample.ranks(row)
            words = f"rank {mine[0]:.2f} against uniform's {uniform[0]:.2f}"
            yield Part(f"{task.title}, {plan.ROWS[row].label}", words, mine <= uniform, len(sample.seeds))

    def combine(parts: Sequence[Part]) -> np.ndarray:
        labels = [plan.ROWS[row].label for row in plan.CONFIGURATIONS]
        by_row = [every([part for part in parts if part.label.endswith(f", {label}")]) for label in labels]
        return np.asarray(np.logical_or.reduce(by_row))

    parts, missing = _parts(results, tuple(results), of)
    return judge(parts, missing, combine)


def four_candidates_beat_everything(results: Results) -> Judgement:
    """T6: at the smallest rate one of the two mixes of four beats training on everything on SVHN."""

    def of(task: TaskResults) -> Iterator[Part]:
        for row in plan.FOUR_CANDIDATES:
            sample = Sample(task, ("full", row), (plan.RATES[0],))
            mine, full = sample.mean(row, plan.RATES[0]), sample.mean("full", plan.RATES[0])
            words = f"{_number(mine[0])} against {_number(full[0])} of training on everything"
            yield Part(plan.ROWS[row].label, words, sample.better(mine, full), len(sample.seeds))

    parts, missing = _parts(results, ("svhn",), of)
    return judge(parts, missing, some, settled_by="success")


def time_is_saved(results: Results) -> Judgement:
    """T7: all rows but one at most save a fifth of the seconds at every rate on CIFAR10."""
    parts, missing = time_saved(results["cifar10"], 0.2)
    found = judge(parts, missing, settled_by="neither")
    return replace(found, reason=f"{found.reason} {work_saved(results['cifar10'], 0.2)}".strip())


def beta_needs_no_tuning(results: Results) -> Judgement:
    """T8: the spread over beta is no larger than over the seeds, on each task."""
    parts, missing = _parts(results, tuple(results), spread_over_betas)
    return judge(parts, missing)


def adaselection_beats_its_candidates(results: Results) -> Judgement:
    """T9: every configuration beats every candidate of its, on each task."""

    def of(task: TaskResults) -> Iterator[Part]:
        for row in (*plan.CONFIGURATIONS, *plan.FOUR_CANDIDATES):
            try:
                sample = Sample(task, (row, *candidates(row)))
            except TooFewRunsError:
                if row in plan.CONFIGURATIONS:
                    raise
                continue
            mine = sample.mean(row)
            theirs = {rival: sample.mean(rival) for rival in candidates(row)}
            best = max(theirs, key=lambda rival: sample.sign * float(theirs[rival][0]))
            words = f"{_number(mine[0])} against {_number(theirs[best][0])} of {plan.ROWS[best].label.lower()}"
            wins = np.logical_and.reduce([sample.better(mine, rival) for rival in theirs.values()])
            yield Part(f"{task.title}, {plan.ROWS[row].label}", words, np.asarray(wins), len(sample.seeds))

    parts, missing = _parts(results, tuple(results), of)
    return judge(parts, missing)
