"""The command `holdout`: train small models on parts of the rows, and write the irreducible losses of all."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.text import Text

from adaselection.lab import wording
from adaselection.lab.holdout import HoldoutSpec, Judged, train_holdout
from adaselection.lab.instances import write_bytes
from adaselection.lab.irreducible import FOLDER, Irreducible, IrreducibleFileError, Origin, read_irreducible
from adaselection.lab.options import DataDir, Noise, Preset, Regime, TaskName, Threads, at_least_one, flag, set_threads
from adaselection.lab.spec import FULL_STEP, Split
from adaselection.lab.tasks import Splits

__all__ = ["Holdout"]


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """Write the irreducible losses that recorded_rho_loss reads."""

    task: TaskName
    preset: Preset = "cpu"
    regime: Regime = "plain"
    label_noise: Noise = 0.0
    split: Annotated[Split, flag("{test,validation}", "of the runs that will use them")] = "test"
    seed: Annotated[int, flag("N", "of the runs that will use them")] = 0
    seeds: Annotated[int, flag("N", "number of seeds, from --seed on; one file each")] = 1
    model: Annotated[str | None, flag("NAME", "the network of the task's smoke preset if left out")] = None
    epochs: Annotated[int | None, flag("N", "passes of each model; half of the preset's if left out")] = None
    learning_rate: Annotated[float | None, flag("RATE", "the preset's if left out")] = None
    folds: Annotated[int, flag("N", "parts of the rows; each is judged by a model of the others")] = 2
    data_dir: DataDir = None
    threads: Threads = None
    out: Annotated[Path, flag("DIR", "folder of the files")] = FOLDER

    def do(self, console: Console) -> None:
        """Train, write the files, and print what they cost and where they are."""
        set_threads(self.threads)
        first = Origin(self.task, self.preset, self.regime, float(self.label_noise), self.split, self.seed)
        spec = HoldoutSpec(first, self.model, self.epochs, self.learning_rate, self.folds, self.data_dir)
        check = self.out / f".write-check-{os.getpid()}"
        write_bytes(check, b"")  # says now what would stop the files from being written
        check.unlink(missing_ok=True)
        for seed in range(self.seed, self.seed + at_least_one("seeds", self.seeds)):
            self._one(replace(spec, origin=replace(first, seed=seed)), console)

    def _one(self, spec: HoldoutSpec, console: Console) -> None:
        path = self.out / spec.origin.name
        if _there(path, spec):
            console.print(Text(f"{path}  (was there)", style="dim"), soft_wrap=True)
            return
        with console.status(spec.origin.words) as status:

            def show(now: Judged) -> None:
                place = f"fold {now.fold} of {now.folds}, pass {now.epoch} of {now.epochs}"
                status.update(f"{spec.origin.words}: {place}, loss of the other rows {now.loss:.4g}")

            found, splits = train_holdout(spec, show)
        found.write(self.out)
        for line in (*_says(found, splits), str(path)):
            console.print(Text(line), soft_wrap=True)


def _there(path: Path, spec: HoldoutSpec) -> bool:
    """Whether the very file is there. Another one of that name is written over."""
    if not path.is_file():
        return False
    try:
        have = read_irreducible(path)
    except IrreducibleFileError:
        return False
    preset = spec.preset()
    asked = (preset.model, spec.folds, preset.epochs, preset.learning_rate)
    return have.origin == spec.origin and asked == (have.model, have.folds, have.epochs, have.learning_rate)


def _says(found: Irreducible, splits: Splits) -> tuple[str, str, str]:
    """What was found, and what it cost."""
    losses, wrong = found.losses.double(), splits.train_noisy
    parts = f"mean {losses.mean():.3g}, median {losses.median():.3g}"
    if bool(wrong.any()) and not bool(wrong.all()):
        parts += f"; mean {losses[wrong].mean():.3g} on wrong targets, {losses[~wrong].mean():.3g} on right ones"
    epochs = found.epochs
    best = " and ".join(map(str, found.best)) if found.folds == 2 else ", ".join(map(str, found.best))
    preset_epochs = HoldoutSpec(found.origin).task().preset(found.origin.preset).epochs
    share = found.units / (FULL_STEP * len(losses) * preset_epochs)
    return (
        f"{found.origin.words}: irreducible losses of {wording.plural(len(losses), 'row')}, {parts}.",
        f"{found.folds} models {found.model}, {epochs} {'pass' if epochs == 1 else 'passes'} each, "
        f"judged best after pass {best}.",
        f"Cost: {wording.seconds(found.seconds)} s, {wording.count(found.units)} units of {found.model} "
        f"({wording.share(share)} of a full run's count). It is not charged to the runs that use them.",
    )
