"""What the processes of a training must agree on before they choose; alone, nothing happens."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from adaselection import distributed
from adaselection.base import Policy
from adaselection.errors import NonFiniteLossError, ShardingError, StateError
from adaselection.processes import Processes
from adaselection.step import Reduce

_ALIKE = ("methods", "rate", "log_weights", "previous", "scale", "step")


def reduction() -> Reduce | None:
    """Mean over the processes, where there are several."""
    return distributed.mean if distributed.world_size() > 1 else None


def processes() -> Processes | None:
    """Those of the training, where there are several."""
    return All() if distributed.world_size() > 1 else None


class All:
    """All processes of the training, as `processes.Processes`."""

    def __init__(self) -> None:
        self.world = distributed.world_size()

    def total(self, values: Tensor) -> Tensor:
        """Sum over the processes."""
        return distributed.total(values)

    def rows(self, values: Tensor) -> Tensor:
        """The rows of all processes."""
        return distributed.gather_rows(values)

    def first(self, values: Tensor) -> Tensor:
        """The values of the first process."""
        return distributed.gather(values)[0]


def mean_or_refusal(values: Tensor) -> Tensor:
    """Mean over the processes, bit-equal on all of them, on the device of the values.

    Raises:
        NonFiniteLossError: another process called `fail` in the place of this.
    """
    agreed = distributed.mean(values)
    if agreed.device.type == "cpu" and bool(agreed.isnan().all()):
        raise NonFiniteLossError(
            "too many losses of another process are NaN or infinite; its own error says which. Look at these rows, "
            "lower the learning rate, or raise max_nonfinite."
        )
    return agreed


def fail(methods: int, device: torch.device) -> None:
    """Tell those that wait in `mean_or_refusal`, for values of shape ``[m + 1]``, that this process cannot go on."""
    if distributed.world_size() > 1:
        distributed.mean(torch.full((methods + 1,), torch.nan, dtype=torch.float64, device=device))


def least(*numbers: float) -> list[float]:
    """The smallest of each number over the processes."""
    if distributed.world_size() == 1:
        return list(numbers)
    found = torch.tensor(numbers, dtype=torch.float64, device=distributed.wire())
    dist.all_reduce(found, op=dist.ReduceOp.MIN)
    smallest: list[float] = found.tolist()
    return smallest


def each(*numbers: int) -> list[list[int]]:
    """Whole numbers of every process, process by process."""
    found: list[list[int]] = distributed.gather(torch.tensor(numbers, device=distributed.wire())).tolist()
    return found


def same_pass(rows: int, batches: int, numbers: Mapping[str, int], digests: Mapping[str, int]) -> None:
    """Refuse a pass that is not equally long on all processes, as they would wait for each other for ever, or differs.

    Args:
        rows: instances of a walk.
        batches: of the pass.
        numbers: as those of `same_start`.
        digests: as those of `same_start`.

    Raises:
        ShardingError: they differ. Raised by every process alike.
    """
    table = _table({"rows": rows, "batches": batches} | dict(numbers), digests)
    walks, lengths = table.pop("rows"), table.pop("batches")
    if len(set(walks)) == 1:
        _refuse_unequal(table, numbers)
    if len(set(walks)) > 1 or len(set(lengths)) > 1:
        raise ShardingError(
            f"a walk has {min(walks)} to {max(walks)} instances on the processes, and a pass {min(lengths)} to "
            f"{max(lengths)} batches; they must be equal. Build the loader with "
            "sampler=torch.utils.data.DistributedSampler(dataset)."
        )


def same_start(numbers: Mapping[str, int], digests: Mapping[str, int]) -> None:
    """Refuse processes that begin a pass differently.

    Args:
        numbers: facts by name, to be equal everywhere.
        digests: the same, of which only the names are shown.

    Raises:
        ShardingError: they differ. Raised by every process alike.
    """
    _refuse_unequal(_table(numbers, digests), numbers)


def _table(numbers: Mapping[str, int], digests: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """By name what each process says, in one exchange."""
    columns = zip(*each(*numbers.values(), *digests.values()), strict=True)
    return dict(zip([*numbers, *digests], columns, strict=True))


def _refuse_unequal(table: Mapping[str, tuple[int, ...]], numbers: Mapping[str, int]) -> None:
    """Raise ShardingError where some entry is not the same everywhere."""
    wrong = [name for name in table if len(set(table[name])) > 1]
    if wrong:
        shown = [f"{name} ({', '.join(map(str, table[name]))})" if name in numbers else name for name in wrong]
        raise ShardingError(
            f"the processes begin a pass with different {', '.join(shown)}; they must be alike, or they would wait for "
            "each other. Build loader and policy with the same arguments on every process, over equally many rows "
            "(torch.utils.data.DistributedSampler sees to that), and resume all of them from one moment."
        )


def same_window(number: int, rows: int, structure: int, content: int | None) -> None:
    """Refuse a window that the processes cannot choose from together.

    Args:
        number: of the window in its pass.
        rows: of this process; 0 at the end of its loader.
        structure: a number for what a batch looks like; 0 where that does not matter.
        content: a number for what is in it, which must differ; None where that is not asked.

    Raises:
        ShardingError: they cannot. Raised by every process alike.
    """
    table = list(zip(*each(rows, structure, -1 if content is None else content), strict=True))
    if len(set(table[0])) > 1:
        raise ShardingError(
            f"window {number} of this pass has {', '.join(map(str, table[0]))} rows on the processes (0: the loader "
            "has ended); they must be equal, or the processes would wait for each other. Give every process as many "
            "batches of as many rows: torch.utils.data.DistributedSampler does, for a stream cut all shares to the "
            "same length (docs/distributed.md)."
        )
    if len(set(table[1])) > 1:
        raise ShardingError(
            f"the batches of window {number} differ between the processes in their structure, types or shapes, so rows "
            'cannot go from one to another. Pad all to one shape, or pass scope="local".'
        )
    seen = [value for value in table[2] if value >= 0]
    if rows and len(set(seen)) < len(seen):
        raise ShardingError(
            "several processes got the very same rows, so they would train on the same ones. Split the stream: take "
            "shards[rank::world_size] in each process, or every world_size-th row (docs/distributed.md)."
        )


def policy_digest(policy: Policy, whole: bool) -> int:
    """A number for what must be the same of a policy on every process; ``whole`` if that is all, the seed included."""
    state, settings = policy.state_dict(), policy.settings
    if not whole:
        state, settings = {name: state[name] for name in _ALIKE}, settings | {"seed": None}
    return zlib.crc32(repr((type(policy).__name__, _plain(settings), _plain(state))).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    return sorted((key, _plain(part)) for key, part in value.items()) if isinstance(value, Mapping) else value


def same_world(state: Mapping[str, Any]) -> None:
    """Refuse a loader's state that another number of processes saved.

    Raises:
        StateError: it is one.
    """
    settings, world = state["settings"], distributed.world_size()
    saved = settings.get("processes", world) if isinstance(settings, Mapping) else world
    if isinstance(saved, int) and saved != world:
        raise StateError(
            f"the loader state was saved by one of {saved} processes, and now there are {world}: the rows that wait "
            "and the order of the others belong to one process each. Start as many as then; or build a new loader and "
            'take over what all processes share: loader.policy.load_state_dict(state["policy"]), and the records of a '
            "RecordedLoader, saved between two passes by loader.records.state_dict(), by its load_state_dict()."
        )


def same_process(state: Mapping[str, Any], private: bool) -> None:
    """Refuse a loader's state that another process saved, where it holds what belongs to that process.

    Raises:
        StateError: it does.
    """
    rank = distributed.rank()
    if private and state["rank"] != rank:
        raise StateError(
            f"the loader state was saved by process {state['rank']}, and this is process {rank}: it holds rows that "
            "only that process trains on. Save one file for each process, for example "
            'f"loader-{torch.distributed.get_rank()}.pt", and load its own in each.'
        )
