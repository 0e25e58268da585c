"""Scores that serve several passes: which rows are scored anew, against a plain loop with a dictionary."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, SelectiveLoader, Signals, SingleMethod
from adaselection.cheap import CheapScores
from adaselection.reusing import rows_to_score
from core.parts import CE, Scaled, data, ids, net

ROWS, SIZE = 50, 16


class Noting(nn.Module):
    """Notes the rows that are scored; its loss of a row changes with every training step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(Scaled(), nn.Linear(4, 3))
        self.scored: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            self.scored += x[:, 0].int().tolist()
        return self.body(x)

    def step(self, batch: Any) -> None:
        """A large step, so that ranks change."""
        CE(self(batch[0]), batch[1]).mean().backward()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter -= 3 * parameter.grad
                parameter.grad = None


def rounded(loss: float) -> float:
    return torch.tensor(loss).bfloat16().item()


def slow_positions(losses: list[float | None], ambiguous: float, threshold: float) -> list[int]:
    """Positions to score anew: those without a usable loss, and the run of ranks around the threshold."""
    known = sorted((loss, place) for place, loss in enumerate(losses) if loss is not None)
    count = round(ambiguous * len(known))
    start = round(threshold * len(known) - count / 2)
    start = 0 if start < 0 else start
    start = len(known) - count if start + count > len(known) else start
    run = [place for rank, (_, place) in enumerate(known) if start <= rank < start + count]
    return sorted(run + [place for place, loss in enumerate(losses) if loss is None])


def slow_run(
    order: list[list[int]], reuse: int, ambiguous: float, threshold: float
) -> tuple[list[int], list[list[int]]]:
    """Rows scored and rows kept over passes of the same batches, with Big Loss at rate 0.25, each window trained on."""
    model, record = Noting(), {}
    rows, kept = data(ROWS).tensors, []
    for now in range(5):
        for batch in order:
            usable = [record[i][0] if i in record and now - record[i][1] < reuse else None for i in batch]
            anew = slow_positions(usable, ambiguous, threshold)
            losses = list(usable)
            if anew:
                take = torch.tensor([batch[place] for place in anew])
                with torch.no_grad():
                    fresh = CE(model(rows[0][take]), rows[1][take]).tolist()
                for place, loss in zip(anew, fresh, strict=True):
                    losses[place] = loss
                    record[batch[place]] = (rounded(loss), now)
            k = max(1, round(0.25 * len(batch)))
            best = sorted(sorted(range(len(batch)), key=lambda place: (-losses[place], place))[:k])
            kept.append([batch[place] for place in best])
            take = torch.tensor(kept[-1])
            model.step((rows[0][take], rows[1][take]))
    return model.scored, kept


@pytest.mark.filterwarnings("ignore:a batch of")
@pytest.mark.parametrize(("ambiguous", "threshold"), [(0.0, None), (0.3, None), (0.5, 0.25), (0.8, 1.0), (1.0, None)])
@pytest.mark.parametrize(("reuse", "window", "workers"), [(2, 1, 0), (3, 1, 0), (99, 1, 0), (3, 2, 0), (2, 2, 2)])
def test_rows_are_those_of_a_plain_loop_with_a_dictionary(
    reuse: int, ambiguous: float, threshold: float | None, window: int, workers: int
) -> None:
    order = [list(range(start, min(start + SIZE, ROWS))) for start in range(0, ROWS, SIZE)]
    order = [
        [row for batch in order[start : start + window] for row in batch] for start in range(0, len(order), window)
    ]
    scored, kept = slow_run(order, reuse, ambiguous, 0.75 if threshold is None else threshold)
    model = Noting()
    loader = SelectiveLoader(
        DataLoader(data(ROWS), batch_size=SIZE, num_workers=workers), SingleMethod("big_loss", 0.25), model=model,
        loss_fn=CE, window=window, update="every_batch",
        cheap=CheapScores(reuse=reuse, ambiguous=ambiguous, threshold=threshold, measure_every=0),
    )  # fmt: skip
    found = []
    for _ in range(5):
        for batch in loader:
            found.append(ids(batch))
            model.step(batch)
    assert found == kept
    assert model.scored == scored
    assert loader.report().scored == len(scored)
    assert loader.report().loaded == 5 * ROWS


LOSS = st.sampled_from([None, 0.0, 0.5, 1.0, 1.0, 2.0, 7.0])


@given(st.lists(LOSS, max_size=12), st.floats(0, 1), st.floats(0, 1))
def test_rows_to_score(losses: list[float | None], ambiguous: float, threshold: float) -> None:
    values = torch.tensor([0.0 if loss is None else loss for loss in losses])
    usable = torch.tensor([loss is not None for loss in losses], dtype=torch.bool)
    anew = rows_to_score(values, usable, ambiguous, threshold)
    assert anew.nonzero().flatten().tolist() == slow_positions(losses, ambiguous, threshold)
    assert usable.tolist() == [loss is not None for loss in losses]


def loader_of(inner: Any, model: nn.Module | None = None, rate: float = 0.25, **options: Any) -> SelectiveLoader:
    cheap = CheapScores(**({"reuse": 99, "measure_every": 0} | options))
    return SelectiveLoader(
        inner, SingleMethod("big_loss", rate), model=model or Noting(), loss_fn=CE, update="every_batch", cheap=cheap
    )


def test_a_data_set_that_grows() -> None:
    rows: list[Any] = [data(ROWS)[i] for i in range(16)]
    model = Noting()
    loader = SelectiveLoader(
        DataLoader(rows, batch_size=16), SingleMethod("big_loss", 0.25), model=model, loss_fn=CE,
        cheap=CheapScores(reuse=9, measure_every=0), update="every_batch", incoming_sizes=[16],
    )  # fmt: skip
    list(loader)
    rows += [data(ROWS)[i] for i in range(16, 32)]
    with pytest.warns(UserWarning, match="promised 1 batches"):
        list(loader)
    assert model.scored == list(range(32))


def test_losses_that_are_not_finite_are_scored_again_and_never_kept() -> None:
    model = Noting()

    def score(model: nn.Module, batch: Any) -> Signals:
        losses = CE(model(batch[0]), batch[1])
        losses[batch[0][:, 0] == 5] = torch.nan
        return Signals(losses, kind="cross_entropy")

    seen: list[Signals] = []
    loader = SelectiveLoader(
        DataLoader(data(16), batch_size=16), AdaSelection(rate=0.5), model=model, score=score,
        cheap=CheapScores(reuse=9), update="every_batch", on_select=lambda signals, _: seen.append(signals),
    )  # fmt: skip
    rows = [ids(batch) for _ in range(3) for batch in loader]
    assert not [batch for batch in rows if 5 in batch]
    assert loader.report().scored == 16 + 1 + 1
    assert [signals.kind for signals in seen] == ["cross_entropy"] * 3
    assert torch.equal(seen[1].losses[6:], seen[0].losses[6:].bfloat16().float())
    assert seen[2].losses[5].isnan()


def test_gradient_norms_are_used_again_too() -> None:
    seen: list[Signals] = []
    loader = SelectiveLoader(
        DataLoader(data(16), batch_size=16), SingleMethod("grad_norm", 0.5), model=net(), loss_fn=CE,
        cheap=CheapScores(reuse=2), update="every_batch", on_select=lambda signals, _: seen.append(signals),
    )  # fmt: skip
    first, second = (ids(next(iter(loader))) for _ in range(2))
    norms = [signals.grad_norms for signals in seen]
    assert norms[0] is not None
    assert norms[1] is not None
    assert torch.equal(norms[1], norms[0].bfloat16().float())
    assert len(first) == len(second) == 8
    assert loader.report().scored == 16
