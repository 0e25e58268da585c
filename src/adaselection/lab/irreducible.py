"""The file of irreducible losses: the loss of each training row under a small model that never trained on it.

`adaselection holdout` writes it and arms that read it (`recorded_rho_loss`) are given it. It belongs to certain
training rows, those of one task, preset, regime, label noise, split and seed, and is refused anywhere else.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaselection.errors import AdaSelectionError, ArgumentError
from adaselection.lab.instances import write_bytes
from adaselection.lab.tasks import setting_in_words

__all__ = ["FOLDER", "Irreducible", "IrreducibleFileError", "Origin", "find_irreducible", "read_irreducible"]

FOLDER = Path("irreducible")
FORMAT = 1


class IrreducibleFileError(AdaSelectionError, ValueError):
    """A file of irreducible losses that cannot be used. The message names the file, the reason and the fix."""


@dataclass(frozen=True)
class Origin:
    """Which training rows: everything that decides what a run trains on, but for the data themselves."""

    task: str
    preset: str
    regime: str
    label_noise: float
    split: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the file.

        >>> Origin("digits", "cpu", "plain", 0.3, "test", 0).name
        'digits-cpu-noise0.3-seed0.npz'
        """
        parts = [self.task, self.preset, *([self.regime] if self.regime != "plain" else [])]
        parts += [f"noise{self.label_noise:g}"] if self.label_noise else []
        parts += [self.split] if self.split != "test" else []
        return f"{'-'.join(parts)}-seed{self.seed}.npz"

    @property
    def words(self) -> str:
        """The rows in a few words."""
        setting = setting_in_words(self.regime, self.label_noise)
        split = "" if self.split == "test" else f", {self.split} split"
        return f"{self.task} ({self.preset} preset{', ' if setting else ''}{setting}{split}, seed {self.seed})"

    @property
    def command(self) -> str:
        """The command that makes the file."""
        parts = [f"adaselection holdout {self.task} --preset {self.preset}"]
        parts += [f"--regime {self.regime}"] if self.regime != "plain" else []
        parts += [f"--label-noise {self.label_noise:g}"] if self.label_noise else []
        parts += [f"--split {self.split}"] if self.split != "test" else []
        return f"{' '.join(parts)} --seed {self.seed}"


@dataclass(frozen=True)
class Irreducible:
    """Irreducible losses and how they were made.

    Attributes:
        losses: one a training row, float32 of shape ``[n]``.
        origin: the training rows that they belong to.
        data: fingerprint of the task's data.
        model: network that gave them, trained on the other folds for `epochs` passes at `learning_rate`.
        folds: each row was judged by a model trained on the rows of the other folds.
        best: for each fold the pass after which its model judged best, from 1; its losses are those.
        units: what it all cost in forward passes of one row (a training step is 3), of that model.
        seconds: the same by the clock.
        version: of the library.
    """

    losses: Tensor
    origin: Origin
    data: str
    model: str
    folds: int
    epochs: int
    learning_rate: float
    best: tuple[int, ...]
    units: float
    seconds: float
    version: str

    @property
    def settings(self) -> dict[str, Any]:
        """What decided the losses, beside the rows: part of the name of every run that uses them."""
        return {
            "model": self.model,
            "folds": self.folds,
            "epochs": self.epochs,
            "learning_rate": float(self.learning_rate),
        }

    def check(self, data: str, rows: int | None = None) -> None:
        """Refuse other data.

        Raises:
            IrreducibleFileError: Another fingerprint, or another number of rows.
        """
        if data != self.data:
            raise IrreducibleFileError(
                f"the irreducible losses of {self.origin.words} are of other data ({self.data}) than those here "
                f"({data}). Make them here: {self.origin.command}."
            )
        if rows is not None and rows != len(self.losses):
            raise IrreducibleFileError(
                f"there are {len(self.losses)} irreducible losses of {self.origin.words}, and the run trains on {rows} "
                f"rows. Make them anew: {self.origin.command}."
            )

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, whole or not at all, and return its path.

        Raises:
            StoreError: It cannot be written.
        """
        facts = {**asdict(self), "format": FORMAT, "losses": None}
        buffer = io.BytesIO()
        losses = self.losses.detach().cpu().float().numpy()
        np.savez_compressed(buffer, irreducible=losses, facts=np.str_(json.dumps(facts, sort_keys=True)))
        path = folder / self.origin.name
        write_bytes(path, buffer.getvalue())
        return path


def find_irreducible(place: Path, origin: Origin) -> Irreducible:
    """Find and read the irreducible losses of certain training rows.

    Args:
        place: Their file, or a folder of such files.
        origin: The rows.

    Raises:
        FileNotFoundError: There is none. The message has the command that makes it.
        IrreducibleFileError: It is damaged, or belongs to other rows.
    """
    path = place / origin.name if place.is_dir() else place
    if not path.is_file():
        raise FileNotFoundError(
            f"no irreducible losses {path}. Make them first: {origin.command} --out {path.parent}"
            + ("" if path.name == origin.name else f", which writes {path.parent / origin.name}")
            + "."
        )
    found = read_irreducible(path)
    if found.origin != origin:
        raise IrreducibleFileError(
            f"{path} has the irreducible losses of {found.origin.words}, and the run is of {origin.words}. "
            f"Make those: {origin.command}, and name their folder."
        )
    return found


def read_irreducible(path: Path) -> Irreducible:
    """Read a file of irreducible losses.

    Raises:
        IrreducibleFileError: It is no such file, damaged, or of another version.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            losses, facts = file["irreducible"], json.loads(str(file["facts"]))
        if facts.pop("format") != FORMAT:
            raise ArgumentError(f"it is of another format than {FORMAT}, the one this version reads")
        if losses.ndim != 1 or losses.dtype != np.float32 or not np.isfinite(losses).all():
            raise ArgumentError(f"its losses are {losses.dtype} of shape {losses.shape}, or not all finite")
        facts["origin"], facts["best"] = Origin(**facts["origin"]), tuple(facts["best"])
        return Irreducible(**{**facts, "losses": torch.from_numpy(losses)})
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise IrreducibleFileError(
            f"{path} has no usable irreducible losses: {str(error) or type(error).__name__}. Make it anew with "
            "adaselection holdout."
        ) from error
