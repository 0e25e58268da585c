"""What one run is: checked before anything is loaded, and turned into a record's config and command."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from adaselection import Policy
from adaselection.errors import ArgumentError
from adaselection.lab.arms import Arm, PolicyOptions, get_arm
from adaselection.lab.irreducible import FOLDER, Irreducible, Origin, find_irreducible
from adaselection.lab.record import Config
from adaselection.lab.tasks import LoadOptions, Preset, Task, get_task

Split = Literal["test", "validation"]
FULL_STEP = 3  # units of a training step on one sample: forward 1, backward 2


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides one run.

    Attributes:
        task: Name of the task.
        preset: Name of its preset.
        method: Name of the arm.
        rate: Sampling rate in (0, 1]; ignored by arms that do not select.
        budget: Share of the full run's units that may be used, in (0, 10]; 1 for `full`.
        seed: Of weights, data order, augmentation and selection.
        learning_rate: None for the preset's.
        label_noise: Share of wrong training labels.
        split: What the run is judged on; `validation` for tuning.
        options: For the arms that mix methods.
        data_dir: Where to look for data files first.
        regime: What the training data are like, a name in `adaselection.lab.tasks.REGIMES`.
        irreducible: File of irreducible losses, or folder of such files, for arms that read them; None for others.

    Raises:
        ValueError: A value out of its range, an unknown name, or what the task's data cannot be.
        FileNotFoundError: There are no irreducible losses in that place.
    """

    task: str
    preset: str = "cpu"
    method: str = "adaselection"
    rate: float = 0.3
    budget: float = 1.0
    seed: int = 0
    learning_rate: float | None = None
    label_noise: float = 0.0
    split: Split = "test"
    options: PolicyOptions = field(default_factory=PolicyOptions)
    data_dir: Path | None = None
    regime: str = "plain"
    irreducible: Path | None = None

    def __post_init__(self) -> None:
        self.get_preset()
        if not 0 < self.budget <= 10:
            raise ArgumentError(f"budget {self.budget:g} is outside (0, 10]: it is a share of the full run's units.")
        if self.learning_rate is not None and not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ArgumentError(f"learning rate {self.learning_rate:g} must be above 0.")
        if self.split not in get_args(Split):
            raise ArgumentError(f"split {self.split!r} is unknown: take {' or '.join(get_args(Split))}.")
        self.get_task().check(self.load_options())
        if not 0 <= self.seed < 2**63:
            raise ArgumentError(f"seed {self.seed} is outside [0, 2**63).")
        if self.options.given() and not self.arm().mixes:
            flags = ", ".join(f"--{name}" for name in self.options.given())
            raise ArgumentError(f"{flags}: only arms that mix methods take this; {self.method} does not. Leave it out.")
        self.policy()
        self._check_irreducible()

    def _check_irreducible(self) -> None:
        """See that irreducible losses are there where the arm reads them, belong to its rows, and nowhere else."""
        if not reads_irreducible(self.arm(), self.options):
            if self.irreducible is not None:
                raise ArgumentError(f"--irreducible: {self.method} does not read irreducible losses. Leave it out.")
            return
        if not self.arm().recorded:
            raise ArgumentError(
                f"rho_loss reads irreducible losses, and {self.method} has no record to keep them in. "
                "Take an arm on recorded losses: recorded_rho_loss, or recorded with --methods."
            )
        if self.irreducible is None:
            raise ArgumentError(
                f"{self.method} needs irreducible losses. Make them first: {self.origin().command}. "
                f"Then add --irreducible {FOLDER}."
            )
        self.irreducible_losses()

    def get_task(self) -> Task:
        """The task."""
        return get_task(self.task)

    def get_preset(self) -> Preset:
        """The task's preset."""
        return self.get_task().preset(self.preset)

    def arm(self) -> Arm:
        """The arm."""
        return get_arm(self.method)

    def policy(self) -> Policy | None:
        """A fresh policy; None for an arm that trains on every row."""
        arm = self.arm()
        policy = None if arm.build is None else arm.build(self.rate, self.seed, self.options)
        if policy is not None and arm.recorded:
            policy.use_records()
        return policy

    def origin(self) -> Origin:
        """Which rows it trains on."""
        return Origin(self.task, self.preset, self.regime, float(self.label_noise), self.split, self.seed)

    def irreducible_losses(self) -> Irreducible | None:
        """The irreducible losses of its training rows, where its arm reads them.

        Raises:
            FileNotFoundError: They are not there.
            ValueError: They cannot be used, or belong to other rows.
        """
        return None if self.irreducible is None else find_irreducible(self.irreducible, self.origin())

    def check_data(self, fingerprint: str) -> None:
        """Refuse irreducible losses of other data than the task's here.

        Raises:
            IrreducibleFileError: They are.
        """
        if found := self.irreducible_losses():
            found.check(fingerprint)

    def load_options(self) -> LoadOptions:
        """What the run asks of the task's data."""
        return LoadOptions(self.seed, self.label_noise, self.data_dir, self.split == "validation", self.regime)

    @property
    def effective_budget(self) -> float:
        """The budget; 1 for `full`, whatever was asked."""
        return 1.0 if self.arm().name == "full" else self.budget

    @property
    def effective_learning_rate(self) -> float:
        """The learning rate, the preset's where none is given."""
        return self.get_preset().learning_rate if self.learning_rate is None else self.learning_rate

    def config(self, fingerprint: str) -> Config:
        """What the record keeps, and what its name is made of.

        Args:
            fingerprint: Of the task's data.
        """
        policy = self.policy()
        settings = None if policy is None else {k: v for k, v in policy.settings.items() if k != "seed"}
        if settings is not None and (found := self.irreducible_losses()):
            settings["irreducible"] = found.settings
        return Config(
            task=self.task,
            preset=self.preset,
            arm=self.arm().name,
            rate=None if policy is None else float(self.rate),
            budget=float(self.effective_budget),
            seed=self.seed,
            learning_rate=float(self.effective_learning_rate),
            label_noise=float(self.label_noise),
            split=self.split,
            data=fingerprint,
            policy=settings,
            regime=self.regime,
        )

    def command(self) -> str:
        """The command that does this run again."""
        parts = [f"adaselection run {self.task} --preset {self.preset} --method {self.arm().name}"]
        if self.arm().build is not None:
            parts.append(f"--rate {_exact(self.rate)}")
        parts += [f"--budget {_exact(self.effective_budget)} --seed {self.seed}"]
        parts += [f"--learning-rate {_exact(self.effective_learning_rate)}"]
        if self.regime != "plain":
            parts.append(f"--regime {self.regime}")
        if self.label_noise:
            parts.append(f"--label-noise {_exact(self.label_noise)}")
        if self.split == "validation":
            parts.append("--split validation")
        for name, value in self.options.given().items():
            parts.append(f"--{name} {','.join(value) if isinstance(value, tuple) else value}")
        if self.irreducible is not None:
            parts.append(f"--irreducible {(FOLDER / self.origin().name).as_posix()}")
        return " ".join(parts)


def reads_irreducible(arm: Arm, options: PolicyOptions) -> bool:
    """Whether an arm reads irreducible losses.

    Raises:
        ValueError: Options that its policy refuses.
    """
    return arm.build is not None and "irreducible" in arm.build(0.5, 0, options).needs


def _exact(value: float) -> str:
    """The shortest text that is read back as this very number: another number would be another run."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
