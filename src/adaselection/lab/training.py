"""One run: train one arm within its budget, every unit charged, and give its record."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import RecordedLoader, RecordedReport, Report, SelectiveLoader
from adaselection.errors import NonFiniteLossError
from adaselection.functional import kept_per_batch
from adaselection.lab.machine import Watch, device, environment, repeatable
from adaselection.lab.record import Record
from adaselection.lab.recording import OffTheClock, record_of, recorded_trace
from adaselection.lab.spec import FULL_STEP, RunSpec
from adaselection.lab.tasks import ArrayDataset, Preset, Splits
from adaselection.lab.trace import Trace
from adaselection.lab.wrapping import wrapped

_SHOW_EVERY = 0.1  # seconds
_WARM = 0.2  # share of a one-cycle schedule that the learning rate rises


@dataclass(frozen=True)
class Progress:
    """What a live view shows.

    Attributes:
        step: Optimizer steps done, of `steps`.
        steps: All steps of the run.
        loss: Mean training loss of the last step.
        report: The loader's report.
    """

    step: int
    steps: int
    loss: float
    report: Report | RecordedReport


Show = Callable[[Progress], None]
Keep = Callable[[Record, RecordedLoader, Splits], None]


@dataclass
class Trainer:
    """Everything that one run trains with; ``norms``: whether its policy reads gradient norms."""

    model: nn.Module
    loader: SelectiveLoader | RecordedLoader
    loss: nn.Module
    train: ArrayDataset
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    steps: int
    trace: Trace
    allowed: float
    norms: bool

    def run(self, show: Show | None) -> bool:
        """Train for all steps; False if the loss stopped being finite."""
        self.model.train()
        shown = 0.0
        try:
            for step, loss in enumerate(self._batches(), start=1):
                if loss.device.type != "cpu":
                    torch.accelerator.synchronize()  # what the step has started is charged to it
                with self._off_the_clock():
                    value = loss.item()
                    if not math.isfinite(value):
                        return False
                    self.trace.step(step, value, self.loader)
                    if show is not None and (step == self.steps or time.perf_counter() - shown > _SHOW_EVERY):
                        shown = time.perf_counter()
                        show(Progress(step, self.steps, value, self.loader.report()))
        except NonFiniteLossError:
            return False
        return True

    def _batches(self) -> Iterator[Tensor]:
        """Train step by step; yields the mean loss of each step."""
        done = passes = 0
        while done < self.steps:
            if isinstance(self.loader, SelectiveLoader):
                self.train.set_epoch(passes)
            for inputs, targets in self.loader:
                if self._over(len(targets)):
                    return
                loss = self._loss(inputs, targets)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                self.schedule.step()
                done += 1
                self.train.advance(done / self.steps)
                yield loss.detach()
                if done == self.steps:
                    return
            passes += 1

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of a batch, a scalar with its graph; recorded where the loader records."""
        outputs = self.model(inputs)
        losses: Tensor = self.loss(outputs, targets)
        if isinstance(self.loader, SelectiveLoader):
            return losses.mean()
        more = {"outputs": outputs, "targets": targets} if self.norms else {}
        return self.loader.record(losses, **more)

    def _over(self, rows: int) -> bool:
        """Whether a batch of a recorded loader does not fit into the budget any more; it is not trained on then.

        The steps are those of whole walks, which have a short batch each; a draw has full ones only.
        """
        counts = self.loader.meter.counts
        if (
            isinstance(self.loader, SelectiveLoader)
            or FULL_STEP * counts["trained"] <= self.allowed
            or rows == counts["trained"]
        ):
            return False
        self.loader.meter.count(loaded=-rows, trained=-rows, steps=-1)
        return True

    def _off_the_clock(self) -> OffTheClock:
        return OffTheClock(self.loader)


def train_one(spec: RunSpec, show: Show | None = None, *, alone: bool = True, keep: Keep | None = None) -> Record:
    """Do one run and return its record; the global random state is left as it was.

    Args:
        spec: The run.
        show: Called now and then and after the last step, off the clock.
        alone: Whether this is the only run of its grid at the time, so that its seconds may count.
        keep: Given the record, the loader and the data, at the end of a run with a recorded loader.

    Raises:
        DataError: The task's data is missing or damaged.
    """
    task, preset = spec.get_task(), spec.get_preset()
    hold_out = spec.split == "validation"
    splits = task.load(preset, spec.load_options())
    started, watch = datetime.now(UTC), Watch()
    with repeatable(device(), spec.seed):
        trainer = _trainer(spec, preset, splits)
        with warnings.catch_warnings():  # a short last batch cannot keep the very rate; the counts say what was kept
            warnings.filterwarnings("ignore", r"a batch of \d+ rows at rate", UserWarning)
            finite = trainer.run(show)
        before = time.perf_counter()
        outcome = task.evaluate(trainer.model, splits.validation if hold_out else splits.test)
        evaluating = time.perf_counter() - before
    record = record_of(
        spec,
        trainer.loader.report(),
        trainer.trace,
        outcome if finite else None,
        data=(splits.fingerprint, len(splits.train)),
        evaluating=evaluating,
        machine=environment(watch.others_busy(), alone=alone),
        started=started,
        policy_trace=recorded_trace(trainer.loader, splits),
    )
    if keep is not None and isinstance(trainer.loader, RecordedLoader):
        keep(record, trainer.loader, splits)
    return record


def _trainer(spec: RunSpec, preset: Preset, splits: Splits) -> Trainer:
    """Model, loader, optimizer and a schedule fitted to the budget."""
    where = device()
    model = spec.get_task().build(preset, splits).to(where)
    loss = spec.get_task().loss()
    order = torch.Generator().manual_seed(spec.seed)
    inner = DataLoader(
        splits.train,
        batch_size=preset.batch_size,
        shuffle=True,
        generator=order,
        collate_fn=ArrayDataset.collate if where.type == "cpu" else partial(_placed, where),
    )
    trace = Trace()
    loader = wrapped(inner, spec, splits, model, loss, trace)
    steps = affordable_steps(loader, len(splits.train), preset.epochs, spec.effective_budget)
    trace.plan(steps)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=spec.effective_learning_rate,
        momentum=preset.momentum,
        weight_decay=preset.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(preset.schedule, step, steps)
    )
    allowed = spec.effective_budget * FULL_STEP * len(splits.train) * preset.epochs + 1e-6
    norms = "grad_norms" in loader.policy.needs
    return Trainer(model, loader, loss, splits.train, optimizer, schedule, steps, trace, allowed, norms)


def _placed(where: torch.device, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Move a batch to the model's device."""
    inputs, targets = ArrayDataset.collate(batch)
    return inputs.to(where), targets.to(where)


def affordable_steps(loader: SelectiveLoader | RecordedLoader, rows: int, epochs: int, budget: float) -> int:
    """Optimizer steps that a budget pays for, at least one; for a recorded loader, those of whole walks.

    The full run costs ``3 * rows * epochs`` units. Scoring a row costs one unit, training on it three. The windows are
    counted one by one, so that short last batches and carried rows come out right and no run goes over its budget.
    """
    allowed = budget * FULL_STEP * rows * epochs + 1e-6
    policy, full = loader.policy, loader.batch_size or 1
    sizes = [full] * (rows // full) + [rows % full] * (rows % full > 0)
    plain = policy.rate == 1 or isinstance(loader, RecordedLoader)
    used = waiting = steps = 0
    for size in itertools.cycle(sizes):
        used += 0 if plain or not policy.needs else size
        waiting += kept_per_batch(size, policy.rate)
        if plain or waiting >= full:
            out = size if plain else full
            waiting, used = waiting - out, used + FULL_STEP * out
            if used > allowed:
                break
            steps += 1
    return max(1, steps)


def learning_rate_factor(schedule: str, step: int, steps: int) -> float:
    """Factor on the learning rate before the step with this number, counted from 0."""
    if schedule == "constant":
        return 1.0
    place = (step + 0.5) / steps
    return place / _WARM if place < _WARM else max(0.0, (1 - place) / (1 - _WARM))
