"""Real trainings with the Trainer: which rows, how many steps, which loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from transformers import T5Config, T5ForConditionalGeneration, Trainer

from adaselection import AdaSelection, SingleMethod
from adaselection.integrations.transformers import SelectiveTrainer, SelectiveTrainerMixin
from integrations.hf_parts import Spy, Texts, bert, collate, equal, gpt, history, parameters, trainer

MIXED = ("big_loss", "uniform")


def alone(model: nn.Module, data: Texts, row: int) -> float:
    """Loss of one row without padding, as the model itself computes it."""
    item = {name: part[None] for name, part in data[row].items() if name != "text"}
    with torch.no_grad():
        return float(model.eval()(**item).loss)


@pytest.mark.parametrize(("make", "causal"), [(bert, False), (gpt, True)], ids=["classes", "tokens"])
def test_fresh_takes_the_rows_of_the_highest_loss_each_averaged_over_its_own_tokens(
    tmp_path: Path, make: Any, causal: bool
) -> None:
    data, seen = Texts(causal=causal), []
    policy = SingleMethod("big_loss", 0.25)
    made = trainer(
        tmp_path,
        make(0.0),
        train_dataset=data,
        num_train_epochs=1,
        learning_rate=0.0,
        selection=policy,
        plane="fresh",
        selection_options={"on_select": lambda signals, chosen: seen.append((signals.losses, chosen.indices))},
    )
    made.train()
    assert len(seen) == 8  # the two windows after the last full batch are never asked for
    assert [len(rows) for rows in made.seen] == [8, 8]
    losses = torch.tensor([alone(made.model, data, row) for row in range(80)])
    order = [row for rows in made.seen for row in rows]
    for (scored, indices), start in zip(seen, range(0, 16, 2), strict=False):
        kept = order[start : start + 2]
        assert torch.allclose(scored[indices], losses[kept], atol=1e-5)
        assert scored.sort().values[-2:].tolist() == scored[indices].sort().values.tolist()


@pytest.mark.parametrize(("make", "causal"), [(bert, False), (gpt, True)], ids=["classes", "tokens"])
def test_recorded_keeps_the_loss_of_each_row(tmp_path: Path, make: Any, causal: bool) -> None:
    data = Texts(causal=causal)
    policy = AdaSelection(rate=0.5)
    made = trainer(tmp_path, make(0.0), train_dataset=data, learning_rate=0.0, selection=policy)
    made.train()
    assert sorted(row for rows in made.seen for row in rows) == list(range(80))  # the first walk is whole
    kept = made.selection_loader.records.read(torch.arange(80), now=2)
    expected = torch.tensor([alone(made.model, data, row) for row in range(80)])
    assert bool(kept.valid.all())
    assert torch.allclose(kept.losses, expected, rtol=5e-3)  # three digits


@pytest.mark.parametrize(
    ("plane", "options"),
    [
        ("recorded", {"gradient_accumulation_steps": 2, "label_smoothing_factor": 0.2}),
        ("fresh", {"gradient_accumulation_steps": 2, "activation_checkpointing": True}),
        ("recorded", {"bf16": True, "activation_checkpointing": True}),
        ("fresh", {"dataloader_drop_last": True, "max_steps": 8, "label_smoothing_factor": 0.2}),
    ],
    ids=str,
)
def test_at_rate_1_it_is_the_plain_trainer_bit_for_bit(tmp_path: Path, plane: str, options: dict[str, Any]) -> None:
    runs = []
    for selection in (None, AdaSelection(MIXED, rate=1.0)):
        data = Texts(28, causal=True)
        made = trainer(tmp_path, gpt(), train_dataset=data, selection=selection, plane=plane, **options)
        made.train()
        runs.append((made.seen, parameters(made), [logs.get("loss") for logs in history(made)]))
    (rows, one, losses), (same_rows, other, same_losses) = runs
    assert rows == same_rows
    assert equal(one, other)
    assert losses == same_losses


def test_without_a_selection_and_under_a_shut_gate_it_is_the_plain_trainer(tmp_path: Path) -> None:
    plain = trainer(tmp_path, bert(), cls=Trainer, num_train_epochs=1)
    plain.train()
    off = trainer(tmp_path, bert(), cls=SelectiveTrainer, num_train_epochs=1)
    off.train()
    shut = trainer(tmp_path, bert(), selection=AdaSelection(rate=0.5), num_train_epochs=2)  # as many steps
    shut.train()
    assert off.selection_loader is None
    assert equal(parameters(plain), parameters(off))
    assert equal(parameters(plain), parameters(shut))
    assert len(shut.seen) == 10


@pytest.mark.parametrize(
    ("plane", "options", "steps", "epochs"),
    [
        ("fresh", {}, 10, 2.0),
        ("recorded", {"gradient_accumulation_steps": 4}, 4, 2.0),  # 4 and a trailing 1 of 5 batches, twice
        ("fresh", {"gradient_accumulation_steps": 4}, 4, 2.0),
        ("recorded", {"max_steps": 7}, 7, 1.4),
        ("fresh", {"num_train_epochs": 1.5}, 8, 1.6),
        ("recorded", {"train_dataset": Texts(86), "dataloader_drop_last": True}, 10, 2.0),
        ("fresh", {"train_dataset": Texts(86)}, 10, 2.0),
    ],
    ids=["fresh", "recorded-accumulated", "fresh-accumulated", "max_steps", "share", "drop_last", "short_last"],
)
def test_steps_and_schedules_follow_the_selected_batches(
    tmp_path: Path, plane: str, options: dict[str, Any], steps: int, epochs: float
) -> None:
    warm = {"lr_scheduler_type": "cosine", "warmup_steps": 2}
    made = trainer(tmp_path, bert(), selection=AdaSelection(MIXED, rate=0.5), plane=plane, **options, **warm)
    made.train()
    assert len(made.get_train_dataloader()) == 5
    assert made.state.global_step == made.state.max_steps == steps
    assert made.state.epoch == pytest.approx(epochs)
    assert made.lr_scheduler.get_last_lr() == pytest.approx([0.0, 0.0], abs=1e-12)
    rates = [logs["learning_rate"] for logs in history(made) if "loss" in logs]
    assert rates[0] == 0
    assert max(rates) == rates[2] == 0.01
    assert {len(rows) for rows in made.seen} == {8}


def test_group_by_length_is_kept(tmp_path: Path) -> None:
    lengths = Texts().lengths
    made = trainer(
        tmp_path,
        bert(),
        selection=AdaSelection(MIXED, rate=0.5),
        train_sampling_strategy="group_by_length",
        num_train_epochs=1,
        gradient_accumulation_steps=5,
    )
    made.train()
    spread = torch.stack([lengths[rows].float().std() for rows in made.seen])
    assert float(spread.mean()) < 0.6 * float(lengths.float().std())


def test_log_has_the_weights_of_the_methods_and_the_kept_share(tmp_path: Path) -> None:
    made = trainer(tmp_path, bert(), selection=AdaSelection(MIXED, rate=0.25), plane="fresh", eval_dataset=Texts(16))
    made.train()
    logs = [entry for entry in history(made) if "loss" in entry]
    assert len(logs) == 4
    for entry in logs:
        assert 0.2 <= entry["selection_kept"] <= 0.25  # what is left at the end of a pass is dropped
        assert entry["selection_weight_big_loss"] + entry["selection_weight_uniform"] == pytest.approx(1)
    assert len({entry["selection_weight_uniform"] for entry in logs}) == 4
    assert not any("selection" in key for key in made.evaluate())
    assert made.selection_loader.report().trained == 32


def test_evaluation_is_that_of_the_plain_trainer_and_nothing_of_it_is_recorded(tmp_path: Path) -> None:
    options = {"eval_dataset": Texts(30), "eval_strategy": "steps", "eval_steps": 5, "num_train_epochs": 1}
    plain = trainer(tmp_path, bert(), cls=Trainer, **options)
    plain.train()
    shut = trainer(tmp_path, bert(), selection=AdaSelection(rate=0.5), **{**options, "num_train_epochs": 2})
    shut.train()
    found = [[logs["eval_loss"] for logs in made.state.log_history if "eval_loss" in logs] for made in (plain, shut)]
    assert found[0] == found[1]
    assert len(found[0]) == 2
    assert shut.selection_loader.records.read(torch.arange(80), now=3).visits.tolist() == [1] * 80


@pytest.mark.parametrize("plane", ["recorded", "fresh"])
@pytest.mark.parametrize("make", [bert, gpt], ids=["classes", "tokens"])
def test_sample_weights_go_to_the_rows_that_they_belong_to(tmp_path: Path, plane: str, make: Any) -> None:
    """Two batches are taken ahead, so that the weights of the last one are not those of the one that trains."""
    policy = AdaSelection(("proportional" if plane == "recorded" else "big_loss", "uniform"), 0.5, weight_exponent=1.0)
    data, checked = Texts(causal=make is gpt), []

    class Checked(Spy):
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            given, loader = dict(inputs), self.selection_loader
            weights = loader.inside.sample_weights if plane == "recorded" else loader._weights[0]
            found = super().compute_loss(model, inputs, *args, **options)
            labels = given.pop("labels")
            rows = self._losses.rows(model(**given), given | {"labels": labels})
            weights = torch.ones(8) if weights is None else weights.float()
            own = Trainer.compute_loss(self, model, given | {"labels": labels}, **options)
            expected = own * (weights * rows.sums).sum() / rows.sums.sum()
            assert torch.allclose(found, expected, rtol=1e-5)
            one, two = (torch.autograd.grad(x, self.weight_of(model), retain_graph=True)[0] for x in (found, expected))
            # the factor is a number: the gradient is that of the weighted sum
            sums = torch.autograd.grad((weights * rows.sums).sum(), self.weight_of(model))[0]
            assert torch.allclose(one, sums * (own / rows.sums.sum()).detach(), atol=1e-6)
            assert two.shape == one.shape
            checked.append(weights.unique().numel() > 1)
            return found

        @staticmethod
        def weight_of(model: Any) -> Tensor:
            return next(model.parameters())

    made = trainer(
        tmp_path,
        make(0.0),
        Checked,
        train_dataset=data,
        selection=policy,
        plane=plane,
        gradient_accumulation_steps=2,
        num_train_epochs=4,
    )
    made.train()
    assert len(checked) == 20
    assert any(checked)


def test_a_loss_function_of_your_own_trains_and_the_rows_are_scored_by_another(tmp_path: Path) -> None:
    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return nn.functional.multi_margin_loss(outputs.logits, labels, reduction="sum") / num_items_in_batch

    def rows(outputs: Any, inputs: Any) -> Tensor:
        return nn.functional.multi_margin_loss(outputs.logits, inputs["labels"], reduction="none")

    runs = {}
    for plane in ("recorded", "fresh"):
        made = trainer(
            tmp_path,
            bert(0.0),
            compute_loss_func=loss,
            row_losses=rows,
            selection=AdaSelection(rate=0.5) if plane == "recorded" else SingleMethod("big_loss", 0.5),
            plane=plane,
            gradient_accumulation_steps=2,
        )
        made.train()
        runs[plane] = made
    plain = trainer(tmp_path, bert(0.0), compute_loss_func=loss, num_train_epochs=1, gradient_accumulation_steps=2)
    plain.train()
    assert plain.seen == runs["recorded"].seen
    kept = runs["recorded"].selection_loader.records.read(torch.arange(80), now=3).losses
    assert float(kept.max()) < 1.5 * float(kept.median())  # margins, all near 0.5, and no cross-entropy
    assert runs["fresh"].state.global_step == 6


class Own(nn.Module):
    """A model that returns its loss itself, in its own way."""

    def __init__(self, as_tuple: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.as_tuple = as_tuple
        self.embed = nn.Embedding(100, 3)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.embed(input_ids).mean(1)
        loss = () if labels is None else (nn.functional.cross_entropy(logits, labels),)
        if self.as_tuple:
            return (*loss, logits)
        return dict(zip(("loss", "logits")[-1 - len(loss) :], (*loss, logits), strict=True))


@pytest.mark.parametrize("plane", ["recorded", "fresh"])
@pytest.mark.parametrize("as_tuple", [True, False])
def test_models_that_are_not_of_transformers_and_return_their_loss(tmp_path: Path, plane: str, as_tuple: bool) -> None:
    def pack(items: list[dict[str, Any]]) -> dict[str, Tensor]:
        return {name: part for name, part in collate(items).items() if name != "attention_mask"}

    options = {"data_collator": pack, "selection": AdaSelection(MIXED, rate=0.5), "plane": plane}
    made = trainer(tmp_path, Own(as_tuple), pad_values={"input_ids": 0}, max_grad_norm=0.0, **options)
    made.train()
    assert made.state.global_step == 10
    if plane == "recorded":
        assert made.selection_loader.records.unseen == 0


def test_an_encoder_decoder_is_scored_with_the_labels_that_its_decoder_needs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=100,
        d_model=8,
        d_kv=4,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )
    model, data, seen = T5ForConditionalGeneration(config), Texts(causal=True), []
    made = trainer(
        tmp_path,
        model,
        train_dataset=data,
        selection=SingleMethod("big_loss", 0.5),
        plane="fresh",
        learning_rate=0.0,
        max_steps=1,
        selection_options={"on_select": lambda signals, chosen: seen.append(signals.losses[chosen.indices])},
    )
    made.train()
    expected = [alone(model, data, row) for row in made.seen[0]]
    assert torch.cat(seen[:2]).tolist() == pytest.approx(expected, rel=1e-4)


class Stream(IterableDataset[dict[str, Any]]):
    def __iter__(self) -> Any:
        data = Texts()
        return (data[row] for row in range(80))


def test_a_stream_is_selected_from_fresh_and_bounded_by_max_steps(tmp_path: Path) -> None:
    policy = SingleMethod("big_loss", 0.5)
    made = trainer(tmp_path, bert(), train_dataset=Stream(), selection=policy, plane="fresh", max_steps=7)
    made.train()
    assert [len(rows) for rows in made.seen] == [8] * 7
    assert set(made.seen[0]) | set(made.seen[1]) <= set(range(32))


def test_a_class_of_your_own_with_its_own_loss_works_if_it_calls_the_mixins(tmp_path: Path) -> None:
    class Doubled(Trainer):
        def compute_loss(self, *args: Any, **options: Any) -> Any:
            found = super().compute_loss(*args, **options)
            return (2 * found[0], found[1]) if isinstance(found, tuple) else 2 * found

    class Selecting(SelectiveTrainerMixin, Doubled):
        pass

    one = trainer(tmp_path, bert(0.0), Selecting, selection=AdaSelection(rate=0.5), max_steps=1)
    one.train()
    two = trainer(tmp_path, bert(0.0), Doubled, max_steps=1)
    two.train()
    assert history(one)[0]["loss"] == history(two)[0]["loss"]
    assert one.selection_loader.records.unseen == 72


def test_gradient_norms_of_the_rows_are_recorded_and_scored(tmp_path: Path) -> None:
    for plane in ("recorded", "fresh"):
        policy = AdaSelection(("grad_norm", "uniform"), 0.5)
        made = trainer(tmp_path, gpt(), train_dataset=Texts(causal=True), selection=policy, plane=plane)
        made.train()
        assert made.state.global_step == 10
        if plane == "recorded":
            norms = made.selection_loader.records.read(torch.arange(80), now=3).grad_norms
            assert 0 < float(norms.min()) < float(norms.max()) < 1.5
