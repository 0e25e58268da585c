"""Processes that differ under recorded losses are refused on all of them within seconds, and stop together."""

from typing import Any

import pytest

from core.ranks import two_ranks

CHILD = """
import json, sys, time, torch
from datetime import timedelta
from torch import distributed as dist
from torch.utils.data import DataLoader, DistributedSampler, Subset
from adaselection import AdaSelection, RecordedLoader, RecordedLosses, SingleMethod
from adaselection.errors import AdaSelectionError, NonFiniteLossError
from core.parts import data, ids

dist.init_process_group("gloo", timeout=timedelta(seconds=40))
rank, out = dist.get_rank(), {}
whole = data(160)

class Own(AdaSelection):
    pass

def wrap(policy=None, size=8, rows=whole, **options):
    loader = DataLoader(rows, size, sampler=DistributedSampler(rows, seed=3))
    return RecordedLoader(loader, policy or AdaSelection(rate=0.5, seed=1), **options)

def said(name, make, passes=4):
    dist.barrier()
    begun, count, text = time.monotonic(), 0, "nothing"
    try:
        loader = make()
        for _ in range(passes):
            for batch in loader:
                loader.record(torch.tensor([1.0 + number % 7 for number in ids(batch)]))
                count += 1
    except AdaSelectionError as error:
        text = f"{type(error).__name__}: {error}"
    out[name] = {"text": text, "seconds": time.monotonic() - begun, "batches": count}

def mixed(*methods, **options):
    return AdaSelection(methods=methods or ("big_loss", "uniform"), rate=0.5, seed=1, **options)

def known():
    records = RecordedLosses(160)
    records.update(torch.arange(160), torch.ones(160), now=3)
    return records

def judged():
    policy = mixed()
    policy.load_state_dict(moved)
    return policy

source = mixed()
for _ in range(3):
    source.select(torch.arange(8.0))
moved = source.state_dict()
odd = rank == 1

said("window", lambda: wrap(mixed(), window=[32, 16][rank]))
said("longest_unseen", lambda: wrap(longest_unseen=[6, 9][rank]))
said("anneal", lambda: wrap(passes=4, anneal=[0.25, 0.5][rank]))
said("passes", lambda: wrap(passes=[4, 8][rank], anneal=0.25))
said("stop", lambda: wrap(stop=odd))
said("batch_size", lambda: wrap(size=[8, 16][rank]))
said("rate", lambda: wrap(AdaSelection(rate=[0.5, 0.25][rank])))
said("wrong_labels", lambda: wrap(AdaSelection(rate=0.5, wrong_labels=odd), longest_unseen=9))
said("members", lambda: wrap(AdaSelection(rate=0.5, members=[("hard",), ("trusted",)][rank])))
said("default or methods", lambda: wrap([AdaSelection(rate=0.5), mixed()][rank]))
said("methods", lambda: wrap([mixed(), mixed("small_loss", "uniform")][rank]))
said("weighting", lambda: wrap([mixed(), mixed(weighting="progress")][rank]))
said("class", lambda: wrap([AdaSelection, Own][rank](rate=0.5)))
said("kind", lambda: wrap([mixed(), SingleMethod("uniform", 0.5)][rank]))
said("policy loaded", lambda: wrap([mixed, judged][rank]()))
said("records", lambda: wrap(records=known() if odd else None))
said("rows", lambda: wrap(rows=Subset(whole, range(128 + 32 * rank))))

def resumed():
    loader = wrap(mixed())
    if odd:
        other = wrap(mixed())
        other.load_state_dict(state)
        return other
    return loader

source = wrap(mixed())
for number, batch in enumerate(source):
    source.record(torch.ones(8))
    if number == 1:
        break
state = source.state_dict()
said("resumed", resumed)

# what may differ, and what must not be taken for a difference
said("seed", lambda: wrap(AdaSelection(rate=0.5, seed=rank)))
said("variance", lambda: wrap(mixed(weighting="variance")), passes=8)
said("progress", lambda: wrap(mixed(weighting="progress")), passes=8)
said("members alike", lambda: wrap(AdaSelection(rate=0.5, members=("hard",))), passes=8)
own = Subset(whole, range(rank, 160, 2))
said("shards", lambda: RecordedLoader(DataLoader(own, 8, shuffle=rank == 0), mixed(), sharded=True), passes=8)

# losses that are not finite, on one process
def sick(name, make, until, look=False):
    def losses(rows):
        found = torch.ones(len(rows))
        found[:3] = torch.inf if odd and steps <= until else 1.0  # of eight, so that no batch is without a finite one
        return found

    dist.barrier()
    begun, loader, steps = time.monotonic(), make(), 0
    out[name] = {"text": "nothing", "rows": []}
    try:
        for _ in range(6):
            for batch in loader:
                steps += 1
                loader.record(losses(ids(batch)))
                if look and odd:
                    loader.records
                dist.all_reduce(torch.ones(1))  # what a training does at each step
    except NonFiniteLossError as error:
        out[name] |= {"text": str(error), "rows": list(error.rows)}
    after = 0
    for _ in range(2):
        for batch in loader:
            loader.record(torch.ones(len(batch[0])))
            after += 1
    out[name] |= {"batches": steps, "after": after, "seconds": time.monotonic() - begun}

def shards(policy, **options):
    return RecordedLoader(DataLoader(own, 8), policy, sharded=True, **options)

sick("sick end", lambda: wrap(mixed()), 5)
sick("sick looked", lambda: wrap(mixed()), 5, look=True)
sick("sick window", lambda: wrap(AdaSelection(rate=1), window=16), 2)
sick("sick shards", lambda: shards(AdaSelection(rate=1), window=16), 2)
sick("sick shards walk", lambda: shards(mixed()), 10)

# a batch without a finite one, of a process that ends by it: the last case, as the group is of no use then
loader, begun = wrap(mixed()), time.monotonic()
out["gone"] = {"text": "nothing", "seconds": 0.0}
batches = iter(loader)
next(batches)
try:
    loader.record(torch.full((8,), torch.nan if odd else 1.0))
    dist.all_reduce(torch.ones(1))
except (NonFiniteLossError, RuntimeError) as error:
    out["gone"] = {"text": type(error).__name__, "seconds": time.monotonic() - begun}
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump(out, file)
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return two_ranks(CHILD, tmp_path_factory.mktemp("ranks"), flags=("-W", "error"), seconds=120)


WORDS = {
    "window": "window",
    "longest_unseen": "longest_unseen",
    "anneal": "anneal",
    "passes": "passes",
    "stop": "stop",
    "batch_size": "batch_size",
    "rate": "rate, longest_unseen, policies",
    "wrong_labels": "wrong_labels, policies",
    "members": "policies, weights of the methods or members",
    "default or methods": "policies, weights of the methods or members",
    "methods": "policies, weights of the methods or members",
    "weighting": "policies",
    "class": "policies",
    "kind": "policies, weights of the methods or members",
    "policy loaded": "policies, weights of the methods or members",
    "records": "passes in the record (0, 3)",
    "resumed": "batches used of a pass to go on with (0, 2)",
}


def test_what_differs_is_named_by_all_before_the_first_batch(both: list[Any]) -> None:
    for rank in both:
        for name, words in WORDS.items():
            begun = f"ShardingError: the processes begin a pass with different {words}; they must be alike"
            assert rank[name]["text"].startswith(begun), (name, rank[name])
            assert rank[name]["batches"] == 0, name
        assert "a walk has 64 to 80 instances on the processes, and a pass 4 to 5 b" in rank["rows"]["text"]
        assert max(case["seconds"] for case in rank.values()) < 10


def test_what_may_differ_is_let_through(both: list[Any]) -> None:
    for rank in both:
        for name, passes in (("seed", 4), ("variance", 8), ("progress", 8), ("members alike", 8), ("shards", 8)):
            assert rank[name] | {"seconds": 0} == {"text": "nothing", "seconds": 0, "batches": 5 * passes}, name


SICK = {"sick end": (5, 15), "sick looked": (5, 3), "sick window": (3, 6), "sick shards": (3, 6)}
SICK |= {"sick shards walk": (11, 30)}
"""Batches until all stop, and instances that are named: of a pass, of a look in between, of a window or walk."""


def test_all_stop_where_the_losses_of_one_are_not_finite(both: list[Any]) -> None:
    for name, (batches, named) in SICK.items():
        fine, bad = both[0][name], both[1][name]
        assert [fine["batches"], bad["batches"]] == [batches, batches], name
        assert fine["text"].startswith("too many losses of another process are NaN or infinite"), fine
        assert "losses are NaN or infinite (instances " in bad["text"]
        assert (len(fine["rows"]), len(bad["rows"])) == (0, named), name
        assert fine["after"] == bad["after"] > 0, name  # and can go on
        assert max(fine["seconds"], bad["seconds"]) < 10


def test_a_batch_without_a_finite_loss_ends_its_process_at_once_and_the_others_soon(both: list[Any]) -> None:
    fine, bad = (rank["gone"] for rank in both)
    assert bad["text"] == "NonFiniteLossError"
    assert bad["seconds"] < 2
    assert "Error" in fine["text"]
    assert fine["seconds"] < 10
