"""The networks: outputs, sizes, cost."""

import pytest
import torch
from torch import nn

from adaselection.lab.models import MODELS, build_model
from adaselection.lab.models.resnet import ResNet
from adaselection.lab.models.transformer import transformer

SHAPES = {
    "mlp": (4,),
    "mlp_small": (4,),
    "convnet": (1, 28, 28),
    "resnet8": (3, 32, 32),
    "resnet8_narrow": (3, 32, 32),
    "resnet18": (3, 32, 32),
    "transformer": (35,),
    "transformer_small": (35,),
}
TEXT = ("transformer", "transformer_small")


def multiply_adds(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Count those of the convolutions and linear layers for one input."""
    total = 0

    def count(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += module.weight[0].numel() * output.numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    model.eval()(torch.zeros(1, *shape))
    return total


def test_every_model_is_tested():
    assert set(MODELS) == set(SHAPES)


@pytest.mark.parametrize("name", MODELS)
def test_logits_have_one_row_a_sample_and_gradients_reach_every_parameter(name):
    model = build_model(name, SHAPES[name], 7)
    inputs = torch.randint(7, (3, *SHAPES[name])) if name in TEXT else torch.randn(3, *SHAPES[name])
    logits = model(inputs)
    assert logits.shape == ((3, *SHAPES[name], 7) if name in TEXT else (3, 7))
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_regression_gives_one_value_a_sample_also_for_a_batch_of_one():
    model = build_model("mlp_small", (4,), None)
    assert model(torch.randn(5, 4)).shape == (5,)
    assert model(torch.randn(1, 4)).shape == (1,)


@pytest.mark.parametrize("name", ["convnet", "resnet8"])
def test_a_picture_model_refuses_a_regression(name):
    with pytest.raises(ValueError, match=f"{name[:6]}.*classification"):
        build_model(name, SHAPES[name], None)


def test_a_language_model_refuses_a_regression_and_heads_that_do_not_share_out_its_width():
    with pytest.raises(ValueError, match="transformer is a language model"):
        build_model("transformer", (35,), None)
    with pytest.raises(ValueError, match="3 heads cannot share out a width of 64"):
        transformer((35,), 7, width=64, heads=3, layers=1)


def test_weights_come_from_the_global_generator():
    def first_weights(seed: int) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return next(build_model("resnet8", (3, 32, 32), 10).parameters())

    assert torch.equal(first_weights(1), first_weights(1))
    assert not torch.equal(first_weights(1), first_weights(2))


@pytest.mark.parametrize(
    ("name", "parameters", "millions"),
    [("resnet8", 78_042, 12.5), ("resnet8_narrow", 19_954, 3.2), ("resnet18", 11_173_962, 555.4)],
)
def test_the_residual_networks_have_the_published_size(name, parameters, millions):
    model = build_model(name, (3, 32, 32), 10)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert multiply_adds(model, (3, 32, 32)) / 1e6 == pytest.approx(millions, abs=0.1)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_the_small_convolutional_network_costs_what_its_docstring_says():
    assert multiply_adds(build_model("convnet", (1, 28, 28), 10), (1, 28, 28)) / 1e6 == pytest.approx(1.03, abs=0.01)


def test_a_residual_network_wants_as_many_widths_as_depths():
    with pytest.raises(ValueError, match="2 widths but 1 depths"):
        ResNet(3, 10, widths=(8, 16), depths=(1,))


def test_an_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown model 'resnet9'\. Did you mean 'resnet8'"):
        build_model("resnet9", (3, 32, 32), 10)
