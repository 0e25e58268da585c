"""What selection can gain on this machine, measured before anything is trained."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch.utils.data import DataLoader

from adaselection import AdaSelection, ModelScorer
from adaselection.lab.machine import device
from adaselection.lab.spec import RunSpec
from adaselection.lab.tasks import ArrayDataset, LoadOptions

RATES = (0.1, 0.2, 0.3, 0.4, 0.5)
_WARM = 2
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Profile:
    """Milliseconds of one batch, medians over interleaved repeats.

    Attributes:
        task: Name of the task and preset.
        batch_size: Rows of a batch.
        threads: Processor threads.
        load: Loading it.
        forward: Scoring it without gradients.
        step: Training on it.
        select: Choosing its rows with the default policy.
        steps: Optimizer steps of a full run.
    """

    task: str
    batch_size: int
    threads: int
    load: float
    forward: float
    step: float
    select: float
    steps: int

    @property
    def ratio(self) -> float:
        """Forward over step: what scoring a row costs beside training on it."""
        return self.forward / self.step

    @property
    def break_even(self) -> float:
        """Rate above which a pass with selection costs more than one without."""
        return max(0.0, 1 - (self.forward + self.select) / self.step)

    def relative_cost(self, rate: float) -> float:
        """Milliseconds of a batch with selection at a rate over those without; loading is paid in full.

        It is also the rate at which uniform subsampling, fewer epochs, costs the same.
        """
        return (self.load + self.forward + self.select + rate * self.step) / (self.load + self.step)

    def words(self) -> str:
        """What the numbers mean, in three sentences."""
        if self.break_even <= 0:
            share = (self.forward + self.select) / self.step
            return (
                f"Scoring a batch and choosing its rows takes {share:.0%} of a training step here, so selection with a "
                "scoring pass cannot pay at any rate. Train for fewer epochs instead."
            )
        best = self.relative_cost(RATES[0])
        middle = self.relative_cost(0.3)
        return (
            f"Scoring a batch takes {self.ratio:.0%} of a training step here. Selection with a scoring pass saves time "
            f"only at rates below {self.break_even:.2f}: at rate 0.3 a pass takes {middle:.0%} of the time of full "
            f"training, at rate {RATES[0]:g} {best:.0%}. Whether it pays is another question: for the "
            f"same time plain training gets {middle:.2f} epochs for each pass at rate 0.3, and the rows "
            "kept must be worth more than that."
        )


def measure(spec: RunSpec, repeats: int = 15) -> Profile:
    """Time the parts of a task's training, interleaved, and take medians.

    Args:
        spec: Task, preset and data folder; the rest is not used.
        repeats: Batches of each part.
    """
    task, preset, where = spec.get_task(), spec.get_preset(), device()
    splits = task.load(preset, LoadOptions(data_dir=spec.data_dir))
    rows = len(splits.train)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        model, loss = task.build(preset, splits).train().to(where), task.loss()
        loader: DataLoader[Batch] = DataLoader(
            splits.train, batch_size=min(preset.batch_size, rows), shuffle=True, collate_fn=ArrayDataset.collate
        )
        scorer = ModelScorer(model, loss, score_mode=preset.score_mode)
        policy = AdaSelection(rate=0.3)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        clock = Clock()
        clock.where = where
        batches = _endless(loader)
        for turn in range(repeats + _WARM):
            clock.on = turn >= _WARM
            with clock("load"):
                inputs, targets = (part.to(where) for part in next(batches))
            with clock("forward"):
                signals = scorer((inputs, targets))
            with clock("select"):
                policy.select(signals)
            with clock("step"):
                optimizer.zero_grad(set_to_none=True)
                loss(model(inputs), targets).mean().backward()
                optimizer.step()
    middle = {name: 1000 * statistics.median(values) for name, values in clock.times.items()}
    return Profile(
        task=f"{spec.task}/{spec.preset}",
        batch_size=loader.batch_size or 1,
        threads=torch.get_num_threads(),
        steps=preset.epochs * -(-rows // preset.batch_size),
        **middle,
    )


class Clock:
    """Seconds of several parts, one entry each time; on an accelerator, until it is done with them."""

    def __init__(self) -> None:
        self.on = True
        self.where = torch.device("cpu")
        self.times: dict[str, list[float]] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time what is inside, if the clock is on."""
        start = time.perf_counter()
        yield
        if self.where.type != "cpu":
            torch.accelerator.synchronize(self.where)
        if self.on:
            self.times.setdefault(part, []).append(time.perf_counter() - start)


def _endless(loader: DataLoader[Batch]) -> Iterator[Batch]:
    """Batches without end, the short last ones left out."""
    while True:
        yield from islice(loader, max(1, len(loader) - 1))
