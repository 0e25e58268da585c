"""Handwritten digits on several processes, by DDP or FSDP2, with rows chosen from all batches or from each alone.

Run it with ``torchrun --nproc-per-node 2 examples/ddp_digits.py --scope global``. It needs scikit-learn.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from adaselection import AdaSelection, SelectiveLoader


def digits() -> tuple[TensorDataset, tuple[Tensor, Tensor]]:
    """Pictures to train on and pictures to test with."""
    bunch = load_digits()
    x, y = torch.tensor(bunch.data / 8 - 1, dtype=torch.float32), torch.tensor(bunch.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return TensorDataset(x[order[500:]], y[order[500:]]), (x[order[:500]], y[order[:500]])


def network(fsdp: bool) -> nn.Module:
    """A small network, equal on every process."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    if not fsdp:
        return DistributedDataParallel(model)
    fully_shard(model)
    return model


def main() -> None:
    """Train in a process group; what belongs to it is gone before the group is, as torch may hang otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scope", choices=("local", "global"), default="local")
    parser.add_argument("--fsdp", action="store_true", help="FSDP2 in the place of DDP")
    parser.add_argument("--passes", type=int, default=10)
    options = parser.parse_args()
    dist.init_process_group("gloo")
    train(options)
    dist.barrier()  # nothing is on its way any more
    dist.destroy_process_group()


def train(options: argparse.Namespace) -> None:
    """Train, and let process 0 print what came of it."""
    data, (x_test, y_test) = digits()
    model, loss_fn = network(options.fsdp), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    plain = DataLoader(data, batch_size=32, sampler=DistributedSampler(data, seed=0), drop_last=True)
    loader = SelectiveLoader(plain, AdaSelection(rate=0.5), model=model, loss_fn=loss_fn, scope=options.scope)
    for number in range(options.passes):
        loader.set_epoch(number)  # another order in every pass
        for x, y in loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    model.eval()
    with torch.no_grad():  # all processes: the parts of a sharded model must come together
        right = float((model(x_test).argmax(1) == y_test).float().mean())
    if dist.get_rank() == 0:
        print(f"{dist.get_world_size()} processes, scope {options.scope}: {100 * right:.1f} % right")
        print(loader.report())


if __name__ == "__main__":
    main()
