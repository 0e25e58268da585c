"""What goes along with selection in a training: each row of docs/compatibility.md has its test."""

import ast
import copy
import re
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, ModelScorer, SelectiveLoader, SingleMethod
from core.ranks import ROOT

CE = nn.CrossEntropyLoss(reduction="none")
BATCH, ROWS = 8, 64


def pictures() -> TensorDataset:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 2, 4, 4, generator=chance)
    x[:, 0, 0, 0] = torch.arange(ROWS) / ROWS
    return TensorDataset(x, torch.randint(0, 3, (ROWS,), generator=chance))


class Net(nn.Module):
    """Convolution, a norm, dropout and a head; the middle may be checkpointed."""

    def __init__(self, norm: nn.Module | None = None, dropout: float = 0.0, checkpointed: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.middle = nn.Sequential(norm or nn.Identity(), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(64, 3)
        self.checkpointed = checkpointed

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = checkpoint(self.middle, x, use_reentrant=False) if self.checkpointed else self.middle(x)
        return self.head(self.drop(x).flatten(1))


def frozen(model: nn.Module) -> nn.Module:
    """As in fine-tuning: batch norms stay in eval mode while the model trains."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)
            module.running_mean.fill_(0.3)
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "plain": Net,
    "batchnorm": lambda: Net(nn.BatchNorm2d(4), dropout=0.2),
    "frozen": lambda: frozen(Net(nn.BatchNorm2d(4))),
    "dropout": lambda: Net(dropout=0.5),
    "checkpointing": lambda: Net(nn.BatchNorm2d(4), dropout=0.5, checkpointed=True),
    "channels_last": lambda: Net(nn.BatchNorm2d(4)).to(memory_format=torch.channels_last),
    "compile": lambda: torch.compile(Net(nn.BatchNorm2d(4)), backend="eager"),
    "amp": lambda: Net(nn.BatchNorm2d(4)),
}


def train(kind: str, scores: str | None) -> list[Tensor]:
    """Losses and the final state of a training whose batches are scored in a mode, or not at all."""
    torch.manual_seed(3)
    torch._dynamo.reset()
    model, amp = MODELS[kind](), kind == "amp"
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=amp)
    scorer, seen = ModelScorer(model, CE, score_mode=scores or "eval", autocast=torch.bfloat16 if amp else None), []
    for x, y in DataLoader(pictures(), BATCH):
        if kind == "channels_last":
            x = x.to(memory_format=torch.channels_last)
        if scores:
            scorer((x, y))
        with torch.autocast("cpu", dtype=torch.bfloat16) if amp else nullcontext():
            loss = CE(model(x), y).mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        seen.append(loss.detach())
    return [*seen, torch.tensor(scaler.get_scale()), *(v.clone() for v in model.state_dict().values())]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_scoring_leaves_the_training_bit_equal(kind: str, mode: str) -> None:
    for plain, scored in zip(train(kind, None), train(kind, mode), strict=True):
        assert torch.equal(plain, scored)


def selected(model: nn.Module, loader: Any = None, **options: Any) -> tuple[SelectiveLoader, list[list[float]]]:
    """Train one pass on chosen rows; gives the loader, and the first number of each row of each batch."""
    loader = SelectiveLoader(
        loader or DataLoader(pictures(), BATCH), SingleMethod("big_loss", 0.5), model=model, loss_fn=CE, **options
    )
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    seen = []
    for x, y in loader:
        optimizer.zero_grad()
        CE(model(x), y).mean().backward()
        optimizer.step()
        seen.append(x[:, 0, 0, 0].tolist())
    return loader, seen


def test_a_compiled_model_chooses_the_same_rows_in_two_graphs() -> None:
    torch._dynamo.reset()
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    plain = Net(nn.BatchNorm2d(4))
    compiled = torch.compile(copy.deepcopy(plain), backend=backend)
    assert selected(compiled)[1] == selected(plain)[1]
    assert len(graphs) == 2  # scoring without gradients, and training; full batches have one shape


def test_batch_statistics_are_those_of_the_rows_trained_on() -> None:
    model = Net(nn.BatchNorm2d(4))
    _, seen = selected(model)
    assert len(seen) == 4
    assert int(model.middle[0].num_batches_tracked) == 4  # 8 batches were scored


def test_frozen_batchnorm_stays_frozen() -> None:
    model = frozen(Net(nn.BatchNorm2d(4)))
    selected(model)
    assert model.middle[0].running_mean.tolist() == pytest.approx([0.3] * 4)
    assert [module.training for module in (model, model.middle, model.middle[0])] == [True, True, False]


def test_synchronised_batchnorm_is_scored_without_its_collectives() -> None:
    model = Net(nn.BatchNorm2d(4))
    other = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    assert isinstance(other.middle[0], nn.SyncBatchNorm)
    batch = next(iter(DataLoader(pictures(), BATCH)))
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert torch.equal(ModelScorer(other, CE)(batch).losses, ModelScorer(model, CE)(batch).losses)
        with pytest.raises(ValueError, match="SyncBatchNorm expected input tensor to be on"):  # it would communicate
            ModelScorer(other, CE, score_mode="train")(batch)
    finally:
        dist.destroy_process_group()
    assert other.middle[0].training


def test_dropout_is_off_while_scoring_in_eval_mode_alone() -> None:
    model, batch = Net(dropout=0.5), next(iter(DataLoader(pictures(), BATCH)))
    eval_twice = [ModelScorer(model, CE)(batch).losses for _ in range(2)]
    assert torch.equal(*eval_twice)
    assert not torch.equal(ModelScorer(model, CE, score_mode="train")(batch).losses, eval_twice[0])
    assert model.drop.training


def test_a_checkpointed_model_runs_once_when_scored() -> None:
    model, calls = Net(checkpointed=True), []
    model.middle[0].register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, seen = selected(model)
    assert calls.count(False) == 8  # one forward pass for each of 8 batches scored
    assert calls.count(True) == 2 * len(seen)  # forward, and once more in backward


def test_channels_last_batches_stay_so() -> None:
    model = MODELS["channels_last"]()
    batches = [(x.to(memory_format=torch.channels_last), y) for x, y in DataLoader(pictures(), BATCH)]
    for surplus in ("drop", "carry"):
        policy = AdaSelection(rate=0.375)
        loader = SelectiveLoader(batches, policy, model=model, loss_fn=CE, surplus=surplus)
        formats = [(x.is_contiguous(memory_format=torch.channels_last), x.is_contiguous(), len(x)) for x, _ in loader]
        assert formats == [(True, False, BATCH)] * 3


def test_autocast_around_the_whole_loop_reaches_the_scores_too() -> None:
    types: set[Any] = set()
    model = Net()
    model.head.register_forward_hook(lambda module, args, output: types.add((torch.is_grad_enabled(), output.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        selected(model)
    assert types == {(False, torch.bfloat16), (True, torch.bfloat16)}
    # weights that scoring cast without gradients are not those that training casts
    assert all(parameter.grad is not None for parameter in model.parameters())
    types.clear()
    selected(model)
    assert types == {(False, torch.float32), (True, torch.float32)}


def test_every_row_of_the_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not re.match(r"\| (with|-)", line)]
    assert len(rows) >= 12
    for row in rows:
        named = re.findall(r"\((\.\./tests/[\w/]+\.py)\)", row)
        functions = re.findall(r"\[`(test_\w+)`\]", row)
        assert functions, row
        assert len(named) == len(functions), row
        for path, function in zip(named, functions, strict=True):
            tree = ast.parse((ROOT / "docs" / path).read_text(encoding="utf-8"))
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, row
