"""What must be alike on all processes of a training, before they choose rows together."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from adaselection import agreement, dealing, replay, tree
from adaselection.place import Place
from adaselection.plan import Plan
from adaselection.selecting import Selector
from adaselection.tree import Batch


def start(plan: Plan, place: Place, selector: Selector, waiting: int, resuming: bool) -> None:
    """Refuse processes that begin a pass differently.

    Args:
        plan: of the passes.
        place: where they are.
        selector: what selects.
        waiting: rows that wait for a full batch.
        resuming: whether the pass goes on from a loaded state.

    Raises:
        ShardingError: they do. Raised by every process alike.
    """
    numbers = {
        "incoming batches": plan.sizes.windows if plan.sizes else -1,
        "incoming rows": plan.sizes.total(int) if plan.sizes else -1,
        "passes ended": place.passes,
        "batches used of a pass to go on with": place.position if resuming else 0,
        "rows that wait": waiting if resuming or plan.surplus == "carry" else 0,
    }
    arguments = zlib.crc32(repr((plan, selector.scope)).encode())
    digest = agreement.policy_digest(selector.policy, selector.joint)
    agreement.same_start(numbers, {"arguments of the loader": arguments, "policies": digest})


def window(loader: Iterable[Batch], plan: Plan, place: Place, selector: Selector, incoming: list[Batch]) -> None:
    """Refuse a window that the processes cannot choose from together; one without batches is the end of all.

    Args:
        loader: the loader inside.
        plan: of the passes.
        place: where they are.
        selector: what selects.
        incoming: the window's batches.

    Raises:
        ShardingError: they cannot. Raised by every process alike.
    """
    rows = sum(map(tree.length, incoming))
    structure = dealing.signature(incoming[0]) if incoming and selector.joint else 0
    # a sampler that is split was seen before; of a stream only its rows can tell
    unseen = place.position == 0 and replay.is_stream(loader)
    content = dealing.fingerprint(incoming[0]) if unseen and incoming else None
    agreement.same_window(place.position // plan.window + 1, rows, structure, content)
