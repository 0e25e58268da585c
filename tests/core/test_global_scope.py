"""Several processes that choose from the joined batch: as one process would, and each trains on as many rows."""

import random
from typing import Any

import pytest
import torch

from adaselection.dealing import deal
from core.joint_parts import POLICIES, SIZE, train
from core.ranks import two_ranks

CHILD = """
import json, sys
from datetime import timedelta
from torch import distributed as dist
from torch.utils.data import DataLoader, DistributedSampler
from adaselection import SelectiveLoader, SingleMethod
from core.joint_parts import Named, model, score, train

dist.init_process_group("gloo", timeout=timedelta(seconds=40))
rank, world, out = dist.get_rank(), dist.get_world_size(), {}
for case in sys.argv[2:]:
    name, kind = case.split("/")
    out[case] = train(name, rank, world, kind)
if world == 2:
    sampler = DistributedSampler(Named(), shuffle=False)
    loader = DataLoader(Named(), 8, sampler=sampler)
    chosen = SelectiveLoader(loader, SingleMethod("big_loss", 0.5), model=model(), score=score, scope="global")
    out["named"] = [
        {key: value if key == "name" else value.tolist() for key, value in batch.items()} for batch in chosen
    ]
    out["types"] = [[str(value.dtype) for key, value in batch.items() if key != "name"] for batch in chosen][0]
    out["report"] = sorted(chosen.report().seconds)
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump(out, file)
dist.barrier()  # it waits for all exchanges, as torch 2.13 never frees a group that served FSDP2 nor ends its threads
dist.destroy_process_group()
"""
CASES = {2: [*(f"{name}/ddp" for name in POLICIES), "default/fsdp"], 4: ["default/ddp"]}


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the processes saw."""
    world: int = request.param
    folder = tmp_path_factory.mktemp("ranks")
    return two_ranks(CHILD, folder, *CASES[world], flags=("-W", "error"), seconds=180, world=world, freed=False)


def test_all_processes_together_train_as_one_would(ranks: list[Any]) -> None:
    world = len(ranks)
    for case in CASES[world]:
        alone = train(case.split("/")[0], 0, 1, batch=world * SIZE)
        steps = [rank[case] for rank in ranks]
        assert {len(seen) for seen in steps} == {len(alone)}, case
        for number, expected in enumerate(alone):
            parts = [seen[number] for seen in steps]
            # the same rows in the same full batch, an equal share of them on every process
            assert sorted(row for part in parts for row in part["rows"]) == sorted(expected["rows"]), (case, number)
            assert len({len(part["rows"]) for part in parts}) == 1
            # the same gradient, and bit-equal weights of the methods
            wanted = torch.tensor(expected["gradient"])
            for part in parts:
                error = (torch.tensor(part["gradient"]) - wanted).norm() / wanted.norm()
                assert error < 1e-6, (case, number, float(error))
                assert part["weights"] == parts[0]["weights"]
                assert part["weights"] == pytest.approx(expected["weights"], abs=1e-6)


def test_rows_of_any_structure_travel_whole(ranks: list[Any]) -> None:
    if len(ranks) == 4:
        return
    assert ranks[0]["types"] == ["torch.float32", "torch.int64", "torch.bool", "torch.float32"]
    travelled = 0
    for number, rank in enumerate(ranks):
        for batch in rank["named"]:
            assert len(batch["x"]) == 8
            for x, name, even, none in zip(batch["x"], batch["name"], batch["even"], batch["none"], strict=True):
                assert name == f"row {x[0]:g}"
                assert even == (x[0] % 2 == 0)
                assert none == []
                travelled += x[0] % 2 != number
    assert travelled > 3  # rows that the other process loaded
    assert "exchange" in ranks[0]["report"]


def slow_deal(owners: list[int], world: int) -> list[int]:
    goals = []
    for start in range(0, len(owners), world):
        block = owners[start : start + world]
        goal = [owner if owner not in block[:place] else None for place, owner in enumerate(block)]
        free = [process for process in range(world) if process not in block]
        goals += [free.pop(0) if one is None else one for one in goal]
    return goals


def test_each_process_gets_one_row_of_each_block_and_keeps_its_own_where_it_can() -> None:
    chance = random.Random(0)
    for _ in range(200):
        world = chance.randint(1, 6)
        owners = [chance.randrange(world) for _ in range(world * chance.randint(1, 5))]
        goals = deal(torch.tensor(owners), world).tolist()
        assert goals == slow_deal(owners, world)
        for start in range(0, len(goals), world):
            assert sorted(goals[start : start + world]) == list(range(world))
