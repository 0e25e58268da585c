"""Two processes with recorded losses: equal lengths, decisions and method weights, and records that come together."""

from itertools import chain
from typing import Any

import pytest

from core.ranks import two_ranks

CHILD = """
import json, sys, torch
from datetime import timedelta
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, Subset
from adaselection import AdaSelection, RecordedLoader, RecordedLosses, SingleMethod
from adaselection.errors import AdaSelectionError
from core.parts import CE, data, ids, net

dist.init_process_group("gloo", timeout=timedelta(seconds=40))
rank, out = dist.get_rank(), {}
ROWS, SIZE = 246, 8  # 123 rows a process, so one of each walk is given twice

def wrap(policy, workers=0, rows=ROWS, **options):
    whole = data(rows)
    sampler = DistributedSampler(whole, seed=3)
    return RecordedLoader(DataLoader(whole, batch_size=SIZE, sampler=sampler, num_workers=workers), policy, **options)

def said(make):
    try:
        iter(make())
    except AdaSelectionError as error:
        return f"{type(error).__name__}: {error}"

def noisy(number, step):  # a quarter stays high whatever is done, the others fall
    return 4.0 + number % 3 / 10 if number % 4 == 0 else (1 + number % 5) / (5 + step)

def hard(number, step):
    return 1.0 + number % 7

def drive(loader, losses, passes, seen):
    for _ in range(passes):
        seen["lengths"].append(len(loader))
        for batch in loader:
            rows = ids(batch)
            step = len(seen["rows"])
            loader.record(torch.tensor([losses(number, step) for number in rows]))
            seen["rows"].append(rows)
            seen["weights"].append([value.hex() for value in loader.policy.weights.values()])
            sizes = torch.tensor([float(len(rows)), float(loader.walk)])
            dist.all_reduce(sizes)  # what a training does at each step: it must not meet anything else
            assert sizes.tolist() == [2 * len(rows), 2 * loader.walk], (rank, step)
    return seen

def fresh():
    return {"lengths": [], "rows": [], "weights": []}

policies = {
    "default": (lambda: AdaSelection(rate=0.3, seed=1), noisy, {}),
    "mixture": (lambda: AdaSelection(("big_loss", "proportional", "uniform"), 0.3, half_life=3, seed=1), hard, {}),
    "weighted": (lambda: AdaSelection(("proportional", "uniform"), 0.5, weight_exponent=1.0, seed=1), hard, {}),
    "windows": (lambda: SingleMethod("big_loss", 0.5, seed=1), hard, {"window": 32}),
    "workers": (lambda: SingleMethod("proportional", 0.5, seed=1), hard, {"workers": 2}),
    "paper": (lambda: AdaSelection(("big_loss", "uniform"), 0.5, replicate="paper"), hard, {}),
    "anneal": (lambda: SingleMethod("proportional", 0.5, seed=1), hard, {"passes": 10, "anneal": 0.3}),
}
for name, (make, losses, options) in policies.items():
    loader = wrap(make(), **options)
    seen = drive(loader, losses, 10, fresh())
    packed = loader.records.state_dict()["columns"]["packed"]
    report = loader.report()
    out[name] = seen | {name: getattr(report, name) for name in ("selected", "windows", "shut")}
    out[name] |= {"packed": int((packed * torch.arange(1, len(packed) + 1)).sum()), "unseen": loader.records.unseen}

# each process with rows of its own, whose records stay apart
own = torch.utils.data.Subset(data(ROWS), range(rank, ROWS, 2))
loader = RecordedLoader(DataLoader(own, SIZE, shuffle=True), policies["mixture"][0](), sharded=True)
out["sharded"] = drive(loader, hard, 10, fresh())
known = loader.records.read(torch.arange(len(own)), now=10)
out["sharded"] |= {"losses": known.losses.tolist(), "kept": len(loader.records), "noted": loader.records.tracked_bytes}

# killed in the middle of a pass and resumed
one = wrap(policies["mixture"][0]())
drive(one, hard, 5, fresh())
for number, batch in enumerate(one):
    one.record(torch.ones(SIZE))
    if number == 1:
        break
state = one.state_dict()
two = wrap(policies["mixture"][0]())
two.load_state_dict(state)
first = drive(two, hard, 3, fresh())
again = wrap(policies["mixture"][0]())
again.load_state_dict(state)
out["resumed"] = drive(again, hard, 3, fresh()) == first

# a real training
torch.manual_seed(4)
model = DistributedDataParallel(net())
optimizer = torch.optim.SGD(model.parameters(), 0.1)
loader = wrap(policies["mixture"][0]())
for _ in range(6):
    for batch in loader:
        optimizer.zero_grad()
        loader.record(CE(model(batch[0]), batch[1])).backward()
        optimizer.step()
out["model"] = [float(p.detach().double().sum()).hex() for p in model.parameters()]

plain = data(64)
out["said"] = [
    said(lambda: RecordedLoader(DataLoader(plain, batch_size=8), AdaSelection())),
    said(lambda: RecordedLoader(DataLoader(plain, batch_size=8, shuffle=True), AdaSelection())),
    said(lambda: wrap(SingleMethod("infobatch"))),
    said(lambda: RecordedLoader(DataLoader(own, 8), AdaSelection(), records=RecordedLosses(123), sharded=True)),
    said(lambda: RecordedLoader(DataLoader(plain, batch_size=8, sampler=list(range(40 + 8 * rank))), AdaSelection())),
]
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump(out, file)
del loader, optimizer, model  # DDP goes before its group
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What two processes that train together had to say."""
    return two_ranks(CHILD, tmp_path_factory.mktemp("ranks"), flags=("-W", "error"), seconds=180)


def test_two_ranks_choose_together(both: list[Any]) -> None:
    one, two = both
    for name in ("default", "mixture", "weighted", "windows", "workers", "paper", "anneal"):
        left, right = one[name], two[name]
        # as many batches of as many rows, planned at the same steps
        assert left["lengths"] == right["lengths"], name
        assert len(set(left["lengths"])) == 1, name
        assert [len(rows) for rows in left["rows"]] == [len(rows) for rows in right["rows"]], name
        # bit-equal weights of the methods, though the losses differ
        assert left["weights"] == right["weights"], name
        assert left["rows"] != right["rows"]
        # the gate decided alike, and the records are one
        assert {key: left[key] for key in ("selected", "windows", "shut")} == {
            key: right[key] for key in ("selected", "windows", "shut")
        }
        assert left["packed"] == right["packed"], name
        assert left["unseen"] == right["unseen"] == 0, name
        # the first walk takes all rows, half of them each
        walk = 16  # ceil(123 / 8) batches
        first = [set(chain(*rank["rows"][:walk])) for rank in (left, right)]
        assert first[0] | first[1] == set(range(246)), name
        assert len(first[0] & first[1]) <= 1, name
    # what the policies are for
    assert len({tuple(weights) for weights in one["mixture"]["weights"]}) > 2
    assert one["mixture"]["selected"] > 2
    assert one["default"]["selected"] > 0
    late = list(chain(*one["default"]["rows"][-12:]))
    assert sum(number % 4 == 0 for number in late) < 0.1 * len(late)  # a quarter, were it not for the choice
    last = [set(chain(*rank["anneal"]["rows"][-21:])) for rank in (one, two)]
    assert len(last[0] | last[1]) > 240
    assert one["model"] == two["model"]
    assert one["resumed"]
    assert two["resumed"]


def test_records_of_shards_stay_apart_and_weights_together(both: list[Any]) -> None:
    one, two = (rank["sharded"] for rank in both)
    assert one["lengths"] == two["lengths"]
    assert one["weights"] == two["weights"]
    assert len({tuple(weights) for weights in one["weights"]}) > 2
    for number, rank in enumerate((one, two)):
        assert {row % 2 for row in chain(*rank["rows"])} == {number}
        assert rank["losses"] == [1.0 + row % 7 for row in range(number, 246, 2)]  # `hard` of its own rows, all seen
        assert (rank["kept"], rank["noted"]) == (123, 0)


def test_what_cannot_work_is_refused_on_every_rank(both: list[Any]) -> None:
    for rank in both:
        unsharded, shuffled, own_count, noting, unequal = rank["said"]
        assert "SequentialSampler gives each of them all rows" in unsharded
        assert "RandomSampler" in shuffled
        assert "'infobatch' sets its own count" in own_count
        assert "RecordedLosses(..., track=False)" in noting
        assert "a walk has 40 to 48 instances on the processes" in unequal
        assert all("sampler=torch.utils.data.DistributedSampler(dataset)" in rank["said"][place] for place in (0, 1, 4))
