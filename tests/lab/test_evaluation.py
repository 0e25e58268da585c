"""The metrics of the tasks, and collapse."""

import pytest
import torch
from torch import nn

from adaselection.lab.tasks import ArrayDataset
from adaselection.lab.tasks.evaluation import evaluate_classification, evaluate_regression


class Answer(nn.Module):
    """Answers every input row by its own number: logits or values are the inputs themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.BatchNorm1d(3)
        self.seen_training = []

    def forward(self, x):
        self.seen_training.append(self.training or self.inner.training)
        return x


def test_accuracy_is_counted_over_all_rows_in_eval_mode_and_flags_are_put_back():
    targets = torch.arange(1200) % 3
    logits = nn.functional.one_hot(targets, 3).float() * 10
    logits[:300] = logits[:300].roll(1, dims=1)
    model = Answer()
    model.train()
    model.inner.eval()
    result = evaluate_classification(model, ArrayDataset(logits, targets))
    assert result.value == pytest.approx(75)
    expected = nn.functional.cross_entropy(logits.double(), targets).item()
    assert result.loss == pytest.approx(expected)
    assert not result.collapsed
    assert model.seen_training == [False] * 3
    assert model.training
    assert not model.inner.training


def test_the_worst_class_is_that_of_a_slow_reference_and_classes_without_rows_do_not_count():
    draw = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(200, 5, generator=draw), torch.randint(0, 5, (200,), generator=draw)
    targets[targets == 2] = 3
    shares = []
    for label in sorted(set(targets.tolist())):
        answers = [row.argmax().item() for row, target in zip(logits, targets.tolist(), strict=True) if target == label]
        shares.append(sum(answer == label for answer in answers) / len(answers))
    result = evaluate_classification(Answer(), ArrayDataset(logits, targets))
    assert result.worst_class == pytest.approx(100 * min(shares))
    assert len(shares) == 4
    assert evaluate_classification(Answer(), ArrayDataset(torch.eye(5), torch.arange(5))).worst_class == 100
    nobody = evaluate_classification(Answer(), ArrayDataset(torch.eye(5)[:2], torch.tensor([1, 1])))
    assert (nobody.value, nobody.worst_class) == (50, 50)
    assert evaluate_regression(Answer(), ArrayDataset(torch.ones(3), torch.arange(3.0))).worst_class is None


@pytest.mark.parametrize(("share", "collapsed"), [(0.95, False), (0.96, True)])
def test_a_classifier_that_gives_one_answer_has_collapsed(share, collapsed):
    answers = (torch.arange(100) >= round(100 * share)).long()
    data_set = ArrayDataset(nn.functional.one_hot(answers, 3).float(), torch.arange(100) % 2)
    assert evaluate_classification(Answer(), data_set).collapsed is collapsed


def test_one_answer_to_rows_of_one_class_is_no_collapse():
    data_set = ArrayDataset(torch.tensor([[1.0, 0.0]]).repeat(100, 1), torch.zeros(100, dtype=torch.int64))
    result = evaluate_classification(Answer(), data_set)
    assert result.value == 100
    assert not result.collapsed


@pytest.mark.parametrize(("spread", "collapsed"), [(0.011, False), (0.009, True), (0.0, True)])
def test_squared_error_and_a_flat_regression(spread, collapsed):
    targets = torch.linspace(-3, 3, 1001)
    result = evaluate_regression(Answer(), ArrayDataset(spread * targets + 1, targets))
    expected = ((spread * targets + 1 - targets).double() ** 2).mean().item()
    assert result.value == pytest.approx(expected, rel=1e-6)
    assert result.loss == result.value
    assert result.collapsed is collapsed


@pytest.mark.parametrize("evaluate", [evaluate_classification, evaluate_regression])
def test_nothing_to_evaluate_on_is_an_error(evaluate):
    with pytest.raises(ValueError, match="no rows to evaluate on"):
        evaluate(Answer(), ArrayDataset(torch.zeros(0, 3), torch.zeros(0)))
