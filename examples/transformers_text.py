"""The Transformers Trainer on made-up sentences, plain and with two lines changed for the selection, at equal steps.

Run it with ``python examples/transformers_text.py``. It needs transformers, no network, and takes some 20 seconds. The
model is a tiny BERT with random weights. A sentence is of one of eight topics, and about 7 in 10 of its words are of
that topic; 40 % of the training labels are wrong. Each arm has as many steps, with a learning rate that falls to 0 over
them: the plain one makes 20 passes over all rows, the selective one 40 passes of half the length. It leaves out rows
that seem to have a wrong label, and so passes the others more often.
"""

from __future__ import annotations

import tempfile

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments

from adaselection import AdaSelection
from adaselection.integrations.transformers import SelectiveTrainer

TOPICS, WORDS, LENGTH, ROWS = 8, 10, 20, 1024  # words are those of a topic
RATE, PASSES, BATCH = 0.5, 40, 64


class Sentences(Dataset[dict[str, Tensor]]):
    """Sentences of 5 to 20 words."""

    def __init__(self, seed: int, wrong: float) -> None:
        chance = torch.Generator().manual_seed(seed)
        self.topics = torch.randint(0, TOPICS, (ROWS,), generator=chance)
        self.lengths = torch.randint(5, LENGTH + 1, (ROWS,), generator=chance)
        own = torch.rand(ROWS, LENGTH, generator=chance) < 0.7
        of = torch.where(own, self.topics[:, None], torch.randint(0, TOPICS, own.shape, generator=chance))
        self.words = 1 + WORDS * of + torch.randint(0, WORDS, own.shape, generator=chance)  # 0 is padding
        flip = torch.rand(ROWS, generator=chance) < wrong
        other = (self.topics + torch.randint(1, TOPICS, (ROWS,), generator=chance)) % TOPICS
        self.labels = torch.where(flip, other, self.topics)

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"input_ids": self.words[row, : self.lengths[row]], "labels": self.labels[row]}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Sentences padded to the longest of their batch."""
    ids = torch.nn.utils.rnn.pad_sequence([item["input_ids"] for item in items], batch_first=True)
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": torch.stack([i["labels"] for i in items])}


def train(policy: AdaSelection | None, passes: int, data: Sentences, seed: int) -> SelectiveTrainer:
    """Train a new model; without a policy the Trainer is the plain one."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    sizes |= {"vocab_size": 1 + TOPICS * WORDS, "max_position_embeddings": 32, "num_labels": TOPICS}
    model = BertForSequenceClassification(BertConfig(initializer_range=0.1, **sizes))
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            num_train_epochs=passes,
            per_device_train_batch_size=BATCH,
            learning_rate=3e-3,
            seed=seed,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=80,
            dataloader_pin_memory=False,
        )
        trainer = SelectiveTrainer(
            model,
            args,
            train_dataset=data,
            eval_dataset=Sentences(2 * seed + 1, wrong=0.0),
            data_collator=collate,
            compute_metrics=lambda found: {"right": float((found.predictions.argmax(1) == found.label_ids).mean())},
            selection=policy,
        )
        trainer.train()
    return trainer


def main(seed: int = 0) -> None:
    """Train both ways, and print the accuracies on right labels, what was left out, and the report."""
    data = Sentences(2 * seed, wrong=0.4)
    arms = {"plain": train(None, round(RATE * PASSES), data, seed)}
    arms["selective"] = train(AdaSelection(rate=RATE), PASSES, data, seed)
    for name, trainer in arms.items():
        right = trainer.evaluate()["eval_right"]
        print(f"{name:<10} {100 * right:.1f} % right after {trainer.state.global_step} steps")
    loader = arms["selective"].selection_loader
    visits = loader.records.read(torch.arange(ROWS), now=loader.records.last_pass).visits
    wrong, rare = data.labels != data.topics, visits < visits.double().mean()
    for rows, name in ((rare, "rows trained on less than the mean"), (~rare, "others")):
        print(f"labels     {100 * float(wrong[rows].double().mean()):.0f} % wrong among the {name}")
    print(loader.report())


if __name__ == "__main__":
    main()
