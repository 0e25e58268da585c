"""Two processes: rows apart, counts and weights together."""

from pathlib import Path

from core.ranks import two_ranks

CHILD = """
import json, os, sys, torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler
from adaselection import AdaSelection, SelectiveLoader
from adaselection.errors import ShardingError
from core.parts import CE, Trainer, data, net

dist.init_process_group("gloo")
rank, said = dist.get_rank(), []
torch.manual_seed(4)
model = DistributedDataParallel(net())
policy = AdaSelection(rate=0.3, half_life=3, seed=1)
rows = data(150)

def wrap(loader):
    return SelectiveLoader(loader, policy, model=model, loss_fn=CE, surplus="carry")

loaders = [DataLoader(rows, batch_size=16), DataLoader(rows, batch_size=16, shuffle=True)]
for loader in loaders:
    try:
        wrap(loader)
    except ShardingError as error:
        said.append(str(error))
sampler = DistributedSampler(rows, seed=3)
loader = wrap(DataLoader(rows, batch_size=16, sampler=sampler))
trainer, lengths, weights = Trainer(loader, model), [], []
for number in range(3):
    loader.set_epoch(number)
    lengths.append(len(loader))
    for batch in loader:
        trainer.step(batch)
        weights.append([value.hex() for value in policy.weights.values()])
state = [float(p.detach().double().sum()).hex() for p in model.parameters()]
epochs = loader.state_dict()["generators"]["epochs"]
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump({"said": said, "lengths": lengths, "weights": weights, "seen": trainer.seen, "state": state,
               "epochs": epochs, "scale": float(policy._state.scale).hex()}, file)
del trainer, loader, loaders, model  # DDP goes before its group
dist.destroy_process_group()
"""


def test_two_ranks_train_on_different_rows_with_the_same_weights(tmp_path: Path) -> None:
    one, two = both = two_ranks(CHILD, tmp_path)
    # a loader that is not split is refused on every rank, and nobody hangs
    for rank in both:
        assert len(rank["said"]) == 2
        assert "SequentialSampler gives each of them all rows" in rank["said"][0]
        assert "RandomSampler" in rank["said"][1]
        assert all("sampler=torch.utils.data.DistributedSampler(dataset)" in text for text in rank["said"])
    # as many full batches on every rank
    assert one["lengths"] == two["lengths"]
    assert sum(one["lengths"]) == len(one["seen"]) == len(two["seen"]) > 3
    assert {len(rows) for rank in both for rows, _ in rank["seen"]} == {16}
    # of rows that no other rank has
    first_passes = [{row for rows, _ in rank["seen"][: rank["lengths"][0]] for row in rows} for rank in both]
    assert min(map(len, first_passes)) >= 16
    assert not first_passes[0] & first_passes[1]
    assert one["epochs"] == [2]
    # weights of the methods are bit-equal though the losses are not, and so are the models
    assert [loss for _, loss in one["seen"]] != [loss for _, loss in two["seen"]]
    assert one["weights"] == two["weights"]
    assert one["scale"] == two["scale"]
    assert len({tuple(weights) for weights in one["weights"]}) > 3
    assert one["state"] == two["state"]
