"""What cannot work is refused before anything is trained, with the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import Trainer

from adaselection import AdaSelection, SingleMethod
from adaselection.errors import ArgumentError, BatchStructureError, LossShapeError
from adaselection.integrations.transformers import SelectiveTrainerMixin
from integrations.hf_parts import Spy, Texts, bert, collate, gpt, trainer

FRESH = {"plane": "fresh"}
WEIGHTED = AdaSelection(("proportional", "uniform"), 0.5, weight_exponent=1.0)


def no_loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
    return outputs.logits.sum()


def rows(outputs: Any, inputs: Any) -> Any:
    return outputs.logits.sum(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"selection": 0.3}, r"selection must be a policy such as AdaSelection\(rate=0.3\); got 0.3"),
        ({"plane": "recoded"}, "Did you mean 'recorded'"),
        ({"row_losses": 3}, r"row_losses must be a function \(outputs, inputs\)"),
        ({"pad_values": 0}, "pad values must be a dict"),
        ({"selection": SingleMethod("infobatch")}, "the Trainer reads it once. Mix it with"),
        ({"selection_options": {"surplus": "carry"}} | FRESH, 'surplus="carry" and stop=True change the length'),
        ({"selection_options": {"stop": True}}, 'surplus="carry" and stop=True change the length'),
        ({"compute_loss_func": no_loss}, "Pass row_losses="),
        (
            {"compute_loss_func": no_loss, "row_losses": rows, "selection": WEIGHTED},
            "compute_loss_func would ignore them",
        ),
        ({"train_sampling_strategy": "batch_rebalance"}, "Use 'random' or 'group_by_length'"),
        ({"enable_jit_checkpoint": True}, "save often with save_strategy='steps'"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.usefixtures("unchecked")
def test_arguments(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        trainer(tmp_path, bert(), **({"selection": AdaSelection(rate=0.5)} | options))


def test_a_stream_needs_max_steps_or_sizes_and_cannot_be_recorded(tmp_path: Path) -> None:
    class Stream(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(Texts())

    fresh = {"selection": SingleMethod("big_loss", 0.5), "plane": "fresh"}
    with pytest.raises(ValueError, match="max_steps"):
        trainer(tmp_path, bert(), train_dataset=Stream(), **fresh)  # the Trainer's own words
    made = trainer(tmp_path, bert(), train_dataset=Stream(), max_steps=3, selection=AdaSelection(rate=0.5))
    with pytest.raises(ArgumentError, match="a map-style data set"):
        made.train()


def test_a_loss_that_skips_the_mixin_is_noticed_in_the_first_step(tmp_path: Path) -> None:
    class Skipping(Spy):
        def compute_loss(self, *args: Any, **options: Any) -> Any:
            return Trainer.compute_loss(self, *args, **options)

    with pytest.raises(ArgumentError, match=r"compute_loss is overridden .* super\(\)\.compute_loss"):
        trainer(tmp_path, bert(), Skipping, selection=AdaSelection(rate=0.5)).train()


def test_losses_that_are_not_one_a_row_are_refused(tmp_path: Path) -> None:
    made = trainer(tmp_path, bert(), row_losses=lambda outputs, inputs: outputs.loss, selection=AdaSelection(rate=0.5))
    with pytest.raises(LossShapeError, match=r"one loss per row, a tensor of shape \[b\]; got \(\)"):
        made.train()


class Silent(nn.Module):
    """Returns its loss and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 2)

    def forward(self, input_ids: Any, attention_mask: Any, labels: Any) -> Any:
        return {"loss": nn.functional.cross_entropy(self.embed(input_ids).mean(1), labels)}


@pytest.mark.parametrize("plane", ["recorded", "fresh"])
def test_a_model_without_logits_is_refused_with_the_fix(tmp_path: Path, plane: str) -> None:
    made = trainer(tmp_path, Silent(), selection=AdaSelection(("big_loss", "uniform"), rate=0.5), plane=plane)
    with pytest.raises(LossShapeError, match=r"no logits .*Pass row_losses="):
        made.train()


def test_padding_that_nobody_knows_is_refused_and_can_be_given(tmp_path: Path) -> None:
    found: list[int] = []

    def with_extra(items: list[dict[str, Any]]) -> Any:
        batch = collate(items)
        return batch | {"token_kinds": batch["input_ids"] % 2}

    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = gpt()

        def forward(self, input_ids: Any, attention_mask: Any, token_kinds: Any, labels: Any = None) -> Any:
            found.extend(token_kinds[attention_mask == 0].tolist())
            return self.inner(input_ids=input_ids, attention_mask=attention_mask, labels=labels)

    options = {
        "data_collator": with_extra,
        "train_dataset": Texts(causal=True),
        "plane": "fresh",
        "num_train_epochs": 1,
    }
    values = {"input_ids": 0}
    policy = SingleMethod("big_loss", 0.5)
    with pytest.raises(
        BatchStructureError, match=r"'token_kinds' has the lengths .* pad_values=\{'token_kinds': ...\}"
    ):
        trainer(tmp_path, Kinds(), selection=policy, pad_values=values, **options).train()
    made = trainer(tmp_path, Kinds(), selection=policy, pad_values=values | {"token_kinds": 7}, **options)
    found.clear()
    made.train()
    assert made.state.global_step == 5
    assert set(found) == {0, 7}  # 0 by the collator, 7 where batches of different lengths came together


def test_the_mixin_goes_before_the_trainer() -> None:
    assert SelectiveTrainerMixin.__mro__[1] is object
    assert issubclass(Spy, Trainer)
