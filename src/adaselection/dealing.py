"""The joined batch of all processes: its signals brought together, and the rows chosen of it dealt out again.

Row ``i`` of process ``r`` is row ``i * W + r`` of the joined batch of W processes, as `DistributedSampler` deals rows
out: the joined batch is then the batch that one process would load.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import replace

import torch
from torch import Tensor
from torch import distributed as dist

from adaselection import distributed, tree
from adaselection._shapes import Int
from adaselection.columns import as_bytes, from_bytes
from adaselection.tree import Batch
from adaselection.types import Signals


def joined(signals: Signals) -> Signals:
    """Losses, and gradient norms where there are some, of the joined batch, shape ``[W * b]`` each."""
    losses, norms = signals.losses, signals.grad_norms
    if norms is not None:
        losses = torch.stack((losses.to(torch.promote_types(losses.dtype, norms.dtype)), norms.to(losses.device)), 1)
    both = distributed.gather(losses).transpose(0, 1).flatten(0, 1)
    if norms is None:
        return replace(signals, losses=both)
    return replace(signals, losses=both[:, 0], grad_norms=both[:, 1])


def agreed(rows: Int[Tensor, " t"]) -> Int[Tensor, " t"]:
    """The rows that process 0 chose, for all: the last digit of a score may depend on the machine."""
    wire = distributed.wire(rows.device)
    sent = rows.to(wire)
    dist.broadcast(sent, 0)
    return sent


def deal(owners: Int[Tensor, " t"], world: int) -> Int[Tensor, " t"]:
    """Who trains on each chosen row: of every W rows in a row, each process gets one, its own first one if it has one.

    So the first ``n`` rows of all processes are the first ``W * n`` rows chosen, for each n, and few rows travel.

    Args:
        owners: the process that has each of the chosen rows, in the order of the joined batch; W divides ``t``.
        world: number of processes W.

    Returns:
        The process that each of them goes to, shape ``[t]``.
    """
    blocks = owners.reshape(-1, world)
    ordered, order = blocks.sort(dim=1, stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    stays = torch.zeros_like(first).scatter_(1, order, first)
    taken = torch.zeros_like(first).scatter_(1, blocks, torch.ones_like(first))
    free = taken.to(torch.int8).sort(dim=1, stable=True).indices  # processes without a row of their own come first
    place = ((~stays).cumsum(1) - 1).clamp_min(0)
    return torch.where(stays, blocks, free.gather(1, place)).flatten()


def exchange(rows: Batch, chosen: Int[Tensor, " t"]) -> tuple[Batch, Int[Tensor, " k"]]:
    """Send this process's chosen rows to those that train on them, and take in its own.

    Waits for an accelerator, as the counts must be known.

    Args:
        rows: of this process.
        chosen: rows of the joined batch, the same on every process; W divides ``t``.

    Returns:
        The ``k = t / W`` rows for this process to train on, in the order of the joined batch, and their positions in
        ``chosen``, on the CPU.
    """
    rank, world = distributed.rank(), distributed.world_size()
    chosen = chosen.cpu()
    owners = chosen % world
    goals = deal(owners, world)
    mine = (goals == rank).nonzero().flatten()
    here, there = (owners == rank), (goals == rank)
    staying, going, coming = (mask.nonzero().flatten() for mask in (here & there, here & ~there, there & ~here))
    if bool((owners == goals).all()):
        return tree.take(rows, chosen[staying] // world), mine
    going = going[goals[going].sort(stable=True).indices]
    coming = coming[owners[coming].sort(stable=True).indices]
    out = torch.bincount(goals[going], minlength=world).tolist()
    back = torch.bincount(owners[coming], minlength=world).tolist()
    got = _sent([_at(leaf, chosen[going] // world) for leaf in tree.leaves(rows)], out, back)
    kept = [_at(leaf, chosen[staying] // world) for leaf in tree.leaves(rows)]
    order = torch.cat((staying, coming)).argsort()
    parts = tree.with_leaves(rows, [_joined(one, other) for one, other in zip(kept, got, strict=True)])
    return tree.take(parts, order), mine


def signature(rows: Batch) -> int:
    """A number for the structure of a batch, the types of its parts and the shapes of its rows."""
    parts = [(p, (leaf.dtype, leaf.shape[1:]) if isinstance(leaf, Tensor) else type(leaf)) for p, leaf in _parts(rows)]
    return zlib.crc32(repr(parts).encode())


def fingerprint(rows: Batch) -> int:
    """A number for what is in a batch."""
    total = 0
    for _, leaf in _parts(rows):
        if isinstance(leaf, Tensor):
            values = _packed(leaf.cpu()).flatten().to(torch.int64)
            total += int((values * (torch.arange(len(values)) % 65521 + 1)).sum())
        else:
            total += zlib.crc32(repr(leaf).encode())
    return total & (2**62 - 1)


def _parts(rows: Batch) -> list[tuple[str, Tensor | list[object]]]:
    return [(path, leaf) for path, leaf in tree.walk(rows) if tree.is_rows(leaf)]


def _at(leaf: Tensor | list[object], places: Int[Tensor, " k"]) -> Tensor | list[object]:
    if isinstance(leaf, Tensor):
        return tree.laid_out(leaf.index_select(0, places.to(leaf.device)), leaf)
    return type(leaf)(leaf[place] for place in places.tolist())


def _joined(one: Tensor | list[object], other: Tensor | list[object]) -> Tensor | list[object]:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.cat((one, other))
    return type(one)([*one, *other])


def _packed(leaf: Tensor) -> Tensor:
    """The bytes of each row, shape ``[b, bytes]``."""
    return as_bytes(leaf.detach().flatten()).reshape(leaf.shape[0], _width(leaf))


def _width(leaf: Tensor) -> int:
    """Bytes of a row."""
    return leaf.element_size() * leaf.shape[1:].numel()


def _sent(leaves: list[Tensor | list[object]], out: list[int], back: list[int]) -> list[Tensor | list[object]]:
    """Rows for the others, sorted by process, ``out`` for each; gives those from the others, ``back`` from each."""
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    listed = [leaf for leaf in leaves if not isinstance(leaf, Tensor)]
    fresh = iter(_tensors_sent(tensors, out, back) if tensors else [])
    others = iter(_lists_sent(listed, out) if listed else [])
    return [next(fresh) if isinstance(leaf, Tensor) else next(others) for leaf in leaves]


def _tensors_sent(leaves: list[Tensor], out: list[int], back: list[int]) -> list[Tensor]:
    """All parts of all rows in one message to each process."""
    wire = distributed.wire(leaves[0].device)
    widths = [_width(leaf) for leaf in leaves]
    count = sum(back)
    sent = torch.cat([_packed(leaf) for leaf in leaves], 1)
    got = torch.empty(count, sum(widths), dtype=torch.uint8, device=wire)
    dist.all_to_all_single(got, sent.to(wire), back, out)
    parts = got.to(leaves[0].device).split(widths, 1)
    numbers = [part.reshape(-1, leaf.element_size()) for part, leaf in zip(parts, leaves, strict=True)]
    return [
        tree.laid_out(from_bytes(own, leaf.dtype).reshape(count, *leaf.shape[1:]), leaf)
        for own, leaf in zip(numbers, leaves, strict=True)
    ]


def _lists_sent(leaves: list[list[object]], out: list[int]) -> list[list[object]]:
    """Lists travel as pickles, from each process to all."""
    ends = torch.tensor([0, *out]).cumsum(0).tolist()
    shares = [[leaf[start:end] for leaf in leaves] for start, end in itertools.pairwise(ends)]
    found: list[list[list[list[object]]]] = [[] for _ in out]
    dist.all_gather_object(found, shares)
    rank = distributed.rank()
    return [type(leaf)([item for shares in found for item in shares[rank][i]]) for i, leaf in enumerate(leaves)]
