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
