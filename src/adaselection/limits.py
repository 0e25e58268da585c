"""What bounds the choice of a recorded loader."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset

from adaselection import checks, distributed
from adaselection.base import Policy
from adaselection.errors import ArgumentError
from adaselection.registry import methods

LOADER_FIRST = "The loader comes first, and the policy after it."
_WINDOW_ROWS, _LEAST_ROWS = 2**18, 2**14  # of a window at most; of each process, however many there are
_WAITS, _WAITS_TOLD = 3.0, 30.0  # walks after which an instance is drawn by force; where labels are known to be wrong
_JUDGED_ROWS, _JUDGED = 2**12, 8  # least rows of a window that a gate judges, and so many windows of a walk at most


@dataclass(frozen=True)
class Limits:
    """What bounds the choice.

    Attributes:
        batch_size: rows of a full batch.
        longest_unseen: passes after which an instance is drawn by force.
        passes: planned passes of the training, or None.
        anneal: share of them, at the end, that walks over all data.
    """

    batch_size: int
    longest_unseen: float
    passes: int | None = None
    anneal: float = 0.0

    @classmethod
    def of(
        cls, policy: Policy, batch_size: int, longest_unseen: float | None, passes: int | None, anneal: float
    ) -> Limits:
        """The user's limits, checked; what they leave open is the policy's.

        Raises:
            ArgumentError: one cannot work.
        """
        rate = policy.rate
        walks = _WAITS_TOLD if policy.wrong_labels else _WAITS
        longest = checks.positive("longest_unseen", walks / rate if longest_unseen is None else longest_unseen)
        if longest * rate < 2 - 1e-9:
            raise ArgumentError(
                f"longest_unseen={longest_unseen} passes is too short: at rate {rate:g} it takes {1 / rate:.3g} passes "
                "to see everything once, and half of the draws stay free. Pass at least twice that, or None for "
                f"{walks:g} times."
            )
        if checks.within("anneal", anneal, 0, 1) and passes is None:
            raise ArgumentError(f"anneal={anneal:g} is a share of the planned passes; say how many with passes=.")
        return cls(batch_size, longest, None if passes is None else checks.count("passes", passes, 1), anneal)

    def annealing(self, done: int) -> bool:
        """Whether the pass after so many is of those that walk over all data."""
        last = 0 if self.passes is None else math.floor(self.anneal * self.passes + 1e-9)
        return last > 0 and done >= (self.passes or 0) - last


def window_batches(window: int | None, rows: int, size: int, policy: Policy) -> int:
    """Batches that the policy sees at once, at least; 0 for a whole walk.

    Args:
        window: instances, as the user gave them.
        rows: instances of a walk.
        size: rows of a batch.
        policy: one that sets its own count sees a whole walk, so that the length of a pass is known.

    Raises:
        ArgumentError: less than a batch would be chosen of a window.
    """
    wanted = _default_window(rows, policy) if window is None else checks.count("window", window, 1)
    if wanted >= rows or policy.own_count:
        return 0
    if policy.rate == 1:
        return max(1, wanted // size)
    least = math.ceil((1 if size > 1 else 2) / policy.rate)  # two places, of which one can be forced
    if window is not None and wanted // size < least:
        raise ArgumentError(
            f"window={window} is too small: at rate {policy.rate:g} too little is chosen of it for batches of {size}. "
            f"Pass at least window={least * size}, or None for a whole walk."
        )
    return max(least, wanted // size)


def _default_window(rows: int, policy: Policy) -> int:
    """A whole walk; an eighth of it or 4,096 instances for a policy with a gate, which then judges more often.

    Processes judge their windows as one: of several each has its part of the window of one.
    """
    if not policy.verdict:
        return min(_WINDOW_ROWS, rows)
    world = distributed.world_size()
    parts = max(1, min(_JUDGED, world * rows // _JUDGED_ROWS))
    return min(max(_LEAST_ROWS, _WINDOW_ROWS // world), math.ceil(rows / parts))


def policy_of(given: object, name: str = "policy") -> Policy:
    """What was given, once it is known to be a policy; ``name`` is the argument's.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(given, Policy):
        return given
    got, fix = f"{given!r:.80}", ""
    if isinstance(given, str):
        fix = f" For one method alone, pass SingleMethod({given!r}, rate=0.3)." if given in methods("recorded") else ""
    elif isinstance(given, type):
        fix = f" That is a class: pass {given.__name__}(...)." if issubclass(given, Policy) else ""
    elif isinstance(given, Iterable):
        got, fix = type(given).__name__, f" {LOADER_FIRST}"
    raise ArgumentError(f"{name} must be a policy such as AdaSelection(rate=0.3); got {got}.{fix}")


def check_policy(given: object) -> None:
    """Refuse what is no policy, and counts that would differ between processes.

    Raises:
        ArgumentError: it cannot work.
    """
    policy = policy_of(given)
    if policy.own_count and distributed.world_size() > 1:
        raise ArgumentError(
            f"{policy.methods[0]!r} sets its own count, which would differ between the processes. Take a method of "
            "fixed count, or mix it: AdaSelection(methods=(...), rate=...)."
        )


def check_loader(loader: object) -> None:
    """Refuse loaders whose instances have no numbers, or whose batches come in no order.

    Raises:
        ArgumentError: it cannot work.
    """
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        kind = "an iterable data set" if isinstance(loader, DataLoader) else type(loader).__name__
        fix = "Use SelectiveLoader, which scores the batches as they come."
        if isinstance(loader, Policy):
            fix = LOADER_FIRST
        elif isinstance(loader, Sequence | Dataset) and not isinstance(loader, IterableDataset):
            fix = "Wrap a data set in torch.utils.data.DataLoader(dataset, batch_size=..., shuffle=True)."
        raise ArgumentError(
            f"RecordedLoader needs a torch.utils.data.DataLoader over a map-style data set, to load instances by "
            f"their ids; got {kind}. {fix}"
        )
    checks.refuse_prepared(loader)
    if loader.batch_sampler is None:
        raise ArgumentError(
            "RecordedLoader needs a loader that makes batches; this one has batch_size=None. Pass batch_size=."
        )
    if loader.num_workers and not getattr(loader, "in_order", True):
        raise ArgumentError("a loader with in_order=False gives its batches in no fixed order. Pass in_order=True.")
    _check_lengths(loader)


def _check_lengths(loader: DataLoader[Any]) -> None:
    """Refuse a loader of which nobody knows how long a walk is.

    Raises:
        ArgumentError: it is one.
    """
    for owner, counts in ((loader.batch_sampler, "batches of a walk"), (loader.dataset, "instances")):
        try:
            len(owner)  # type: ignore[arg-type]
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            raise ArgumentError(
                f"RecordedLoader needs to know the number of {counts}, and len() of the loader's "
                f"{type(owner).__name__} fails: {error!r}. Give your sampler or data set a __len__. In the place of a "
                "loader that repeats its sampler for ever, such as timm's MultiEpochsDataLoader, take a DataLoader "
                "with persistent_workers=True."
            ) from error


def not_asked(loader: DataLoader[Any]) -> ArgumentError:
    """The error about batches that do not follow from the ids that a loader was given."""
    return ArgumentError(
        f"{type(loader).__name__} gives batches that its batch sampler was not asked for, so nothing can be left out: "
        "it keeps an iterator of its own, or makes several batches of one. Give RecordedLoader a "
        "torch.utils.data.DataLoader; its persistent_workers=True keeps workers from walk to walk."
    )


def warn_longer(loader: DataLoader[Any]) -> None:
    """Say that a walk ends where the batch sampler's length says, though it gives more."""
    batches: Any = loader.batch_sampler
    checks.warn(
        f"the loader's {type(batches).__name__} gives more batches than its len() of {len(batches)} says. A walk ends "
        "after these, and the next one starts it anew. Let len() say how many it gives, if it has an end."
    )
