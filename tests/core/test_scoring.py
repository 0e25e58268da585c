"""Scoring leaves the model as it was, and gives the losses of the mode asked for."""

import copy
import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adaselection import AdaSelection, ModelScorer, SelectiveLoader, Signals
from adaselection.errors import ArgumentError, BatchStructureError, LossShapeError

CE = nn.CrossEntropyLoss(reduction="none")


class Restless(nn.Module):
    """Changes everything that a forward pass can change."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        self.frozen = nn.BatchNorm1d(4).eval()  # as in fine-tuning: eval inside a training model
        self.cumulative = nn.BatchNorm1d(4, momentum=None)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("sneaky", torch.zeros(3))
        self.register_buffer("swapped", torch.zeros(3))
        self.register_buffer("replaced", torch.zeros(2), persistent=False)
        self.register_buffer("wide", torch.zeros(1).expand(5))
        self.register_buffer("missing", None)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.sneaky.data.add_(1)
        self.swapped.data = self.swapped.data + 1
        self.replaced = self.replaced + 1
        self.missing = None
        x = self.cumulative(self.frozen(x)) + random.random() * torch.rand(1)
        if self.fails:
            raise RuntimeError("out of memory")
        return self.body(x)


def everything(model: nn.Module) -> dict[str, Any]:
    """What must not change, as values and as identities."""
    return {
        "flags": [module.training for module in model.modules()],
        "values": [b.clone() for b in model.buffers()] + [p.detach().clone() for p in model.parameters()],
        "identities": [id(b) for b in model.buffers()] + [id(p) for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "wants": [p.requires_grad for p in model.parameters()],
        "rng": torch.get_rng_state(),
        "python": random.getstate(),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, value in before.items():
        if name in ("values", "gradients"):
            for one, other in zip(value, after[name], strict=True):
                assert (one is None and other is None) or torch.equal(one, other), name
        elif name == "rng":
            assert torch.equal(value, after[name])
        else:
            assert value == after[name], name


def restless() -> tuple[Restless, tuple[Tensor, Tensor]]:
    model, batch = Restless(), (torch.randn(16, 4), torch.randint(0, 3, (16,)))
    model.body[0].bias.requires_grad_(False)
    CE(model(batch[0]), batch[1]).mean().backward()
    return model, batch


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(mode: Any, fails: bool) -> None:
    model, batch = restless()
    scorer = ModelScorer(model, CE, score_mode=mode, grad_norms=True)
    for _ in range(3):
        model.body.train(not model.body.training)
        before = everything(model)
        model.fails = fails
        if fails:
            with pytest.raises(RuntimeError, match="out of memory"):
                scorer(batch)
        else:
            signals = scorer(batch)
            assert not signals.losses.requires_grad
        assert_same(before, everything(model))


def test_training_between_two_scorings_is_not_undone() -> None:
    model, batch = restless()
    scorer = ModelScorer(model, CE, score_mode="train")
    for step in range(3):
        scorer(batch)
        model(batch[0])
        assert model.calls.item() == 2 + step
        assert model.sneaky.tolist() == [2.0 + step] * 3
        assert model.cumulative.num_batches_tracked.item() == 2 + step


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_score_function_may_switch_the_flags(mode: Any) -> None:
    model, batch = restless()

    def score(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        for module in model.modules():
            module.training = not module.training
        return CE(model(batch[0]), batch[1])

    scorer = ModelScorer(model, score=score, score_mode=mode)
    before = everything(model)
    scorer(batch)
    assert_same(before, everything(model))


def test_a_waiting_graph_stays_valid() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    batch = (torch.randn(8, 4), torch.randint(0, 3, (8,)))
    model.eval()  # the graph then holds the running statistics
    loss = CE(model(batch[0]), batch[1]).sum()
    ModelScorer(model, CE)(batch)
    loss.backward()
    assert model[0].weight.grad.abs().sum() > 0


def test_modes_give_the_losses_of_their_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    batch = (torch.randn(16, 4) + 3, torch.randint(0, 3, (16,)))
    evaluated, trained = (ModelScorer(model, CE, score_mode=mode)(batch).losses for mode in ("eval", "train"))
    expected_train = CE(copy.deepcopy(model)(batch[0]), batch[1])
    expected_eval = CE(copy.deepcopy(model).eval()(batch[0]), batch[1])
    assert torch.equal(trained, expected_train)
    assert torch.equal(evaluated, expected_eval)
    assert not torch.allclose(trained, evaluated)


def test_autocast_scores_in_bfloat16_and_gives_float32_losses() -> None:
    model, seen = nn.Linear(4, 3), []
    model.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    batch = (torch.randn(8, 4), torch.randint(0, 3, (8,)))
    signals = ModelScorer(model, CE, autocast=torch.bfloat16, grad_norms=True)(batch)
    assert seen == [torch.bfloat16]
    assert signals.losses.dtype == signals.grad_norms.dtype == torch.float32
    assert torch.allclose(signals.losses, CE(model(batch[0]), batch[1]), atol=0.05)
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_scoring_every_batch_leaves_the_trajectory_bit_equal(mode: Any) -> None:
    def train(scores: bool) -> list[Tensor]:
        torch.manual_seed(3)
        random.seed(3)
        model = Restless()
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1, momentum=0.9)
        x, y = torch.randn(96, 4), torch.randint(0, 3, (96,))
        scorer, seen = ModelScorer(model, CE, score_mode=mode, grad_norms=True), []
        for start in range(0, 96, 8):
            batch = (x[start : start + 8], y[start : start + 8])
            if scores:
                scorer(batch)
            loss = CE(model(batch[0]), batch[1]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.detach())
        return [*seen, *(v.detach().clone() for v in model.state_dict().values())]

    for plain, scored in zip(train(False), train(True), strict=True):
        assert torch.equal(plain, scored)


@pytest.mark.parametrize(
    "given", [lambda m, b: CE(m(b[0]), b[1]), lambda m, b: Signals(CE(m(b[0]), b[1]), kind="other")]
)
def test_score_functions_return_losses_or_signals(given: Any) -> None:
    model, batch = nn.Linear(4, 3), (torch.randn(5, 4), torch.randint(0, 3, (5,)))
    signals = ModelScorer(model, score=given)(batch)
    assert torch.equal(signals.losses, CE(model(batch[0]), batch[1]).detach())
    assert signals.kind == "other"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (torch.tensor(1.0), r'shape \[b\].*reduction="none"'),
        (torch.zeros(4), r"\(4,\) for a batch of 5 rows"),
        (torch.zeros(5, 2), r"flatten\(1\)\.mean\(1\)"),
        (torch.zeros(5, dtype=torch.complex64), "complex"),
    ],
)
def test_score_functions_of_the_wrong_shape(returned: Tensor, words: str) -> None:
    scorer = ModelScorer(nn.Linear(4, 3), score=lambda model, batch: returned)
    with pytest.raises(LossShapeError, match=words):
        scorer((torch.randn(5, 4), torch.zeros(5)))


def test_batches_that_are_no_pairs() -> None:
    scorer = ModelScorer(nn.Linear(4, 3), CE)
    for batch, shown in ((torch.zeros(3, 4), "a Tensor"), ({"x": torch.zeros(3, 4)}, r"keys \['x'\]")):
        with pytest.raises(BatchStructureError, match=f"{shown}.*score="):
            scorer(batch)
    with pytest.raises(BatchStructureError, match="a tuple of 3"):
        scorer((torch.zeros(3, 4),) * 3)
    with pytest.raises(ArgumentError, match="nothing says how to score"):
        ModelScorer(nn.Linear(4, 3))((torch.zeros(3, 4), torch.zeros(3)))


@pytest.mark.usefixtures("unchecked")
def test_arguments() -> None:
    with pytest.raises(ArgumentError, match="not both"):
        ModelScorer(nn.Linear(1, 1), CE, score=lambda model, batch: batch)
    with pytest.raises(ArgumentError, match="callable"):
        SelectiveLoader([], AdaSelection(), model=nn.Linear(1, 1), loss_fn=3)
    assert ModelScorer(nn.Identity(), CE).device is None
