"""The default on clean classes that overlap: two of about a size, and rare ones beside a common one."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from adaselection import AdaSelection, Policy, RecordedLoader, SingleMethod, recorder
from policy.small_training import train

ROWS, WIDTH, PASSES, RATE = 4000, 20, 40, 0.003
Made = tuple[Tensor, Tensor, Tensor, Tensor]


def trained(
    inputs: Tensor, labels: Tensor, classes: int, rate: float, seed: int, policy: Policy | None = None
) -> tuple[RecordedLoader, set[str], nn.Module]:
    """A network with one hidden layer, trained with a policy (the default if None)."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, classes))
    loader, members = train(inputs, labels, model, rate, PASSES, CosineAnnealingLR, policy)
    return loader, members, model


def overlapping(share: float, slope: float, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose label is drawn with a chance that is logistic in the row, a share of 1 on average."""
    inputs = torch.randn(ROWS, WIDTH, generator=chance)
    direction = torch.randn(WIDTH, generator=chance)
    logits = slope * inputs @ direction / direction.norm()
    low, high = -10.0, 10.0
    for _ in range(40):
        offset = (low + high) / 2
        low, high = (offset, high) if (logits + offset).sigmoid().mean() < share else (low, offset)
    return inputs, (torch.rand(ROWS, generator=chance) < (logits + low).sigmoid()).long()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("share", "slope"), [(0.4, 0.5), (0.38, 0.7)])
def test_two_classes_that_overlap_are_not_doubted(share: float, slope: float, seed: int) -> None:
    inputs, labels = overlapping(share, slope, torch.Generator().manual_seed(seed))
    loader, _, _ = trained(inputs, labels, 2, RATE, seed)
    assert loader.report().left_out == 0


def overlapping_classes(shares: torch.Tensor, apart: float, chance: torch.Generator) -> Made:
    """Rows of classes whose means are so many standard deviations apart in each dimension, about; then rows to test."""
    labels = torch.multinomial(shares, 2 * ROWS, replacement=True, generator=chance)
    means = apart * torch.randn(len(shares), WIDTH, generator=chance)
    inputs = means[labels] + torch.randn(2 * ROWS, WIDTH, generator=chance)
    return inputs[:ROWS], labels[:ROWS], inputs[ROWS:], labels[ROWS:]


def rare(seed: int, common: float = 0.6) -> Made:
    """One common class, and nine rare ones that overlap with it."""
    shares = torch.tensor([common] + [(1 - common) / 9] * 9)
    return overlapping_classes(shares, 0.3, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("common", [0.6, 0.75])
@pytest.mark.parametrize("seed", range(2))
def test_rare_classes_that_overlap_with_a_common_one_are_kept(seed: int, common: float) -> None:
    inputs, labels, *_ = rare(seed, common)
    _, members, _ = trained(inputs, labels, 10, 0.01, seed, AdaSelection(rate=0.3))
    assert members <= {"uniform", "hard"}


@pytest.mark.parametrize("seed", range(2))
def test_two_classes_of_which_one_is_rare_and_hardly_told_are_kept(seed: int) -> None:
    inputs, labels = overlapping(0.2, 0.7, torch.Generator().manual_seed(seed))
    _, members, _ = trained(inputs, labels, 2, RATE, seed, AdaSelection(rate=0.3))
    assert members <= {"uniform", "hard"}


@pytest.mark.parametrize("seed", range(2))
def test_rare_classes_whose_labels_are_not_known_are_taken_for_wrong(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/recorded.md says that it does not help with: the losses are those of wrong labels."""
    monkeypatch.setattr(recorder, "targets_of", lambda _, ids: torch.empty(len(ids), 0, dtype=torch.float64))
    inputs, labels, others, truth = rare(seed)
    right = {}
    for name, policy in (("default", AdaSelection(rate=0.3)), ("plain", SingleMethod("uniform", rate=0.3))):
        loader, members, model = trained(inputs, labels, 10, 0.01, seed, policy)
        with torch.no_grad():
            hit = model(others).argmax(1) == truth
        right[name] = [hit[truth == label].double().mean() for label in range(10)]
        if name == "default":
            assert "trusted" in members
            visits = loader.records.read(torch.arange(ROWS), now=PASSES).visits.double()
            assert visits[labels > 0].mean() < 0.7 * visits[labels == 0].mean()
    assert sum(right["default"]) / 10 < sum(right["plain"]) / 10 - 0.02  # balanced accuracy
