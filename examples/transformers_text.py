"""The Transformers Trainer on a small classification of made-up sentences, with two lines changed for the selection.

Run it with ``python examples/transformers_text.py``. It needs transformers, no network, and takes some seconds. The
model is a tiny BERT with random weights. A sentence is of class 1 if it has more words of the upper half than of the
lower half of the vocabulary; 30 % of the labels are wrong.
"""

from __future__ import annotations

import tempfile

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments

from adaselection import AdaSelection
from adaselection.integrations.transformers import SelectiveTrainer

WORDS, ROWS, EPOCHS = 60, 512, 16


class Sentences(Dataset[dict[str, Tensor]]):
    """Sentences of 5 to 20 words."""

    def __init__(self, seed: int, wrong: float) -> None:
        chance = torch.Generator().manual_seed(seed)
        self.words = torch.randint(1, WORDS, (ROWS, 20), generator=chance)
        self.lengths = torch.randint(5, 21, (ROWS,), generator=chance)
        inside = torch.arange(20) < self.lengths[:, None]
        upper = ((self.words > WORDS // 2) & inside).sum(1)
        labels = (2 * upper > self.lengths).long()
        flip = torch.rand(ROWS, generator=chance) < wrong
        self.labels = torch.where(flip, 1 - labels, labels)

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"input_ids": self.words[row, : self.lengths[row]], "labels": self.labels[row]}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Sentences padded to the longest of their batch."""
    ids = torch.nn.utils.rnn.pad_sequence([item["input_ids"] for item in items], batch_first=True)
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": torch.stack([i["labels"] for i in items])}


def main() -> None:
    """Train, and print the accuracy on sentences with right labels, and the report."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForSequenceClassification(BertConfig(vocab_size=WORDS, max_position_embeddings=32, **sizes))
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=32,
            learning_rate=3e-3,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=40,
            dataloader_pin_memory=False,
        )
        trainer = SelectiveTrainer(
            model,
            args,
            train_dataset=Sentences(0, wrong=0.3),
            eval_dataset=Sentences(1, wrong=0.0),
            data_collator=collate,
            compute_metrics=lambda found: {"right": float((found.predictions.argmax(1) == found.label_ids).mean())},
            selection=AdaSelection(rate=0.5),
        )
        trainer.train()
        print(f"{100 * trainer.evaluate()['eval_right']:.1f} % right")
    print(trainer.selection_loader.report())


if __name__ == "__main__":
    main()
