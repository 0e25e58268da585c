"""The nine statements that the paper stands on: claim, our test, the paper's own numbers, background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from adaselection.lab.paper import checking
from adaselection.lab.paper.judging import Judgement
from adaselection.lab.paper.results import TaskResults

__all__ = ["STATEMENTS", "Statement", "judgements"]

Results = Mapping[str, TaskResults]


@dataclass(frozen=True)
class Statement:
    """A statement of the paper, and how it is tested.

    Attributes:
        name: T1 to T9.
        claim: What is stated.
        test: What has to be true of our runs.
        printed: What the paper's own numbers say about it.
        background: What is known about the cause, whichever way it turns out.
        judge: Judges it.
    """

    name: str
    claim: str
    test: str
    printed: str
    background: str
    judge: Callable[[Results], Judgement]


def judgements(results: Results) -> list[tuple[Statement, Judgement]]:
    """Judge every statement on the results of one grid."""
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # runs that diverged are infinities: no statement holds on them
        return [(statement, statement.judge(results)) for statement in STATEMENTS]


STATEMENTS = (
    Statement(
        "T1", "Small loss falls far behind everything else on CIFAR100 and SVHN.",
        "Averaged over the rates, small loss is at least 10 points below every other column, on both.",
        "31.96 % where the next lowest column has 50.19 % on CIFAR100; 40.74 % and 65.38 % on SVHN.",
        "Rows with a small loss are those that the model already has right: training on them alone teaches little, and "
        "classes that start with a large loss are hardly ever chosen.",
        checking.small_loss_is_far_behind,
    ),
    Statement(
        "T2", "Big loss, gradient norm and coresets 1 collapse on SVHN at small rates.",
        "At rate 0.1 the mean accuracy of each of the three is less than half of uniform's at that rate.",
        "Averages of 65.38, 67.14 and 67.89 %: what three good rates and two that say the majority class would give. "
        "The "
        "tables have no number for a single rate.",
        "The three choose the same end of the losses, the rows that are hardest or wrong; batch statistics are then "
        "those "
        "of such rows alone.",
        checking.some_collapse_on_svhn,
    ),
    Statement(
        "T3", "On regression with outliers big loss is bad and small loss is fine.",
        "Averaged over the rates, the loss of big loss is more than twice uniform's, that of small loss at most "
        "uniform's.",
        "52.25 for big loss, 10.94 for small loss and 12.37 for uniform.",
        "The largest losses are those of the outliers, so big loss fits them and small loss leaves them out. As "
        "printed "
        "the data have no outliers; ours are an assumption.",
        checking.outliers_mislead_big_loss,
    ),
    Statement(
        "T4", "On Wikitext-2 AdaSelection and uniform are the same within 0.1 nats.",
        "Averaged over the rates, the best configuration's loss is at most 0.1 nats a token from uniform's.",
        "5.52 against 5.53.",
        "A sequence's loss is an average over its tokens, so that sequences differ little and it matters little "
        "which are "
        "chosen.",
        checking.text_is_a_tie,
    ),
    Statement(
        "T5", "A fixed configuration of AdaSelection ranks no worse than uniform on every data set.",
        "One and the same of the four configurations has an average rank of at most uniform's on each of the six "
        "tasks.",
        "8.25 against 8.25 on CIFAR10 and better elsewhere, but for the best of four or more configurations, picked "
        "anew "
        "for each data set.",
        "Eq. 3 with a beta above 0 moves all weight to the candidate whose loss moves most from batch to batch, "
        "learning "
        "or not (see the pictures of eq. 3).",
        checking.one_configuration_ranks_with_uniform,
    ),
    Statement(
        "T6", "At rate 0.1 the mix of four candidates beats training on everything on SVHN.",
        "At rate 0.1 the mean accuracy of at least one of the two mixes of four is above that of no sampling.",
        "Said with Fig. 1. The tables have no number for it; averaged over the rates no sampling leads there, 95.71 % "
        "against 93.38 %.",
        "At that rate a run sees a tenth of the gradients of the full run.",
        checking.four_candidates_beat_everything,
    ),
    Statement(
        "T7", "Almost every method saves 20 % of the training time at every rate.",
        "On CIFAR10, all rows but one at most take no more than 80 % of the full run's seconds at each rate.",
        "Said with Fig. 3, without numbers or hardware.",
        "A method that scores every row costs (1 + 3 rate) / 3 of the full run where a backward pass costs two forward "
        "passes: 83 % at rate 0.5. Uniform, which scores nothing, costs the rate.",
        checking.time_is_saved,
    ),
    Statement(
        "T8", "AdaSelection needs no tuning of beta.",
        "At rate 0.2 the standard deviation of the mean metric over the five betas is at most that over the seeds, on "
        "each task.",
        "Said in the text; Fig. 7's says that SVHN is more sensitive.",
        "The sign of beta decides which candidate gets the weight: the most restless above 0, the calmest below.",
        checking.beta_needs_no_tuning,
    ),
    Statement(
        "T9", "AdaSelection beats every one of its candidates.",
        "Averaged over the rates, each of the six configurations is better than each method it mixes, on each task.",
        "Not in the paper's own Table 4: on CIFAR10 AdaSelection has 89.39 %, and big loss 92.25 %, small loss 91.04 "
        "%, "
        "uniform 90.74 %.",
        "A mix that ends up with one candidate can at most be as good as that one.",
        checking.adaselection_beats_its_candidates,
    ),
)  # fmt: skip
"""All statements, in the order of their names."""
