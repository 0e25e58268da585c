"""Write docs/results/other_data.md from the records of five benchmarks.

They are ``benchmarks/other_data.py``, ``other_models.py``, ``other_pictures.py``, ``real_numbers.py`` and
``real_classes.py``.

Run ``python tools/other_data.py`` after one of these has changed. A test holds that it would change nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adaselection.lab import wording
from adaselection.lab.judging import markdown as md
from adaselection.lab.store import write_atomically

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("other_data", "other_models", "other_pictures", "real_numbers", "real_classes")
RECORDS = [ROOT / "benchmarks" / "records" / f"{name}.json" for name in NAMES]
PAGE = ROOT / "docs" / "results" / "other_data.md"
INTRO = """\
<!-- Written by `python tools/other_data.py` from the records of five benchmarks. Do not edit by hand. -->

# Other data

The settings of the default were made on the tasks of [never lose](never_lose.md), cifar100 and wikitext2 excepted. \
These data had no part in them, with these exceptions. On *late group* the default used to take what was not learnt \
yet for wrong, and a bound was raised; what is left out there now is left out by `hard`, which draws high losses more \
often. *Rare classes*, *long tail*, *one in five* and *spikes* came with the condition on targets, whose limit was set \
on other data of that kind. That no class may be emptied was asked for after *long tail* with 20 % wrong labels had \
lost 1.5 points of balanced accuracy, so this cell no longer judges the default. Nor do the clean cells of *late \
group*, *clusters* and *breast cancer*: the second way of `hard` opened there, and lost on the first in a full run, \
until it asked that most is left to learn. It now opens in none of these sets, whose runs are those of before.

Both arms make as many steps from the same weights: `AdaSelection(rate=0.3)` on a `RecordedLoader`, and the plain \
loader, at the learning rate that was best for the plain loader on a validation split at the same budget. A small \
network with two hidden layers. *Plain loader*: its accuracy in %, or its mean squared error, where 1 is the variance \
of the targets. Difference: paired by seed, positive is better, in points or, for a number, in % of \
the plain loader's squared error, with its 95 % interval. *Left out*: seeds in which something was; without, the \
batches are the plain loader's, and the difference is exactly 0. *Budget*: share of the work of 30 passes in batches \
of 32; of the rows seven in ten are to train on, of those that are made 4,000 in all. *Balanced*: the difference of \
balanced accuracy, the mean over the classes of the accuracy on each. `uncertain`: the difference of a fixed rule."""
HEADERS = (
    "data", "wrong", "budget", "plain loader", "difference [95 % CI]", "balanced [95 % CI]", "left out",
    "`uncertain` [95 % CI]",
)  # fmt: skip
MODELS = """\
## Other models and losses

No setting was made on these either. Small trainings with AdamW, also on labels of which 30 % are wrong, where there \
are labels. The learning rate is the best of three for the plain loader on a validation split at the same budget. \
Accuracy or average precision in %, else the mean loss of rows that were held out."""
PICTURES = """\
## Pictures

Rows of CIFAR-10, CIFAR-100 and MNIST that no task uses, 6,300 to train on, in settings as people have them. The list \
was made before any of it ran. One rule came after a first run of eight of the kinds, in which nothing was left out \
in 42 of 48 cells: that `trusted` may open where wrong labels are learnt by heart. It was explored with these \
networks and losses, on rows that the tasks train on; *augmented* and *patches* had no part in it. A fine-tuned \
network makes 6 passes in a full run, the others 12. The labels are as they are, or 10 and 30 % of them wrong. The \
rest as above, the learning rate from one trial of each of three."""
MODEL_HEADERS = ("kind", "wrong", "budget", "plain loader", "difference [95 % CI]", "in", "left out")
NUMBERS = """\
## Real numbers

Data sets of R's packages, 330 to 1,000 rows each, with a number as target that people do predict, scaled to mean 0 \
and variance 1; as they are, and with 20 and 40 % of the targets swapped among their rows, so that a wrong one is as \
likely as a right one. They were listed before any of them was trained on; what is asked of numbers was set on \
larger sets of the same packages. After a first run it was made to hold where many targets are alike too, which \
changes *debt on credit cards* and *grades*, and after a second one numbers that many rows have were held against \
the others, as *grades* had lost 25 % of the error with 40 % swapped; that changes it and *houses in Boston*. *Debt \
on credit cards* and *grades* no longer judge the default. 30 passes, the rest as in the first table: the difference \
is in % of the plain loader's squared error on clean rows."""
CLASSES = """\
## Real classes

Data sets of R's packages with a class as target that people do predict, at most 3,000 rows of each; as they are, and \
with 20 and 40 % of the labels of another class. Most of these classes overlap: two rows that are alike have different \
labels, and neither is wrong. They were listed before any of them was trained on. One setting came after a first run: \
that no class may be emptied, whose limit was set after seeing what was left out of *votes in Chile* and *continents*, \
so these two no longer judge the default. 30 passes, the rest as in the first table. *Log loss*: how much lower it is \
on clean rows, in % of the plain loader's. *Annealed*: the same default with \
the last fifth of the passes on all data, `anneal={anneal}`."""
CLASSES_SAY = """\
Where wrong labels are left out the log loss falls by much, and accuracy stays about as it was. Where right labels of \
classes that overlap are left out the log loss rises, and accuracy stays too: the model answers the same, and is surer \
of it than it should be. The losses do not tell the two apart, as a label that nobody can know looks like a wrong one. \
Ending on all data takes back most of the harm, and of the gain. Where probabilities count and labels are right, \
[name the members](../recorded.md#where-probabilities-count) that may get the weight."""
SHARE_HEADERS = (
    "wrong", "something left out", "accuracy: won, lost, on average", "balanced: won, lost, on average",
    "log loss: won, lost, on average",
)  # fmt: skip
HARD = """\
With the labels as they are, and `members=("hard",)`: something was left out in {} of {} runs. By the intervals, log \
loss {} won, {} lost."""
CLASS_HEADERS = (
    "target", "wrong", "rows", "plain loader", "difference [95 % CI]", "balanced [95 % CI]", "log loss, % [95 % CI]",
    "annealed [95 % CI]", "its log loss, % [95 % CI]", "left out",
)  # fmt: skip
NUMBER_HEADERS = ("target", "wrong", "rows", "plain loader", "difference [95 % CI]", "left out")
WHY_LOST = """ Where a class has few rows, wrong labels of it are more than right ones, and both are left out."""
FIXED = """\
The rule `uncertain` alone, as `SingleMethod("uncertain", rate=0.3)`, draws by P(1 - P) from its second walk on, \
whatever the data are; alone it is not the default, which draws like that behind its gate. P is exp(-loss), the \
probability of the label where the loss is cross-entropy."""


def _difference(found: dict[str, Any]) -> str:
    low, high = (wording.signed(end, 2) for end in found["ci"])
    return f"{wording.signed(found['difference'], 2)} [{low}, {high}]"


def _cell(cell: dict[str, Any], classes: bool) -> tuple[str, ...]:
    places = 2 if classes else 3
    return (
        cell["set"], wording.share(cell["wrong"]), wording.share(cell["budget"]),
        wording.number(cell["plain"], places), _difference(cell),
        _difference(cell["balanced"]) if classes else wording.DASH, f"{cell['opened']} of {cell['seeds']}",
        _difference(cell["uncertain"]),
    )  # fmt: skip


def _told(cells: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How many cells are won and lost, by their interval."""
    won, lost = (sum(sign * cell["ci"][side] > 0 for cell in cells) for sign, side in ((1, 0), (-1, 1)))
    return won, lost


def _lost(cells: Sequence[dict[str, Any]]) -> str:
    """Which cells lose balanced accuracy, and what accuracy does there."""
    lost = [cell for cell in cells if "balanced" in cell and (cell["balanced"]["ci"][1] or 0.0) < 0]
    told = (
        f" Lost: *{cell['set']}* with {wording.share(cell['wrong'])} wrong at budget {wording.share(cell['budget'])}, "
        f"{_difference(cell['balanced'])}; its accuracy is {_difference(cell)}."
        for cell in lost
    )
    return "".join(told) + (WHY_LOST if lost else "")


def _fixed(cells: Sequence[dict[str, Any]], classes: dict[str, bool]) -> str:
    """What the fixed rule did, by kind of data."""
    labelled = [cell for cell in cells if classes[cell["set"]]]
    kinds = {
        "cells with classes and labels as they are": [cell for cell in labelled if not cell["wrong"]],
        "with 20 and 40 % wrong labels": [cell for cell in labelled if cell["wrong"]],
        "with a number as target": [cell for cell in cells if not classes[cell["set"]]],
    }
    told = []
    for kind, some in kinds.items():
        won, lost = _told([cell["uncertain"] for cell in some])
        told.append(f"of {len(some)} {kind} {won} won, {lost} lost")
    return f"{FIXED} By their intervals: {'; '.join(told)}."


def _trainings(intro: str, record: dict[str, Any]) -> str:
    """The section on other models and losses, or on pictures."""
    results, cells = record["results"], record["results"]["cells"]
    left = [cell for cell in cells if cell["opened"]]
    verdict = (
        f"Of {len(cells)} cells something was left out in {len(left)}: {results['won']} won by the interval, "
        f"{results['lost']} lost. The bar, none lost, is {'met' if results['met'] else 'not met'}."
    )
    rows = [
        (
            cell["kind"], wording.share(cell["wrong"]), wording.share(cell["budget"]), wording.number(cell["plain"], 3),
            _difference(cell), results["kinds"][cell["kind"]]["unit"], f"{cell['opened']} of {cell['seeds']}",
        )
        for cell in cells
    ]  # fmt: skip
    described = md.bullets(f"*{name}*: {entry['what']}" for name, entry in results["kinds"].items())
    if missing := [name for name in results["kinds"] if name not in {cell["kind"] for cell in cells}]:
        verdict += f" Not run yet: {', '.join(missing)}."
    return "\n\n".join((intro, verdict, described, md.table(MODEL_HEADERS, rows), _measured(record)))


def _numbers(record: dict[str, Any]) -> str:
    """The section on real numbers."""
    results, cells = record["results"], record["results"]["cells"]
    told = []
    for share in sorted({cell["wrong"] for cell in cells}):
        some = [cell for cell in cells if cell["wrong"] == share]
        won, lost = _told(some)
        left, mean = sum(cell["opened"] > 0 for cell in some), sum(cell["difference"] for cell in some) / len(some)
        runs = f"{sum(cell['opened'] for cell in some)} of {sum(cell['seeds'] for cell in some)} runs"
        told.append(
            f"with {wording.share(share)} wrong something was left out in {left} of {len(some)}, in {runs}: {won} won "
            f"by the interval, {lost} lost, on average {wording.signed(mean, 1)} %"
        )
    verdict = (
        f"Of {len(cells)} cells, {'; '.join(told)}. In {results['worse'] or 'none'} the mean is worse than "
        f"{wording.signed(results['bar'], 0)} %; the bar, none, is {'met' if results['met'] else 'not met'}."
    )
    rows = [
        (
            cell["set"], wording.share(cell["wrong"]), str(cell["rows"]), wording.number(cell["plain"], 3),
            _difference(cell), f"{cell['opened']} of {cell['seeds']}",
        )
        for cell in cells
    ]  # fmt: skip
    described = md.bullets(f"*{name}*: `{what}`" for name, what in results["sets"].items())
    return "\n\n".join((NUMBERS, verdict, described, md.table(NUMBER_HEADERS, rows), _measured(record)))


def _by_share(cells: Sequence[dict[str, Any]]) -> str:
    """What the cells with classes say, for each share of wrong labels."""
    rows = []
    for share in sorted({cell["wrong"] for cell in cells}):
        some = [cell for cell in cells if cell["wrong"] == share]
        runs = f"{sum(cell['opened'] for cell in some)} of {sum(cell['seeds'] for cell in some)} runs"
        row = [wording.share(share), f"{runs}, {sum(cell['opened'] > 0 for cell in some)} of {len(some)} sets"]
        for of, unit in ((None, ""), ("balanced", ""), ("log_loss", " %")):
            found = [cell[of] if of else cell for cell in some]
            mean = wording.signed(sum(one["difference"] for one in found) / len(found), 2)
            row.append("{}, {}, {}".format(*_told(found), mean + unit))
        rows.append(tuple(row))
    return md.table(SHARE_HEADERS, rows)


def _hard(cells: Sequence[dict[str, Any]]) -> str:
    """What the default did with one member only."""
    found = [cell["hard"] for cell in cells if "hard" in cell]
    runs = sum(cell["opened"] for cell in found), sum(cell["seeds"] for cell in found)
    return HARD.format(*runs, *_told([cell["log_loss"] for cell in found]))


def _classes(record: dict[str, Any]) -> str:
    """The section on real classes."""
    results, cells = record["results"], record["results"]["cells"]
    left = [cell for cell in cells if cell["opened"]]
    verdict = (
        f"The bar, no accuracy and no balanced accuracy lost, is {'met' if results['met'] else 'not met'}. In "
        f"{len(cells) - len(left)} of {len(cells)} cells nothing was left out, and all differences are 0. The others:"
    )
    rows = [
        (
            cell["set"], wording.share(cell["wrong"]), str(cell["rows"]), wording.number(cell["plain"], 2),
            *(_difference(found) for found in (
                cell, cell["balanced"], cell["log_loss"], cell["annealed"], cell["annealed"]["log_loss"]
            )),
            f"{cell['opened']} of {cell['seeds']}",
        )
        for cell in left
    ]  # fmt: skip
    described = md.bullets(f"*{name}*: `{what}`" for name, what in results["sets"].items())
    intro, table = CLASSES.format(anneal=results["anneal"]), md.table(CLASS_HEADERS, rows)
    told = (intro, _by_share(cells), CLASSES_SAY, _hard(cells), verdict, table, described, _measured(record))
    return "\n\n".join(told)


def _measured(record: dict[str, Any]) -> str:
    where = record["environment"]
    return (
        f"{record['settings']['repeats']} seeds; {where['cpu']}, {where['cores']} cores, one thread a run, "
        f"torch {where['torch']}, {record['started'][:10]}."
    )


def page(
    record: dict[str, Any],
    models: dict[str, Any],
    pictures: dict[str, Any],
    numbers: dict[str, Any],
    labelled: dict[str, Any],
) -> str:
    """The page."""
    results, trainings = record["results"], (_trainings(MODELS, models), _trainings(PICTURES, pictures))
    cells, sets = results["cells"], results["sets"]
    classes = {name: entry["classes"] for name, entry in sets.items()}
    won, lost = _told(cells)
    gained, _ = _told([cell["balanced"] for cell in cells if "balanced" in cell])
    left = [cell for cell in cells if cell["opened"]]
    rows = [_cell(cell, classes[cell["set"]]) for cell in cells]
    bar = results["bar"]
    bars = f"{wording.signed(bar, 1)} points of accuracy (for a number {wording.signed(10 * bar, 0)} %)"
    verdict = (
        f"Of {len(cells)} cells of data, share of wrong labels or outliers, and budget, something was left out in "
        f"{len(left)}: {won} won by the interval, {lost} lost. In {results['worse'] or 'none'} the mean is worse "
        f"than {bars}. Of balanced accuracy {wording.plural(gained, 'cell')} won, {results['lost_balanced']} lost. The "
        f"bar, no mean worse and no balanced accuracy lost, is {'met' if results['met'] else 'not met'}.{_lost(cells)}"
    )
    described = md.bullets(f"*{name}*: {entry['what']}" for name, entry in sets.items())
    table = md.table(HEADERS, rows)
    first = (INTRO, verdict, _fixed(cells, classes), described, table, _measured(record))
    return "\n\n".join((*first, _numbers(numbers), _classes(labelled), *trainings)) + "\n"


def main() -> None:
    """Write the page."""
    text = page(*(json.loads(path.read_text(encoding="utf-8")) for path in RECORDS))
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        write_atomically(PAGE, text)
        print(f"updated {PAGE}")


if __name__ == "__main__":
    main()
