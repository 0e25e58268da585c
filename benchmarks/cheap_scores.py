"""Question: what do cheap scores cost beside a forward pass, and how well do they rank rows?

The small ResNet of cifar10's preset `cpu` trains on real pictures (batches of 128, augmented, fresh crops a pass). At
the end of each of four passes the same 16 windows of 128 rows, in the crops of the coming pass, are scored in every
way, one way after the other, in an order that turns. For each way:

- cost: processor seconds of scoring a window on one thread, over those of a bare forward pass without gradients in
  full precision at full size; summed over the four passes, as scores that serve several passes cost most in the first;
  median and quartiles over the windows. Guarding the model's state and looking up records are in it.
- correlation: Spearman's, with the losses of plain scores, over all rows of a window; and, over the rows that Big Loss
  at rate 0.3 keeps by these scores, gathered into full batches, with the losses of a forward pass in training mode,
  which is what `SelectiveLoader.observe` watches. Mean over windows and passes.
- overlap: share of the rows kept that plain scores keep too (0.3 by chance).

    ADASELECTION_DATA=folder python benchmarks/cheap_scores.py
    python benchmarks/cheap_scores.py --table docs/cheap_scores.md      (the table of the record, into the page)
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from _record import FOLDER, run, spread
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import Meter, ModelScorer
from adaselection.cheap import CheapScores
from adaselection.cheapscorer import CheapScorer
from adaselection.lab.models import build_model
from adaselection.lab.tasks import ArrayDataset, LoadOptions, get_task
from adaselection.records import RecordedLosses

CLAIM = "cost of cheap scores over a forward pass, and their rank correlation with the true losses"
PASSES, RATE, SIZE = 4, 0.3, 128
PROXY = "convnet"  # two convolutions, 1.6 M multiply-adds to the 12.5 M of resnet8
BEGIN, END = "<!-- the table of benchmarks/records/cheap_scores.json -->", "<!-- end of the table -->"
Batch = tuple[Tensor, Tensor]


class Training:
    """The model and a proxy that train on the same batches, and the windows that are scored."""

    def __init__(self, arguments: argparse.Namespace, seed: int) -> None:
        task = get_task("cifar10")
        self.preset = replace(task.preset("cpu"), train_size=arguments.steps * SIZE)
        torch.manual_seed(seed)
        self.data = task.load(self.preset, LoadOptions(seed=seed)).train
        shape = tuple(self.data.inputs.shape[1:])
        self.nets = [build_model(self.preset.model, shape, 10).train(), build_model(PROXY, shape, 10).train()]
        rates = (self.preset.learning_rate, 0.05)
        self.optimizers = [
            torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=self.preset.weight_decay)
            for net, rate in zip(self.nets, rates, strict=True)
        ]
        total = PASSES * arguments.steps
        self.schedules = [
            torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=total)
            for optimizer, rate in zip(self.optimizers, rates, strict=True)
        ]
        self.loader = DataLoader(self.data, SIZE, shuffle=True, drop_last=True, collate_fn=ArrayDataset.collate)
        self.steps = arguments.steps
        self.rows = torch.randperm(len(self.data))[: arguments.windows * SIZE].split(SIZE)
        self.seconds = [0.0, 0.0]  # of training the model and the proxy

    def train(self, number: int) -> None:
        """One pass."""
        self.data.set_epoch(number)
        for x, y in islice(self.loader, self.steps):
            for place, net in enumerate(self.nets):
                started = time.process_time()
                self.optimizers[place].zero_grad(set_to_none=True)
                nn.functional.cross_entropy(net(x), y).backward()
                self.optimizers[place].step()
                self.schedules[place].step()
                self.seconds[place] += time.process_time() - started

    def windows(self, number: int) -> list[Batch]:
        """The windows as a pass shows them."""
        self.data.set_epoch(number)
        return [self.data.__getitems__(rows.tolist()) for rows in self.rows]


def ways(training: Training) -> dict[str, CheapScorer]:
    """A scorer for each way, each with a record of its own."""
    recorded = {"ids": lambda batch: torch.zeros(0), "store": None}
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "bfloat16": {"autocast": torch.bfloat16},
        "shrink 2": {"shrink": 2},
        "shrink 4": {"shrink": 4},
        "proxy": {"proxy": training.nets[1]},
        "reuse 2": {"reuse": 2},
        "reuse 4": {"reuse": 4},
        "reuse 4, ambiguous 0.25": {"reuse": 4, "ambiguous": 0.25},
        "shrink 2, reuse 2": {"shrink": 2, "reuse": 2},
    }
    plain = ModelScorer(training.nets[0], nn.CrossEntropyLoss())
    made = {}
    for name, chosen in options.items():
        if "reuse" in chosen:
            chosen = {**recorded, **chosen, "store": RecordedLosses(len(training.data))}
        made[name] = CheapScorer(CheapScores(measure_every=0, **chosen), plain, [], RATE)
    return made


def forward(net: nn.Module, x: Tensor) -> Tensor:
    """A bare forward pass without gradients."""
    net.eval()
    with torch.no_grad():
        outputs: Tensor = net(x)
    net.train()
    return outputs


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and its processor seconds."""
    started = time.process_time()
    result = function()
    return result, time.process_time() - started


def kept(losses: Tensor) -> Tensor:
    """The rows that Big Loss keeps."""
    return losses.argsort(descending=True, stable=True)[: round(RATE * SIZE)].sort().values


def score_all(training: Training, scorers: dict[str, CheapScorer], number: int) -> dict[str, dict[str, list[Any]]]:
    """Score every window in every way, in turns: seconds, and losses."""
    found: dict[str, dict[str, list[Any]]] = {name: {"seconds": [], "losses": []} for name in ("forward", *scorers)}
    batches, meter = training.windows(number), Meter()
    for scorer in scorers.values():
        scorer.begin([])
    for place, (batch, rows) in enumerate(zip(batches, training.rows, strict=True)):
        calls = [("forward", partial(forward, training.nets[0], batch[0]))]
        for name, scorer in scorers.items():
            calls.append((name, partial(scorer, list(batch), rows if scorer.options.reuse > 1 else None, meter)))
        turn = place % len(calls)
        for name, call in calls[turn:] + calls[:turn]:
            result, seconds = timed(call)
            found[name]["seconds"].append(seconds)
            if name != "forward":
                found[name]["losses"].append(result.losses)
    truth = ModelScorer(training.nets[0], nn.CrossEntropyLoss(), score_mode="train")
    for name in scorers:
        found[name] |= judged(batches, found[name]["losses"], found["plain"]["losses"], truth)
    return found


def judged(batches: list[Batch], losses: list[Tensor], plain: list[Tensor], truth: ModelScorer) -> dict[str, list[Any]]:
    """Correlations and overlap of the losses of one way."""
    chosen = [kept(of_window) for of_window in losses]
    x, y, scores = (
        torch.cat([part[rows] for part, rows in zip(parts, chosen, strict=True)])
        for parts in ([b[0] for b in batches], [b[1] for b in batches], losses)
    )
    whole = len(y) // SIZE * SIZE
    full = [part[:whole].split(SIZE) for part in (x, y, scores)]
    return {
        "all": [float(spearmanr(one, other).statistic) for one, other in zip(losses, plain, strict=True)],
        "kept": [float(spearmanr(s, truth([a, b]).losses).statistic) for a, b, s in zip(*full, strict=True)],
        "overlap": [
            len(set(kept(one).tolist()) & set(rows.tolist())) / len(rows)
            for one, rows in zip(plain, chosen, strict=True)
        ],
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All seeds and passes."""
    costs: dict[str, list[float]] = {}
    figures: dict[str, dict[str, list[float]]] = {}
    shares = []
    for seed in range(arguments.repeats):
        training = Training(arguments, seed)
        score_all(training, ways(training), 0)  # warms up
        scorers, passes = ways(training), []
        for number in range(PASSES):
            training.train(number)
            passes.append(score_all(training, scorers, number + 1))
        shares.append(training.seconds[1] / training.seconds[0])
        bare = [sum(found["forward"]["seconds"][place] for found in passes) for place in range(arguments.windows)]
        for name in scorers:
            spent = [sum(found[name]["seconds"][place] for found in passes) for place in range(arguments.windows)]
            costs.setdefault(name, []).extend(one / other for one, other in zip(spent, bare, strict=True))
            for key in ("all", "kept", "overlap"):
                values = [sum(found[name][key]) / len(found[name][key]) for found in passes]
                figures.setdefault(name, {}).setdefault(key, []).append(sum(values) / len(values))
    rows = [
        {"way": name, "cost": spread(of_way), **{key: spread(v) | {"seeds": v} for key, v in figures[name].items()}}
        for name, of_way in costs.items()
    ]
    return {"rows": rows, "proxy_step": spread(shares)}


def table(record: dict[str, Any]) -> str:
    """The record as a table in Markdown."""
    lines = [
        "| way | cost of a score, in forward passes | quartiles | rank correlation, all rows | rows kept | overlap |",
        "|---|---|---|---|---|---|",
    ]
    for row in record["results"]["rows"]:
        cost = row["cost"]
        cells = [row["way"], f"{cost['median']:.2f}", f"{cost['q1']:.2f} to {cost['q3']:.2f}"]
        cells += [f"{row[key]['median']:.2f}" for key in ("all", "kept", "overlap")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_table(page: Path, record: Path) -> None:
    """Put the record's table between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    made = table(json.loads(record.read_text(encoding="utf-8")))
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    print(table({"results": results}))
    print(f"a training step of the proxy takes {results['proxy_step']['median']:.2f} of one of the model")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write the record; or write its table into a page."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["--table"]:
        write_table(Path(argv[1]), FOLDER / "cheap_scores.json")
        return
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--repeats", type=int, default=2, help="seeds (default: 2)")
    parser.add_argument("--windows", type=int, default=16, help="windows scored at the end of a pass (default: 16)")
    parser.add_argument("--steps", type=int, default=117, help="training steps of a pass (default: 117)")
    run("cheap_scores", CLAIM, parser, measure, show, argv)


if __name__ == "__main__":
    main()
