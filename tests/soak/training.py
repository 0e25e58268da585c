"""Trainings under both loaders that save checkpoints, are killed at random moments and go on. Run as a script.

One clean process imports everything once and forks a child for each attempt, so that a kill costs little.
"""

import contextlib
import hashlib
import json
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sklearn.datasets
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, CheapScores, RecordedLoader, SelectiveLoader, SingleMethod

ROWS, BATCH, STEPS, EVERY = 320, 16, 60, 3  # a checkpoint every so many steps
PIXELS = 64
CE = nn.CrossEntropyLoss(reduction="none")
PHASES = ("starting", "loading and selecting", "scoring", "training", "record() or reduce()", "checkpoint", "ended")
STARTING, LOADING, SCORING, TRAINING, RECORDING, SAVING, ENDED = range(len(PHASES))
DIGITS = sklearn.datasets.load_digits()
MOMENT = mmap.mmap(-1, 1)  # what a child does right now; its parent reads it when it has killed it


class Net(nn.Module):
    """Batch statistics and dropout, so that a resume needs buffers and random states too."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(PIXELS, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.layers(x[:, :PIXELS])
        MOMENT[0] = SCORING
        outputs = self.layers(x[:, :PIXELS])
        MOMENT[0] = LOADING
        return outputs


def digits(**options: Any) -> DataLoader:
    """Real digits; the last number of a row is its own."""
    x = torch.tensor(DIGITS.data[:ROWS] / 16, dtype=torch.float32)
    x = torch.cat((x, torch.arange(ROWS, dtype=torch.float32).unsqueeze(1)), dim=1)
    return DataLoader(TensorDataset(x, torch.tensor(DIGITS.target[:ROWS])), BATCH, shuffle=True, **options)


def fresh(policy: Callable[[], Any], workers: int = 0, **options: Any) -> Callable[[nn.Module], SelectiveLoader]:
    return lambda model: SelectiveLoader(
        digits(num_workers=workers), policy(), model=model, loss_fn=CE, **{"surplus": "carry"} | options
    )


def recorded(policy: Callable[[], Any], workers: int = 0, **options: Any) -> Callable[[nn.Module], RecordedLoader]:
    return lambda model: RecordedLoader(digits(num_workers=workers), policy(), **options)


default = partial(AdaSelection, rate=0.5, seed=3)
mixture = partial(AdaSelection, ("big_loss", "proportional", "uniform"), 0.5, weight_exponent=0.5, seed=3)
SETTINGS: dict[str, dict[str, Callable[[nn.Module], Any]]] = {
    "SelectiveLoader": {
        "accumulate": fresh(default),
        "every_batch": fresh(partial(SingleMethod, "big_loss", 0.5), update="every_batch", surplus="drop"),
        "window": fresh(partial(AdaSelection, ("grad_norm", "uniform"), 0.5), workers=2, window=3, warmup=1),
        "weighted": fresh(partial(default, weight_exponent=0.5), weighted=True, surplus="flush"),
        "cheap": fresh(default, cheap=CheapScores(reuse=3, ambiguous=0.2, autocast=torch.bfloat16, measure_every=5)),
    },
    "RecordedLoader": {
        "default": recorded(default),
        "fixed": recorded(partial(SingleMethod, "early_stopping", 0.5, seed=3), workers=2),
        "own_count": recorded(partial(SingleMethod, "infobatch", 0.5, seed=3)),
        "annealed": recorded(mixture, workers=2, passes=6, anneal=0.4),
        "bounds": recorded(partial(SingleMethod, "katharopoulos_fleuret", 0.5, seed=3), window=160),
    },
}


class Training:
    """A training with what belongs into its checkpoints, which goes on from the one in its folder."""

    def __init__(self, make: Callable[[nn.Module], Any], folder: Path) -> None:
        torch.manual_seed(4)
        self.model, self.folder = Net(), folder
        self.loader = make(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-2)
        self.parts = {"model": self.model, "optimizer": self.optimizer, "loader": self.loader}
        self.seen: list[list[int]] = []  # rows of each step
        if (folder / "checkpoint.pt").exists():
            state = torch.load(folder / "checkpoint.pt", weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.seen = state["seen"]
            torch.set_rng_state(state["rng"])

    def save(self, name: str) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {part: value.state_dict() for part, value in self.parts.items()}
        state |= {"seen": self.seen, "rng": torch.get_rng_state()}
        torch.save(state, self.folder / "partial.pt")
        os.replace(self.folder / "partial.pt", self.folder / name)

    def step(self, x: Tensor, y: Tensor) -> float:
        """One optimizer step; returns the loss."""
        MOMENT[0] = TRAINING
        outputs = self.model(x)
        losses = CE(outputs, y)
        MOMENT[0] = RECORDING
        if isinstance(self.loader, RecordedLoader):
            loss = self.loader.record(losses, outputs=outputs, targets=y)
        else:
            loss = self.loader.reduce(losses)
        MOMENT[0] = TRAINING
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self) -> None:
        """Train to the end, with a line in the log and now and then a checkpoint."""
        log = os.open(self.folder / "log.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        while len(self.seen) < STEPS:
            for x, y in self.loader:
                loss = self.step(x, y)
                self.seen.append([int(number) for number in x[:, PIXELS].tolist()])
                digest = hashlib.sha256(repr((self.seen[-1], loss.hex())).encode()).hexdigest()[:16]
                os.write(log, f"{len(self.seen)} {digest}\n".encode())
                MOMENT[0] = SAVING
                if len(self.seen) % EVERY == 0:
                    self.save("checkpoint.pt")
                MOMENT[0] = LOADING
                if len(self.seen) == STEPS:
                    break
        self.save("end.pt")
        MOMENT[0] = ENDED


def start(make: Callable[[nn.Module], Any], folder: Path) -> int:
    """Begin or go on in a child process; returns its id."""
    folder.mkdir(exist_ok=True)
    MOMENT[0] = STARTING
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            output = os.open(folder / "output.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            Training(make, folder).run()
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    """Wait; returns the exit code. Its workers end with it: torch's may wait for one another when it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return code


def wait(seconds: float, from_the_start: bool) -> None:
    """Until a child that runs has trained so long, its start counted or not; or has ended."""
    while MOMENT[0] == STARTING and not from_the_start:
        time.sleep(0.0005)
    until = time.monotonic() + seconds
    while MOMENT[0] != ENDED and time.monotonic() < until:
        time.sleep(0.0005)


def tell(child: dict[str, Any]) -> None:
    """A line about what became of a child."""
    sys.stdout.write(json.dumps(child) + "\n")
    sys.stdout.flush()


def attack(name: str, make: Callable[[nn.Module], Any], folder: Path, kills: int, draw: random.Random) -> None:
    """Train once undisturbed, then as often as it takes for so many kills; prints a line for each end of a child."""
    began, run = time.monotonic(), 0
    told = {"setting": name, "run": "whole", "code": ended(start(make, folder / f"{name}-whole"))}
    tell(told)
    seconds = time.monotonic() - began
    while not told["code"] or told["code"] == -signal.SIGKILL:
        child = start(make, folder / f"{name}-{run}")
        if kills:
            wait(draw.uniform(0, seconds / 2), draw.random() < 0.1)
            if MOMENT[0] != ENDED:
                os.kill(child, signal.SIGKILL)
        told = {"setting": name, "run": run, "code": ended(child), "phase": PHASES[MOMENT[0]]}
        tell(told)
        kills -= told["code"] == -signal.SIGKILL and MOMENT[0] != ENDED  # it may have come too late
        run += told["code"] == 0
        if not kills and told["code"] == 0:
            return


def warm_up() -> None:
    """Do once what torch puts off to the first step, so that no child has to."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters())
    x, y = next(iter(digits()))
    CE(model(x), y).mean().backward()
    optimizer.step()


def main() -> None:
    """Words: folder, loader, number of kills, seed."""
    torch.set_num_threads(1)
    warm_up()
    folder, loader, kills, draw = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), random.Random(sys.argv[4])
    settings = SETTINGS[loader]
    for place, (name, make) in enumerate(settings.items()):
        share = kills // len(settings) + (place < kills % len(settings))
        attack(name, make, folder, share, draw)


if __name__ == "__main__":
    main()
