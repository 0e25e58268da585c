"""Statistics of batch normalisation computed anew, and nothing else changed."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

from adaselection import RecordedLoader, SingleMethod, recalibrate_batchnorm
from adaselection.errors import ArgumentError, EmptyLoaderError
from core.parts import data, net
from core.recorded_parts import RecordedTrainer


class Counting(nn.Module):
    """Noise, and a buffer that every forward pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + (torch.rand_like(x) + random.random() if self.training else 0)


def model(momentum: float | None = 0.3) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6, momentum=momentum),
        Counting(),
        nn.Dropout(0.5),
        nn.Unflatten(1, (2, 3, 1)),
        nn.BatchNorm2d(2, affine=False),
        nn.BatchNorm2d(2, track_running_stats=False),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    made[2].eval()
    made[1].running_mean.fill_(7)
    made[1].num_batches_tracked.fill_(5)
    return made


def reference(made: nn.Module, batches: list[Tensor]) -> list[np.ndarray]:
    """Mean over the batches of the mean and variance of each channel, layer by layer, in NumPy."""
    first, second, numbers = made[0], made[1], []
    for x in batches:
        z = (
            x.numpy().astype(np.float64) @ first.weight.detach().double().numpy().T
            + first.bias.detach().double().numpy()
        )
        mean, var = z.mean(0), z.var(0)
        out = (z - mean) / np.sqrt(var + second.eps)
        out = out * second.weight.detach().double().numpy() + second.bias.detach().double().numpy()
        image = out.reshape(len(x), 2, 3)
        numbers.append(
            [mean, z.var(0, ddof=1), image.mean((0, 2)), image.transpose(1, 0, 2).reshape(2, -1).var(1, ddof=1)]
        )
    return [np.mean([row[place] for row in numbers], axis=0) for place in range(4)]


def untouched(made: nn.Module) -> list[Any]:
    """All that must stay: flags, momenta, parameters, gradients, other buffers, random states."""
    flags = [(module.training, getattr(module, "momentum", None)) for module in made.modules()]
    tensors = [value.detach().clone() for value in made.parameters()] + [
        made[2].calls.clone(),
        made[0].weight.grad.clone(),
    ]
    return [flags, [value.tolist() for value in tensors], torch.get_rng_state().tolist(), random.getstate()]


@pytest.mark.usefixtures("unchecked")  # the checks of types look at list items at random
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("most", [None, 2])
def test_the_statistics_are_those_of_the_batches_and_nothing_else_changes(
    training: bool, momentum: float | None, most: int | None
) -> None:
    made, rows = model(momentum).train(training), data(22)
    made[3].train(not training)
    made(rows.tensors[0]).sum().backward()
    loader = DataLoader(rows, batch_size=6)
    before, own = untouched(made), [id(value) for value in made.buffers()]
    assert recalibrate_batchnorm(made, loader, most) == (most or 4)
    assert untouched(made) == before
    assert [id(value) for value in made.buffers()] == own
    batches = [batch[0] for batch in loader][:most]
    found = [made[1].running_mean, made[1].running_var, made[5].running_mean, made[5].running_var]
    for got, wanted in zip(found, reference(made, batches), strict=True):
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert int(made[1].num_batches_tracked) == len(batches)


def test_the_order_of_the_loader_stays_what_it_was() -> None:
    own = torch.Generator().manual_seed(1)
    loader = DataLoader(data(22), batch_size=6, sampler=RandomSampler(range(22), generator=own), generator=own)
    before, global_one = own.get_state(), torch.get_rng_state()
    made = model()
    recalibrate_batchnorm(made, loader, 2)
    assert torch.equal(own.get_state(), before)
    torch.set_rng_state(global_one)
    first = made[1].running_mean.clone()
    recalibrate_batchnorm(made, loader, 2)
    assert torch.equal(made[1].running_mean, first)


def test_a_recorded_loader_gives_its_plain_batches_and_goes_on_where_it_was() -> None:
    def run(ask: bool) -> tuple[list[Any], Tensor]:
        torch.manual_seed(0)
        loader = RecordedLoader(DataLoader(data(42), batch_size=4, shuffle=True), SingleMethod("proportional", 0.5))
        trainer = RecordedTrainer(loader)
        for done in trainer.steps():
            if ask and done % 4 == 0:
                kept = [value.clone() for value in trainer.model.buffers()]
                assert recalibrate_batchnorm(trainer.model, loader) == 11
                for buffer, value in zip(trainer.model.buffers(), kept, strict=True):
                    buffer.copy_(value)
            if done >= 24:
                break
        recalibrate_batchnorm(trainer.model, loader)
        return trainer.seen, next(trainer.model.buffers())

    one, two = run(True), run(False)
    assert one[0] == two[0]
    assert torch.equal(one[1], two[1])


def test_what_training_on_hard_rows_left_is_put_right() -> None:
    rows, made = data(200), net()
    norm = next(layer for layer in made.modules() if isinstance(layer, nn.BatchNorm1d))
    hard = rows.tensors[0][rows.tensors[0][:, 1] > 0]
    for _ in range(50):
        made.train()(hard[:40])
    biased = norm.running_mean.clone()
    recalibrate_batchnorm(made, DataLoader(rows, batch_size=200))
    middle = nn.Sequential(*list(made)[:3])(rows.tensors[0]).transpose(0, 1).flatten(1).mean(1)
    assert torch.allclose(norm.running_mean, middle, atol=1e-5)
    assert not torch.allclose(biased, middle, atol=1e-2)


def test_batches_that_are_no_pair_and_errors_that_change_nothing() -> None:
    made = model()
    batches = [{"x": batch[0]} for batch in DataLoader(data(22), batch_size=6)]
    state = {name: value.clone() for name, value in made.state_dict().items()}

    def failing() -> Iterator[Any]:
        yield from [(batches[0]["x"], 0), (batches[0]["x"][:, :2], 0)]

    cases: list[tuple[Any, type[Exception], str]] = [
        (batches, ArgumentError, "Pass forward="),
        ([], EmptyLoaderError, "gave no batch"),
        (failing(), RuntimeError, "shapes cannot be multiplied"),
    ]
    for loader, kind, message in cases:
        with pytest.raises(kind, match=message):
            recalibrate_batchnorm(made, loader)
        assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())
        assert made[1].momentum == 0.3
        assert made[1].training
    with pytest.raises(ArgumentError, match="batches must be a whole number"):
        recalibrate_batchnorm(made, batches, 0)
    assert recalibrate_batchnorm(made, batches, forward=lambda inner, batch: inner(batch["x"])) == 4
    assert not torch.equal(made[1].running_mean, state["1.running_mean"])
    assert recalibrate_batchnorm(nn.Linear(4, 3), failing()) == 0
