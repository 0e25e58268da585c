"""A batch through the model without gradients, and the model left as it was."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from adaselection import checks, tree
from adaselection.errors import ArgumentError, BatchStructureError, LossShapeError
from adaselection.losses import LossFn, RowLoss, labelled_mapping
from adaselection.tree import Batch
from adaselection.types import Signals

ScoreMode = Literal["eval", "train"]
ScoreFn = Callable[[nn.Module, Batch], "Tensor | Signals"]


class ModelScorer:
    """Scores batches: losses, and gradient norms where a method needs them.

    A batch that is a pair is scored as ``loss_fn(model(x), y)``; a mapping with labels without a ``loss_fn`` as Hugging
    Face models are; anything else by ``score``.

    Args:
        model: the model that trains.
        loss_fn: loss of the outputs and targets, one per row.
        score: ``score(model, batch)`` returning losses ``[b]`` or `Signals`, in the place of ``loss_fn``.
        score_mode: ``"eval"`` scores with dropout off and running batch statistics; ``"train"`` with the flags that the
            model has. Either way flags, buffers, random numbers and gradients are afterwards what they were before.
        autocast: type to score in, such as ``torch.bfloat16``; None for the model's own.
        grad_norms: whether to give gradient norms.

    Raises:
        ArgumentError: an argument that cannot work.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFn | None = None,
        *,
        score: ScoreFn | None = None,
        score_mode: ScoreMode = "eval",
        autocast: torch.dtype | None = None,
        grad_norms: bool = False,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise ArgumentError(f"model must be a torch.nn.Module; got {type(model).__name__}.")
        if score is not None and loss_fn is not None:
            raise ArgumentError("pass loss_fn or score, not both: score returns the losses itself.")
        self.model = model.module if isinstance(model, DistributedDataParallel) else model
        self._loss = None if loss_fn is None else RowLoss.of(loss_fn)
        self._score = checks.function("score", score, optional=True)
        self.mode: ScoreMode = checks.one_of("score_mode", score_mode, ("eval", "train"))
        self._autocast = checks.float_type("autocast", autocast)
        self.grad_norms = grad_norms
        self._kept = BufferKeeper()

    def variant(self, model: nn.Module | None = None, autocast: torch.dtype | None = None) -> ModelScorer:
        """A scorer like this one with another model, or in another type; None for the same."""
        other = copy.copy(self)
        other._kept = BufferKeeper()
        if model is not None:
            other.model = model.module if isinstance(model, DistributedDataParallel) else model
        other._autocast = self._autocast if autocast is None else autocast
        return other

    @property
    def device(self) -> torch.device | None:
        """Where the model is; None for a model without parameters and buffers."""
        first = next(self.model.parameters(), None)
        first = next(self.model.buffers(), None) if first is None else first
        return None if first is None else first.device

    def __call__(self, batch: Batch) -> Signals:
        """Signals of a batch that is on the model's device.

        Raises:
            LossShapeError: not one loss per row.
            BatchStructureError: a batch that is no pair, with no ``score`` given.
        """
        rows = tree.length(batch)
        with undisturbed(self.model, self.mode, self._kept), torch.no_grad(), self._precision():
            signals = self._signals(batch, rows)
        if signals.losses.shape != (rows,):
            raise LossShapeError(
                f"score returned losses of shape {tuple(signals.losses.shape)} for a batch of {rows} rows; "
                f"return one loss per row, shape [{rows}]."
            )
        return signals

    def _signals(self, batch: Batch, rows: int) -> Signals:
        if self._score is not None:
            result = self._score(self.model, batch)
            return checks.as_signals(result)
        if self._loss is None:
            if isinstance(batch, Mapping) and "labels" in batch and not self.grad_norms:
                return Signals(labelled_mapping(self.model, batch), kind="cross_entropy")
            raise ArgumentError(
                "nothing says how to score a batch. Pass loss_fn= for batches that are pairs (x, y), or score=, a "
                "function (model, batch) -> losses [b] or Signals."
            )
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise BatchStructureError(
                f"loss_fn(model(x), y) needs a batch that is a pair (x, y); this one is {_shape_of(batch)}. Pass "
                "score=, a function (model, batch) -> losses [b], in the place of loss_fn."
            )
        outputs = self.model(batch[0])
        if isinstance(outputs, Tensor) and outputs.dtype in (torch.float16, torch.bfloat16):
            outputs = outputs.float()
        losses = self._loss.losses(outputs, batch[1], rows)
        norms = self._loss.grad_norms(outputs, batch[1]) if self.grad_norms else None
        return Signals(losses, norms, self._loss.kind)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self._autocast is None:
            return contextlib.nullcontext()
        kind = "cpu" if self.device is None else self.device.type
        return torch.autocast(kind, dtype=self._autocast)


def _shape_of(batch: Batch) -> str:
    if isinstance(batch, Mapping):
        return f"a {type(batch).__name__} with keys {list(batch)}"
    size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    return f"a {type(batch).__name__}{size}"


@contextlib.contextmanager
def undisturbed(model: nn.Module, mode: ScoreMode, buffers: BufferKeeper) -> Iterator[None]:
    """Run a forward pass and put back the training flag of every module, all buffers and all random states."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    on = [device.index or 0] if device.type not in ("cpu", "meta") else []
    modules = list(model.modules())
    off = [module for module in modules if module.training] if mode == "eval" else []
    flags = [(module, module.training) for module in modules]
    python_state = random.getstate()
    buffers.save(modules)
    with torch.random.fork_rng(devices=on, device_type=device.type if on else "cuda"):
        try:
            for module in off:
                _set_training(module, False)
            yield
        finally:
            for module, training in flags:
                if module.training != training:
                    _set_training(module, training)
            buffers.restore()
            random.setstate(python_state)


def _set_training(module: nn.Module, training: bool) -> None:
    """Set a flag, without the search of `torch.nn.Module` for parameters of that name where nothing else is done."""
    if type(module).__setattr__ is nn.Module.__setattr__:
        object.__setattr__(module, "training", training)
    else:
        module.training = training


class BufferKeeper:
    """Copies of a model's buffers, made together: on an accelerator one launch for many, not one for each."""

    def __init__(self) -> None:
        self._kept: list[tuple[nn.Module, str, Tensor]] = []
        self._copies: list[Tensor] = []

    def save(self, modules: Iterable[nn.Module]) -> None:
        """Remember every buffer of the modules: which tensor it is, and a copy of its values."""
        self._kept = [
            (module, name, buffer)
            for module in modules
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]
        values = self._values()
        if list(map(_form, self._copies)) != list(map(_form, values)):
            self._copies = [torch.empty_like(value) for value in values]
        if self._copies:
            torch._foreach_copy_(self._copies, values)

    def restore(self) -> None:
        """Put every buffer back: the same tensor with the same values.

        All are written, because a write through ``.data`` leaves no trace in a tensor's version; and through ``.data``,
        so that a graph that waits for its backward pass stays valid.
        """
        for module, name, buffer in self._kept:
            if module._buffers.get(name) is not buffer:
                module._buffers[name] = buffer
        if self._copies:
            torch._foreach_copy_(self._values(), self._copies)
        self._kept = []

    def _values(self) -> list[Tensor]:
        """The data that each buffer has now; those whose places are one number cannot be written."""
        return [buffer.data for _, _, buffer in self._kept if not _is_expanded(buffer)]


def _form(tensor: Tensor) -> tuple[Any, ...]:
    """What another tensor must have in common to take its values."""
    return type(tensor), tensor.shape, tensor.dtype, tensor.device


def _is_expanded(tensor: Tensor) -> bool:
    """Whether several places of a tensor are one number in memory, so that nothing can be written to it."""
    return any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True))
