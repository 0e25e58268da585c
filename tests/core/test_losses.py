"""The user's loss as one number per row, and the norm of its gradient at the outputs."""

import functools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from adaselection import ModelScorer
from adaselection.errors import ArgumentError, LossShapeError
from adaselection.losses import RowLoss


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss, nn.L1Loss])
def test_built_in_losses_are_copied(kind: Any, reduction: str) -> None:
    loss = kind(reduction=reduction)
    row = RowLoss.of(loss)
    assert loss.reduction == reduction  # the user's own object
    if kind is nn.CrossEntropyLoss:
        outputs, targets = torch.randn(6, 3), torch.randint(0, 3, (6,))
    else:
        outputs, targets = torch.randn(6), torch.rand(6)
    expected = torch.stack([kind(reduction="sum")(outputs[i : i + 1], targets[i : i + 1]) for i in range(6)])
    assert torch.allclose(row.losses(outputs, targets, 6), expected)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=2),
        nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0])),
        nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]), ignore_index=0, label_smoothing=0.1),
        nn.NLLLoss(weight=torch.tensor([0.2, 1.0, 3.0]), ignore_index=1),
        nn.KLDivLoss(reduction="batchmean"),
        nn.MSELoss(),
        nn.MSELoss(reduction="sum"),
    ],
    ids=str,
)
def test_positions_are_reduced_as_the_loss_would_reduce_the_row_alone(loss: Any) -> None:
    torch.manual_seed(1)
    outputs: Tensor = torch.randn(7, 3, 5)
    if isinstance(loss, (nn.MSELoss, nn.KLDivLoss)):
        targets = torch.rand(7, 3, 5)
    else:
        targets = torch.arange(35).reshape(7, 5) % 4 % 3  # every row has every class
    expected = torch.stack([loss(outputs[i : i + 1], targets[i : i + 1]) for i in range(7)])
    assert torch.allclose(RowLoss.of(loss).losses(outputs, targets, 7), expected, rtol=1e-5)


def test_a_row_of_padding_alone_has_loss_and_norm_zero() -> None:
    row = RowLoss.of(nn.CrossEntropyLoss(ignore_index=9))
    outputs, targets = torch.randn(2, 3, 4), torch.tensor([[9, 9, 9, 9], [0, 9, 2, 1]])
    losses, norms = row.losses(outputs, targets, 2), row.grad_norms(outputs, targets)
    assert losses[0] == norms[0] == 0
    assert losses[1] == pytest.approx(nnf.cross_entropy(outputs[1:], targets[1:], ignore_index=9).item())


def test_a_column_counts_as_one_number_per_row() -> None:
    values = RowLoss.of(nn.MSELoss(reduction="none")).losses(torch.ones(4, 1), torch.zeros(4, 1), 4)
    assert values.shape == (4,)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (nnf.cross_entropy, r'functools\.partial\(F\.cross_entropy, reduction="none"\)'),
        (lambda o, t: nnf.cross_entropy(o, t, reduction="none")[:2], r"shape \(2,\) for a batch of 6 rows"),
        (lambda o, t: 1.0, "returned float, not a dense tensor"),
        (lambda o, t: o, r"more than one number per row.*flatten\(1\)\.mean\(1\)"),
    ],
    ids=["scalar", "short", "number", "wide"],
)
def test_losses_that_are_not_one_number_per_row(loss: Any, words: str) -> None:
    with pytest.raises(LossShapeError, match=words):
        ModelScorer(nn.Linear(4, 3), loss)((torch.randn(6, 4), torch.randint(0, 3, (6,))))


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.CrossEntropyLoss(), "cross_entropy"),
        (functools.partial(nnf.cross_entropy, reduction="none"), "cross_entropy"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), "other"),
        (nn.CrossEntropyLoss(weight=torch.ones(3)), "other"),
        (functools.partial(nnf.cross_entropy, reduction="none", label_smoothing=0.1), "other"),
        (nn.MSELoss(), "squared_error"),
        (nn.L1Loss(), "other"),
        (lambda o, t: o, "other"),
    ],
)
def test_kinds(loss: Any, kind: str) -> None:
    assert RowLoss.of(loss).kind == kind


WEIGHT = torch.tensor([0.5, 1.0, 2.0])
CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    f"{name}-{reduction}-{'x'.join(map(str, shape))}": (functools.partial(make, reduction=reduction), shape)
    for name, make in {
        "plain": nn.CrossEntropyLoss,
        "weight": functools.partial(nn.CrossEntropyLoss, weight=WEIGHT),
        "smooth": functools.partial(nn.CrossEntropyLoss, label_smoothing=0.2),
        "all": functools.partial(nn.CrossEntropyLoss, weight=WEIGHT, label_smoothing=0.2, ignore_index=1),
        "mse": nn.MSELoss,
    }.items()
    for reduction in ("mean", "sum", "none")
    for shape in ((9, 3), (9, 3, 4), (9, 3, 2, 2))
    if reduction != "none" or len(shape) == 2 - (name == "mse")  # none has no say over the positions
}
CASES["mse-none-9"] = (functools.partial(nn.MSELoss, reduction="none"), (9,))


@pytest.mark.parametrize(("make", "shape"), CASES.values(), ids=CASES)
def test_closed_forms_equal_the_gradient_of_the_losses(make: Any, shape: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    loss, outputs = make(), torch.randn(shape, dtype=torch.float64)
    if isinstance(loss, nn.MSELoss):
        targets = torch.randn(shape, dtype=torch.float64)
    else:
        targets = torch.randint(0, 3, (shape[0], *shape[2:]))
        loss = loss.double()
    row = RowLoss.of(loss)
    leaf = outputs.clone().requires_grad_()
    row.losses(leaf, targets, shape[0]).sum().backward()
    expected = leaf.grad.reshape(shape[0], -1).norm(dim=1)
    with torch.no_grad():
        assert torch.allclose(row.grad_norms(outputs, targets), expected, rtol=1e-10, atol=1e-14)


def test_a_loss_of_your_own_is_differentiated_without_the_network() -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs().pow(3).mean(1)

    model, calls = nn.Linear(4, 2), []
    model.register_full_backward_hook(lambda *args: calls.append(1))
    x, y = torch.randn(6, 4), torch.randn(6, 2)
    signals = ModelScorer(model, loss, grad_norms=True)((x, y))
    difference = (model(x) - y).detach()
    assert torch.allclose(signals.grad_norms, (1.5 * difference.square()).norm(dim=1), rtol=1e-5)
    assert calls == []
    assert model.weight.grad is None


@pytest.mark.usefixtures("unchecked")
def test_grad_norms_need_one_output() -> None:
    class Two(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            return (super().forward(x), x)

    loss = lambda outputs, targets: nnf.cross_entropy(outputs[0], targets, reduction="none")  # noqa: E731
    batch = (torch.randn(3, 4), torch.randint(0, 2, (3,)))
    assert ModelScorer(Two(4, 2), loss)(batch).losses.shape == (3,)
    with pytest.raises(LossShapeError, match=r"returned tuple.*score="):
        ModelScorer(Two(4, 2), loss, grad_norms=True)(batch)


class Classifier(nn.Module):
    """Like a Hugging Face model: it would reduce the loss itself if it saw the labels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 3)
        self.head = nn.Linear(3, 11)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> Any:
        assert labels is None
        hidden = self.embed(input_ids)
        return SimpleNamespace(logits=self.head(hidden if self.by_token else hidden.mean(1)))

    by_token = False


class ToyForCausalLM(Classifier):
    by_token = True


class ToyForTokenClassification(Classifier):
    by_token = True


def test_labelled_mappings() -> None:
    ids = torch.randint(0, 11, (4, 6))
    model = Classifier()
    labels = torch.tensor([1, 0, 10, 3])
    signals = ModelScorer(model)({"input_ids": ids, "labels": labels})
    assert torch.allclose(signals.losses, nnf.cross_entropy(model(ids).logits, labels, reduction="none"))
    assert signals.kind == "cross_entropy"
    padded = ids.masked_fill(
        torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1] * 6, [1, 0, 0, 0, 0, 0]]).bool(), -100
    )
    for kind in (ToyForCausalLM, ToyForTokenClassification):
        model, shift = kind(), kind is ToyForCausalLM
        losses = ModelScorer(model)({"input_ids": ids, "labels": padded}).losses
        for row in (0, 1, 3):
            logits, wanted = model(ids[row : row + 1]).logits[0], padded[row]
            logits, wanted = (logits[:-1], wanted[1:]) if shift else (logits, wanted)
            assert losses[row].item() == pytest.approx(nnf.cross_entropy(logits, wanted).item(), rel=1e-5)
        assert losses[2] == 0


def test_labelled_mappings_that_need_a_score_function() -> None:
    ids = torch.randint(0, 11, (4, 6))
    for labels in (torch.rand(4), ids):
        with pytest.raises(LossShapeError, match="score="):
            ModelScorer(Classifier())({"input_ids": ids, "labels": labels})
    with pytest.raises(ArgumentError, match="score="):
        ModelScorer(Classifier(), grad_norms=True)({"input_ids": ids, "labels": ids[:, 0]})
