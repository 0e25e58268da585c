"""Which records changed since processes last put theirs together, and how those travel."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch import distributed as dist

from adaselection._shapes import Bool, Int, Shaped
from adaselection.columns import MOST, Columns, Rows, as_bytes, differs, from_bytes
from adaselection.errors import ArgumentError

_LEAST = 2**16  # entries of a log that are not worth summing up
_ROWS = 2**21  # rows of a process that travel at once


class Touched:
    """A log of places and of how often each was visited: one entry a visit, summed up whenever it has doubled."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor]] = []
        self._entries, self._limit = 0, _LEAST

    def add(self, places: Int[Tensor, " b"], counted: Bool[Tensor, " b"]) -> None:
        """Note visits, of the rows that counted; places may repeat."""
        self._parts.append((places.clone(), counted.to(torch.int32)))
        self._entries += places.shape[0]
        if self._entries > self._limit:
            self.summed(places.device)

    def summed(self, device: torch.device) -> tuple[Int[Tensor, " t"], Int[Tensor, " t"]]:
        """The places that were visited, sorted and each once, and how often."""
        if not self._parts:
            return torch.empty(0, dtype=torch.int64, device=device), torch.empty(0, dtype=torch.int32, device=device)
        places, counts = (torch.cat(column) for column in zip(*self._parts, strict=True))
        places, inverse = torch.unique(places, return_inverse=True)
        counts = counts.new_zeros(places.shape[0]).index_add_(0, inverse, counts)
        visited = counts > 0
        self.replace(places[visited], counts[visited])
        return self._parts[0]

    def replace(self, places: Int[Tensor, " t"], counts: Int[Tensor, " t"]) -> None:
        """Start anew from these."""
        self._parts = [(places, counts)] if places.shape[0] else []
        self._entries = places.shape[0]
        self._limit = max(_LEAST, 2 * self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes that the log takes."""
        return sum(part.nbytes for pair in self._parts for part in pair)

    def to(self, device: torch.device) -> None:
        """Move the log."""
        self._parts = [(places.to(device), counts.to(device)) for places, counts in self._parts]


def ranks(group: dist.ProcessGroup | None = None) -> int:
    """Number of processes in the group; 1 without one, and where this process is not in it."""
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    return max(1, dist.get_world_size(group))


def gather(rows: Shaped[Tensor, "t w"], group: dist.ProcessGroup | None) -> list[Tensor]:
    """The rows of every process, of any number each, in the order of the ranks and on this tensor's device."""
    wire = _wire(rows.device, group)
    own = torch.tensor([rows.shape[0]], device=wire)
    sizes = [torch.empty_like(own) for _ in range(ranks(group))]
    dist.all_gather(sizes, own, group=group)
    counts = [int(size) for size in sizes]
    if not any(counts):
        return [rows.new_empty(0, rows.shape[1]) for _ in counts]
    sent = rows.new_zeros(max(counts), rows.shape[1], device=wire)
    sent[: rows.shape[0]] = rows.to(wire)
    got = [torch.empty_like(sent) for _ in counts]
    dist.all_gather(got, sent, group=group)
    return [part[:count].to(rows.device) for part, count in zip(got, counts, strict=True)]


def _wire(device: torch.device, group: dist.ProcessGroup | None) -> torch.device:
    """Where the group's backend wants its tensors."""
    backend = dist.get_backend(group)
    if backend == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu") if backend in ("gloo", "mpi") else device


def agreed(head: dict[str, int], group: dist.ProcessGroup | None, device: torch.device) -> dict[str, int]:
    """The largest value of each number over the processes, once all found that their records can be put together.

    Args:
        head: ``places``, ``slots`` and ``columns`` must be equal everywhere, and ``untracked`` 0.
        group: the processes.
        device: where the records are.

    Raises:
        ArgumentError: they cannot; raised by every process alike.
    """
    table = torch.cat(gather(torch.tensor([list(head.values())], device=device), group))
    values = dict(zip(head, table.T.tolist(), strict=True))
    if any(values["untracked"]):
        raise ArgumentError(
            "records were updated without noting which, so what changed is not known. Build them with track=True; by "
            "default (track=None) they take note only while a process group of more than one is there."
        )
    if any(len(set(values[name])) > 1 for name in ("places", "slots", "columns")):
        raise ArgumentError(
            f"the records of the processes differ: they have {values['places']} places"
            f"{', and other ids or columns' if len(set(values['places'])) == 1 else ''}. Build and grow them alike on "
            "every process before a merge."
        )
    return {name: max(column) for name, column in values.items()}


def exchange(
    columns: Columns,
    touched: tuple[Int[Tensor, " t"], Int[Tensor, " t"]],
    head: dict[str, int],
    group: dist.ProcessGroup | None,
) -> tuple[int, Int[Tensor, ""]]:
    """Send this process's touched records to all others, take in theirs, and write what follows from them.

    Of several processes' records of one instance the youngest counts, of equally young ones that of the highest rank;
    visits add up. Rows travel in rounds of neighbouring places, so that memory stays bounded.

    Args:
        columns: this process's store.
        touched: the places, sorted, and how often each was visited.
        head: from `agreed`, with ``touched``, the most rows of a process, and ``now``, its latest pass.
        group: the processes.

    Returns:
        The number of records written, and how many of them were unseen in this process before.
    """
    places, counts = touched
    rounds = max(1, -(-head["touched"] // _ROWS))
    edges = torch.tensor([head["places"] * number // rounds for number in range(rounds + 1)], device=places.device)
    cuts = torch.searchsorted(places, edges).tolist()
    written, fresh = 0, torch.zeros((), dtype=torch.int64, device=places.device)
    for start, end in pairwise(cuts):
        part = places[start:end]
        own = torch.cat((as_bytes(part), as_bytes(counts[start:end]), columns.encode(part)), dim=1)
        all_places, rows = newest(columns, torch.cat(gather(own, group)), head["now"])
        fresh += (columns.take(all_places).visits == 0).sum()
        columns.put(all_places, rows)
        written += all_places.shape[0]
    return written, fresh


def newest(columns: Columns, encoded: Shaped[Tensor, "t w"], now: int) -> tuple[Int[Tensor, " u"], Rows]:
    """One record for each place, of several in the order of the ranks."""
    places = from_bytes(encoded[:, :8], torch.int64)
    counts = from_bytes(encoded[:, 8:12], torch.int32).to(torch.int64)
    rows = columns.decode(encoded[:, 12:])
    order = ((places << 16) + MOST - ((now - rows.stamps) & MOST)).sort(stable=True).indices
    places, counts, rows = places[order], counts[order], rows.at(order)
    ends = differs(places).nonzero().flatten()
    total = counts.cumsum(0)[ends]
    total = total.diff(prepend=total.new_zeros(1))  # visits of all processes since the last merge
    won = rows.at(ends)
    visits = (won.visits - counts[ends] + total).clamp_max(MOST)  # what it was before, and all that came
    return places[ends], Rows(won.losses, won.averages, won.stamps, visits, won.extra)
