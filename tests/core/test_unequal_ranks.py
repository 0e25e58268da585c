"""What processes cannot do together is refused on all of them within seconds, and each goes on from its own state."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from adaselection.errors import StateError
from core.parts import CE, data, net, selective
from core.ranks import two_ranks

CHILD = """
import json, sys, time, torch
from datetime import timedelta
from torch import distributed as dist
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset
from adaselection import AdaSelection, RecordedLoader, SelectiveLoader, SingleMethod
from adaselection.errors import AdaSelectionError
from core.parts import CE, data, ids, net, stored

dist.init_process_group("gloo", timeout=timedelta(seconds=40))
rank, folder, out = dist.get_rank(), sys.argv[1], {}
rows = data(160)
x, y = rows.tensors

class Stream(IterableDataset):
    def __init__(self, sizes, start):
        self.sizes, self.start = sizes, start

    def __iter__(self):
        at = self.start
        for size in self.sizes:
            yield x[at : at + size], y[at : at + size]
            at += size

def stream(sizes, start=80 * rank):
    return DataLoader(Stream(sizes, start), batch_size=None)

def sampled(size=16, rows=rows, **options):
    return DataLoader(rows, size, sampler=DistributedSampler(rows, seed=3, **options))

def wrap(loader, rate=0.5, policy=None, **options):
    policy = policy or AdaSelection(rate=rate, seed=1)
    torch.manual_seed(4)  # one net for all
    return SelectiveLoader(loader, policy, model=net(), loss_fn=CE, **options)

def said(name, make):
    dist.barrier()
    begun, count = time.monotonic(), 0
    try:
        for _ in make():
            count += 1
        text = "nothing"
    except AdaSelectionError as error:
        text = f"{type(error).__name__}: {error}"
    out[name] = {"text": text, "seconds": time.monotonic() - begun, "batches": count}

def broken(losses_bad):
    def score(model, batch):
        losses = CE(model(batch[0]), batch[1])
        return losses * torch.nan if losses_bad else losses
    return score

for scope in ("local", "global"):
    both = {"scope": scope}
    said(f"{scope} counts", lambda: wrap(stream([16] * (3 + rank)), **both))
    said(f"{scope} sizes", lambda: wrap(stream([16, 16, 16 - rank]), **both))
    said(f"{scope} same", lambda: wrap(stream([16, 16], start=0), **both))
    said(f"{scope} known", lambda: wrap(sampled(rows=torch.utils.data.Subset(rows, range(96 + 32 * rank))), **both))
    said(f"{scope} rate", lambda: wrap(sampled(), rate=0.5 - 0.25 * rank, **both))
    said(f"{scope} surplus", lambda: wrap(sampled(), surplus=["drop", "flush"][rank], **both))
    bad = lambda: SelectiveLoader(sampled(), AdaSelection(), model=net(), score=broken(rank == 1), **both)
    said(f"{scope} nan", bad)
    said(f"{scope} fine", lambda: wrap(stream([16] * 4), **both))
said("global seed", lambda: wrap(sampled(), policy=AdaSelection(seed=rank), scope="global"))
said("local seed", lambda: wrap(sampled(), policy=AdaSelection(seed=rank)))
pairs = [(x[:16, : 4 - rank], y[:16])]
said("global shapes", lambda: SelectiveLoader(pairs, SingleMethod("uniform"), model=net(), loss_fn=CE, scope="global"))
said("rate 1", lambda: wrap(stream([16] * 3, start=0), rate=1))

# states
def load(loader, state):
    try:
        loader.load_state_dict(state)
    except AdaSelectionError as error:
        return f"{type(error).__name__}: {error}"

def half(make):
    loader = make()
    for number, batch in enumerate(loader):
        if isinstance(loader, RecordedLoader):
            loader.record(torch.ones(len(batch[0])))
        if number == 1:
            break
    return loader

def recorded():
    return RecordedLoader(sampled(8), AdaSelection(("big_loss", "uniform"), 0.5, seed=1))

kinds = {"selective": lambda: wrap(sampled(8), 0.4, scope="global"), "recorded": recorded}
for kind, make in kinds.items():
    loader = half(make)
    torch.save(loader.state_dict(), f"{folder}/{kind}-{rank}.pt")
    dist.barrier()
    states = [torch.load(f"{folder}/{kind}-{number}.pt", weights_only=True) for number in range(2)]
    out[f"{kind} other"] = load(make(), states[1 - rank])
    again = make()
    out[f"{kind} own"] = load(again, states[rank])
    rest = []
    for batch in again:
        if kind == "recorded":
            again.record(torch.ones(len(batch[0])))
        rest.append(ids(batch))
    out[f"{kind} rest"] = rest
    out[f"{kind} whole"] = []
    whole = make()
    for batch in whole:
        if kind == "recorded":
            whole.record(torch.ones(len(batch[0])))
        out[f"{kind} whole"].append(ids(batch))
# one resumed in the middle of a pass, the other not
odd = kinds["selective"]()
if rank == 0:
    odd.load_state_dict(torch.load(f"{folder}/selective-0.pt", weights_only=True))
said("odd", lambda: odd)
# between passes nothing belongs to one process alone
whole = kinds["selective"]()
list(whole)
box = [stored(whole.state_dict())]
dist.broadcast_object_list(box, 0)
out["between"] = load(kinds["selective"](), box[0])
# from one process to two
for kind in kinds:
    state = torch.load(f"{folder}/{kind}-alone.pt", weights_only=True)
    loader = kinds[kind]()
    out[f"{kind} world"] = load(loader, state)
    loader.policy.load_state_dict(state["policy"])
    if kind == "recorded":
        loader.records.load_state_dict(torch.load(f"{folder}/records.pt", weights_only=True))
        out["unseen"] = loader.records.unseen
    count = 0
    for batch in loader:
        if kind == "recorded":
            loader.record(torch.ones(len(batch[0])))
        count += 1
    out[f"{kind} went on"] = count
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump(out, file)
dist.destroy_process_group()
"""


def alone(kind: str) -> Any:
    """A loader that one process ran for a whole pass."""
    loader = DataLoader(data(160), 8)
    if kind == "selective":
        return SelectiveLoader(loader, AdaSelection(rate=0.4, seed=1), model=net(), loss_fn=CE, scope="global")
    return RecordedLoader(loader, AdaSelection(("big_loss", "uniform"), 0.5, seed=1))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("ranks")
    for kind in ("selective", "recorded"):
        loader = alone(kind)
        for batch in loader:
            if kind == "recorded":
                loader.record(torch.ones(len(batch[0])))
        torch.save(loader.state_dict(), folder / f"{kind}-alone.pt")
    torch.save(loader.records.state_dict(), folder / "records.pt")
    return two_ranks(CHILD, folder, seconds=180)


WORDS = {
    "counts": "ShardingError: window 4 of this pass has 0, 16 rows on the processes (0: the loader has ended)",
    "sizes": "ShardingError: window 3 of this pass has 16, 15 rows",
    "same": "ShardingError: several processes got the very same rows",
    "known": "ShardingError: the processes begin a pass with different incoming batches (3, 4), incoming rows (48, 64)",
    "rate": "ShardingError: the processes begin a pass with different arguments of the loader, policies;",
    "surplus": "ShardingError: the processes begin a pass with different arguments of the loader;",
}


def test_what_differs_is_refused_by_all_within_seconds(both: list[Any]) -> None:
    for rank in both:
        for scope in ("local", "global"):
            for name, words in WORDS.items():
                assert rank[f"{scope} {name}"]["text"].startswith(words), rank[f"{scope} {name}"]
            assert rank[f"{scope} fine"] | {"seconds": 0} == {"text": "nothing", "seconds": 0, "batches": 2}
            assert rank[f"{scope} nan"]["text"].startswith("NonFiniteLossError: ")
        assert "docs/distributed.md" in rank["local counts"]["text"]
        assert "shards[rank::world_size]" in rank["local same"]["text"]
        assert rank["global seed"]["text"].startswith(
            "ShardingError: the processes begin a pass with different policies"
        )
        assert rank["local seed"]["text"] == "nothing"
        assert "structure, types or shapes" in rank["global shapes"]["text"]
        assert rank["rate 1"] | {"seconds": 0} == {"text": "nothing", "seconds": 0, "batches": 3}
        assert "batches used of a pass to go on with (" in rank["odd"]["text"]
        assert max(case["seconds"] for case in rank.values() if isinstance(case, dict)) < 10
    # the process whose losses are bad names their rows; of a joined batch all can
    assert both[0]["local nan"]["text"].startswith("NonFiniteLossError: too many losses of another process")
    assert "16 of 16 losses are NaN" in both[1]["local nan"]["text"]
    assert both[0]["global nan"] | {"seconds": 0} == both[1]["global nan"] | {"seconds": 0}


def test_each_process_goes_on_from_its_own_state_alone(both: list[Any]) -> None:
    for number, rank in enumerate(both):
        for kind in ("selective", "recorded"):
            other = rank[f"{kind} other"]
            assert other.startswith(
                f"StateError: the loader state was saved by process {1 - number}, and this is process"
            )
            assert "Save one file for each process" in other
            assert rank[f"{kind} own"] is None
            assert rank[f"{kind} rest"] == rank[f"{kind} whole"][2:]
            assert len(rank[f"{kind} rest"]) >= 1
        assert rank["between"] is None


def test_another_number_of_processes_is_refused_and_what_all_share_can_be_taken_over(both: list[Any]) -> None:
    for rank in both:
        for kind in ("selective", "recorded"):
            assert rank[f"{kind} world"].startswith(
                "StateError: the loader state was saved by one of 1 processes, and now"
            )
            assert 'loader.policy.load_state_dict(state["policy"])' in rank[f"{kind} world"]
            assert rank[f"{kind} went on"] > 1
        assert rank["unseen"] == 80  # the pass of the one process saw half


@pytest.mark.usefixtures("unchecked")
def test_scope_is_one_of_two() -> None:
    with pytest.raises(ValueError, match=r"scope='globally' is unknown.*'global'"):
        selective(32, 8, scope="globally")
    state = selective(32, 8).state_dict()
    with pytest.raises(StateError, match="'scope': 'local'"):
        selective(32, 8, scope="global").load_state_dict(state)
