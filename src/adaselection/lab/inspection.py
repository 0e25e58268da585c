"""What there is to see in the instances of one run: a diagnosis and three lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adaselection import diagnosis
from adaselection.lab import wording
from adaselection.lab.instances import Instances
from adaselection.lab.pictures import picture_of
from adaselection.lab.record import Record
from adaselection.lab.tasks import setting_in_words

__all__ = ["Inspection", "Item", "Listing", "Rows", "inspect_instances"]


@dataclass(frozen=True)
class Rows:
    """The training rows of a run, where its data are at hand.

    Attributes:
        inputs: as stored, shape ``[n, ...]``.
        targets: what was trained on, shape ``[n]``.
        right: the targets before any label was made wrong, shape ``[n]``, or None.
        wrong: which targets are known to be wrong, bool of shape ``[n]``, or None.
    """

    inputs: Tensor
    targets: Tensor
    right: Tensor | None = None
    wrong: Tensor | None = None


@dataclass(frozen=True)
class Item:
    """One training row, in words.

    Attributes:
        row: its place in the training set.
        label: the target trained on; a dash where it is unknown.
        right: the right target, where it is known and another one.
        wrong: whether the target is known to be wrong.
        loss: moving average of its losses; `last` is the last one.
        visits: how often it was trained on.
        age: passes since it was trained on last.
        suspicion: that its target is wrong; a dash where there is no evidence.
        picture: a `data:` address, or None.
    """

    row: int
    label: str
    right: str | None
    wrong: bool
    loss: str
    last: str
    visits: int
    age: str
    suspicion: str
    picture: str | None


@dataclass(frozen=True)
class Listing:
    """Some of the rows, and what they have in common."""

    title: str
    note: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Inspection:
    """All there is to see of one run."""

    title: str
    lines: tuple[str, ...]
    diagnosis: diagnosis.Diagnosis
    listings: tuple[Listing, ...]

    @property
    def answers(self) -> list[tuple[str, str, str]]:
        """Question, answer and what it rests on; without questions about what no run records, such as predictions."""
        rows = self.diagnosis.rows()
        return [
            row for row in rows if row[:2] not in (("majority prediction", "unknown"), ("weight entropy", "unknown"))
        ]


def inspect_instances(record: Record, instances: Instances, rows: Rows | None = None, top: int = 12) -> Inspection:
    """Diagnose a run and list its hardest, its least seen and its suspected-mislabelled rows.

    Args:
        record: Of the run.
        instances: Of the same run.
        rows: Its training rows, for pictures and right labels; None where the data are not at hand.
        top: Rows in each list.

    Returns:
        Everything in words.
    """
    if rows is not None and rows.wrong is not None:
        instances = replace(instances, extra={"wrong": rows.wrong, **instances.extra})
    signals, config = instances.signals, record.config
    targets = instances.extra.get("targets", None if rows is None else rows.targets)
    found = diagnosis.diagnose(
        signals,
        targets=targets,
        weights=torch.tensor(record.weights.values[-1]) if record.weights and record.weights.values else None,
        curve=[point.train_loss for point in record.curve if point.train_loss is not None],
        held_out=[] if record.result.loss is None else [record.result.loss],
        pass_length=1.0 if config.rate is None else max(1.0, 1 / config.rate),
    )
    listings = (
        _hardest(instances, found, top),
        _unseen(instances, found, top),
        _suspected(instances, found, top),
    )
    setting = setting_in_words(config.regime, config.label_noise)
    rate = "" if config.rate is None else f", rate {wording.rate(config.rate)}"
    value = wording.measure(record.result.value, record.result.unit, 2 if record.result.unit == "%" else 4)
    lines = (
        f"{config.arm}{rate}, budget {wording.share(config.budget)}, seed {config.seed}, {config.preset} preset"
        + (f", {setting}" if setting else ""),
        f"{wording.metric(record.result.metric)} {value}{', collapsed' if record.result.collapsed else ''}; "
        f"{wording.plural(len(instances), 'training row')}",
    )
    say = _Sayer(config.task, instances, found, targets, rows)
    return Inspection(
        f"{config.task}, run {record.run_id}",
        lines,
        found,
        tuple(Listing(title, note, tuple(say.items(places))) for title, note, places in listings),
    )


_Raw = tuple[str, str, list[int]]


def _hardest(instances: Instances, found: diagnosis.Diagnosis, top: int) -> _Raw:
    shown = _seen(instances)
    note = "Largest moving average of their own losses"
    if found.noise.share is not None:
        shown = shown & (found.noise.suspicion <= 0.5)
        note += ", but for the suspected, which are listed below"
    places = _first(_averages(instances).masked_fill(~shown, -torch.inf), min(top, int(shown.sum())))
    wrong = instances.extra.get("wrong")
    known = "" if wrong is None or not wrong.any() else f" {int(wrong[places].sum())} of these are known to be wrong."
    return "Hardest", f"{note}.{known}", places


def _unseen(instances: Instances, found: diagnosis.Diagnosis, top: int) -> _Raw:
    ages = _column(instances.signals.ages).masked_fill(~_seen(instances), torch.inf)
    places = _first(ages, min(top, len(ages)))
    if found.never:
        note = f"{wording.plural(found.never, 'row')} of {wording.count(len(ages))} never."
    else:
        note = f"Every row was trained on. The longest wait is {ages.max().item() if len(ages) else 0:g} passes."
    return "Never selected, or unseen for longest", note, places


def _suspected(instances: Instances, found: diagnosis.Diagnosis, top: int) -> _Raw:
    title = "Suspected mislabelled" if found.kind == "cross_entropy" else "Suspected outliers"
    wrong = instances.extra.get("wrong")
    known = wrong is not None and bool(wrong.any())
    if found.noise.share is None:
        rest = f" {int(wrong.sum())} are known to be wrong." if wrong is not None and known else ""
        return title, f"None: {found.noise.reason}.{rest}", []
    doubted = found.noise.suspicion > 0.5
    places = _first(found.noise.suspicion + 1e-9 * _averages(instances).clamp(0, 1e6), min(top, int(doubted.sum())))
    note = f"{wording.plural(int(doubted.sum()), 'row')} with a suspicion above one half; {found.noise.reason}."
    if wrong is not None and known:
        hits, all_wrong = int((doubted & wrong).sum()), int(wrong.sum())
        note += f" Known to be wrong: {wording.count(hits)} of them"
        note += f" (precision {wording.share(hits / max(1, int(doubted.sum())))}),"
        note += f" of {wording.count(all_wrong)} in all (recall {wording.share(hits / all_wrong)})."
    return title, note, places


class _Sayer:
    """Puts rows into words."""

    def __init__(
        self,
        task: str,
        instances: Instances,
        found: diagnosis.Diagnosis,
        targets: Tensor | None,
        rows: Rows | None,
    ) -> None:
        self._task, self._rows, self._targets = task, rows, targets
        self._signals, self._wrong = instances.signals, instances.extra.get("wrong")
        self._averages = _averages(instances)
        self._suspicion = None if found.noise.share is None else found.noise.suspicion

    def items(self, places: Sequence[int]) -> Iterator[Item]:
        """Each row in turn."""
        for place in places:
            rows, seen = self._rows, int(_column(self._signals.visits)[place])
            right = None if rows is None or rows.right is None else _label(rows.right[place])
            label = wording.DASH if self._targets is None else _label(self._targets[place])
            suspicion = wording.DASH if self._suspicion is None else f"{self._suspicion[place].item():.2f}"
            yield Item(
                row=place,
                label=label,
                right=None if right == label else right,
                wrong=self._wrong is not None and bool(self._wrong[place]),
                loss=_three_digits(self._averages[place]) if seen else wording.DASH,
                last=_three_digits(self._signals.losses[place]) if seen else wording.DASH,
                visits=seen,
                age=f"{_column(self._signals.ages)[place].item():g}" if seen else "never",
                suspicion=suspicion if seen else wording.DASH,
                picture=None if rows is None else picture_of(self._task, rows.inputs[place]),
            )


def _first(values: Tensor, count: int) -> list[int]:
    """Places of the largest values, ties by place."""
    places: list[int] = values.argsort(descending=True, stable=True)[:count].tolist()
    return places


def _seen(instances: Instances) -> Tensor:
    return _column(instances.signals.visits) > 0


def _averages(instances: Instances) -> Tensor:
    return _column(instances.signals.averages)


def _column(values: Tensor | None) -> Tensor:
    if values is None:  # an instance file always has it
        raise ValueError("the instances lack a column; read them with read_instances")
    return values


def _label(target: Tensor) -> str:
    return _three_digits(target) if target.is_floating_point() else str(int(target))


def _three_digits(value: Tensor) -> str:
    return f"{value.item():#.3g}".rstrip(".")
