"""The page of the second promise: seconds to the accuracy of full training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.ladders import Climb, climbs, full_row, opponent, timed
from adaselection.lab.judging.pairing import compare, rival_of
from adaselection.lab.judging.reaching import Ladder, Reach, Speedup, reach, speedup, target
from adaselection.lab.judging.settings import BUDGETS, CHALLENGER, kind, missing
from adaselection.lab.summary import OPPONENT, Row, Study

__all__ = ["Arrival", "arrivals", "meets", "page"]

FULL, UNIFORM, NOISY, POINTS = 1.5, 1.25, 1.5, 2.0
_WHOLE = (*BUDGETS, 1.0)  # at the last, uniform is full training
_INTRO = f"""\
What each arm needs to reach what full training reaches. Target: the mean of the full run minus one standard error \
(plus, for an error). Each budget is a set of runs with a schedule of its own; between two budgets mean score and \
mean cost are taken as linear, and the first crossing counts. An arm that is not there by its largest budget stays in \
the table as *not reached*; one that is there at its smallest needs that much **or less**. Uniform at budget 100 % is \
the full run, and of several learning rates the best counts. Ratios are costs of full training, or of `{OPPONENT}`, \
over those of the arm, above 1 is faster: in seconds where every run had its machine to itself and all machines were \
alike, else in units (forward 1, backward 2). Intervals: 95 %, bootstrap over the seeds, target included; an end "0" \
is a sample in which the arm does not arrive, an end "∞" one in which uniform does not.

Asked of `{CHALLENGER}`: {FULL:g}x against full training on every clean task, {UNIFORM:g}x against uniform on half \
of them, and under 20 to 40 % label noise {POINTS:g} points more than uniform at the same budget, or {NOISY:g}x \
against it (outliers take the place of label noise where targets are numbers, and there only the {NOISY:g}x can be \
asked). Under wrong labels uniform gets worse beyond some budget, and that is a part of what is gained at 100 %: \
[the ladder](ladder.md) has the scores."""


@dataclass(frozen=True)
class Arrival:
    """Where one arm reaches the target of its study, and how it compares.

    Attributes:
        climb: The arm.
        goal: The target, in the metric.
        spent: Units, as a share of the full run's, at which it is there; None where nothing is known.
        seconds: Seconds at which it is there; None where seconds do not count.
        by_seconds: Whether the ratios are of seconds.
        against_full: Full training's cost over its.
        against_uniform: Uniform's cost over its; None for uniform itself and without it.
        n: Seeds that all of these have.
    """

    climb: Climb
    goal: float
    spent: Reach | None
    seconds: Reach | None
    by_seconds: bool
    against_full: Speedup
    against_uniform: Speedup | None
    n: int


def arrivals(study: Study) -> list[Arrival]:
    """Return uniform's arrival and those of all arms with runs at two budgets or more; nothing without a full run."""
    full, uniform = full_row(study), opponent(study)
    if full is None or full.mean is None:
        return []
    arms = ([uniform] if uniform else []) + [climb for climb in climbs(study) if len(climb.rows) > 1]
    return [_arrival(study, climb, full, uniform) for climb in arms if climb.whole]


def _arrival(study: Study, climb: Climb, full: Row, uniform: Climb | None) -> Arrival:
    rival = uniform if uniform is not climb and uniform is not None and uniform.whole else None
    by_seconds = timed([full, *climb.rows, *(rival.rows if rival else ())])
    reference = Climb("full", None, "", (full,))
    scores = reference.ladder(study, seconds=False).scores[0]
    ladder = climb.ladder(study, seconds=by_seconds)
    seeds = sorted(ladder.seeds & scores.keys())
    goal = float(target([scores[seed] for seed in seeds])) if seeds else math.nan

    def arrive(seconds: bool) -> Reach | None:
        return reach(climb.ladder(study, seconds=seconds), goal, seeds) if seeds else None

    def against(other: Climb) -> Speedup:
        theirs: Ladder = other.ladder(study, seconds=by_seconds)
        return speedup(ladder, theirs, scores)

    return Arrival(
        climb, goal if study.higher_is_better else -goal, arrive(False), arrive(True) if by_seconds else None,
        by_seconds, against(reference), against(rival) if rival else None, len(seeds),
    )  # fmt: skip


def meets(found: Speedup | None, floor: float) -> bool | None:
    """Say whether a ratio is at least `floor`; None where its bound cannot tell."""
    if found is None or found.ratio is None:
        return None
    if found.sense == "at least":
        return True if found.ratio >= floor else None
    if found.sense == "at most":
        return False if found.ratio < floor else None
    return found.ratio >= floor


def page(studies: Sequence[Study]) -> str:
    """Return the page."""
    parts = ["# Speed", _INTRO]
    tables = []
    clean: list[tuple[Study, Arrival]] = []
    noisy: list[tuple[Study, Climb, Arrival | None]] = []
    for study in studies:
        found = arrivals(study)
        ours = [arrival for arrival in found if arrival.climb.arm == CHALLENGER]
        if kind(study) == "clean":
            clean += [(study, arrival) for arrival in ours]
        elif kind(study) == "noisy":
            there = [(study, arrival.climb, arrival) for arrival in ours]
            noisy += there or [(study, climb, None) for climb in climbs(study) if climb.arm == CHALLENGER]
        tables += _study(study, found)
    parts += ["## Clean data", _clean(clean), "## Label noise and outliers", _noisy(noisy)]
    parts += tables
    if lines := missing(studies):
        parts += ["## Missing", md.bullets(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _clean(rows: Sequence[tuple[Study, Arrival]]) -> str:
    if not rows:
        return f"No ladder of `{CHALLENGER}` with a full run yet."
    lines = [
        (study.title, wording.rate(a.climb.rate), _ratio(a.against_full), _verdict(a.against_full, FULL),
         _ratio(a.against_uniform), _verdict(a.against_uniform, UNIFORM), _kind(a), str(a.n))
        for study, a in rows
    ]  # fmt: skip
    headers = ("task", "rate", "full / arm [95 % CI]", f"{FULL:g}x", "uniform / arm [95 % CI]", f"{UNIFORM:g}x", "in",
               "seeds")  # fmt: skip
    fast = sum(meets(a.against_full, FULL) is True for _, a in rows)
    faster = sum(meets(a.against_uniform, UNIFORM) is True for _, a in rows)
    text = (f"{FULL:g}x against full training: {fast} of {len(rows)}, asked of all. {UNIFORM:g}x against uniform: "
            f"{faster} of {len(rows)}, asked of half.")  # fmt: skip
    return f"{text}\n\n{md.table(headers, lines)}"


def _noisy(rows: Sequence[tuple[Study, Climb, Arrival | None]]) -> str:
    if not rows:
        return f"No runs of `{CHALLENGER}` yet."
    headers = ("task", "rate", *(f"gain at budget {wording.share(b)}" for b in _WHOLE), "uniform / arm [95 % CI]",
               f"{POINTS:g} points", f"{NOISY:g}x", "in", "seeds")  # fmt: skip
    lines = []
    for study, climb, arrival in rows:
        found = {row.budget: compare(study, row, rival_of(study, row)).difference for row in climb.rows}
        gains = [found[budget].mean for budget in _WHOLE if budget in found]
        enough = sum(gain is not None and gain >= POINTS for gain in gains)
        at = f"at {enough} of {wording.plural(len(gains), 'budget')}" if study.unit == "%" else wording.DASH
        each = [md.difference(found[b]) if b in found else md.MISSING for b in _WHOLE]
        ratio, in_what = (arrival.against_uniform, _kind(arrival)) if arrival else (None, wording.DASH)
        seeds = arrival.n if arrival else max((one.n for one in found.values()), default=0)
        lines.append((study.title, wording.rate(climb.rate), *each, _ratio(ratio), at, _verdict(ratio, NOISY), in_what,
                      str(seeds)))  # fmt: skip
    return md.table(headers, lines)


def _study(study: Study, found: Sequence[Arrival]) -> list[str]:
    parts = [f"## {wording.capital(study.title)}"]
    full = full_row(study)
    if full is None or not found:
        return [*parts, "Missing: the full run, or an arm with runs at two budgets."]
    places = wording.decimals(study)
    rows = [
        (f"`{a.climb.arm}`{f' ({a.climb.detail})' if a.climb.detail else ''}", wording.rate(a.climb.rate),
         ", ".join(wording.share(row.budget) for row in a.climb.rows), wording.number(a.goal, places),
         _spent(a.spent, wording.share), _spent(a.seconds, wording.seconds), _ratio(a.against_full),
         _ratio(a.against_uniform), _kind(a), str(a.n))
        for a in found
    ]  # fmt: skip
    headers = ("arm", "rate", "budgets run", "target", "budget needed", "seconds needed", "full / arm [95 % CI]",
               "uniform / arm [95 % CI]", "in", "seeds")  # fmt: skip
    reached = wording.measure(full.mean, study.unit, places)
    took = f" in {wording.seconds(full.seconds)} s" if full.seconds is not None else ""
    text = f"Full training reached {reached}{took} ({wording.plural(full.seeds, 'seed')})."
    used = [full, *(row for a in found for row in a.climb.rows if row.arm != "full")]
    return [*parts, text, md.table(headers, rows), md.measured(study, used)]


def _spent(found: Reach | None, words: Callable[[float], str]) -> str:
    if found is None:
        return wording.DASH
    if not found.reached:
        return f"not reached by {words(found.largest)}"
    return f"≤ {words(found.cost)}" if found.at_once else words(found.cost)


def _ratio(found: Speedup | None) -> str:
    if found is None:
        return wording.DASH
    if found.ratio is None:
        return "not to be told"
    sign = {"at least": "≥ ", "at most": "≤ "}.get(found.sense, "")
    if found.low is None or found.high is None:
        ends = ""
    else:
        ends = f" [{_end(found.low)}, {_end(found.high)}]" if found.high else " [never reached]"
    return f"{sign}{found.ratio:.2f}{ends}"


def _end(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}" if value else "0"


def _verdict(found: Speedup | None, floor: float) -> str:
    met = meets(found, floor)
    if met is None or found is None:
        return "not to be told"
    if not met:
        return "**no**"
    return "yes" if found.low is not None and found.low >= floor else "yes, not by its interval"


def _kind(arrival: Arrival) -> str:
    return "seconds" if arrival.by_seconds else "units"
