"""Scores for less than a forward pass: what is scored, with which model, and that nothing else changes."""

import dataclasses
import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, SelectiveLoader, SingleMethod
from adaselection.cheap import CheapScores
from adaselection.errors import ArgumentError, BatchStructureError
from adaselection.records import RecordedLosses
from core.parts import CE, Trainer, ids, net, selective
from core.test_scoring import Restless, assert_same, everything


def pictures(rows: int, side: int = 8) -> TensorDataset:
    """Random pictures."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(rows, 3, side, side, generator=generator)
    return TensorDataset(x, torch.randint(0, 4, (rows,), generator=generator))


def conv() -> nn.Module:
    torch.manual_seed(2)
    body = (nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveMaxPool2d(1))
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(6, 4))


def kept_rows(model: nn.Module, score: Any, rows: int = 24, k: int = 6) -> list[list[Tensor]]:
    """What a plain loop keeps of two batches under Big Loss with losses from ``score(x, y)``."""
    found = []
    for start in range(0, 2 * rows, rows):
        x, y = pictures(2 * rows)[start : start + rows]
        with torch.no_grad():
            losses = score(model, x, y)
        best = sorted(range(rows), key=lambda i: (-losses[i].item(), i))[:k]
        found.append([x[sorted(best)], y[sorted(best)]])
    return found


WAYS: dict[str, tuple[dict[str, Any], Any]] = {
    "plain": ({}, lambda model, x, y: CE(model.eval()(x), y)),
    "half the side": (
        {"shrink": 2},
        lambda model, x, y: CE(model.eval()(x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))), y),
    ),
    "a function": (
        {"shrink": lambda batch: (batch[0][:, :, ::4], batch[1])},
        lambda m, x, y: CE(m.eval()(x[:, :, ::4]), y),
    ),
    "a proxy": ({"proxy": "proxy"}, lambda model, x, y: CE(proxy().eval()(x), y)),
}


def proxy() -> nn.Module:
    torch.manual_seed(9)
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 4))


@pytest.mark.parametrize("way", WAYS)
def test_the_rows_kept_are_those_of_the_cheap_losses(way: str) -> None:
    options, score = WAYS[way]
    options = {**options, "proxy": proxy() if "proxy" in options else None}
    model = conv().train()
    loader = SelectiveLoader(
        DataLoader(pictures(48), batch_size=24), SingleMethod("big_loss", 0.25), model=model, loss_fn=CE,
        cheap=CheapScores(**options), update="every_batch",
    )  # fmt: skip
    batches = list(loader)
    assert [len(batch[1]) for batch in batches] == [6, 6]
    for batch, (x, y) in zip(batches, kept_rows(conv(), score), strict=True):
        assert torch.equal(batch[0], x)  # whole pictures, whatever was scored
        assert torch.equal(batch[1], y)


def test_the_ways_choose_different_rows() -> None:
    chosen = [[x[:, 0, 0, 0].tolist() for x, _ in kept_rows(conv(), score)] for _, score in WAYS.values()]
    assert all(chosen.count(one) == 1 for one in chosen)


def test_cheap_autocast_scores_the_chosen_type_and_falls_back_to_the_loaders() -> None:
    for own, cheap, expected in (
        (None, torch.bfloat16, [torch.bfloat16, torch.float32]),
        (torch.bfloat16, None, [torch.bfloat16] * 2),
    ):
        model, seen = net(), []
        model[-1].register_forward_hook(lambda module, args, output, seen=seen: seen.append(output.dtype))
        loader = selective(
            16, 16, model=model, autocast=own, cheap=CheapScores(autocast=cheap, measure_every=1), surplus="flush"
        )
        next(iter(loader))
        assert seen[1:] == expected  # the plain warm-up pass, the cheap one, the plain one beside it
        assert seen[0] == expected[1]


@pytest.mark.usefixtures("unchecked")  # beartype draws from the random module
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("own", [True, False])
def test_model_and_proxy_are_left_as_they_were(mode: Any, own: bool) -> None:
    model, other = Restless(), Restless()
    other.body.eval()
    loader = SelectiveLoader(
        [(torch.randn(16, 4), torch.randint(0, 3, (16,)))] * 4, AdaSelection(("big_loss", "grad_norm"), 0.5),
        model=model, loss_fn=CE, score_mode=mode, surplus="flush",
        cheap=CheapScores(proxy=None if own else other, autocast=torch.bfloat16, measure_every=2),
    )  # fmt: skip
    for module in (model, other):
        CE(module(torch.randn(8, 4)), torch.randint(0, 3, (8,))).mean().backward()
    before = everything(model), everything(other)
    assert len(list(loader)) == 2
    for module, state in zip((model, other), before, strict=True):
        assert_same(state, everything(module))


def test_watching_plain_scores_changes_nothing_in_the_training() -> None:
    runs = []
    for cheap in (None, CheapScores(measure_every=2)):
        torch.manual_seed(4)
        random.seed(4)
        model = net()
        trainer = Trainer(selective(75, 16, AdaSelection(rate=0.4), model=model, cheap=cheap, shuffle=True), model).run(
            3
        )
        runs.append((trainer.seen, len(trainer.loader), torch.get_rng_state().tolist(), trainer.loader.policy.weights))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("cheap", [CheapScores(reuse=2), CheapScores(shrink=2)])
def test_rate_1_and_policies_without_needs_score_nothing(cheap: CheapScores) -> None:
    batches = [(torch.randn(4, 4), torch.zeros(4, dtype=torch.int64))]  # their instances cannot be seen
    loader = SelectiveLoader(batches, AdaSelection(rate=1), model=net(), loss_fn=CE, cheap=cheap)
    assert next(iter(loader)) is batches[0]
    loader.observe(torch.zeros(4))
    loader = SelectiveLoader(
        batches, SingleMethod("uniform", 0.5), model=net(), loss_fn=CE, cheap=cheap, surplus="flush"
    )
    (batch,) = list(loader)
    loader.reduce(torch.zeros(2))
    assert len(ids(batch)) == 2
    assert loader.report().scored == 0
    assert loader.report().score_correlation is None


def test_a_shrink_that_loses_rows_or_does_not_suit_the_model_names_the_fix() -> None:
    def loader(model: nn.Module, shrink: Any) -> SelectiveLoader:
        inner = DataLoader(pictures(8), batch_size=8)
        return SelectiveLoader(
            inner, AdaSelection(rate=0.5), model=model, loss_fn=CE, cheap=CheapScores(shrink=shrink), surplus="flush"
        )

    with pytest.raises(BatchStructureError, match="7 rows of one of 8"):
        next(iter(loader(conv(), lambda batch: (batch[0][1:], batch[1][1:]))))
    with pytest.raises(RuntimeError) as failure:
        next(iter(loader(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), 2)))
    assert "pass proxy=" in failure.value.__notes__[0]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reuse": 0}, "reuse must be a whole number of at least 1"),
        ({"reuse": 2, "ambiguous": 1.5}, "ambiguous=1.5 is outside"),
        ({"reuse": 2, "threshold": -1}, "threshold=-1 is outside"),
        ({"measure_every": -1}, "measure_every"),
        ({"proxy": "resnet"}, "proxy must be a torch.nn.Module; got str"),
        ({"shrink": 1}, "makes no picture smaller"),
        ({"shrink": "half"}, "must be a number"),
        ({"reuse": 2, "ids": 3}, "ids must be a function"),
        ({"reuse": 2, "store": {}}, "store must be a RecordedLosses; got dict"),
        ({"ambiguous": 0.2}, r"reuse=1 none is used\. Pass reuse=3"),
        ({"store": RecordedLosses(3)}, r"reuse=1 none is used"),
        ({"reuse": 2, "ids": len}, r"store=RecordedLosses\(slots="),
    ],
)
def test_arguments(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        CheapScores(**options)


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_go_with_the_loader() -> None:
    with pytest.raises(ArgumentError, match="cheap must be CheapScores"):
        selective(64, 8, cheap={"reuse": 2})
    with pytest.raises(ArgumentError, match='Pass score_mode="eval"'):
        selective(64, 8, score_mode="train", cheap=CheapScores(reuse=2))
    with pytest.raises(ArgumentError, match=r"Build it with cheap=CheapScores\(\)"):
        selective(64, 8).observe(torch.zeros(8))
    assert dataclasses.is_dataclass(CheapScores)
