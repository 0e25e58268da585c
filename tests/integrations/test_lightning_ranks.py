"""Two processes under Lightning's DDP: disjoint samples or an error, and each process resumes where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.ranks import two_ranks

CHILD = """
import json, os, sys, warnings
os.environ["LOCAL_RANK"] = os.environ["RANK"]
rank, folder = int(os.environ["RANK"]), sys.argv[1]
warnings.simplefilter("ignore")
import torch
from torch.utils.data import DataLoader, DistributedSampler
from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from adaselection.errors import AdaSelectionError
from adaselection.integrations.lightning import AdaSelectionCallback
from core.parts import CE, data, ids
from integrations.lightning_parts import ROWS, SIZE, Module, Saver, trainer

METHODS = ("big_loss", "small_loss", "uniform")

def inner(sharded=True):
    rows = data(ROWS)
    options = {"sampler": DistributedSampler(rows, seed=3)} if sharded else {"shuffle": True}
    return DataLoader(rows, batch_size=SIZE, **options)

def fresh(module, sharded=True):
    return SelectiveLoader(inner(sharded), AdaSelection(METHODS, rate=0.5, seed=1), model=module.net, loss_fn=CE)

def known(module, sharded=True):
    return RecordedLoader(inner(sharded), AdaSelection(("big_loss", "uniform"), rate=0.5, seed=1))

class Ranked(Module):
    def val_dataloader(self):
        return DataLoader(data(20, seed=1), batch_size=5)
    def validation_step(self, batch, batch_idx):
        self.validated = getattr(self, "validated", []) + ids(batch)

def run(make, ckpt_path=None, **options):
    module = Ranked(make)
    torch.manual_seed(rank)
    fitting = trainer(devices=2, strategy="ddp", max_epochs=4, num_sanity_val_steps=0, **options)
    fitting.fit(module, ckpt_path=ckpt_path)
    return module

def said(what):
    try:
        what()
    except AdaSelectionError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"

out = {"unsharded": []}
for name, make in (("fresh", fresh), ("known", known)):
    out["unsharded"].append(said(lambda: run(lambda module: make(module, sharded=False))))
    whole = run(make, callbacks=[AdaSelectionCallback()])
    report = whole.trainer.train_dataloader.report()
    out[name] = {"seen": whole.seen, "validated": whole.validated}
    out[name] |= {"steps": whole.global_step, "weights": report.weights}
    out[name]["model"] = [float(p.detach().double().sum()).hex() for p in whole.parameters()]
    for when in ({"batch": 3}, {"epoch": 1}):
        saver = Saver(f"{folder}/{name}.ckpt", **when)
        run(make, callbacks=[AdaSelectionCallback(), saver])
        resumed = run(make, callbacks=[AdaSelectionCallback()], ckpt_path=saver.path)
        out[name][str(when)] = [saver.at, resumed.seen == whole.seen[saver.at:], len(resumed.seen)]

with open(f"{folder}/{rank}.json", "w") as file:
    json.dump(out, file)
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the two processes had to say."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    return two_ranks(CHILD, folder, seconds=240)


def test_a_loader_that_is_not_split_is_refused_with_the_fix(both: list[Any]) -> None:
    for rank in both:
        for said in rank["unsharded"]:
            assert said.startswith("ShardingError: 2 processes run")
            assert "sampler=torch.utils.data.DistributedSampler(dataset)" in said


@pytest.mark.parametrize("name", ["fresh", "known"])
def test_ranks_train_on_disjoint_samples_and_agree(both: list[Any], name: str) -> None:
    left, right = (rank[name] for rank in both)
    assert left["weights"] == right["weights"]
    assert left["model"] == right["model"]
    assert left["steps"] == right["steps"] == 8  # four epochs of two batches, of four incoming ones for each process
    for epoch in range(4):
        rows = [
            {row for number, batch, _ in side["seen"] if number == epoch for row in batch} for side in (left, right)
        ]
        assert [len(part) for part in rows] == [20, 20]
        assert rows[0].isdisjoint(rows[1])


def test_each_epoch_is_shuffled_anew(both: list[Any]) -> None:
    for rank in both:
        pools = [
            {row for number, rows, _ in rank["fresh"]["seen"] if number == epoch for row in rows} for epoch in range(4)
        ]
        everything = set().union(*pools)
        assert len(everything) > 50  # one shard of forty in all, if the sampler were not told the epoch


def test_validation_loaders_are_split_by_lightning_as_ever(both: list[Any]) -> None:
    left, right = (set(rank["fresh"]["validated"]) for rank in both)
    assert left.isdisjoint(right)
    assert left | right == set(range(20))


@pytest.mark.parametrize("name", ["fresh", "known"])
def test_each_process_resumes_its_own_samples(both: list[Any], name: str) -> None:
    for rank in both:
        assert rank[name]["{'batch': 3}"] == [3, True, 5]
        assert rank[name]["{'epoch': 1}"] == [4, True, 4]
