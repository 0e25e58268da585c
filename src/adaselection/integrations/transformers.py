"""Selection in the Transformers Trainer: one line for the class, one argument for the policy.

::

    class MyTrainer(SelectiveTrainerMixin, Trainer): ...


    trainer = MyTrainer(model, args, train_dataset=data, selection=AdaSelection(rate=0.3))
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from adaselection import checks
from adaselection.base import Policy
from adaselection.errors import ArgumentError
from adaselection.integrations import checkpoints, trainer_checks
from adaselection.integrations.accelerate import PreparedRecordedLoader, PreparedSelectiveLoader
from adaselection.integrations.padding import Padding
from adaselection.integrations.trainer_losses import RowLossFn, TrainerLosses
from adaselection.tree import Batch
from adaselection.types import Signals

try:
    from transformers import Trainer
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    from transformers.trainer_utils import get_last_checkpoint
except ImportError as error:
    needed = "this module needs transformers: pip install '.[transformers]' in a clone of adaselection"
    raise ImportError(needed) from error

Plane = Literal["recorded", "fresh"]
_FILE = "adaselection"


class SelectiveTrainerMixin:
    """Put before `transformers.Trainer`: trains on what a policy selects. Without ``selection`` it changes nothing.

    The loss stays the Trainer's own, with its label smoothing, ``compute_loss_func`` and token counts, unless the
    policy has sample weights. Evaluation is untouched. Checkpoints hold the selection, and a resumed run goes on bit
    for bit.

    Args:
        args: as those of the Trainer.
        selection: which rows to train on.
        plane: where losses come from: ``"recorded"`` by training itself, or ``"fresh"`` by a scoring pass.
        row_losses: ``row_losses(outputs, inputs)`` returning one loss per row, shape ``[b]``, with its graph. Needed
            where the model has no logits and labels of the usual shapes, and with ``compute_loss_func``.
        pad_values: what parts of a batch are padded with, where batches have different lengths. Those of the tokenizer
            or the model's config, 0 for masks and -100 for labels are known.
        selection_options: what else `RecordedLoader` or `SelectiveLoader` takes.
        options: keyword arguments of the Trainer.

    Raises:
        ArgumentError: an argument, or one of the Trainer's, with which selection cannot work.
    """

    def __init__(
        self,
        *args: Any,
        selection: Policy | None = None,
        plane: Plane = "recorded",
        row_losses: RowLossFn | None = None,
        pad_values: Mapping[str, float] | None = None,
        selection_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.selection = selection
        self.plane: Plane = checks.one_of("plane", plane, ("recorded", "fresh"))
        self._selection_options = dict(selection_options or {})
        self._losses = TrainerLosses(self, row_losses, _shifts_labels(self.model))  # type: ignore[attr-defined]
        self._stepping = False
        self._resumed_from: str | None = None
        if selection is not None:
            trainer_checks.check(self, selection, plane, self._selection_options, row_losses)
            Padding(pad_values)  # refuses what names no values
            values = {**trainer_checks.pad_values(self), **(pad_values or {})}
            self._padding = Padding(values, trainer_checks.padding_side(self))

    @property
    def selection_loader(self) -> PreparedRecordedLoader | PreparedSelectiveLoader | None:
        """The loader of the training that runs or ran last, which has the records and the report."""
        loader = self.callback_handler.train_dataloader  # type: ignore[attr-defined]
        return loader if isinstance(loader, PreparedRecordedLoader | PreparedSelectiveLoader) else None

    def get_train_dataloader(self) -> Any:
        """The Trainer's loader with the selection around it.

        Raises:
            ArgumentError: the length of a pass is not known, and the training is not bounded by ``max_steps``.
            StateError: the checkpoint to resume from holds no selection, or that of another set-up.
        """
        prepared = super().get_train_dataloader()  # type: ignore[misc]
        if self.selection is None:
            return prepared
        loader = self._select_from(prepared)
        if self.args.max_steps <= 0:  # type: ignore[attr-defined]
            trainer_checks.check_length(loader)
        if self._resumed_from is not None:
            self._resume(loader)
        return loader

    def _select_from(self, prepared: Any) -> PreparedRecordedLoader | PreparedSelectiveLoader:
        assert self.selection is not None  # asked by the caller
        shared = {"accelerator": self.accelerator, "checkpoint": False, **self._selection_options}  # type: ignore[attr-defined]
        if self.plane == "recorded":
            return PreparedRecordedLoader(prepared, self.selection, **shared)
        options = {"join": self._padding, "score": self._score, "weighted": self.selection.weighted, **shared}
        return PreparedSelectiveLoader(prepared, self.selection, model=self.model, **options)  # type: ignore[attr-defined]

    def _score(self, model: nn.Module, batch: Batch) -> Signals:
        """Signals of a batch, in the precision that the Trainer trains in."""
        return self._losses.score(model, batch, self._norms)

    @property
    def _norms(self) -> bool:
        """Whether the policy reads gradient norms."""
        return self.selection is not None and "grad_norms" in self.selection.needs

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **options: Any) -> Any:
        """As `Trainer.train`; a resumed run goes on with the selection where it was."""
        if resume_from_checkpoint is True and self.selection is not None:
            resume_from_checkpoint = get_last_checkpoint(self.args.output_dir) or True  # type: ignore[attr-defined]
        self._resumed_from = resume_from_checkpoint if isinstance(resume_from_checkpoint, str) else None
        try:
            return super().train(resume_from_checkpoint, *args, **options)  # type: ignore[misc]
        finally:
            self._resumed_from = None

    def _resume(self, loader: PreparedRecordedLoader | PreparedSelectiveLoader) -> None:
        if self.args.ignore_data_skip:  # type: ignore[attr-defined]
            warnings.warn(
                "ignore_data_skip=True: the selection starts anew, without what the checkpoint knows of the data.",
                stacklevel=5,
            )
            return
        otherwise = "Pass ignore_data_skip=True to start it anew."
        path = checkpoints.path_in(str(self._resumed_from), _FILE, self.args.process_index)  # type: ignore[attr-defined]
        checkpoints.load(loader, path, otherwise)

    def _save_checkpoint(self, model: Any, trial: Any, *args: Any, **options: Any) -> None:
        """As the Trainer's, after the state of the selection, so that no checkpoint looks whole without it."""
        loader = self.selection_loader
        if loader is not None and not self.args.save_only_model:  # type: ignore[attr-defined]
            step = self.state.global_step  # type: ignore[attr-defined]
            folder = f"{self._get_output_dir(trial)}/checkpoint-{step}"  # type: ignore[attr-defined]
            checkpoints.save(loader, checkpoints.path_in(folder, _FILE, self.args.process_index))  # type: ignore[attr-defined]
        super()._save_checkpoint(model, trial, *args, **options)  # type: ignore[misc]

    def training_step(self, *args: Any, **options: Any) -> Any:
        """As the Trainer's.

        Raises:
            ArgumentError: an overridden ``compute_loss`` does not call the mixin's, so that nothing was recorded.
        """
        loader, self._stepping = self.selection_loader, True
        waiting = loader.inside.waiting if isinstance(loader, PreparedRecordedLoader) else 0
        try:
            loss = super().training_step(*args, **options)  # type: ignore[misc]
        finally:
            self._stepping = False
        if isinstance(loader, PreparedRecordedLoader) and loader.inside.waiting >= waiting:
            raise ArgumentError(
                "no losses were recorded in this step: compute_loss is overridden and does not call the mixin's. Call "
                "super().compute_loss, or put SelectiveTrainerMixin before the class that overrides it."
            )
        return loss

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None, **options: Any
    ) -> Any:
        """As the Trainer's; in a training step it also records the losses of the rows, or weighs them."""
        options["num_items_in_batch"] = num_items_in_batch
        loader = self.selection_loader if self._stepping else None
        weights = None if loader is None else loader.next_weights()
        if loader is None or (isinstance(loader, PreparedSelectiveLoader) and weights is None):
            return super().compute_loss(model, inputs, return_outputs, **options)  # type: ignore[misc]
        given = dict(inputs)  # the Trainer takes the labels out
        loss, outputs = super().compute_loss(model, inputs, True, **options)  # type: ignore[misc]
        with torch.set_grad_enabled(weights is not None):
            rows = self._losses.rows(outputs, given)
        if isinstance(loader, PreparedRecordedLoader):
            loader.record(rows.means, grad_norms=rows.grad_norms() if self._norms else None)
        if weights is not None:
            loss = self._losses.weighted(loss, rows, weights)
        return (loss, outputs) if return_outputs else loss

    def num_examples(self, dataloader: Any) -> int:
        """Rows of the data set, as the Trainer counts them without selection."""
        return int(super().num_examples(getattr(dataloader, "prepared", dataloader)))  # type: ignore[misc]

    def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
        """As the Trainer's, with the kept share and the weights of the methods beside each training loss."""
        loader = self.selection_loader
        if loader is not None and "loss" in logs:
            kept = loader.report().kept
            logs |= {} if kept is None else {"selection_kept": kept}
            logs |= {f"selection_weight_{name}": weight for name, weight in loader.policy.weights.items()}
        super().log(logs, *args, **options)  # type: ignore[misc]


def _shifts_labels(model: Any) -> bool:
    """Whether a model's logits at each position predict the next label."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # an adapter of PEFT
    return type(inner).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()


class SelectiveTrainer(SelectiveTrainerMixin, Trainer):
    """`transformers.Trainer` with `SelectiveTrainerMixin`."""
