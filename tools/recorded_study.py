#!/usr/bin/env python3
"""The study of the recorded plane: every command behind results/recorded, in order; safe to kill and start again.

usage: recorded_study.py [--jobs N] [--out FOLDER] [PART ...]

Parts: tune_small, tune_mnist, tune_cifar10, small, ladder, mnist, cifar10, ladder_more, timing. All but the last
if none is named. The others take the learning rates that the first three chose for each arm on the validation split.
`timing` does the small tasks one job at a time, for seconds.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator

Settings = dict[str, list[list[str]]]
PARTS = ("tune_small", "tune_mnist", "tune_cifar10", "small", "ladder", "mnist", "cifar10", "ladder_more", "timing")
BUDGETS = "0.1,0.2,0.3,0.5"
PAIR = "uniform_budget,recorded"
NOISE = ("0", "0.2", "0.4")
LADDER = (
    "uniform_budget,recorded,recorded_uniform,recorded_paper,recorded_bounded,recorded_placebo,recorded_trusted,"
    "recorded_proportional,recorded_selective_backprop,recorded_min_k_loss,recorded_infobatch,recorded_kakurenbo,"
    "recorded_early_stopping,recorded_uncertain,recorded_capped,recorded_learning_progress,"
    "recorded_katharopoulos_fleuret,recorded_biased,recorded_half_biased,recorded_unbiased,recorded_annealed,"
    "recorded_infobatch_annealed"
)
SMALL: Settings = {
    "digits": [["--label-noise", noise] for noise in NOISE]
    + [["--regime", "duplicated"], ["--regime", "long_tail"], ["--regime", "noise_switch", "--label-noise", "0.4"]],
    "bike": [[], ["--regime", "outliers"]],
    "regression": [[], ["--regime", "clean"]],
}
TUNED_LADDER: Settings = {"digits": [["--label-noise", "0"], ["--label-noise", "0.4"]], "regression": [[]]}
LADDER_MORE: Settings = {"digits": [row for row in SMALL["digits"] if row not in TUNED_LADDER["digits"]]}
RATES = {"digits": "0.05,0.15,0.4", "bike": "0.03,0.1,0.2", "regression": "0.0005,0.001,0.003"}


def commands(part: str) -> Iterator[list[str]]:
    """The commands of a part, without folder and jobs."""
    if part == "tune_small":
        for task, settings in SMALL.items():
            for setting in settings:
                arms = LADDER if setting in TUNED_LADDER.get(task, []) else PAIR
                seeds = "5" if task == "bike" else "2"  # its larger rates diverge with some seeds only
                yield ["tune", task, "--arms", arms, "--learning-rates", RATES[task], "--seeds", seeds, *setting]
    if part == "tune_mnist":
        for noise in NOISE:
            yield ["tune", "mnist", "--arms", PAIR, "--learning-rates", "0.03,0.1,0.3", "--label-noise", noise]
    if part == "tune_cifar10":
        for noise in NOISE:
            yield ["tune", "cifar10", "--arms", PAIR, "--learning-rates", "0.1,0.25,0.6", "--budget", "0.3",
                   "--label-noise", noise]  # fmt: skip
    if part in ("small", "timing"):
        for task, settings in SMALL.items():
            for setting in settings:
                arms, budgets = f"full,{PAIR}", f"{BUDGETS},1.0"
                yield ["compare", task, "--arms", arms, "--budgets", budgets, "--seeds", "20", *setting]
    if part in ("ladder", "ladder_more"):
        for task, settings in (TUNED_LADDER if part == "ladder" else LADDER_MORE).items():
            for setting in settings:
                yield ["compare", task, "--arms", LADDER, "--budgets", "0.5", "--seeds", "10", *setting]
    if part in ("mnist", "cifar10"):
        for noise in NOISE:
            arms = f"full,{PAIR}" if part == "mnist" or noise == "0" else PAIR
            yield ["compare", part, "--arms", arms, "--budgets", BUDGETS, "--seeds", "5", "--label-noise", noise]


def main() -> int:
    """Run the parts; stops at the first command that fails."""
    parser = argparse.ArgumentParser(description="Run the study of the recorded plane.")
    parser.add_argument("parts", nargs="*", default=[part for part in PARTS if part != "timing"])
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--out", default="results/recorded")
    arguments = parser.parse_args()
    for part in arguments.parts:
        jobs = "1" if part == "timing" else arguments.jobs
        for words in commands(part):
            line = [sys.executable, "-m", "adaselection", *words, "--out", arguments.out, "--jobs", jobs]
            print(" ".join(["adaselection", *line[3:]]), flush=True)
            done = subprocess.run(line, check=False)
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
