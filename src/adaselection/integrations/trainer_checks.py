"""What a Trainer is set to that selection must know, or cannot work with."""

from __future__ import annotations

from typing import Any, Literal

from adaselection.base import Policy
from adaselection.errors import ArgumentError
from adaselection.limits import policy_of


def check(trainer: Any, given: object, plane: str, options: dict[str, Any], row_losses: Any) -> None:
    """Refuse what cannot work, before anything is trained.

    Args:
        trainer: the Trainer.
        given: the user's ``selection``.
        plane: the user's.
        options: the user's ``selection_options``.
        row_losses: the user's, or None.

    Raises:
        ArgumentError: it cannot work; the message has the fix.
    """
    policy = policy_of(given, "selection")
    if row_losses is not None and not callable(row_losses):
        raise ArgumentError(f"row_losses must be a function (outputs, inputs) -> losses [b]; got {row_losses!r}.")
    _check_length_stays(policy, plane, options)
    _check_arguments(trainer.args)
    if trainer.compute_loss_func is not None and row_losses is None and (plane == "recorded" or policy.needs):
        raise ArgumentError(
            "compute_loss_func gives one number for a batch, and selection needs one loss per row. Pass row_losses=, a "
            "function (outputs, inputs) -> losses [b]; training goes on with compute_loss_func."
        )
    if trainer.compute_loss_func is not None and policy.weighted:
        raise ArgumentError(
            "this policy gives sample weights, and compute_loss_func would ignore them. Build the policy with "
            "weight_exponent=0, or pass row_losses= and no compute_loss_func."
        )
    if plane == "fresh" and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ArgumentError(
            "a scoring pass under FSDP or DeepSpeed is not supported: parts of the model are elsewhere. Use "
            'plane="recorded", which runs no pass of its own.'
        )


def _check_length_stays(policy: Policy, plane: str, options: dict[str, Any]) -> None:
    """The Trainer reads ``len`` once."""
    if policy.own_count and plane == "recorded":
        raise ArgumentError(
            f"{policy.methods[0]!r} sets the length of each pass anew, and the Trainer reads it once. Mix it with "
            f"another, as AdaSelection(methods=({policy.methods[0]!r}, 'uniform'), rate=...)."
        )
    if options.get("surplus") == "carry" or options.get("stop"):
        raise ArgumentError(
            'surplus="carry" and stop=True change the length of a pass, and the Trainer reads it once. Leave them out '
            "of selection_options."
        )


def _check_arguments(args: Any) -> None:
    """Arguments of the Trainer that go against selection."""
    if getattr(args, "train_sampling_strategy", None) == "batch_rebalance":
        raise ArgumentError(
            "train_sampling_strategy='batch_rebalance' makes batches of no fixed number of rows, so that the length of "
            "a pass is not known. Use 'random' or 'group_by_length'."
        )
    if getattr(args, "enable_jit_checkpoint", False):
        raise ArgumentError(
            "enable_jit_checkpoint saves in the middle of a step, before all batches handed out were trained on. "
            "Leave it out, and save often with save_strategy='steps'."
        )


def check_length(loader: Any) -> None:
    """Refuse a loader without a length, where epochs are to be counted.

    Raises:
        ArgumentError: it has none.
    """
    try:
        len(loader)
    except TypeError as error:
        raise ArgumentError(
            "how many batches a pass has is not known beforehand, so epochs cannot be counted. Set max_steps in the "
            "TrainingArguments, or pass selection_options={'incoming_sizes': [rows of each incoming batch of a pass]}."
        ) from error


def pad_values(trainer: Any) -> dict[str, float]:
    """What token numbers and types are padded with, by the tokenizer or the model's config."""
    tokenizer, config = trainer.processing_class, getattr(trainer.model, "config", None)
    pad = getattr(tokenizer, "pad_token_id", None)
    pad = getattr(config, "pad_token_id", None) if pad is None else pad
    types = getattr(tokenizer, "pad_token_type_id", None)
    known = {"input_ids": pad, "decoder_input_ids": pad, "token_type_ids": types}
    return {name: value for name, value in known.items() if value is not None}


def padding_side(trainer: Any) -> Literal["left", "right"]:
    """Where the tokenizer pads."""
    return "left" if getattr(trainer.processing_class, "padding_side", "right") == "left" else "right"
