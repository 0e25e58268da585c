"""The page of the rule for labels that are known to be wrong: what it gains alone, and what it costs elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.judging.pairing import Compared, compare, rival_of
from adaselection.lab.judging.settings import CHALLENGER
from adaselection.lab.summary import Study

__all__ = ["FIXED", "beside_uniform", "page"]

FIXED = "recorded_uncertain"
_INTRO = f"""\
Whoever knows that a fifth of the labels and more are wrong need not wait for a gate to see it. `uncertain` draws in \
proportion to P(1 - P), where P = exp(-loss) is the probability of the label by its recorded loss: neither what is \
known nor what is hopeless. The loop stays as it is:

```python
from adaselection import RecordedLoader, SingleMethod

loader = RecordedLoader(train_loader, SingleMethod("uncertain", rate=0.3))
```

Its first walk is whole, as there are no losses yet. It is not the default, as it draws like that whatever the data \
are; the default does so, in a unit that suits the losses, while its gate sees that over a third of the labels look \
wrong and not yet which. This page has every setting in which it ran (`{FIXED}`) beside uniform at the same budget \
and learning rate, which is uniform's best, and beside the default (`{CHALLENGER}`). Differences are paired by seed, \
over the seeds that both have; positive is better, in points or, for an error, in % of uniform's mean. *Won* and \
*lost*: the 95 % interval leaves out 0. P is a probability where the loss is cross-entropy; for squared errors the \
rule depends on the scale of the targets."""


def beside_uniform(studies: Sequence[Study]) -> list[Compared]:
    """Compare every row of the rule with uniform at the same budget."""
    found = ((study, row) for study in studies for row in study.rows if row.arm == FIXED)
    return [compare(study, row, rival_of(study, row)) for study, row in found]


def page(studies: Sequence[Study]) -> str:
    """Return the page."""
    found = beside_uniform(studies)
    parts = ["# Labels known to be wrong", _INTRO]
    if not found:
        return "\n\n".join([*parts, "No runs yet."]) + "\n"
    parts += ["## By data", _summary(found)]
    for task, preset in dict.fromkeys((cell.study.task, cell.study.preset) for cell in found):
        mine = [cell for cell in found if (cell.study.task, cell.study.preset) == (task, preset)]
        used = [cell.row for cell in mine]
        parts += [f"## {task} ({preset} preset)", _table(mine), md.measured(mine[0].study, used)]
    return "\n\n".join(parts) + "\n"


def _summary(found: Sequence[Compared]) -> str:
    kinds: dict[str, list[Compared]] = {}
    for cell in found:
        kinds.setdefault(md.setting(cell.study), []).append(cell)
    rows = []
    for kind, cells in kinds.items():
        tally = Counter(cell.outcome for cell in cells)
        means = [cell.difference.mean for cell in cells if cell.difference.mean is not None]
        spread = f"{wording.signed(min(means), 2)} to {wording.signed(max(means), 2)}" if means else wording.DASH
        tasks = ", ".join(dict.fromkeys(cell.study.task for cell in cells))
        told = tally["won"] + tally["lost"]
        rows.append((kind, tasks, str(tally["won"]), str(len(cells) - told), str(tally["lost"]), spread))
    return md.table(("data", "tasks", "cells won", "neither", "lost", "means"), rows, left=2)


def _table(cells: Sequence[Compared]) -> str:
    rows = []
    for cell in cells:
        default = rival_of(cell.study, cell.row, CHALLENGER)
        beside = against = None
        if default is not None:
            beside, against = (
                _over(cell, compare(cell.study, default, cell.rival)),
                compare(cell.study, cell.row, default),
            )
        rows.append((md.setting(cell.study), wording.share(cell.row.budget), f"{cell.row.learning_rate:g}",
                     md.score(cell.rival, cell.study), md.difference(cell.difference), str(cell.difference.n),
                     cell.outcome, _shown(beside), _shown(against)))  # fmt: skip
    headers = ("data", "budget", "learning rate", "uniform", "`uncertain` on uniform [95 % CI]", "seeds", "",
               "the default on uniform", "`uncertain` on the default")  # fmt: skip
    return md.table(headers, rows)


def _over(cell: Compared, other: Compared) -> Compared:
    """The other comparison, over the seeds of this one."""
    found = other.differences
    return replace(other, differences={seed: found[seed] for seed in cell.differences if seed in found})


def _shown(cell: Compared | None) -> str:
    return wording.DASH if cell is None else md.difference(cell.difference)
