"""Tiny data, models and trainings that the tests of Transformers and Accelerate share; nothing comes from a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PrinterCallback,
    TrainingArguments,
)
from transformers.utils import logging

from adaselection.integrations.transformers import SelectiveTrainer

WORDS = 100  # the first token of a row is its own number
logging.disable_progress_bar()


class Texts(Dataset[dict[str, Any]]):
    """Rows of different lengths, with a column that no model takes."""

    def __init__(self, rows: int = 80, causal: bool = False) -> None:
        chance = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(1, WORDS, (rows, 12), generator=chance)
        self.tokens[:, 0] = torch.arange(rows)
        self.lengths = torch.randint(3, 13, (rows,), generator=chance)
        self.labels = (self.tokens[:, 1] > WORDS // 2).long()
        self.causal = causal

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> dict[str, Any]:
        tokens = self.tokens[row, : self.lengths[row]]
        labels = torch.where(torch.arange(len(tokens)) < 2, -100, tokens) if self.causal else self.labels[row]
        return {"input_ids": tokens, "labels": labels, "text": f"row {row}"}


def collate(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Rows padded to the longest of the batch."""
    assert all("text" not in item for item in items)  # the Trainer takes away what no model wants
    longest = max(len(item["input_ids"]) for item in items)

    def padded(name: str, value: int) -> Tensor:
        parts = [item[name] for item in items]
        return torch.stack([nn.functional.pad(part, (0, longest - len(part)), value=value) for part in parts])

    mask = torch.stack([torch.arange(longest) < len(item["input_ids"]) for item in items]).long()
    batch = {"input_ids": padded("input_ids", 0), "attention_mask": mask}
    whole = items[0]["labels"].dim() == 0
    return batch | {"labels": torch.stack([item["labels"] for item in items]) if whole else padded("labels", -100)}


def bert(dropout: float = 0.1) -> nn.Module:
    """A classifier of two classes."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return BertForSequenceClassification(BertConfig(vocab_size=WORDS, max_position_embeddings=16, **sizes, **drops))


def gpt(dropout: float = 0.1) -> nn.Module:
    """A causal language model."""
    torch.manual_seed(0)
    drops = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=8, n_layer=1, n_head=2, **drops, **ends))


class Spy(SelectiveTrainer):
    """Notes which rows each step trained on."""

    def training_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        seen = self.__dict__.setdefault("seen", [])
        seen.append(inputs["input_ids"][:, 0].tolist() if "input_ids" in inputs else [])
        return super().training_step(model, inputs, *args, **options)


def trainer(folder: Path | str, model: nn.Module, cls: type = Spy, **options: Any) -> Any:
    """A Trainer for 2 epochs of batches of 8, on the CPU and silent; keywords go to it or to its arguments."""
    own = ("selection", "plane", "row_losses", "pad_values", "selection_options", "compute_loss_func", "train_dataset")
    own += ("eval_dataset", "data_collator", "callbacks")
    given = {name: options.pop(name) for name in own if name in options}
    quiet = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False}
    sizes = {"per_device_train_batch_size": 8, "num_train_epochs": 2, "logging_steps": 1, "save_strategy": "no"}
    args = TrainingArguments(str(folder), **(quiet | sizes | {"learning_rate": 0.01} | options))
    given = {"train_dataset": Texts(), "data_collator": collate} | given
    made = cls(model, args, **given)
    made.remove_callback(PrinterCallback)
    return made


def parameters(made: Any) -> list[Tensor]:
    """A copy of the model's."""
    return [value.detach().clone() for value in made.model.parameters()]


def history(made: Any) -> list[dict[str, float]]:
    """What was logged, without the seconds, which no two runs share."""
    clocks = ("runtime", "per_second", "train_loss", "flos")
    return [{k: v for k, v in logs.items() if not any(c in k for c in clocks)} for logs in made.state.log_history]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    """Whether they are the same, bit for bit."""
    return len(one) == len(other) and all(map(torch.equal, one, other))
