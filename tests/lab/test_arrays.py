"""Batches from memory: indexing, augmentation, normalisation, workers."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from adaselection.lab.tasks import ArrayDataset
from adaselection.lab.tasks.arrays import Augment, Normalize

MASK = 2**64 - 1


def reference_bits(seed: int, epoch: int, row: int) -> int:
    """Draw the augmentation's bits with Python's unbounded integers."""
    bits = 0
    for word in (seed, epoch, row):
        bits = (bits + word + 0x9E3779B97F4A7C15) & MASK
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
        bits ^= bits >> 31
    return bits >> 1


def reference_augmentation(picture: np.ndarray, bits: int, padding: int) -> np.ndarray:
    height, width = picture.shape[1:]
    padded = np.pad(picture, ((0, 0), (padding, padding), (padding, padding)))
    shifts = 2 * padding + 1
    down, right = bits % shifts, bits // shifts % shifts
    crop = padded[:, down : down + height, right : right + width]
    return crop[:, :, ::-1] if bits >> 62 else crop


def pictures(rows: int = 20, **arguments: object) -> ArrayDataset:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (rows, 3, 6, 5), dtype=torch.uint8, generator=draw)
    return ArrayDataset(inputs, torch.arange(rows), **arguments)


@pytest.mark.parametrize("seed", [0, 5, 2**40])
def test_augmentation_equals_a_slow_reference(seed):
    dataset = pictures(augment=Augment(seed=seed, padding=2))
    dataset.set_epoch(3)
    augmented, targets = dataset.__getitems__([4, 0, 19, 4])
    assert targets.tolist() == [4, 0, 19, 4]
    for got, row in zip(augmented.numpy(), targets.tolist(), strict=True):
        expected = reference_augmentation(dataset.inputs[row].numpy(), reference_bits(seed, 3, row), padding=2)
        np.testing.assert_array_equal(got, expected)


def test_augmentation_depends_on_seed_epoch_and_row_and_on_nothing_else():
    dataset = pictures(augment=Augment(seed=1))
    alone = dataset[7][0]
    assert torch.equal(dataset.__getitems__([3, 7, 11])[0][1], alone)
    assert torch.equal(dataset[7 - len(dataset)][0], alone)
    dataset.set_epoch(1)
    assert not torch.equal(dataset[7][0], alone)
    dataset.set_epoch(0)
    assert torch.equal(dataset[7][0], alone)
    assert not torch.equal(pictures(augment=Augment(seed=2))[7][0], alone)


def test_every_shift_is_drawn_and_half_the_pictures_are_mirrored():
    rows = 8100
    marked = torch.zeros(rows, 1, 9, 9, dtype=torch.uint8)
    marked[:, 0, 4, 4] = 1  # stays in sight under every shift of up to 4, and shows it
    shifted = Augment(seed=0)(marked, torch.arange(rows), 0)
    places = torch.bincount(shifted.flatten(1).int().argmax(1), minlength=81)
    assert (places - 100).abs().max() < 50  # five standard deviations
    sided = torch.zeros(rows, 1, 1, 2, dtype=torch.uint8)
    sided[..., 0] = 1
    mirrored = Augment(seed=0, padding=0)(sided, torch.arange(rows), 0)[..., 1].sum().item()
    assert abs(mirrored - rows / 2) < 5 * (rows / 4) ** 0.5


def test_augmentation_leaves_the_stored_pictures_alone():
    dataset = pictures(augment=Augment(seed=1))
    before = dataset.inputs.clone()
    dataset.__getitems__(range(20))
    assert torch.equal(dataset.inputs, before)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_give_the_same_pictures_and_follow_the_epoch(workers):
    dataset = pictures(augment=Augment(seed=1), normalize=Normalize((0.5,) * 3, (0.25,) * 3))
    loader = DataLoader(
        dataset,
        batch_size=8,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=ArrayDataset.collate,
    )
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        assert dataset.epoch == epoch
        expected, _ = dataset.__getitems__(range(20))
        assert torch.equal(torch.cat([inputs for inputs, _ in loader]), expected)


def test_normalisation_subtracts_the_mean_and_divides_by_the_spread():
    normalize = Normalize(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
    dataset = pictures(normalize=normalize)
    inputs, _ = dataset.__getitems__([2, 1])
    mean, std = (torch.tensor(values).double().view(3, 1, 1) for values in (normalize.mean, normalize.std))
    expected = (dataset.inputs[[2, 1]].double() / 255 - mean) / std
    torch.testing.assert_close(inputs.double(), expected, atol=1e-6, rtol=1e-6)
    assert inputs.dtype == torch.float32


def test_rows_outside_are_refused_and_so_are_parts_of_unequal_length():
    dataset = pictures()
    with pytest.raises(IndexError, match="row 20 of a data set of 20 rows"):
        dataset[20]
    assert len(list(dataset)) == 20
    with pytest.raises(ValueError, match="3 inputs but 2 targets"):
        ArrayDataset(torch.zeros(3, 1), torch.zeros(2))
