"""Loaders' states in the folders that frameworks save to: one file for each process, loaded without running code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch

from adaselection.errors import ArgumentError, StateError


@runtime_checkable
class Stateful(Protocol):
    """What can be saved."""

    def state_dict(self) -> dict[str, Any]:
        """Where it is."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


def path_in(folder: str | os.PathLike[str], name: str, process: int) -> Path:
    """The file of a process."""
    return Path(folder) / f"{name}_{process}.pt"


def save(part: Stateful, path: Path) -> None:
    """Write a state, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(part.state_dict(), partial)
    partial.replace(path)


def load(part: Stateful, path: Path, otherwise: str) -> None:
    """Go on from a file that `save` wrote.

    Args:
        part: what goes on.
        path: of the file.
        otherwise: what to do where there is no such file, for the message.

    Raises:
        StateError: there is none, it is damaged, or it does not fit.
    """
    if not path.is_file():
        raise StateError(f"the checkpoint has no {path.name}, so the selection cannot go on where it was. {otherwise}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise StateError(f"{path.name} is damaged: {error!r:.200}. Take an undamaged checkpoint.") from error
    part.load_state_dict(state)


class _Loaders:
    """The loaders that an accelerator saves along."""

    def __init__(self) -> None:
        self._names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def add(self, loader: Any, name: str) -> None:
        self._names[loader] = name

    def save(self, models: Any, weights: Any, folder: str) -> None:
        names = list(self._names.values())
        if len(set(names)) < len(names):
            raise ArgumentError(
                f"{len(names)} selecting loaders would be saved under the names {sorted(set(names))}. Give each its "
                "own with name=, or pass checkpoint=False to those that need not be saved."
            )
        for loader, name in list(self._names.items()):
            save(loader, path_in(folder, name, loader.accelerator.process_index))

    def load(self, models: Any, folder: str) -> None:
        otherwise = "Pass checkpoint=False to the loader to start its selection anew."
        for loader, name in list(self._names.items()):
            load(loader, path_in(folder, name, loader.accelerator.process_index), otherwise)


_LOADERS: WeakKeyDictionary[Any, _Loaders] = WeakKeyDictionary()


def register(accelerator: Any, loader: Stateful, name: str) -> None:
    """Have an accelerator's ``save_state`` and ``load_state`` take a loader along, as long as it lives."""
    if accelerator not in _LOADERS:
        loaders = _LOADERS[accelerator] = _Loaders()
        accelerator.register_save_state_pre_hook(loaders.save)
        accelerator.register_load_state_pre_hook(loaders.load)
    _LOADERS[accelerator].add(loader, name)
