"""Train one arm in this process's environment, and print one line of JSON a run. ``run.py`` starts it.

It needs torch, the peer, and this library's networks, which need nothing but torch.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import random
import time
from collections.abc import Sequence
from typing import Any

import torch
from meter import STEP, Loop, Meter, Run, Spent
from torch.utils.data import TensorDataset

from adaselection.lab.models import build_model


def trained(loop: Loop, rule: str, task: dict[str, Any], learning_rate: float, budget: float) -> dict[str, Any]:
    """Train on one task's rows and judge on its others; the seconds are those of the training alone."""
    seed, (inputs, labels) = task["seed"], task["train"]
    seed_all(seed)
    model = build_model(task["model"], inputs.shape[1:], task["classes"]).train()
    meter = Meter(model, budget * STEP * len(inputs) * task["epochs"])
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=task["momentum"])
    data, known = TensorDataset(inputs, labels), task.get("irreducible")
    run = Run(data, model, optimizer, meter, task["batch_size"], seed, rule, known)
    clock, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Spent):
        loop(run)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    meter.close()
    with torch.no_grad():
        answers = model.eval()(task["test"][0]).argmax(1)
    correct = answers.eq(task["test"][1]).double().mean()
    counts = {name: getattr(meter, name) for name in ("scored", "trained", "backward", "with_gradient", "steps")}
    return {"accuracy": round(100 * float(correct), 4), "seconds": clock, "processor": processor, **counts}


def seed_all(seed: int) -> None:
    """Seed what the peers draw from: torch's, Python's and, where it is there, NumPy's global generators."""
    torch.manual_seed(seed)
    random.seed(seed)
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy").random.seed(seed)


def main(argv: Sequence[str] | None = None) -> None:
    """Do the runs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", help="a module of loops")
    parser.add_argument("runs", nargs="+", help="FILE@RATE,...: a file that task.py wrote, and learning rates")
    parser.add_argument("--rule", default="", help="for the loop that trains by any rule of this library")
    parser.add_argument("--budget", type=float, default=1.0)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    loop = importlib.import_module(f"loops.{arguments.loop}").train
    for name, _, rates in (words.rpartition("@") for words in arguments.runs):
        task = torch.load(name, weights_only=True)
        for rate in map(float, rates.split(",")):
            found = trained(loop, arguments.rule, task, rate, arguments.budget)
            what = {"noise": task["noise"], "seed": task["seed"], "learning_rate": rate}
            print(json.dumps({**what, **found}), flush=True)


if __name__ == "__main__":
    main()
