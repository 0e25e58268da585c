"""Two processes on gloo: rows apart, flags, weights and checkpoints together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.ranks import two_ranks

CHILD = """
import gc, json, sys, torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch.utils.data import DataLoader
from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from adaselection.errors import ShardingError
from adaselection.integrations.accelerate import PreparedRecordedLoader, PreparedSelectiveLoader
from core.parts import CE, data, ids, net

folder, out = sys.argv[1], {}

class Script:
    def __init__(self, plane, rows=96, drop_last=False, accumulate=4, **config):
        config = DataLoaderConfiguration(**config)
        self.accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulate, dataloader_config=config)
        torch.manual_seed(3)
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        size = 16 if config.split_batches else 8
        loader = DataLoader(data(rows), batch_size=size, shuffle=True, drop_last=drop_last)
        self.model, self.optimizer, prepared = self.accelerator.prepare(model, optimizer, loader)
        self.policy = AdaSelection(("big_loss", "uniform"), 0.5, half_life=3, seed=1)
        options = {"accelerator": self.accelerator}
        if plane == "fresh":
            self.loader = PreparedSelectiveLoader(prepared, self.policy, model=self.model, loss_fn=CE, **options)
        else:
            self.loader = PreparedRecordedLoader(prepared, self.policy, **options)
        self.seen, self.flags, self.weights = [], "", []

    def step(self, batch):
        with self.accelerator.accumulate(self.model):
            losses = CE(self.model(batch[0]), batch[1])
            self.accelerator.backward(
                self.loader.record(losses) if hasattr(self.loader, "record") else losses.mean()
            )
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.seen.append(ids(batch))
        self.flags += "fT"[self.accelerator.sync_gradients]
        self.weights.append([value.hex() for value in self.policy.weights.values()])

    def run(self, passes):
        for _ in range(passes):
            for batch in self.loader:
                self.step(batch)
            self.flags += "|"
        return self

    def said(self):
        sums = [float(p.detach().double().sum()).hex() for p in self.model.parameters()]
        return {"seen": self.seen, "flags": self.flags, "weights": self.weights, "model": sums, "len": len(self.loader)}

ways = {
    "fresh": ("fresh", {}),
    "recorded": ("recorded", {}),
    "split": ("fresh", {"split_batches": True}),
    "split_recorded": ("recorded", {"split_batches": True}),
    "dispatched": ("fresh", {"dispatch_batches": True}),
    "seeded": ("fresh", {"use_seedable_sampler": True}),
    "filled": ("fresh", {"rows": 90}),
    "dropped": ("recorded", {"rows": 90, "drop_last": True, "even_batches": False}),
}
for name, (plane, options) in ways.items():
    out[name] = Script(plane, **options).run(4).said()

for plane in ("fresh", "recorded"):
    whole, cut = Script(plane, accumulate=1).run(3), Script(plane, accumulate=1)
    for batch in cut.loader:
        cut.step(batch)
        if len(cut.seen) == 2:
            break
    cut.accelerator.save_state(f"{folder}/{plane}")
    again = Script(plane, accumulate=1)
    again.accelerator.load_state(f"{folder}/{plane}")
    again.run(3)
    out[f"{plane}_resumed"] = again.seen == whole.seen[2:]

def refused(make):
    try:
        make()
    except ShardingError as error:
        return str(error)

accelerator = Accelerator(cpu=True)
plain = DataLoader(data(32), batch_size=4, shuffle=True)
out["said"] = [
    refused(lambda: accelerator.prepare(SelectiveLoader(plain, AdaSelection(), model=net(), loss_fn=CE))),
    refused(lambda: accelerator.prepare(RecordedLoader(plain, AdaSelection()))),
    refused(lambda: Script("fresh", rows=90, even_batches=False)),
]
with open(f"{folder}/{accelerator.process_index}.json", "w") as file:
    json.dump(out, file)
del whole, cut, again  # DDP goes before its group
gc.collect()
accelerator.end_training()
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What two processes that train together had to say."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    return two_ranks(CHILD, folder, seconds=200, ACCELERATE_USE_CPU="true", LOCAL_RANK="0")


def test_every_way_to_share_a_loader(both: list[Any]) -> None:
    one, two = both
    for way, batches in (
        ("fresh", 3),
        ("recorded", 3),
        ("split", 3),
        ("split_recorded", 3),
        ("dispatched", 3),
        ("seeded", 3),
        ("filled", 3),
        ("dropped", 2),
    ):
        left, right = one[way], two[way]
        assert left["len"] == right["len"] == batches, way
        assert len(left["seen"]) == len(right["seen"]) == 4 * batches, way
        assert {len(rows) for rank in (left, right) for rows in rank["seen"]} == {8}, way
        # the gradients of a pass are used at its end, on both
        assert left["flags"] == right["flags"] == ("f" * (batches - 1) + "T|") * 4, way
        # bit-equal weights of the methods and models, from other rows
        assert left["weights"] == right["weights"], way
        assert left["model"] == right["model"], way
        first = [{row for rows in rank["seen"][:batches] for row in rows} for rank in (left, right)]
        assert len(first[0] & first[1]) <= (6 if way == "filled" else 0), way  # 90 rows are filled up to 96
        # a new order in each pass
        assert left["seen"][:batches] != left["seen"][batches : 2 * batches], way
    assert len({tuple(weights) for weights in one["fresh"]["weights"]}) > 3


def test_a_checkpoint_holds_the_rows_of_every_process(both: list[Any]) -> None:
    for rank in both:
        assert rank["fresh_resumed"]
        assert rank["recorded_resumed"]


def test_wrap_first_and_uneven_shares_are_refused_on_both(both: list[Any]) -> None:
    for rank in both:
        wrapped, recorded, uneven = rank["said"]
        assert "prepare it with your framework first and wrap it last" in wrapped
        assert "prepare it with your framework first and wrap it last" in recorded
        assert "Use even_batches=True" in uneven
