"""One plain, honest sentence a study: did AdaSelection beat uniform at the same budget?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adaselection.lab import wording
from adaselection.lab.summary import OPPONENT, Row, Study

__all__ = ["Outcome", "Verdict", "outcome", "verdict"]

Outcome = Literal["better", "equal", "same", "worse", "mixed", "unknown"]
_CHALLENGERS = {"recorded": "AdaSelection on recorded losses", "adaselection": "AdaSelection on fresh losses"}
_PLANES = {"recorded": "recorded losses", "adaselection": "fresh losses"}
_WORDS: dict[Outcome, str] = {
    "better": "won",
    "same": "undecided",
    "worse": "lost",
    "equal": "equal",
    "unknown": "not known",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome as one word, the sentence, and the tally of several settings (empty for one)."""

    outcome: Outcome
    sentence: str
    tally: str = ""


def outcome(row: Row) -> Outcome:
    """Judge a row by its interval: all above 0, all below, 0 itself, or around it. Without one nothing is known.

    Two seeds that happen to differ by the same give an interval without width, by which nothing is told.
    """
    difference = row.difference
    if difference is None or difference.ci_low is None or difference.ci_high is None:
        return "unknown"
    if difference.ci_low == difference.ci_high == 0:
        return "equal"
    if difference.ci_low == difference.ci_high and difference.n < 3:
        return "same"
    if difference.ci_low > 0:
        return "better"
    return "worse" if difference.ci_high < 0 else "same"


def verdict(study: Study) -> Verdict:
    """Judge a study in one sentence.

    It says whether AdaSelection beat or lost to uniform at the same budget, or cannot be told from it, by how much,
    with the interval and the seeds; which arm had the best mean; and what full training reached. With several
    settings it counts all of them and picks none. Where it ran on recorded and on fresh losses, it says so of each.
    """
    there = {row.arm for row in study.rows}
    arms = [arm for arm in _CHALLENGERS if arm in there] or ["adaselection"]
    names = _CHALLENGERS if len(arms) > 1 else {**_CHALLENGERS, "adaselection": "AdaSelection"}
    found = [_start(study, [row for row in study.rows if row.arm == arm], names[arm]) for arm in arms]
    sentence = _close(
        "; ".join(each.sentence for each in found), study, best=any(f.outcome != "unknown" for f in found)
    )
    if len(found) == 1:
        return replace(found[0], sentence=sentence)
    tally = "; ".join(
        f"{_PLANES[arm]} {each.tally or _WORDS[each.outcome]}" for arm, each in zip(arms, found, strict=True)
    )
    kinds = {each.outcome for each in found}
    return Verdict(found[0].outcome if len(kinds) == 1 else "mixed", sentence, tally)


def _start(study: Study, ours: Sequence[Row], name: str) -> Verdict:
    """The outcome of one policy, with the beginning of the sentence."""
    judged = [row for row in ours if outcome(row) != "unknown"]
    if not judged:
        return Verdict("unknown", _unknown(study, ours, name))
    if len(ours) == 1:
        return Verdict(outcome(ours[0]), _single(study, ours[0], name))
    kinds = Counter(outcome(row) for row in judged)
    found: Outcome = next(iter(kinds)) if len(kinds) == 1 and len(judged) == len(ours) else "mixed"
    tally = _tally(kinds, len(ours) - len(judged))
    return Verdict(found, _several(study, ours, judged, tally, name), tally)


def _single(study: Study, row: Row, name: str) -> str:
    places, unit = wording.decimals(study), wording.difference_unit(study.unit)
    difference = row.difference
    if difference is None or difference.mean is None or difference.ci_low is None or difference.ci_high is None:
        raise ValueError("a row without an interval has no outcome")
    budget = f"{wording.share(row.budget)} of full training"
    known = f"{wording.plural(difference.n, 'seed')}"
    ends = (difference.ci_low, difference.ci_high)
    if outcome(row) == "equal":
        return f"{name} gave the very scores of uniform at the same budget ({budget}, {known}){_why_equal(row)}"
    if outcome(row) == "same":
        amount = f"{wording.signed(difference.mean, places)} {unit}".strip()
        ci = wording.interval(difference, places)
        return (f"{name} cannot be told from uniform at the same budget ({budget}): {amount} "
                f"(95 % CI {ci}, {known}; positive is better)")  # fmt: skip
    verb = "beat" if outcome(row) == "better" else "lost to"
    low, high = sorted(abs(end) for end in ends)
    amount = f"{wording.number(abs(difference.mean), places)} {unit}".strip()
    ci = f"{wording.number(low, places)} to {wording.number(high, places)}"
    return f"{name} {verb} uniform at the same budget ({budget}) by {amount} (95 % CI {ci}, {known})"


def _why_equal(row: Row) -> str:
    """Why batches were those of the plain loader, where the runs have traces of their gate."""
    traces = [run.policy_trace for run in row.records if run.policy_trace is not None]
    if len(traces) < row.seeds:
        return ""
    if not any(trace.get("windows") for trace in traces):
        return ": the runs end in their first walk over the data, in which nothing can be left out"
    return "" if any(trace.get("selected") for trace in traces) else ": the gate stayed shut"


def _several(study: Study, ours: Sequence[Row], judged: Sequence[Row], tally: str, name: str) -> str:
    places, unit = wording.decimals(study), wording.difference_unit(study.unit)
    means = [row.difference.mean for row in judged if row.difference and row.difference.mean is not None]
    seeds = [row.difference.n for row in judged if row.difference]
    many = wording.plural(min(seeds), "seed") if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)} seeds"
    spread = f"{wording.signed(min(means), places)} to {wording.signed(max(means), places)} {unit}".strip()
    return (f"{name} met uniform at the same budget in {len(ours)} settings: {tally} "
            f"(mean differences {spread}, {many}, 95 % CI)")  # fmt: skip


def _tally(kinds: Counter[Outcome], silent: int) -> str:
    counts = {word: kinds[kind] for kind, word in _WORDS.items() if kind != "unknown"} | {"not to be judged": silent}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _unknown(study: Study, ours: Sequence[Row], name: str) -> str:
    start = f"Nothing can be said about {name} yet"
    if not ours:
        return f"{start}: it has no runs here"
    if diverged := sum(row.diverged for row in ours):
        return f"{name} has no mean to compare: {diverged} of its {sum(row.seeds for row in ours)} runs diverged"
    if not any(row.arm == OPPONENT and row.budget in {our.budget for our in ours} for row in study.rows):
        return f"{start}: uniform at the same budget, the arm {OPPONENT}, was not run"
    if all(row.difference is None for row in ours):
        return f"{start}: uniform at the same budget has no usable mean"
    pairs = max(row.difference.n for row in ours if row.difference)
    return f"{start}: it has {wording.plural(pairs, 'seed')} in common with uniform at the same budget and needs 2"


def _close(start: str, study: Study, *, best: bool = True) -> str:
    """Add the best mean at each budget and what full training reached."""
    places = wording.decimals(study)
    parts = [start]
    tops = [text for budget in study.budgets if best and (text := _top(study, budget, places))]
    if tops:
        parts.append(f"the best mean {wording.metric(study.metric)} was {', '.join(tops)}")
    full = [row for row in study.rows if row.arm == "full" and row.mean is not None]
    if full:
        reached = " or ".join(wording.measure(row.mean, study.unit, places) for row in full)
        parts.append(f"full training reached {reached}")
    return "; ".join(parts) + "."


def _top(study: Study, budget: float, places: int) -> str:
    """The best mean at a budget, of the arms with the most seeds: that of fewer runs may be best by chance."""
    rows = [row for row in study.rows if row.budget == budget and row.arm != "full" and row.mean is not None]
    most = max((row.seeds for row in rows), default=0)
    rows = [row for row in rows if row.seeds == most]
    if len(rows) < 2:
        return ""
    sign = 1 if study.higher_is_better else -1
    top = max(rows, key=lambda row: sign * (row.mean or 0.0))
    where = f" at budget {wording.share(budget)}" if len(study.budgets) > 1 else ""
    return f"{wording.measure(top.mean, study.unit, places)}{where} by {wording.arm_in_words(top)}"
