"""The closed-form gradient norms against one backward pass a row."""

import numpy as np
import pytest
import torch
import torch.nn.functional as nn

import reference_choice as choice
from adaselection import functional as F  # noqa: N812
from strategies import double

CLASSES = 4
SHAPES = [(5,), (5, 3), (3, 2, 3), (1, 6), (0,), (0, 3), (2, 0)]
WEIGHTS = [None, torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)]


def logits_for(shape: tuple[int, ...], scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(shape[0], CLASSES, *shape[1:], dtype=torch.float64)


def close(got: torch.Tensor, expected: list[float], rtol: float = 1e-9) -> bool:
    """Whether all numbers are the same but for rounding; shows them where they are not."""
    np.testing.assert_allclose(double(got), np.array(expected), rtol=rtol, atol=1e-14)
    return got.shape == (len(expected),)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_numbers(shape: tuple[int, ...], reduction: str, weight: torch.Tensor | None, smoothing: float) -> None:
    logits, targets = logits_for(shape), torch.randint(0, CLASSES, shape)
    per_row = "none" if len(shape) == 1 else reduction

    def loss(row: torch.Tensor, i: int) -> torch.Tensor:
        return nn.cross_entropy(row, targets[i : i + 1], weight, label_smoothing=smoothing, reduction=per_row).sum()

    got = F.cross_entropy_grad_norm(
        logits, targets, weight=weight, label_smoothing=smoothing, token_reduction=reduction
    )
    expected = choice.grad_norms(loss, logits) if 0 not in shape[1:] else [0.0] * shape[0]
    assert close(got, expected)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_has_no_gradient(reduction: str, ignored: int, weight: torch.Tensor | None, smoothing: float) -> None:
    shape = (6, 5)
    logits, targets = logits_for(shape), torch.randint(0, CLASSES, shape)
    targets[torch.rand(shape) < 0.5] = ignored
    targets[0] = ignored  # a row without any token
    targets[1] = 2  # and one with all of them

    def loss(row: torch.Tensor, i: int) -> torch.Tensor:
        if bool((targets[i] == ignored).all()):
            return torch.zeros(())
        return nn.cross_entropy(
            row,
            targets[i : i + 1],
            weight,
            label_smoothing=smoothing,
            reduction=reduction,
            ignore_index=ignored,
        )

    got = F.cross_entropy_grad_norm(
        logits,
        targets,
        weight=weight,
        label_smoothing=smoothing,
        token_reduction=reduction,
        ignore_index=ignored,
    )
    assert close(got, choice.grad_norms(loss, logits))
    assert got[0] == 0


def test_a_single_ignored_label_has_no_gradient() -> None:
    got = F.cross_entropy_grad_norm(torch.randn(3, CLASSES), torch.tensor([0, -100, 3]))
    assert (got == 0).tolist() == [False, True, False]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_probabilities(
    shape: tuple[int, ...], reduction: str, weight: torch.Tensor | None, smoothing: float
) -> None:
    logits, targets = logits_for(shape), logits_for(shape).softmax(1)
    positions = max(1, int(np.prod(shape[1:])))

    def loss(row: torch.Tensor, i: int) -> torch.Tensor:
        each = nn.cross_entropy(row, targets[i : i + 1], weight, label_smoothing=smoothing, reduction="none")
        return each.sum() / (positions if reduction == "mean" else 1)

    got = F.cross_entropy_grad_norm(
        logits, targets, weight=weight, label_smoothing=smoothing, token_reduction=reduction
    )
    assert close(got, choice.grad_norms(loss, logits) if 0 not in shape[1:] else [0.0] * shape[0])


def test_confident_and_lost_rows_in_float32() -> None:
    logits = torch.tensor([[100.0, 0.0], [-100.0, 0.0], [0.0, 0.0], [1e30, -1e30]])
    got = F.cross_entropy_grad_norm(logits, torch.tensor([0, 0, 0, 1]))
    torch.testing.assert_close(got, torch.tensor([0.0, 2.0**0.5, 0.5**0.5, 2.0**0.5]))


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3), (2, 3, 4), (0,), (0, 3), (3, 0)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_squared_error(shape: tuple[int, ...], reduction: str, scale: float) -> None:
    outputs, targets = (scale * torch.randn(shape, dtype=torch.float64) for _ in range(2))

    def loss(row: torch.Tensor, i: int) -> torch.Tensor:
        squares = nn.mse_loss(row, targets[i : i + 1], reduction="none")
        return squares.mean() if reduction == "mean" else squares.sum()

    expected = choice.grad_norms(loss, outputs) if 0 not in shape[1:] else [0.0] * shape[0]
    got = F.squared_error_grad_norm(outputs, targets, reduction=reduction)
    np.testing.assert_allclose(double(got), np.array(expected), rtol=1e-9)


def test_squared_error_in_float32_neither_vanishes_nor_overflows() -> None:
    outputs = torch.tensor([[3e-30, 4e-30], [3e30, 4e30], [0.0, 0.0]])
    got = F.squared_error_grad_norm(outputs, torch.zeros(3, 2), reduction="sum")
    torch.testing.assert_close(got, torch.tensor([1e-29, 1e31, 0.0]), rtol=1e-5, atol=0.0)


def test_the_default_of_squared_error_is_the_mean_over_the_outputs() -> None:
    outputs, targets = torch.tensor([[1.0, 1.0]]), torch.zeros(1, 2)
    assert F.squared_error_grad_norm(outputs, targets).item() == pytest.approx(2**0.5)
    assert F.squared_error_grad_norm(torch.tensor([3.0]), torch.tensor([1.0])).item() == 4.0


def test_no_graph_is_needed_or_kept() -> None:
    with torch.no_grad():
        got = F.cross_entropy_grad_norm(torch.randn(2, CLASSES), torch.tensor([1, 2]))
    assert not got.requires_grad
