"""Smaller copies of batches: pictures by areas, sequences by positions."""

from typing import Any

import pytest
import torch
from torch.nn import functional as nnf

from adaselection.errors import BatchStructureError
from adaselection.shrinking import short_sequences, smaller_pictures


def test_smaller_pictures_average_areas() -> None:
    x, y = torch.randn(3, 2, 12, 6), torch.zeros(3)
    by_hand = torch.stack([x[:, :, i : i + 3, j : j + 3].mean((2, 3)) for i in (0, 3, 6, 9) for j in (0, 3)], -1)
    small, same = smaller_pictures(3)((x, y))
    assert torch.allclose(small.flatten(2), by_hand, atol=1e-6)
    assert same is y
    assert smaller_pictures(1.5)(x).shape == (3, 2, 8, 4)
    assert smaller_pictures(100)(x).shape == (3, 2, 1, 1)
    assert torch.allclose(smaller_pictures(100)(x)[:, :, 0, 0], x.mean((2, 3)), atol=1e-6)
    assert torch.equal(smaller_pictures(5)([x, y])[0], nnf.interpolate(x, size=(2, 1), mode="area"))
    mapping = {"pixel_values": x, "labels": y}
    assert smaller_pictures(2)(mapping)["pixel_values"].shape == (3, 2, 6, 3)
    assert mapping["pixel_values"] is x
    assert smaller_pictures(2)(x[:0]).shape == (0, 2, 6, 3)


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(3, 5),
        (torch.zeros(3, 5), torch.zeros(3)),
        (torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.zeros(3)),
        {"input_ids": torch.zeros(3, 4)},
        {"pixel_values": torch.zeros(3, 4)},
        ["a", "b"],
        "text",
    ],
)
def test_what_is_no_picture_is_refused_with_the_fix(batch: Any) -> None:
    with pytest.raises(BatchStructureError, match=r"Pass shrink=, a function .* short_sequences"):
        smaller_pictures(2)(batch)


def test_targets_of_a_pictures_size_are_refused() -> None:
    with pytest.raises(BatchStructureError, match="would not fit"):
        smaller_pictures(2)((torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8)))
    with pytest.raises(BatchStructureError, match="would not fit"):
        smaller_pictures(2)({"pixel_values": torch.zeros(2, 3, 8, 8), "masks": torch.zeros(2, 1, 8, 8)})


def test_short_sequences() -> None:
    tokens = torch.arange(24).reshape(2, 12)
    batch = {"input_ids": tokens, "attention_mask": tokens + 1, "labels": torch.tensor([3, 4]), "name": ["a", "b"]}
    cut = short_sequences(5)(batch)
    assert torch.equal(cut["input_ids"], tokens[:, :5])
    assert torch.equal(cut["attention_mask"], tokens[:, :5] + 1)
    assert cut["labels"] is batch["labels"]
    assert batch["input_ids"] is tokens
    assert torch.equal(short_sequences(5, keep="end")(tokens), tokens[:, -5:])
    x, y = short_sequences(1)((tokens, tokens * 2))
    assert (x.tolist(), y.tolist()) == ([[0], [12]], [[0], [24]])
    x, y = short_sequences(3)((torch.zeros(2, 12, 7), torch.zeros(2)))
    assert (x.shape, y.shape) == ((2, 3, 7), (2,))
    for keep in ("start", "end"):
        assert torch.equal(short_sequences(99, keep=keep)(tokens), tokens)
    with pytest.raises(BatchStructureError, match=r"\[b, t, \.\.\.\]"):
        short_sequences(3)((torch.zeros(2), torch.zeros(2)))
