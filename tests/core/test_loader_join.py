"""Batches put together by a function of the user's, and what a loader says of the batch in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader, SingleMethod
from adaselection.errors import ArgumentError
from core.parts import CE, data, net, selective, stored
from core.recorded_parts import recorded


def padded(batches: Sequence[Tensor]) -> Tensor:
    """Rows of different lengths, filled up with -1."""
    longest = max(batch.shape[1] for batch in batches)
    return torch.cat([nn.functional.pad(batch, (0, longest - batch.shape[1]), value=-1) for batch in batches])


def ragged() -> list[Tensor]:
    """6 batches of 4 rows of 2 to 7 numbers; the first is the row's loss."""
    chance = torch.Generator().manual_seed(0)
    return [torch.rand(4, length, generator=chance) for length in range(2, 8)]


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_different_lengths_are_joined_as_asked(weighted: bool) -> None:
    policy: Any = SingleMethod("big_loss", 0.5) if not weighted else AdaSelection(rate=0.5, weight_exponent=1.0)
    batches, seen = ragged(), []
    options = {"score": lambda _, batch: batch[:, 0], "weighted": weighted, "join": padded, "update": "accumulate"}
    loader = SelectiveLoader(batches, policy, model=net(), on_select=lambda _, s: seen.append(s.indices), **options)
    out, weights = [], []
    for batch in loader:
        out.append(batch)
        weights.append(loader.sample_weights)
    assert [batch.shape for batch in out] == [(4, 3), (4, 5), (4, 7)]
    expected = [padded([batches[i][seen[i]] for i in (start, start + 1)]) for start in (0, 2, 4)]
    assert all(map(torch.equal, out, expected))
    assert all((w is not None and w.shape == (4,)) if weighted else w is None for w in weights)


def test_waiting_rows_of_different_lengths_are_saved_and_found_again() -> None:
    def loader() -> SelectiveLoader:
        options = {"score": lambda _, batch: batch[:, 0], "join": padded, "batch_size": 5}
        return SelectiveLoader(ragged(), SingleMethod("big_loss", 0.5), model=net(), **options)

    one, two = loader(), loader()
    whole = list(one)
    iterator = iter(one)
    assert torch.equal(next(iterator), whole[0])
    two.load_state_dict(stored(one.state_dict()))
    rest = list(two)
    assert len(rest) == 1
    assert torch.equal(rest[0], whole[1])


def test_position_counts_the_batches_of_the_pass() -> None:
    loader = selective(40, 4, AdaSelection(rate=0.25))
    assert loader.position == 0
    assert [loader.position for _ in loader] == [1, 2]
    assert loader.position == 0
    records = recorded(40, 4, AdaSelection(rate=0.5))
    for count, (x, _) in enumerate(records):
        assert (records.position, records.waiting) == (count, 1)  # what was not recorded is handed out again
        records.record(x[:, 1])
        assert (records.position, records.waiting) == (count + 1, 0)


def test_sample_weights_are_those_of_the_losses_that_are_due() -> None:
    loader = recorded(40, 4, AdaSelection(("proportional", "uniform"), 0.5, weight_exponent=1.0))
    seen = []
    for _ in range(4):
        for x, _ in loader:
            losses = x[:, 1].abs()
            weights = loader.sample_weights
            expected = losses.mean() if weights is None else (losses * weights.to(losses)).mean()
            assert torch.equal(loader.record(losses), expected)
            seen.append(weights is not None)
    assert loader.sample_weights is None
    assert any(seen)
    assert not all(seen)  # the first walk is whole


def test_gradient_norms_may_be_given_outright() -> None:
    loader = recorded(8, 4, AdaSelection(("grad_norm", "uniform"), 1.0))
    for x, _ in loader:
        loader.record(x[:, 1].abs(), grad_norms=x[:, 0] + 1)
    found = loader.records.read(torch.arange(8), now=1).grad_norms
    assert found is not None
    assert found.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


class Prepared(torch.utils.data.DataLoader[Any]):
    """What accelerate's loaders are told by."""

    gradient_state = None


def test_a_loader_that_accelerate_prepared_is_refused_with_the_names_of_those_to_use() -> None:
    loader = Prepared(data(8), batch_size=4)
    message = "PreparedSelectiveLoader or PreparedRecordedLoader of adaselection.integrations.accelerate"
    with pytest.raises(ArgumentError, match=message):
        SelectiveLoader(loader, AdaSelection(), model=net(), loss_fn=CE)
    with pytest.raises(ArgumentError, match=message):
        RecordedLoader(loader, AdaSelection())
