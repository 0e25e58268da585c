"""The page of the ladder: what each rung is worth beside uniform and beside random weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.rungs import PLACEBO, RUNGS, Placed, Standing, standings
from adaselection.lab.judging.settings import missing
from adaselection.lab.record import Record
from adaselection.lab.summary import Study

__all__ = ["page"]

_INTRO = f"""\
Each rung adds one idea. E0 is plain uniform training fitted to the same budget; E3 (`{PLACEBO}`) mixes the same \
methods as E1 and E2 with random weights, so what beats E0 and not E3 owes nothing to adapting. Differences are \
paired by seed at the same budget, and E3's at the same rate too; positive is better. Over all budgets the seeds \
are clusters. **Keep**: the 95 % interval of the difference from E3 lies above 0; **drop**: it does not. E4 is \
chosen on validation runs where there are any; else it is the best of the very runs shown, which flatters it, and \
its row says *in hindsight on the same runs*."""


def page(studies: Sequence[Study], trials: Iterable[Record] = ()) -> str:
    """Return the page.

    Args:
        studies: All studies.
        trials: Runs on a validation split.
    """
    trials = list(trials)
    found = [(study, standings(study, trials)) for study in studies]
    found = [(study, rungs) for study, rungs in found if any(rung.rung not in ("E0", "") for rung in rungs)]
    parts = ["# The ladder", _INTRO]
    if found:
        parts += ["## By data", _summary(found), _absent(found)]
    else:
        parts.append("No runs on recorded losses yet.")
    for study, rungs in found:
        parts += _study(study, rungs)
    if lines := missing(studies):
        parts += ["## Missing", md.bullets(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(found: Sequence[tuple[Study, Sequence[Standing]]]) -> str:
    """Return how many tasks would keep each rung, by what their data are like."""
    settings = list(dict.fromkeys(md.setting(study) for study, _ in found))
    words: dict[tuple[str, str], Counter[str]] = {}
    for study, rungs in found:
        for rung in rungs:
            if rung.rung:
                words.setdefault((rung.rung, md.setting(study)), Counter())[rung.word] += 1
    rows = []
    for step in RUNGS:
        counts = [words.get((step.name, setting), Counter[str]()) for setting in settings]
        if step.name not in ("E0", "E3"):
            rows.append((step.name, step.title, *(_kept(count) for count in counts)))
    text = "Keep, of the studies (a task at a preset and rate) in which it can be judged:"
    return f"{text}\n\n{md.table(('rung', 'what it tries', *settings), rows, left=2)}"


def _kept(count: Counter[str]) -> str:
    judged = count["keep"] + count["drop"]
    return f"{count['keep']} of {judged}" if judged else "not to be judged" if count else md.MISSING


def _absent(found: Sequence[tuple[Study, Sequence[Standing]]]) -> str:
    there = {rung.rung for _, rungs in found for rung in rungs}
    absent = [f"{rung.name} ({rung.title})" for rung in RUNGS if rung.name not in there]
    return f"Rungs without a run: {'; '.join(absent)}." if absent else ""


def _study(study: Study, rungs: Sequence[Standing]) -> list[str]:
    unit = md.difference_unit(study)
    over_all = (f"gain on E0 ({unit}) [95 % CI]", f"gain on E3 ({unit}) [95 % CI]", "seeds", "E3 says")
    rows = [
        (rung.rung or wording.DASH, _arms(rung), wording.rate(rung.rate),
         ", ".join(dict.fromkeys(wording.share(one.row.budget) for one in rung.placed)),
         md.difference(rung.on_uniform), md.difference(rung.on_placebo), _seeds(rung), rung.word)
        for rung in rungs
    ]  # fmt: skip
    metric = f"{wording.metric(study.metric)}{f' ({study.unit})' if study.unit else ''}, mean ± sd"
    details = [
        (rung.rung or wording.DASH, _arm(one), wording.rate(one.row.rate), wording.share(one.row.budget),
         md.score(one.row, study), md.difference(one.on_uniform.difference), md.difference(one.on_placebo.difference),
         str(one.row.seeds))
        for rung in rungs
        for one in rung.placed
    ]  # fmt: skip
    used = {id(one.row): one.row for rung in rungs for one in rung.placed}
    return [
        f"## {wording.capital(study.title)}",
        md.table(("rung", "arm", "rate", "budgets", *over_all), rows, left=2),
        "At each budget:",
        md.table(("rung", "arm", "rate", "budget", metric, *over_all[:2], "seeds"), details, left=2),
        md.measured(study, list(used.values())),
    ]


def _arms(rung: Standing) -> str:
    arms = ", ".join(dict.fromkeys(f"`{one.row.arm}`" for one in rung.placed))
    notes = ", ".join(dict.fromkeys(one.note for one in rung.placed if one.note))
    return f"{arms} ({notes})" if notes else arms


def _arm(one: Placed) -> str:
    extra = ", ".join(part for part in (one.row.detail, one.note) if part)
    return f"`{one.row.arm}`{f' ({extra})' if extra else ''}"


def _seeds(rung: Standing) -> str:
    counts = [one.row.seeds for one in rung.placed]
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
