"""How large a window is, and what processes with unequally many rows bring together."""

from pathlib import Path

import pytest

from adaselection import AdaSelection, SingleMethod, distributed
from adaselection.limits import window_batches
from core.ranks import two_ranks

CHILD = """
import json, sys, torch
from torch import distributed as dist
from adaselection import agreement

dist.init_process_group("gloo")
rank, processes = dist.get_rank(), agreement.processes()
out = {
    "world": processes.world,
    "none": processes.rows(torch.full((2 * rank, 3), rank + 0.5)).tolist(),
    "flags": processes.rows(torch.arange(3 - rank) + 10 * rank).tolist(),
    "total": processes.total(torch.tensor([0.1, 7.0], dtype=torch.float64) * (1 + rank)).tolist(),
    "first": processes.first(torch.tensor([rank, float("nan")], dtype=torch.float64)).tolist()[0],
}
open(f"{sys.argv[1]}/{rank}.json", "w").write(json.dumps(out))
dist.destroy_process_group()
"""


def test_rows_sums_and_the_first_ones_values_over_real_processes(tmp_path: Path) -> None:
    for found in two_ranks(CHILD, tmp_path):
        assert found["world"] == 2
        assert found["none"] == [[1.5] * 3] * 2
        assert found["flags"] == [0, 1, 2, 10, 11]
        assert found["total"] == [pytest.approx(0.3), 21.0]
        assert found["first"] == 0


@pytest.mark.parametrize(
    ("rows", "world", "batches"),
    [
        (8000, 1, 0),  # one window
        (4000, 2, 0),
        (20_000, 1, 500),  # four of a walk
        (5000, 4, 125),
        (80_000, 1, 1000),  # eight
        (10_000, 8, 125),
        (10_000_000, 1, 26_214),  # not more than 262,144 rows
        (2_500_000, 4, 6553),
        (1_000_000, 64, 1638),  # each has at least 16,384
    ],
)
def test_a_window_of_several_processes_is_that_of_one(
    rows: int, world: int, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: world)
    assert window_batches(None, rows, 10, AdaSelection(rate=0.5)) == batches


def test_a_policy_without_a_gate_sees_a_walk_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 4)
    assert window_batches(None, 80_000, 10, SingleMethod("proportional", 0.5)) == 0


SHARDS = """
import json, sys, torch
from torch import distributed as dist
from torch.utils.data import DataLoader, TensorDataset
from adaselection import AdaSelection, RecordedLoader

dist.init_process_group("gloo")
rank = dist.get_rank()
chance = torch.Generator().manual_seed(10 + rank)
wrong = torch.rand(2000, generator=chance) < (0.4 if rank == 0 else 0.0)
hard = -0.3 * torch.rand(2000, generator=chance).log()
rows = TensorDataset(torch.arange(2000), torch.randint(0, 10, (2000,), generator=chance))
order = torch.Generator().manual_seed(1)
loader = RecordedLoader(
    DataLoader(rows, 20, shuffle=True, generator=order), AdaSelection(rate=0.5), sharded=True
)
visits = torch.zeros(2000)
for number in range(24):
    for ids, _ in loader:
        noise = 0.1 * torch.randn(len(ids), generator=chance)
        settled = torch.where(wrong[ids], 4 + noise, (0.05 + hard[ids] + 0.2 * noise).clamp_min(0.01))
        loader.record(settled if loader.walk else 2.3 + noise)
        visits[ids] += loader.policy.verdict == "trusted"
report = loader.report()
said = {"left_out": report.left_out, "walks": float(visits.max()), "members": list(report.verdicts)}
said |= {"right": float(visits[~wrong].mean()), "wrong": float(visits[wrong].mean()) if rank == 0 else 0.0}
open(f"{sys.argv[1]}/{rank}.json", "w").write(json.dumps(said | {"fewest": float(visits[~wrong].min())}))
del loader
dist.destroy_process_group()
"""


def test_shards_of_which_one_alone_has_wrong_labels(tmp_path: Path) -> None:
    """The clean one makes as few steps as the other, says so, and does without other rows in each walk."""
    noisy, clean = two_ranks(SHARDS, tmp_path)
    assert noisy["members"] == clean["members"] == ["uniform", "trusted"]
    assert noisy["left_out"] > 0.2
    assert clean["left_out"] == pytest.approx(noisy["left_out"], abs=0.02)
    assert noisy["wrong"] < 0.5 * noisy["right"]
    assert clean["fewest"] >= 2
    assert clean["walks"] >= 8
