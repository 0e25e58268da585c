"""One training of the global scope, as one process and as several run it, which their tests share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from adaselection import AdaSelection, Policy, SelectiveLoader, SingleMethod
from adaselection.cheap import CheapScores
from core.parts import CE, Scaled, data

ROWS, SIZE, RATE = 192, 8, 0.375  # 3 of 8 rows for each process: full batches end inside a window

POLICIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "default": (lambda: AdaSelection(rate=RATE, half_life=3, seed=1), {}),
    "big_loss": (lambda: SingleMethod("big_loss", RATE), {"surplus": "carry", "window": 2}),
    "grad_norm": (lambda: AdaSelection(("grad_norm", "uniform"), RATE, replicate="paper"), {"surplus": "flush"}),
    "unscored": (lambda: SingleMethod("uniform", RATE, seed=5), {"warmup": 2}),
    "cheap": (lambda: AdaSelection(rate=RATE, seed=2), {"cheap": CheapScores(measure_every=0)}),
    "weighted": (lambda: AdaSelection(rate=RATE, weight_exponent=1.0), {"weighted": True}),
}


class Named(Dataset[dict[str, Any]]):
    """Rows with parts of several types; what is named is the row's number."""

    def __init__(self) -> None:
        self.rows = data(ROWS)

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, number: int) -> dict[str, Any]:
        x, y = self.rows[number]
        return {"x": x, "y": y, "name": f"row {number}", "even": torch.tensor(number % 2 == 0), "none": x[:0]}


def model() -> nn.Module:
    """A net without dropout and batch statistics."""
    torch.manual_seed(4)
    return nn.Sequential(Scaled(), nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))


def score(net: nn.Module, batch: dict[str, Any]) -> Tensor:
    return CE(net(batch["x"]), batch["y"])


def wrapped(net: nn.Module, kind: str) -> nn.Module:
    """The net as one process, DDP or FSDP2 trains it."""
    if kind == "ddp":
        return DistributedDataParallel(net)
    if kind == "fsdp":
        from torch.distributed.fsdp import fully_shard  # slow to import, and used by one case

        fully_shard(net[1])
        fully_shard(net)
    return net


def train(name: str, rank: int, world: int, kind: str = "alone", batch: int = SIZE) -> list[dict[str, Any]]:
    """Two passes; of each step the rows, and the gradient as one vector."""
    make, options = POLICIES[name]
    rows = data(ROWS)
    net = wrapped(model(), kind)
    sampler = DistributedSampler(rows, world, rank, seed=3)
    policy: Policy = make()
    loader = SelectiveLoader(
        DataLoader(rows, batch, sampler=sampler), policy, model=net, loss_fn=CE, scope="global", **options
    )
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    seen = []
    for number in range(2):
        loader.set_epoch(number)
        assert len(loader) > 1
        for x, y in loader:
            optimizer.zero_grad()
            loader.reduce(CE(net(x), y)).backward()
            gradients = [p.grad.full_tensor() if kind == "fsdp" else p.grad for p in net.parameters()]
            optimizer.step()
            gradient = torch.cat([g.flatten() for g in gradients]).tolist()
            seen.append({"rows": x[:, 0].tolist(), "gradient": gradient, "weights": list(policy.weights.values())})
    if "cheap" in options:  # the scores go along with their rows: those of the training are nearly the same
        assert (loader.report().score_correlation or 0) > 0.9, loader.report()
    return seen
