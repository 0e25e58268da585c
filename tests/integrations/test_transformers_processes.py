"""The Trainer with two processes on gloo."""

from __future__ import annotations

from pathlib import Path

from core.ranks import two_ranks

CHILD = """
import gc, json, os, sys
import torch
os.environ["LOCAL_RANK"] = os.environ["RANK"]
from adaselection import AdaSelection
from integrations.hf_parts import Texts, equal, gpt, parameters, trainer

folder, out = sys.argv[1], {}

def run(plane, resume=None, **options):
    policy = AdaSelection(("big_loss", "uniform"), 0.5, half_life=3, seed=1)
    shared = {"ddp_backend": "gloo", "gradient_accumulation_steps": 2, "save_strategy": "steps", "save_steps": 1}
    shared |= {"train_dataset": Texts(causal=True), "selection": policy, "plane": plane, "num_train_epochs": 3}
    made = trainer(f"{folder}/{plane}", gpt(), **(shared | options))
    made.train(resume_from_checkpoint=resume)
    return made

for plane in ("recorded", "fresh"):
    whole = run(plane)
    again = run(plane, f"{folder}/{plane}/checkpoint-2", save_strategy="no")
    out[plane] = {
        "seen": whole.seen,
        "steps": whole.state.global_step,
        "model": [float(p.double().sum()).hex() for p in parameters(whole)],
        "weights": [value.hex() for value in whole.selection_loader.policy.weights.values()],
        "rest": again.seen == whole.seen[4:],
        "resumed": equal(parameters(again), parameters(whole)),
    }
with open(f"{folder}/{os.environ['RANK']}.json", "w") as file:
    json.dump(out, file)
del whole, again  # DDP goes before its group
gc.collect()
torch.distributed.barrier()  # so that no process goes while another still needs it
torch.distributed.destroy_process_group()  # and none ends with threads of gloo that run
"""


def test_two_processes_train_on_rows_of_their_own_and_resume_together(tmp_path: Path) -> None:
    one, two = two_ranks(CHILD, tmp_path, seconds=240)
    for plane, batches in (("recorded", 2), ("fresh", 2)):
        left, right = one[plane], two[plane]
        assert left["steps"] == right["steps"] == 3  # 5 batches of 8 on each, 2 of them selected
        assert len(left["seen"]) == len(right["seen"]) == 3 * batches
        first = [{row for rows in rank["seen"][:batches] for row in rows} for rank in (left, right)]
        assert not first[0] & first[1]
        assert left["model"] == right["model"]
        assert left["weights"] == right["weights"]
        assert all(rank[name] for rank in (left, right) for name in ("rest", "resumed"))
