"""Drop-in loaders: full batches of the samples that are worth a gradient."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adaselection import agreement, checks, distributed, incoming, kinds, replay, tree
from adaselection.base import Policy
from adaselection.cheap import CheapScores
from adaselection.cheapscorer import CheapScorer
from adaselection.errors import ArgumentError, EmptyLoaderError
from adaselection.losses import LossFn
from adaselection.meter import Meter, Report
from adaselection.passes import Passes
from adaselection.plan import NOTHING, Plan, Surplus, Update
from adaselection.scoring import ModelScorer, ScoreFn, ScoreMode
from adaselection.selecting import Join, Scope, Selector, Watch, check_parts
from adaselection.tree import Batch

STATE_VERSION = 2


class SelectiveLoader:
    """Batches of selected rows: every incoming batch is scored without gradients, and its best rows are kept.

    Kept rows gather until they make a full batch (algorithm 2), so the loop that trains stays as it is. Wrap last,
    after your framework has prepared the loader. With ``rate=1`` every batch is handed through unscored and untouched.

    Args:
        loader: any iterable of batches, usually a `torch.utils.data.DataLoader`.
        policy: which rows to keep.
        model: the model that trains; it scores the batches and is left as it was.
        loss_fn: called as ``loss_fn(model(x), y)`` on batches that are pairs; one loss per row. A `torch.nn` loss with
            another reduction is copied with ``reduction="none"``.
        score: ``score(model, batch)`` returning losses ``[b]`` or `Signals`, for any other batch.
        score_mode: ``"eval"`` (dropout off, running batch statistics) or ``"train"`` (the flags that the model has).
        autocast: type to score in, as ``torch.bfloat16``.
        batch_size: rows of the batches handed out; those of the incoming batches if None.
        surplus: what happens to rows left over at the end of a pass: ``"drop"``, ``"carry"`` into the next pass (the
            paper's reading; `len` may then change by one between passes), or ``"flush"`` as a short batch.
        update: ``"accumulate"`` to full batches, or ``"every_batch"``: hand out the k rows of each window at once.
        window: how many incoming batches one selection looks at; for loops with very few rows a batch.
        warmup: how many windows at the very start are handed on whole and unscored.
        incoming_sizes: rows of each incoming batch of a pass, where the loader cannot tell; makes `len` known.
        weighted: set to True for a policy with sample weights; the loop then calls `reduce` on its losses.
        cheap: ways to score for less than a plain forward pass, as `CheapScores`; they are watched: call `observe` or
            `reduce` with the losses of each batch. Where the policy needs no scores, it is left aside.
        join: puts the rows of several batches into one; needed where each batch is padded to a length of its own.
        on_select: called as ``on_select(signals, selection)`` after each selection, to see what was chosen and why.
        scope: with several processes, ``"local"``: each chooses from its own batch; or ``"global"``: all choose from
            the joined batch, as one process would, and every one trains on as many of the rows chosen.

    Raises:
        ArgumentError: an argument that cannot work.
        EmptyLoaderError: the loader has no batch.
        ShardingError: several processes would train on the same rows.
    """

    def __init__(
        self,
        loader: Iterable[Batch],
        policy: Policy,
        *,
        model: nn.Module,
        loss_fn: LossFn | None = None,
        score: ScoreFn | None = None,
        score_mode: ScoreMode = "eval",
        autocast: torch.dtype | None = None,
        batch_size: int | None = None,
        surplus: Surplus = "drop",
        update: Update = "accumulate",
        window: int = 1,
        warmup: int = 0,
        incoming_sizes: Sequence[int] | None = None,
        weighted: bool = False,
        cheap: CheapScores | None = None,
        join: Join = tree.cat,
        on_select: Watch | None = None,
        scope: Scope = "local",
    ) -> None:
        check_parts(loader, policy, weighted, cheap, scope, join)
        distributed.refuse_unsharded(loader)
        self.policy = policy
        self.meter = Meter()
        norms = "grad_norms" in policy.needs
        scorer = ModelScorer(model, loss_fn, score=score, score_mode=score_mode, autocast=autocast, grad_norms=norms)
        sizes = incoming.incoming_sizes(loader, incoming_sizes)
        if sizes is not None and not sizes.windows:
            raise EmptyLoaderError("the loader has no batch: its data set is empty, or smaller than one batch to drop.")
        plan = Plan(
            sizes=sizes,
            rate=policy.rate,
            batch_size=incoming.full_batch(batch_size, sizes),
            surplus=checks.one_of("surplus", surplus, ("drop", "carry", "flush")),
            update=checks.one_of("update", update, ("accumulate", "every_batch")),
            window=checks.count("window", window, 1),
            warmup=checks.count("warmup", warmup, 0),
        )
        self._declared, self._cheap = plan.batch_size, cheap
        scored = policy.needs and policy.rate < 1
        cheaply = CheapScorer(cheap, scorer, loader, policy.rate) if cheap and scored else None
        self._passes = Passes(loader, plan, Selector(policy, scorer, self.meter, on_select, cheaply, scope, join))
        if sizes and surplus == "drop" and not len(self):
            checks.warn(NOTHING)

    def __repr__(self) -> str:
        return f"SelectiveLoader({self.policy!r}, batch_size={self.batch_size}, update={self._passes.plan.update!r})"

    @property
    def batch_size(self) -> int | None:
        """Rows of the batches handed out; None before the first pass over a loader that cannot tell."""
        return self._passes.plan.batch_size

    @property
    def dataset(self) -> Any:
        """The data set of the loader inside, or None."""
        return getattr(self._passes.loader, "dataset", None)

    @property
    def sampler(self) -> Any:
        """The sampler of the loader inside, or None; frameworks tell it which epoch comes."""
        return getattr(self._passes.loader, "sampler", None)

    @property
    def position(self) -> int:
        """Batches of the pass that runs handed out so far; 0 between passes."""
        return self._passes.place.yielded

    @property
    def sample_weights(self) -> Tensor | None:
        """Weights of the rows of the batch handed out last, shape ``[b]``; None where the policy has none."""
        return self._passes.weights

    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler inside which epoch comes, as `torch.utils.data.DistributedSampler` needs it."""
        replay.set_epoch(self._passes.loader, epoch)

    def __len__(self) -> int:
        """Exactly how many batches the coming pass yields, or the one that runs.

        Raises:
            UnknownLengthError: the sizes of the incoming batches cannot be known beforehand (a `TypeError`).
        """
        return next(self._passes.lengths())

    def total_batches(self, passes: int) -> int:
        """Exactly how many batches the next passes yield together, the one that runs included, for schedules.

        Raises:
            UnknownLengthError: as `len`.
        """
        return sum(itertools.islice(self._passes.lengths(), checks.count("passes", passes, 0)))

    def observe(self, losses: Tensor) -> None:
        """Compare the losses of the batch handed out last with the scores that chose its rows, for the report.

        The losses are those that training computes anyway, one per row; the first call for a batch counts. Warns once
        when their rank correlation stays low.

        Raises:
            ArgumentError: the loader was built without ``cheap``.
            LossShapeError: not one loss per row of that batch.
        """
        if self._cheap is None:
            raise ArgumentError("this loader does not watch its scores. Build it with cheap=CheapScores().")
        self._passes.observe(losses)

    def reduce(self, losses: Tensor) -> Tensor:
        """Mean of the losses of the batch handed out last, weighted where the policy gives sample weights.

        With ``cheap`` it also calls `observe`.

        Raises:
            LossShapeError: not one loss per row of that batch.
        """
        weights = self._passes.weights
        checks.row_losses(losses, None if weights is None else len(weights), "reduce()")
        self._passes.observe(losses)
        return losses.mean() if weights is None else (losses * weights.to(losses)).mean()

    def report(self) -> Report:
        """What the loader did so far and what it cost."""
        known, cheaply = self._passes.plan.sizes, self._passes.cheap
        return self.meter.report(
            self.policy.rate,
            **(cheaply.facts if cheaply else {}),
            weights=self.policy.weights,
            nonfinite=self.policy.nonfinite,
            steps_per_pass=len(self) if known else None,
            steps_per_pass_without=known.windows if known else None,
        )

    def __iter__(self) -> Iterator[Batch]:
        """Start a pass, or go on with the one of a loaded state."""
        return self._passes.start()

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, after the batch handed out last: resume gives the same rows in the same order.

        Save it with the model, the optimizer and torch's random state. Tensors, numbers, strings, lists and dicts only.
        """
        return {"version": STATE_VERSION, "settings": self._settings(), **self._passes.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; the next pass starts after the batch handed out last.

        Raises:
            StateError: the state is of another version, policy, set-up or process. The loader is then as it was.
        """
        kinds.refuse_other_loader(state, "walks", "RecordedLoader", "SelectiveLoader")
        own, first = self.state_dict(), ("version", "settings")
        for compared in (first[:1], first):
            checks.same_state({key: own[key] for key in first}, state, compared, "loader")
            agreement.same_world(state)
        checks.same_state(own, state, (), "loader")
        self._passes.load_state_dict(state)

    def end_pass(self) -> None:
        """After `load_state_dict`, let the next pass begin anew instead of going on with the one that was saved.

        For loops that leave a pass before it ends, as frameworks do that count batches.
        """
        self._passes.leave()

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        plan, sizes = self._passes.plan, self._passes.plan.sizes
        cheap = {"cheap": self._cheap.settings} if self._cheap else {}
        return {
            **{name: getattr(plan, name) for name in ("surplus", "update", "window", "warmup")},
            **cheap,
            "batch_size": self._declared,  # where it is not known, it comes with the state
            "incoming_batches": sizes.windows if sizes else None,
            "incoming_rows": sizes.total(int) if sizes else None,
            "stateful": replay.is_stateful(self._passes.loader),
            "processes": distributed.world_size(),
            "scope": self._passes.selector.scope,
        }
