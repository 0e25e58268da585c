"""PyTorch Lightning and Fabric.

A `SelectiveLoader` or `RecordedLoader` returned from ``train_dataloader`` works by itself. `AdaSelectionCallback` adds
what Lightning leaves out: exact resuming, and figures in your logger. Works under ``lightning`` and
``pytorch_lightning``.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import distributed as dist
from torch.utils.data import DataLoader

from adaselection import RecordedLoader, SelectiveLoader
from adaselection.errors import ArgumentError, StateError, UnknownLengthError
from adaselection.integrations.figures import figures

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    from pytorch_lightning.callbacks import Callback

Loader = SelectiveLoader | RecordedLoader
KEY = "adaselection"
_PASSES = 16  # that are compared to see whether a length changes


class AdaSelectionCallback(Callback):
    """Logs what the selection does, and lets a resumed training go on exactly.

    Figures (`adaselection.integrations.figures`) go through ``pl_module.log_dict`` every ``log_every_n_steps`` steps,
    so to whichever loggers the trainer has. A check-point gets the loaders' states and the random states of torch, of
    every process. Lightning alone keeps those of the first process, does not restore them at the end of an epoch or
    after ``trainer.estimated_stepping_batches``, and keeps no random state.

    Args:
        prefix: of the names that are logged, as in ``adaselection/weights/big_loss``.

    Raises:
        ArgumentError: a trainer's setting that cannot work with selection, when the training starts.
        StateError: when resuming, a check-point of other loaders or of another number of processes.
    """

    def __init__(self, prefix: str = KEY) -> None:
        super().__init__()
        self._prefix = prefix
        self._saved: dict[str, Any] | None = None
        self._policies: dict[str, object] = {}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Refuse what is known to fail before anything is built."""
        if stage == "fit" and trainer.overfit_batches:
            raise ArgumentError(
                f"Trainer(overfit_batches={trainer.overfit_batches}) trains on the same batches again and again, and a "
                "loader that selects gives others each time. Return the plain DataLoader to overfit, without this "
                "callback; limit_train_batches= only makes epochs shorter."
            )

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Check the loaders, and put them where the check-point says."""
        loaders = dict(selecting(trainer.train_dataloader))
        if not loaders:
            warnings.warn(
                "AdaSelectionCallback found no SelectiveLoader or RecordedLoader among the training loaders, and does "
                "nothing. Return one from train_dataloader().",
                stacklevel=2,
            )
        _check_lengths(loaders, trainer.num_training_batches)
        self._policies = {name: loader.policy for name, loader in loaders.items()}
        if self._saved is not None:
            _restore(self._saved, loaders, pl_module.device)
            self._saved = None

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuse loaders that were made anew between epochs and know nothing of the past."""
        for name, loader in selecting(trainer.train_dataloader):
            if loader.policy is not self._policies.get(name):
                raise ArgumentError(
                    "Trainer(reload_dataloaders_every_n_epochs=...) made a new loader with a new policy, so what was "
                    "learnt of the samples is lost. Build the loader once, in setup(), and return it from "
                    "train_dataloader(); or build new ones with the policy, and the records, of the first."
                )

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log, where the trainer is about to."""
        every = trainer.log_every_n_steps
        steps = trainer.global_step  # already those of this batch, unless it only accumulates
        if not every or (pl_module.automatic_optimization and steps % every not in (0, every - 1)):
            return
        for name, loader in selecting(trainer.train_dataloader):
            start = f"{self._prefix}/{name}/" if name else f"{self._prefix}/"
            values = {start + key: value for key, value in figures(loader.report()).items()}
            pl_module.log_dict(values, on_step=True, on_epoch=False, batch_size=1)

    def state_dict(self) -> dict[str, Any]:
        """So much that Lightning asks for this callback when it resumes."""
        return {"version": 1}

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the states of the loaders of all processes; Lightning calls this in each of them."""
        loaders = dict(selecting(trainer.train_dataloader))
        if not loaders:
            return
        progress = trainer.fit_loop.epoch_loop.batch_progress
        own = {
            "loaders": {name: loader.state_dict() for name, loader in loaders.items()},
            "over": bool(progress.is_last_batch or progress.current.ready >= trainer.num_training_batches),
            "random": _random(pl_module.device),
        }
        checkpoint[KEY] = {"version": 1, "processes": _gathered(own)}
        _drop_first_process_only(checkpoint, trainer.train_dataloader, len(loaders))

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Keep this process's part until the loaders are there."""
        if KEY not in checkpoint:
            warnings.warn(
                "the check-point was saved without AdaSelectionCallback, so that the loaders do not go on exactly.",
                stacklevel=2,
            )
            return
        parts = checkpoint[KEY]["processes"]
        if len(parts) != trainer.world_size:
            raise StateError(
                f"the check-point is of {len(parts)} processes, and {trainer.world_size} run, whose shards are others. "
                f"Resume with Trainer(devices=...) of {len(parts)} in all."
            )
        self._saved = parts[trainer.global_rank]


def selecting(loaders: Any, name: str = "") -> Iterator[tuple[str, Loader]]:
    """The loaders that select in what ``train_dataloader`` gave: one, or a list or dict of them, with their names."""
    if isinstance(loaders, SelectiveLoader | RecordedLoader):
        yield name, loaders
    elif isinstance(loaders, Mapping | list | tuple):
        items = loaders.items() if isinstance(loaders, Mapping) else enumerate(loaders)
        for key, inner in items:
            yield from selecting(inner, f"{name}/{key}" if name else str(key))


def fabric_loader(prepared: object) -> DataLoader[Any]:
    """The loader inside what ``Fabric.setup_dataloaders`` gave, split over the processes and seeded: wrap this one.

    Fabric's own wrapper hides how long it is and where it stands. Without it, `SelectiveLoader` moves batches to the
    model's device; move those of a `RecordedLoader` by ``fabric.to_device(batch)``. Call ``loader.set_epoch(epoch)``.

    Raises:
        ArgumentError: not what ``Fabric.setup_dataloaders`` gave.
    """
    inner = getattr(prepared, "_dataloader", None)
    if not isinstance(inner, DataLoader):
        raise ArgumentError(
            f"fabric_loader() takes what fabric.setup_dataloaders(loader) gave; got {type(prepared).__name__}. Set the "
            "DataLoader up first, and wrap it last: "
            "SelectiveLoader(fabric_loader(fabric.setup_dataloaders(loader)), ...)."
        )
    return inner


def _check_lengths(loaders: Mapping[str, Loader], batches: float) -> None:
    """Refuse loaders whose length Lightning cannot know, and warn of one that changes."""
    if loaders and math.isinf(batches):
        raise ArgumentError(
            "a loader's length is not known, so Lightning fetches one batch ahead: scores would be one step old, and a "
            "check-point would lose that batch. Pass incoming_sizes= to the SelectiveLoader, or a whole number as "
            "Trainer(limit_train_batches=...)."
        )
    for loader in loaders.values():
        if _length_changes(loader):
            warnings.warn(
                "the length of the loader changes between passes, and Lightning reads it once: progress and "
                'estimated_stepping_batches are off, and longer passes are cut. Take surplus="drop" and warmup=0, and '
                "methods that do not set their own count.",
                stacklevel=3,
            )


def _length_changes(loader: Loader) -> bool:
    try:
        totals = [loader.total_batches(passes) for passes in range(_PASSES)]
    except UnknownLengthError:
        return isinstance(loader, RecordedLoader)  # of a stream nothing is known
    return len({later - former for former, later in itertools.pairwise(totals)}) > 1


def _restore(saved: dict[str, Any], loaders: Mapping[str, Loader], device: torch.device) -> None:
    """Put loaders and random numbers where they were; an epoch that was over is not gone on with."""
    states = saved["loaders"]
    if set(states) != set(loaders):
        raise StateError(
            f"the check-point has the loaders {sorted(states)}, and train_dataloader() gave {sorted(loaders)}. Give as "
            "many, by the same names, as when it was saved."
        )
    for name, loader in loaders.items():
        loader.load_state_dict(states[name])
        if saved["over"]:
            loader.end_pass()
    torch.set_rng_state(saved["random"]["cpu"])
    if device.type != "cpu" and "device" in saved["random"]:
        torch.get_device_module(device).set_rng_state(saved["random"]["device"], device)


def _random(device: torch.device) -> dict[str, torch.Tensor]:
    """Torch's random states."""
    own = {} if device.type == "cpu" else {"device": torch.get_device_module(device).get_rng_state(device)}
    return {"cpu": torch.get_rng_state(), **own}


def _gathered(own: dict[str, Any]) -> list[dict[str, Any]]:
    """What each process has, in the order of their ranks."""
    if not (dist.is_available() and dist.is_initialized()):
        return [own]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    return parts


def _drop_first_process_only(checkpoint: dict[str, Any], loaders: Any, count: int) -> None:
    """Take out Lightning's own copy of the states, which it would give to every process, where all are ours."""
    state = checkpoint.get("loops", {}).get("fit_loop", {}).get("state_dict", {})
    if len(state.get("combined_loader", ())) == count:
        del state["combined_loader"]
