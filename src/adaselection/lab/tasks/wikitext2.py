"""WikiText-2: text of good Wikipedia articles, 2,088,628 + 245,569 words, from which a Transformer predicts the next.

The text is cut into sequences of 35 words, each with the word after each place as its target; a sequence is a row, and
its loss is the mean over its words. What is left at the end of a text is dropped. The vocabulary is that of the
training text; a preset may keep its most frequent words only, and every other one is then ``<unk>``, which the texts
have anyway.

Source: Merity et al., "Pointer sentinel mixture models", 2016; the cut is that of PyTorch's word language model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adaselection.lab.data import load_arrays
from adaselection.lab.models import build_model
from adaselection.lab.tasks.arrays import ArrayDataset
from adaselection.lab.tasks.base import LoadOptions, Metric, Preset, Splits, Task
from adaselection.lab.tasks.evaluation import evaluate_language
from adaselection.lab.tasks.splits import split_rows

__all__ = ["TASK", "SequenceLoss"]

LENGTH = 35
WORDS = 33_278
UNKNOWN = 9
"""Number of the word ``<unk>``: words are numbered as they first appear."""
HELD_OUT_SHARE = 0.1


class SequenceLoss(nn.Module):
    """Mean cross-entropy over the words of each sequence."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits ``[b, length, words]`` and words int64 ``[b, length]`` to losses ``[b]``, in nats a word."""
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return losses.view(targets.shape).mean(1)


def load(preset: Preset, options: LoadOptions) -> Splits:
    """Load sequences and what follows each place, both as int64 ``[n, 35]``.

    Raises:
        ValueError: The options ask for label noise, or for a regime that the task does not have.
    """
    TASK.check(options)
    loaded = load_arrays("wikitext2", options.data_dir)
    text = loaded.values["train"][: None if preset.train_size is None else preset.train_size * LENGTH + 1]
    numbers = _numbers(text, preset.vocabulary)
    train = _sequences(numbers[text])
    test = _sequences(numbers[loaded.values["test"]])[: 0 if options.hold_out else preset.test_size]
    rows = split_rows(len(train), round(HELD_OUT_SHARE * len(train)) if options.hold_out else 0)
    return Splits(
        train=_part(train[rows.train]),
        validation=_part(train[rows.held_out]),
        test=_part(test),
        fingerprint=loaded.fingerprint,
        train_noisy=torch.zeros(len(rows.train), dtype=torch.bool),
    )


def build(preset: Preset, splits: Splits) -> nn.Module:
    """Build the preset's network: words ``[b, 35]`` to logits ``[b, 35, words]``."""
    return build_model(preset.model, tuple(splits.train.inputs.shape[1:]), preset.vocabulary or WORDS)


def _numbers(text: NDArray[np.uint16], vocabulary: int | None) -> NDArray[np.int64]:
    """The new number of every word: its own, or its place among the most frequent, of which ``<unk>`` is the first."""
    if vocabulary is None:
        return np.arange(WORDS, dtype=np.int64)
    counts = np.bincount(text, minlength=WORDS)
    counts[UNKNOWN] = len(text) + 1
    kept = np.argsort(-counts, kind="stable")[:vocabulary]
    numbers = np.zeros(WORDS, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers


def _sequences(words: NDArray[Any]) -> NDArray[np.int64]:
    """Cut into rows of 36 words that overlap in one: ``[n, 36]``, a sequence and the word after it."""
    return np.lib.stride_tricks.sliding_window_view(words, LENGTH + 1)[::LENGTH].astype(np.int64)


def _part(sequences: NDArray[np.int64]) -> ArrayDataset:
    both = torch.from_numpy(sequences)
    return ArrayDataset(both[:, :-1].contiguous(), both[:, 1:].contiguous())


_SMALL = Preset(
    model="transformer_small", epochs=4, batch_size=20, learning_rate=0.3, train_size=8_000, test_size=3_000,
    vocabulary=5_000,
)  # fmt: skip

TASK = Task(
    name="wikitext2",
    summary="the next word of Wikipedia text, 2,088,628 + 245,569 words; a Transformer",
    kind="language",
    metric=Metric(name="loss", unit="nats/token", higher_is_better=False),
    presets={
        "paper": Preset(
            model="transformer",
            epochs=10,
            batch_size=100,
            learning_rate=0.01,
            schedule="constant",
            score_mode="train",
        ),
        "cpu": _SMALL,
        "brief": Preset(
            model="transformer_small",
            epochs=3,
            batch_size=20,
            learning_rate=0.1,
            schedule="constant",
            train_size=3_400,
            test_size=3_000,
            vocabulary=2_000,
            score_mode="train",
        ),
        "smoke": Preset(
            model="transformer_small",
            epochs=1,
            batch_size=20,
            learning_rate=0.3,
            train_size=200,
            test_size=100,
            vocabulary=500,
        ),
    },
    load=load,
    build=build,
    loss=SequenceLoss,
    evaluate=evaluate_language,
)
