"""Two processes: what one scored, the other uses in the next pass."""

from pathlib import Path

import pytest

from core.ranks import two_ranks

CHILD = """
import json, sys, torch
from torch import distributed as dist
from torch.utils.data import DataLoader, DistributedSampler
from adaselection import AdaSelection, SelectiveLoader
from adaselection.cheap import CheapScores
from core.parts import CE, data, net

dist.init_process_group("gloo")
rank, rows, seen = dist.get_rank(), data(150), []
torch.manual_seed(4)

def note(signals, selection):
    seen[-1].append(len(signals.losses))

loader = SelectiveLoader(
    DataLoader(rows, batch_size=16, sampler=DistributedSampler(rows, seed=3)), AdaSelection(rate=0.5), model=net(),
    loss_fn=CE, cheap=CheapScores(reuse=int(sys.argv[2]), measure_every=0), on_select=note,
)
scored = []
for number in range(4):
    loader.set_epoch(number)
    seen.append([])
    for batch in loader:
        pass
    scored.append(loader.report().scored)
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump({"scored": scored, "judged": [sum(sizes) for sizes in seen]}, file)
dist.destroy_process_group()
"""


@pytest.mark.parametrize(("reuse", "expected"), [(99, [75, 75, 75, 75]), (2, [75, 75, 150, 150])])
def test_scores_are_shared_between_passes(reuse: int, expected: list[int], tmp_path: Path) -> None:
    for said in two_ranks(CHILD, tmp_path, str(reuse), seconds=90):
        assert said["judged"] == [75] * 4
        assert said["scored"] == expected  # the ranks see other rows in each pass, and score none that was scored
