"""Batches that are padded to a length of their own each, put together and cut back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor
from torch.nn import functional as nnf

from adaselection import checks, tree
from adaselection.errors import ArgumentError, BatchStructureError
from adaselection.tree import Batch

VALUES: Mapping[str, float] = {
    "attention_mask": 0,
    "token_type_ids": 0,
    "position_ids": 0,
    "special_tokens_mask": 1,
    "global_attention_mask": 0,
    "decoder_attention_mask": 0,
    "labels": -100,
}
"""What Hugging Face's collators pad with, where it does not depend on the tokenizer."""


class Padding:
    """Puts batches of sequences of different lengths into one, as ``SelectiveLoader(join=Padding(...))``.

    Args:
        values: what each part of a batch is padded with along its second dimension; `VALUES` for what is not named.
        side: where the padding goes.

    Raises:
        ArgumentError: an argument that cannot work.
    """

    def __init__(self, values: Mapping[str, float] | None = None, side: Literal["left", "right"] = "right") -> None:
        if not isinstance(values, Mapping | None):
            raise ArgumentError(f"pad values must be a dict such as {{'input_ids': 0}}; got {values!r}.")
        self.values = {**VALUES, **(values or {})}
        self.side: Literal["left", "right"] = checks.one_of("side", side, ("left", "right"))

    def __call__(self, batches: Sequence[Batch]) -> Batch:
        """The rows of several batches, padded to the longest of each part.

        Raises:
            BatchStructureError: structures differ, or a part differs in length and nothing says what to pad it with.
        """
        if len(batches) > 1 and all(isinstance(batch, Mapping) for batch in batches):
            return tree.cat([self._padded(batch, batches) for batch in batches])
        return tree.cat(batches)

    def _padded(self, batch: Mapping[str, Tensor], batches: Sequence[Mapping[str, Tensor]]) -> Batch:
        new = {}
        for name, part in batch.items():
            lengths = [length for other in batches if (length := _length(other.get(name))) is not None]
            if len(lengths) < len(batches) or len(set(lengths)) == 1:
                new[name] = part
                continue
            if name not in self.values:
                raise BatchStructureError(
                    f"{name!r} has the lengths {sorted(set(lengths))} in different batches, and nothing says what to "
                    f"pad it with. Pass Padding({{{name!r}: ...}}); with the Trainer, pad_values={{{name!r}: ...}}."
                )
            more = max(lengths) - part.shape[1]
            ends = (0, more) if self.side == "right" else (more, 0)
            new[name] = nnf.pad(part, (0, 0) * (part.dim() - 2) + ends, value=self.values[name])
        return tree.rebuild(batch, new)

    def trim(self, batch: Batch) -> Batch:
        """A batch without the columns at the padded end that no row attends to."""
        mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        if not isinstance(mask, Tensor) or mask.dim() != 2 or not mask.numel():
            return batch
        used = mask.ne(0).any(0).nonzero().flatten()
        whole, count = mask.shape[1], used.shape[0]
        if not count:
            return batch
        start, stop = (0, int(used[-1]) + 1) if self.side == "right" else (int(used[0]), whole)
        if stop - start == whole:
            return batch
        cut = {name: part[:, start:stop] if _length(part) == whole else part for name, part in batch.items()}
        return tree.rebuild(batch, cut)


def _length(part: object) -> int | None:
    """Length of a part's sequences."""
    return part.shape[1] if isinstance(part, Tensor) and part.dim() > 1 else None
