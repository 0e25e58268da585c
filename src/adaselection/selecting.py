"""One window of rows scored and reduced to those worth a gradient, with every phase charged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor

from adaselection import agreement, checks, dealing, distributed, tree
from adaselection._shapes import Float, Int
from adaselection.base import Policy
from adaselection.cheap import CheapScores
from adaselection.cheapscorer import CheapScorer
from adaselection.errors import ArgumentError, NonFiniteLossError
from adaselection.functional import kept_per_batch
from adaselection.limits import LOADER_FIRST, policy_of
from adaselection.meter import Meter
from adaselection.scoring import ModelScorer
from adaselection.tree import Batch
from adaselection.types import Selection, Signals

Watch = Callable[[Signals, Selection], None]
Scope = Literal["local", "global"]
Join = Callable[[Sequence[Batch]], Batch]
_CHECK_EVERY = 16


class Selector:
    """Scores and selects.

    Args:
        policy: which rows to keep.
        scorer: where their signals come from; not asked if the policy needs none.
        meter: what the phases are charged to.
        watch: called with the signals and the selection of each window, charged to no phase.
        cheap: scores in the place of the scorer; the kept rows then carry their scores along.
        scope: ``"global"`` chooses from the joined batch of all processes.
        join_rows: puts the rows of several batches of the loader into one.

    Attributes:
        full: rows of the largest window, of those to come or so far; what rounding does to smaller ones is no news.
    """

    def __init__(
        self,
        policy: Policy,
        scorer: ModelScorer,
        meter: Meter,
        watch: Watch | None = None,
        cheap: CheapScorer | None = None,
        scope: Scope = "local",
        join_rows: Join = tree.cat,
    ) -> None:
        self.policy = policy
        self.scope = scope
        self.scorer = scorer
        self.meter = meter
        self.watch = checks.function("on_select", watch, optional=True)
        self.cheap = cheap
        self.join_rows = join_rows
        self.full = self._unchecked = 0

    def place(self, rows: Batch) -> Batch:
        """The rows on the model's device."""
        device = self.scorer.device
        return rows if device is None else tree.to(rows, device)

    def keep(self, rows: Batch, whole: bool = False, ids: Int[Tensor, " b"] | None = None) -> Batch:
        """The rows kept; a tuple of them and what goes along with them, which `apart` takes apart, if anything does.

        Args:
            rows: a window of rows on the model's device.
            whole: keep all of them unscored.
            ids: their instances, where scores are used again.
        """
        size = tree.length(rows)
        device = self.scorer.device or torch.device("cpu")
        signals = Signals.blank(size, device)
        if whole:
            unscored = torch.full((size,), torch.nan, device=device)
            return self._together(rows, torch.ones(size, device=device), unscored)
        if self.policy.needs:
            signals = self._score(rows, ids)
        if self.joint:
            return self._keep_jointly(rows, signals)
        with self.meter.phase("select"):
            selection = self._selected(signals)
            kept = tree.take(rows, selection.indices)
            scores = signals.losses[selection.indices] if self.cheap else None
        if self.watch is not None:
            self.watch(signals, selection)
        return self._together(kept, selection.sample_weights, scores)

    @property
    def joint(self) -> bool:
        """Whether it chooses from the rows of several processes at once."""
        return self.scope == "global" and distributed.world_size() > 1

    def _selected(self, signals: Signals) -> Selection:
        """What the policy chooses of this process's rows; if one of several processes fails, all do."""
        k = self._rounded(signals.losses.shape[0])
        if distributed.world_size() == 1:
            return self.policy.select(signals, count=k)
        try:
            return self.policy.select(signals, reduce=agreement.mean_or_refusal, count=k)
        except NonFiniteLossError as error:
            if error.rows:  # found before the processes met
                agreement.fail(len(self.policy.methods), signals.losses.device)
            raise

    def _rounded(self, size: int) -> int:
        """Rows to keep of a window."""
        k, self.full = kept_per_batch(size, self.policy.rate), max(self.full, size)
        if size == self.full > 0:
            self.policy.warn_rounding(size, k)
        return k

    def _keep_jointly(self, rows: Batch, signals: Signals) -> Batch:
        """As `keep`, of the joined batch: W times as many rows chosen of it, and an equal share of them for each."""
        size, world = signals.losses.shape[0], distributed.world_size()
        k = self._rounded(size)
        with self.meter.phase("exchange"):
            blank = Signals.blank(world * size, signals.losses.device)
            signals = dealing.joined(signals) if self.policy.needs else blank
        with self.meter.phase("select"):
            selection = self.policy.select(signals, count=world * k)
        with self.meter.phase("exchange"):
            chosen = dealing.agreed(selection.indices)
            kept, mine = dealing.exchange(rows, chosen)
            mine = mine.to(signals.losses.device)
            scores = signals.losses[selection.indices[mine]] if self.cheap else None
        if self.watch is not None:
            self.watch(signals, selection)
        return self._together(kept, selection.sample_weights[mine], scores)

    def _score(self, rows: Batch, ids: Int[Tensor, " b"] | None) -> Signals:
        if self.cheap is not None:
            return self.cheap(rows, ids, self.meter)
        with self.meter.phase("score"):
            signals = self.scorer(rows)
        self.meter.count(scored=tree.length(rows))
        return signals

    def _together(self, rows: Batch, weights: Float[Tensor, " k"], scores: Float[Tensor, " k"] | None) -> Batch:
        extra = [weights] if self.policy.weighted else []
        if self.cheap is not None and scores is not None:
            extra.append(scores.float())
        parts = (rows, *extra)
        return parts if len(parts) > 1 else rows

    def join(self, kept: Sequence[Batch]) -> Batch:
        """What `keep` gave several times, in one."""
        if not (self.policy.weighted or self.cheap is not None):
            return self.join_rows(kept)
        return (self.join_rows([rows for rows, *_ in kept]), *tree.cat([tuple(extra) for _, *extra in kept]))

    def apart(self, batch: Batch) -> tuple[Batch, Tensor | None, Tensor | None]:
        """Rows that `keep` gave, their sample weights and the losses that they were scored with; None without such."""
        extra = self.policy.weighted + (self.cheap is not None)
        rows, *more = batch if extra else (batch,)
        return rows, more[0] if self.policy.weighted else None, more[-1] if self.cheap else None

    def check(self, last: bool = False) -> None:
        """Raise what the policy could not raise on an accelerator without waiting for it.

        Waiting empties the accelerator's queue, so it is done for the last batch of a pass and for every 16th.
        """
        device = self.scorer.device
        if device is None or device.type == "cpu":
            return
        self._unchecked += 1
        if last or self._unchecked >= _CHECK_EVERY:
            self._unchecked = 0
            self.policy.check()


def check_parts(loader: object, given: object, weighted: bool, cheap: object, scope: object, join: object) -> None:
    """Refuse what is no loader, policy, `CheapScores`, scope or join, and sample weights that nobody would use.

    Raises:
        ArgumentError: one of these, or the policy judges by the record.
    """
    checks.one_of("scope", scope, ("local", "global"))
    checks.function("join", join)
    if cheap is not None and not isinstance(cheap, CheapScores):
        raise ArgumentError(f"cheap must be CheapScores(...), such as CheapScores(shrink=2); got {cheap!r}.")
    if not isinstance(loader, Iterable):
        fix = "Wrap a data set in torch.utils.data.DataLoader(dataset, batch_size=...)."
        if isinstance(loader, Policy):
            fix = LOADER_FIRST
        raise ArgumentError(f"loader must be an iterable of batches; got {type(loader).__name__}. {fix}")
    checks.refuse_prepared(loader)
    policy = policy_of(given)
    policy.check_fresh()
    if policy._on_records:
        raise ArgumentError(
            "this policy chooses from recorded losses in a RecordedLoader, where it mixes other rules. Build one for "
            "each loader."
        )
    if policy.weighted and not weighted:
        raise ArgumentError(
            "this policy gives sample weights, and a plain loop would ignore them. Pass weighted=True and call "
            "loader.reduce(per_sample_losses) in the loop, or build the policy with weight_exponent=0."
        )
