"""What the paper does not say, or says in two ways, and what stands in its place here: one row each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ASSUMPTIONS", "Assumption"]


@dataclass(frozen=True)
class Assumption:
    """One choice that was made for the paper.

    Attributes:
        item: What it is about.
        paper: What the paper says.
        ours: What is done here.
        why: The reason.
    """

    item: str
    paper: str
    ours: str
    why: str


_SILENT = "nothing"

ASSUMPTIONS = (
    Assumption(
        "AdaSelection's configurations",
        "Table 3's caption counts four configurations and prints the best; text and figures name {big, small}, "
        "{big, small, uniform}, two mixes of four candidates, and a setting without curriculum",
        "{big, small} and {big, small, uniform}, each with and without curriculum; the mixes of four with it",
        "two pools by two settings are four; eq. 4 is part of the method that Fig. 1's text mixes four candidates in",
    ),
    Assumption(
        "beta of eq. 3",
        "in [-1, 1]; not which value Tables 3 and 4 use",
        "0.5; Fig. 7 sweeps {-1, -0.5, 0, 0.5, 1} on {big, small, uniform} without curriculum, at rate 0.2",
        "the middle of the positive half; without curriculum only beta differs; 0.2 is the rate of Fig. 8",
    ),
    Assumption(
        "Curriculum (eq. 4)",
        "text and formula contradict each other; the exponent of t is the symbol of the sampling rate",
        "the formula as printed, with the sampling rate as exponent",
        "the formula is what can be run; docs/method.md shows what it does",
    ),
    Assumption(
        "Importance (eq. 2)",
        "g_m is not defined; softmax can be applied",
        "a softmax of each method's raw scores over the batch; uniform draws fresh random scores",
        "the only hint in the text; a constant score would make uniform a candidate without effect",
    ),
    Assumption(
        "A method's loss (eq. 3)",
        "the average loss over all samples of the batch, the same for every method",
        "the average over the rows that the method would keep",
        "with the letter of the text no weight ever moves, which Fig. 8 contradicts",
    ),
    Assumption(
        "AdaBoost (eq. 1)",
        "0.5 log((1 + loss) / (1 - loss)), which has no value for a loss of 1 or more",
        "losses clamped below 1; ties go to the earlier row",
        "any smooth repair ranks as big loss does, and the paper's tables show AdaBoost far from big loss",
    ),
    Assumption(
        "Gradient norm",
        "not which gradient; none for the Transformer",
        "the norm of the loss's gradient at the model's output; on text summed over the words of a sequence",
        "it needs no further backward pass and exists on text",
    ),
    Assumption(
        "Scoring pass",
        "a forward pass; its mode is not said",
        "train mode, the model left as it was; kept rows go through the model again to be trained on",
        "a plain loop scores in the mode it trains in",
    ),
    Assumption(
        "Accumulation (algorithm 2)",
        "train once |C| = |B|, which never holds where the rows kept of a batch do not divide it",
        "train on full batches, carry the rest over, into the next epoch too",
        "the printed condition would never train",
    ),
    Assumption(
        "Rows kept of a batch",
        "the top rate * size",
        "rounded to the nearest, at least one",
        "128 * 0.1 is no whole number",
    ),
    Assumption(
        "Protocol of cost",
        "arms are compared at equal sampling rate",
        "the same, each arm sees the same epochs of incoming batches; beside it uniform training at the cost of the "
        "scored arms, and seconds with scoring charged",
        "at equal rate uniform sampling is given far less work",
    ),
    Assumption(
        "Epochs",
        _SILENT,
        "cifar10, cifar100, svhn 30; regression 20; bike 100; wikitext2 10",
        "full training then reaches about the paper's numbers for pictures, and a run fits into ten minutes of a GPU",
    ),
    Assumption(
        "Momentum and weight decay",
        '"momentum weight decay of 0.9"',
        "momentum 0.9, no weight decay",
        "0.9 is a usual momentum and no usual weight decay",
    ),
    Assumption(
        "Learning-rate schedule",
        "learning rate 0.01",
        "constant",
        "no schedule is mentioned",
    ),
    Assumption(
        "Augmentation",
        _SILENT,
        "crops and mirror images for cifar10 and cifar100, none for the rest",
        "usual for ResNet-18 on these sets; a mirrored digit is another picture",
    ),
    Assumption(
        "Regression data",
        "y = 2x + 1, 10,000 + 5,000 rows; a loss of 10.51 with full training, so it is not free of noise",
        "x uniform on [-5, 5], Gaussian noise of spread 1, one training target in twenty moved by 10 to 30; test rows "
        "are not moved",
        "without outliers every method reaches the noise; with them the paper's order of methods can show",
    ),
    Assumption(
        "Bike data",
        "730 rows in all; no split",
        "day.csv, 731 rows, 146 of them drawn once as test set, without the two columns that add up to the target; the "
        "target is standardised, so the error is the share of variance left",
        "the file has 731 rows; the paper's unit is unknown",
    ),
    Assumption(
        "MLPs",
        '"simple MLP" and "2-layer MLP"',
        "two hidden layers of 64",
        "small enough for data of this size",
    ),
    Assumption(
        "Transformer",
        '"Transformer", batches of 100',
        "2 layers of width 200, 2 heads, dropout 0.2, 33,278 words, sequences of 35 words; a sequence is a sample",
        "the shape of PyTorch's word language model; 35 words is its usual cut",
    ),
    Assumption(
        "SVHN on a CPU",
        "SVHN",
        "MNIST stands in for it in measured `cpu` results; the task svhn is there for whoever has the files",
        "the files could not be had where the records were made",
    ),
    Assumption(
        "The `cpu` grid",
        "ResNet-18, full data",
        "preset `brief`: cifar10 and cifar100 a ResNet-8 of an eighth of the width on 5,000 rows, 4 epochs, batches of "
        "50, learning rate 0.05; MNIST a small convolutional network on 4,000 rows, 4 epochs, batches of 50, learning "
        "rate 0.03; wikitext2 a Transformer of width 64, 2,000 words, 3,400 sequences, 3 epochs, batches of 20, "
        "learning rate 0.1; smaller test sets; no augmentation",
        "hundreds of runs a seed on two cores; the order of methods, not their level, is compared",
    ),
    Assumption(
        "Recorded losses on Bike at rate 0.1",
        "has no recorded losses",
        "left out",
        "a tenth of 585 rows is less than a batch of 100",
    ),
    Assumption(
        "Seeds",
        "no count, no spread",
        "regression and bike 20, the rest 3 at least, the same seeds for every arm",
        "paired differences need the same start and order of data",
    ),
)
"""Every choice, in the order in which a report shows them."""
