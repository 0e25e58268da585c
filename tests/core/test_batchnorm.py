"""BatchNorm statistics that end unbiased."""

import numpy as np
import pytest
import torch
from torch import nn

from adaselection import recalibrate_batchnorm
from adaselection.errors import ArgumentError, EmptyLoaderError


def made() -> tuple[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2), nn.BatchNorm1d(2, momentum=0.3))
    batches = [(torch.randn(8, 3) * (1 + i) + i, torch.zeros(8)) for i in range(4)]
    for x, _ in batches[:1]:
        model(x)
    model[3].eval()  # a frozen layer keeps its flag
    return model, batches


def reference(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the batches of their means and unbiased variances."""
    return np.mean([v.mean(0) for v in values], 0), np.mean([v.var(0, ddof=1) for v in values], 0)


@pytest.mark.parametrize("count", [None, 2])
def test_statistics_are_the_average_over_the_batches(count: int | None) -> None:
    model, batches = made()
    used = batches[:count]
    assert recalibrate_batchnorm(model, batches, count) == len(used)
    mean, variance = reference([x.numpy().astype(np.float64) for x, _ in used])
    np.testing.assert_allclose(model[0].running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(model[0].running_var.numpy(), variance, rtol=1e-5)
    hidden = []
    for x, _ in used:  # dropout is off, the first layer normalises by the batch
        normal = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
        out = (normal * model[0].weight + model[0].bias) @ model[2].weight.T + model[2].bias
        hidden.append(out.detach().numpy().astype(np.float64))
    np.testing.assert_allclose(model[3].running_mean.numpy(), reference(hidden)[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model[3].running_var.numpy(), reference(hidden)[1], rtol=1e-4)


def test_everything_else_is_as_before() -> None:
    model, batches = made()
    flags = [module.training for module in model.modules()]
    weights = [parameter.clone() for parameter in model.parameters()]
    random = torch.get_rng_state()
    recalibrate_batchnorm(model, batches)
    assert [module.training for module in model.modules()] == flags
    assert (model[0].momentum, model[3].momentum) == (0.1, 0.3)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_function_may_do_the_forward_pass() -> None:
    model, batches = made()
    twin, _ = made()
    mappings = [{"x": x} for x, _ in batches]
    assert recalibrate_batchnorm(model, mappings, forward=lambda net, batch: net(batch["x"])) == 4
    recalibrate_batchnorm(twin, batches)
    assert torch.equal(model[0].running_mean, twin[0].running_mean)


def test_a_model_without_statistics_is_left_alone() -> None:
    assert recalibrate_batchnorm(nn.Linear(2, 2), []) == 0
    assert recalibrate_batchnorm(nn.BatchNorm1d(2, track_running_stats=False), []) == 0


def test_what_cannot_work_is_refused_and_changes_nothing() -> None:
    model, batches = made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(EmptyLoaderError, match="no batch"):
        recalibrate_batchnorm(model, [])
    with pytest.raises(ArgumentError, match="batches must be a whole number"):
        recalibrate_batchnorm(model, batches, 0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
