"""The earned mixture on made-up streams of losses: what it takes for wrong, for hard, and when it changes its mind."""

import io
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaselection import AdaSelection, Signals, SingleMethod, conditions, keeping, targets, worth
from adaselection import functional as F  # noqa: N812
from adaselection.errors import StateError
from adaselection.functional.by_target import _ERRORS
from adaselection.functional.evidence import two_groups
from adaselection.members import MEMBERS
from adaselection.thresholds import Thresholds
from adaselection.verdicts import RARE
from adaselection.worth import Worth, how_often

SIZE, RATE, BATCH, PLACES = 1000, 0.5, 50, 500
Losses = Callable[[float, np.ndarray, np.ndarray], np.ndarray]
"""Time in walks, numbers of instances and their visits in; the losses that training sees out."""


def on_records(**options: Any) -> AdaSelection:
    """The default policy, as `RecordedLoader` takes it."""
    policy = AdaSelection(rate=RATE, **options)
    policy.use_records()
    return policy


class Stream:
    """A training run without a model: walks over instances whose losses are a function of time and visits."""

    def __init__(
        self, losses: Losses, *, seed: int = 0, targets: np.ndarray | None = None, members: tuple[str, ...] = MEMBERS
    ) -> None:
        self.losses, self.seed, self.policy, self.targets = losses, seed, on_records(members=members), targets
        self.last, self.average = np.zeros(SIZE), np.zeros(SIZE)
        self.stamp, self.visits = np.zeros(SIZE, dtype=int), np.zeros(SIZE, dtype=int)
        self.trained = self.walks = 0
        self.members: list[str] = []  # which had the weight, walk by walk from the second
        self.left_out: list[np.ndarray] = []

    def read(self, ids: np.ndarray) -> Signals:
        ages = int(self.trained / SIZE / RATE) - self.stamp[ids]
        return Signals(
            torch.from_numpy(self.last[ids]).float(),
            averages=torch.from_numpy(self.average[ids]).float(),
            ages=torch.from_numpy(ages).float(),
            visits=torch.from_numpy(self.visits[ids]),
            valid=torch.from_numpy(self.visits[ids] > 0),
        )

    def walk(self) -> None:
        chance = np.random.default_rng((self.seed, self.walks))
        order = chance.permutation(SIZE)
        if self.walks:
            window = self.read(order)
            opened = self.policy.opens(window)
            self.members.append(next(name for name, weight in self.policy.weights.items() if weight == 1))
            assert opened == (self.members[-1] != "uniform")
            if opened:
                kept = self.policy.choose(window, PLACES).indices.numpy()
                self.left_out.append(np.sort(np.delete(order, kept)))
                order = order[kept]
        for start in range(0, len(order), BATCH):
            self.batch(order[start : start + BATCH])
        self.walks += 1

    def batch(self, ids: np.ndarray) -> None:
        losses = self.losses(self.trained / SIZE, ids, self.visits[ids])
        known = None if self.targets is None else torch.from_numpy(self.targets[ids]).double().reshape(len(ids), -1)
        self.policy.observe(replace(self.read(ids), targets=known), torch.from_numpy(losses).float())
        fresh = self.visits[ids] == 0
        self.average[ids] = np.where(fresh, losses, (self.average[ids] + losses) / 2)
        self.last[ids], self.stamp[ids] = losses, int(self.trained / SIZE / RATE)
        self.visits[ids] += 1
        self.trained += len(ids)

    def run(self, walks: int) -> "Stream":
        for _ in range(walks):
            self.walk()
        return self


def jitter(time: float, ids: np.ndarray) -> np.ndarray:
    """Factors around 1, the same for the same time and instances."""
    return np.exp(0.1 * np.random.default_rng((int(time * SIZE), *ids[:4].tolist())).standard_normal(len(ids)))


def spread(ids: np.ndarray) -> np.ndarray:
    """How hard each instance is by itself: a skewed crowd."""
    return np.random.default_rng(7).gamma(3.0, size=SIZE)[ids] / 3


def first(share: float, ids: np.ndarray) -> np.ndarray:
    return ids < share * SIZE


def clean(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """Gets better in time whatever is trained on, down to a floor."""
    return spread(ids) * (math.exp(-time / 4) + 0.1) * jitter(time, ids)


def wrong(share: float, height: float = 4) -> Losses:
    """A share stays at a height, while the crowd is learnt."""

    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return np.where(first(share, ids), height * jitter(time, ids), clean(time, ids, visits))

    return losses


def hard(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """A fifth is far above the crowd for long, and gets better by a sixth in each walk, whatever is trained on."""
    return np.where(first(0.2, ids), 8 * math.exp(-time / 6) * jitter(time, ids), clean(3 * time, ids, visits))


def memorised(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """Three tenths are learnt by heart from the third visit on: their own visits lower the loss, others' do not."""
    own = 4 * 0.2 ** np.maximum(visits - 3, 0) * jitter(time, ids)
    return np.where(first(0.3, ids), own, clean(time, ids, visits))


def anew(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """Others every time: most are known, a few are not, and all get better whatever is trained on."""
    chance = np.random.default_rng((int(time * SIZE), *ids[:4].tolist())).exponential(size=len(ids))
    return chance**2.5 * math.exp(-time / 6)


def tail(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """A long tail of hard ones, each of which is known at most visits."""
    return (
        np.random.default_rng(5).exponential(size=SIZE)[ids] ** 2.25
        * np.sqrt(anew(time, ids, visits))
        * math.exp(-time / 4)
    )


def contradicted(share: float) -> Losses:
    """A share gets no better, and what the model learns slowly speaks against it; each is hard or easy by itself."""
    own = np.random.default_rng(11).random(SIZE)

    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        right = 2.3 * (0.15 + 0.85 * own[ids]) * (0.4 + 0.6 * math.exp(-time / 8))
        return np.where(first(share, ids), 3 * (0.8 + 0.4 * own[ids]), right) * jitter(time, ids) ** 2

    return losses


def the_same_to_all(*shares: float, seed: int = 0) -> Losses:
    """A model that knows how common the classes are, and nothing else."""
    kinds = np.random.default_rng(seed).choice(len(shares), p=shares, size=SIZE)

    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return -np.log(np.array(shares))[kinds[ids]] * jitter(time, ids) ** 0.1

    return losses


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_that_is_learnt_is_never_taken_for_wrong(seed: int) -> None:
    assert "trusted" not in Stream(clean, seed=seed).run(20).members


@pytest.mark.parametrize("seed", range(3))
def test_a_few_that_hold_the_loss_and_are_learnt_are_drawn_more_often(seed: int) -> None:
    stream = Stream(tail, seed=seed).run(3)
    assert stream.members[0] == "uniform"  # nothing was visited twice by then
    stream.run(9)
    first_open = stream.members.index("hard")
    assert first_open <= 5
    assert stream.members[first_open : first_open + 5] == ["hard"] * 5
    assert {len(out) for out in stream.left_out} == {SIZE - PLACES}
    expected, _ = stream.policy.gains
    assert 1.3 < expected < 1 / RATE  # half of the places are drawn evenly, and a chance is 1 at most


@pytest.mark.parametrize("losses", [clean, wrong(0.05), wrong(0.3), hard], ids=["crowd", "few", "many", "hard"])
def test_even_losses_and_those_that_stay_are_not_drawn_more_often(losses: Losses) -> None:
    assert "hard" not in Stream(losses).run(12).members


CLASSES = np.random.default_rng(3).permutation(np.arange(SIZE) % 10)


def moving(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """A crowd as of a network on pictures: each is another view at every visit, and all get better, down to a third."""
    view = np.random.default_rng((int(time * SIZE), *ids[:4].tolist())).gamma(3.0, size=len(ids)) / 3
    return spread(ids) ** 0.56 * view**0.44 * (0.6 * math.exp(-time / 3) + 0.3)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_of_classes_that_surely_learns_from_others_is_drawn_by_its_losses(seed: int) -> None:
    stream = Stream(moving, seed=seed, targets=CLASSES).run(12)
    opened = stream.members.index("hard")
    assert 2 <= opened <= 6  # two windows on end, of which the first has nothing that was visited twice
    assert stream.members == ["uniform"] * opened + ["hard"] * (11 - opened)
    assert "hard" not in Stream(moving, seed=seed, targets=np.random.default_rng(1).normal(size=SIZE)).run(12).members
    assert "hard" not in Stream(moving, seed=seed).run(12).members  # where no targets are found


@pytest.mark.parametrize(("share", "drawn"), [(0.0, True), (0.1, False), (0.2, False), (0.4, False)])
def test_wrong_labels_that_stand_apart_are_not_drawn_by_their_losses(share: float, drawn: bool) -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return np.where(first(share, ids), 2 * jitter(time, ids), moving(time, ids, visits))

    members = Stream(losses, targets=CLASSES, members=("hard",)).run(14).members
    assert ("hard" in members) == drawn


def test_the_same_evidence_does_not_count_for_two_windows() -> None:
    stream = Stream(moving, targets=CLASSES).run(12)
    opened = stream.members.index("hard")
    stream = Stream(moving, targets=CLASSES).run(opened)
    window = stream.read(np.arange(SIZE))
    for _ in range(3):  # workers fetch windows ahead of what is trained on
        assert not stream.policy.opens(window)
        assert stream.policy.state_dict()["earned"]["now"]["before"] == 1


def test_hard_classes_are_not_drawn_where_losses_are_negative_or_a_target_is_a_number() -> None:
    assert "hard" not in Stream(lambda *given: moving(*given) - 0.2, targets=CLASSES).run(12).members
    both = np.stack((CLASSES, np.random.default_rng(1).normal(size=SIZE)), 1)
    assert "hard" not in Stream(moving, targets=both).run(12).members
    assert "hard" in Stream(moving, targets=np.stack((CLASSES, CLASSES), 1)).run(12).members


def test_a_rare_class_that_is_left_behind_while_the_hard_are_drawn_is_not_left_out() -> None:
    """Targets are looked at in whole walks alone: there is one before what stands apart by now may be left out."""
    rare = 60

    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        behind = (ids < rare) & (time > 5)
        others = moving(time, ids, visits) * min(1.0, math.exp((5 - time) / 3))
        return np.where(behind, 1.1 * jitter(time, ids), others)

    stream = Stream(losses, targets=np.where(np.arange(SIZE) < rare, 10, CLASSES)).run(30)
    assert "hard" in stream.members
    assert "trusted" not in stream.members
    assert stream.policy.verdict == RARE


def test_hard_classes_are_let_go_once_labels_become_wrong() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        before = moving(time, ids, visits)
        return before if time < 5 else np.where(first(0.3, ids), 3 * jitter(time, ids), before)

    stream = Stream(losses, targets=CLASSES, members=("hard",)).run(24)
    members = stream.members
    opened, long = members.index("hard"), members.count("hard")
    assert members == ["uniform"] * opened + ["hard"] * long + ["uniform"] * (23 - opened - long)
    assert long <= 4
    (lacked,) = stream.policy.given_up["hard"]
    assert lacked.name == "separation"
    assert lacked.value >= lacked.bound == F.UNIMODAL


def test_the_hard_are_let_go_once_they_stay() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return (tail if time < 6 else wrong(0.3))(time, ids, visits)

    members = Stream(losses).run(16).members
    opened = members.index("hard")
    assert "hard" not in members[opened + 8 :]


def test_the_hard_are_let_go_once_little_is_left_to_learn() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return tail(time, ids, visits) * (1 if time < 6 else 1e-3)

    members = Stream(losses).run(16).members
    opened = members.index("hard")
    long = members.count("hard")
    assert members[-1] == "uniform"
    assert members[opened : opened + long] == ["hard"] * long  # at a stretch


def test_a_record_that_is_out_of_date_does_not_tell_where_the_loss_is() -> None:
    """Every time others: what the record says of an instance is nothing about its next loss."""
    stream = Stream(anew).run(12)
    assert float(F.variance_gain(torch.from_numpy(stream.last))) > 2
    assert stream.members == ["uniform"] * 11


def test_the_chances_of_the_hard_by_hand() -> None:
    policy = Stream(tail).run(9).policy
    assert policy.weights == {"uniform": 0, "trusted": 0, "hard": 1, "uncertain": 0}
    window = Signals(torch.tensor([0.0, 1.0, 1.0, 2.0]), ages=torch.ones(4))
    found = policy.choose(window, 2).inclusion_probabilities
    assert found is not None
    assert found.tolist() == pytest.approx([0.25, 0.5, 0.5, 0.75])  # (2 / 4 + 2 * loss / 4) / 2
    assert found.dtype == torch.float64


def test_negative_losses_are_not_drawn_in_proportion() -> None:
    assert "hard" not in Stream(lambda *given: tail(*given) - 0.01).run(12).members


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_wrong_labels_are_left_out_within_a_few_walks(share: float) -> None:
    stream = Stream(wrong(share)).run(12)
    first_open = stream.members.index("trusted")
    assert first_open <= 6
    assert stream.members == ["uniform"] * first_open + ["trusted"] * (11 - first_open)  # and it stays open
    for out in stream.left_out[3:]:  # by then the crowd is far below
        assert (out >= share * SIZE).mean() <= 0.05  # hardly any of the others
        assert len(out) >= 0.9 * share * SIZE  # all but those that are looked at again
    assert stream.policy.weights["trusted"] == 1


def test_what_is_learnt_from_others_is_hard_and_stays() -> None:
    stream = Stream(hard).run(12)
    split = two_groups(torch.from_numpy(stream.average))
    assert float(split.separation) > 0.75  # it does stand apart,
    assert float(split.share) == pytest.approx(0.2)
    assert "trusted" not in stream.members  # and is not left out


GEOMETRIC = tuple((5 ** (-np.arange(10) / 9) / (5 ** (-np.arange(10) / 9)).sum()).tolist())
"""Shares of ten classes, the commonest five times as common as the rarest."""


@pytest.mark.parametrize(
    ("shares", "apart"), [((0.55, 0.45), 0.9), ((0.5, 0.3, 0.2), 0.8), ((0.4, 0.3, 0.2, 0.1), 0.7), (GEOMETRIC, 0.7)]
)
@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_is_learnt_classes_are_those_of_the_labels_and_stay(
    shares: tuple[float, ...], apart: float, seed: int
) -> None:
    stream = Stream(the_same_to_all(*shares, seed=seed)).run(12)
    assert float(two_groups(torch.from_numpy(stream.average)).separation) > apart
    assert stream.members == ["uniform"] * 11


@pytest.mark.parametrize("share", [0.4, 0.5])
def test_while_many_are_contradicted_the_uncertain_are_drawn_and_then_the_trusted(share: float) -> None:
    stream = Stream(contradicted(share)).run(14)
    opened, trusted = stream.members.index("uncertain"), stream.members.index("trusted")
    assert opened <= 3
    assert stream.members == [*["uniform"] * opened, *["uncertain"] * (trusted - opened), *["trusted"] * (13 - trusted)]
    assert trusted > opened + 3
    for out in stream.left_out[: trusted - opened]:
        assert len(out) == SIZE - PLACES
        drawn = 1 - np.bincount(out < share * SIZE, minlength=2) / (SIZE * np.array([1 - share, share]))
        assert drawn[0] > 1.5 * drawn[1]  # of right and of wrong ones


def test_doubt_ends_once_the_doubtful_are_learnt() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return (contradicted(0.4) if time < 3 else clean)(time, ids, visits)

    members = Stream(losses).run(16).members
    opened = members.index("uncertain")
    long = members.count("uncertain")
    assert members[opened : opened + long] == ["uncertain"] * long  # at a stretch
    assert members[opened + long :] == ["uniform"] * (15 - opened - long)
    assert opened + long <= 9


def test_fewer_than_a_third_are_not_doubted() -> None:
    assert Stream(contradicted(0.2)).run(8).members == ["uniform"] * 7


def test_labels_that_become_wrong_while_others_are_known_are_not_doubted() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        right = contradicted(0.0)(time, ids, visits)
        return np.where(first(0.4 if time > 2 else 0.0, ids), 3.5 * jitter(time, ids), right)

    stream = Stream(losses).run(20)
    assert "uncertain" not in stream.members
    assert stream.members[-1] == "trusted"  # once it is known which


RANDOM = np.random.default_rng(3).integers(0, 10, SIZE)
NUMBERS = np.arange(SIZE)
MIXED = np.random.default_rng(5).permutation(SIZE)


@pytest.mark.parametrize("losses", [wrong(0.2), wrong(0.4), contradicted(0.4)], ids=["fifth", "many", "contradicted"])
def test_rare_classes_that_are_not_learnt_are_not_left_out(losses: Losses) -> None:
    """All that is not learnt has labels of its own, as the rare classes beside a common one have."""
    share = 0.2 if losses(3, NUMBERS, NUMBERS)[300] < 1 else 0.4
    rare = np.where(first(share, NUMBERS), 1 + RANDOM % 5, 0)
    assert set(Stream(losses, targets=rare).run(12).members) == {"uniform"}
    assert set(Stream(losses, targets=np.where(RANDOM == 0, rare, RANDOM % 2)).run(12).members) != {"uniform"}


@pytest.mark.parametrize(("rows", "right", "opened"), [(40, 0, False), (40, 10, True), (15, 0, True)])
def test_no_class_is_emptied(rows: int, right: int, opened: bool) -> None:
    """A fifth is wrong; a class has so many of these, and so many of the others; all other labels say nothing."""
    own = np.isin(NUMBERS, range(SIZE // 5 - rows, SIZE // 5 + right))
    told = Stream(wrong(0.2), targets=np.where(own, 10, RANDOM)).run(9)
    assert ("trusted" in told.members) == opened
    if not opened:
        assert told.policy.verdict == "rare targets"
        (only,) = told.policy.lacking["trusted"]
        assert only.name == "share left out of one class"
        assert only.value == pytest.approx(rows / (rows + 4))


@pytest.mark.parametrize("labels", [RANDOM, np.full(SIZE, np.nan), np.zeros(SIZE, dtype=int)])
@pytest.mark.parametrize("losses", [wrong(0.3), contradicted(0.4)], ids=["apart", "contradicted"])
def test_labels_that_say_nothing_change_nothing(losses: Losses, labels: np.ndarray) -> None:
    """Those of any class; none; and only one."""
    told, untold = Stream(losses, targets=labels).run(9), Stream(losses).run(9)
    assert set(untold.members) != {"uniform"}
    assert told.members == untold.members
    assert [out.tolist() for out in told.left_out] == [out.tolist() for out in untold.left_out]


@pytest.mark.parametrize("both", [False, True])
def test_outliers_to_one_side_are_kept_and_those_to_both_are_not(both: bool) -> None:
    chance = np.random.default_rng(4)
    moved = 8 * np.where(chance.random(SIZE) < 0.5 * both, -1, 1) * first(0.2, NUMBERS)
    numbers = chance.normal(size=SIZE) + moved
    assert ("trusted" in Stream(wrong(0.2, height=20), targets=numbers).run(12).members) == both


@pytest.mark.parametrize("numbers", [False, True])
def test_flat_targets_of_which_nothing_is_learnt_are_not_left_out(numbers: bool) -> None:
    """Their squared errors are two groups that stay, by the targets alone: the same losses of classes are left out."""
    flat = (2 * MIXED + 1) / SIZE - 1

    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return (1.2 if time < 1 else 1.0) * flat[ids] ** 2 * jitter(time, ids) ** 0.1

    told = Stream(losses, targets=flat if numbers else RANDOM).run(9)
    assert ("trusted" in told.members) != numbers
    if numbers:
        lacks = told.policy.lacking["trusted"]
        assert [each.name for each in lacks] == ["tau", "loss of the upper group"]
        assert lacks[0].value == pytest.approx(1.34, abs=0.01)


@pytest.mark.parametrize("height", [4.0, 40.0])
def test_numbers_that_are_off_by_little_more_than_at_first_are_not_left_out(height: float) -> None:
    """Those of a part that is not learnt are off by what they were: 4, where all begin with 1.6 on average."""
    numbers = np.random.default_rng(4).standard_normal(SIZE)
    stream = Stream(wrong(0.2, height), targets=numbers).run(12)
    assert ("trusted" in stream.members) == (height == 40)
    assert set(Stream(wrong(0.2, height)).run(12).members) == {"uniform", "trusted"}  # of classes it is enough


@pytest.mark.parametrize(("zeros", "opened"), [("the upper", False), ("a tenth of all", True), ("seven", True)])
def test_a_number_that_many_have_is_not_left_out_for_standing_apart(zeros: str, opened: bool) -> None:
    """A fifth stays far off: all that are 0 and no others, which are in the middle of the numbers, or any."""
    numbers = np.random.default_rng(4).standard_normal(SIZE)
    some = {"the upper": first(0.2, NUMBERS), "a tenth of all": NUMBERS % 10 == 0, "seven": NUMBERS < 7}[zeros]
    told = Stream(wrong(0.2, 40.0), targets=np.where(some, 0.0, numbers)).run(9)
    assert ("trusted" in told.members) == opened
    seen = told.policy._earned
    assert seen is not None
    assert seen.targets_numeric is True
    if not opened:
        assert told.policy.verdict == "rare targets"
        (only,) = told.policy.lacking["trusted"]
        assert (only.name, round(only.value, 2)) == ("explained by targets", 1.0)


@pytest.mark.parametrize("targets", ["numbers", "one of two", "whole", "classes", "unknown"])
def test_roots_are_looked_at_where_targets_are_numbers(targets: str) -> None:
    """A tenth of the errors are normal with ten times the spread of the others, which no cut of squares tells."""
    chance = np.random.default_rng(6)
    numbers = chance.standard_normal(SIZE)
    errors = chance.standard_normal(SIZE) * np.where(first(0.1, NUMBERS), 10, 1)

    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        learnt = np.where(first(0.1, ids), 1.0, math.exp(-time) + 0.02)
        return errors[ids] ** 2 * learnt * jitter(time, ids) ** 0.1

    said = {
        "numbers": numbers,
        "one of two": np.where(NUMBERS % 2 == 0, numbers, 0.5),
        "whole": np.round(1000 * numbers),
        "classes": np.round(3 * numbers),
        "unknown": None,
    }
    stream = Stream(losses, targets=said[targets]).run(9)
    assert ("trusted" in stream.members) == (targets in {"numbers", "whole"})


def test_negative_losses_are_not_doubted() -> None:
    assert "uncertain" not in Stream(lambda *given: contradicted(0.4)(*given) - 0.9).run(12).members


def test_the_chances_of_the_uncertain_by_hand() -> None:
    policy = Stream(contradicted(0.4)).run(4).policy
    assert policy.weights == {"uniform": 0, "trusted": 0, "hard": 0, "uncertain": 1}
    upper = policy.state_dict()["earned"]["now"]["upper"]
    assert 2.5 < upper < 3.5  # mean loss of those that are contradicted
    losses = torch.tensor([0.0, 0.1, 0.7, 0.7, 3.0, 9.0])
    known = [math.exp(-3 * loss / upper) for loss in losses.tolist()]
    wanted = [p * (1 - p) for p in known]
    before = policy.state_dict()["earned"]["worth"]["expected"]
    found = policy.choose(Signals(losses, ages=torch.ones(6)), 1).inclusion_probabilities
    assert found is not None
    assert found.tolist() == pytest.approx([one / sum(wanted) for one in wanted], abs=1e-6)
    after = policy.state_dict()["earned"]["worth"]["expected"]
    mean = sum(p * w for p, w in zip(found.tolist(), wanted, strict=True))  # of those chosen; the chances sum to 1
    assert after - before == pytest.approx(mean / (sum(wanted) / 6))


def test_a_tail_that_is_small_stays() -> None:
    assert "trusted" not in Stream(wrong(0.01)).run(12).members


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 1e30])
def test_losses_that_are_all_the_same_are_one_class_and_nothing_is_learnt(level: float) -> None:
    stream = Stream(lambda time, ids, visits: np.full(len(ids), level)).run(6)
    assert stream.members == ["uniform"] * 5
    assert stream.policy.idle
    assert stream.policy.gains == (None, None)


def test_negative_losses_of_one_crowd_are_never_chosen_from() -> None:
    stream = Stream(lambda time, ids, visits: clean(time, ids, visits) - 9).run(12)
    assert stream.members == ["uniform"] * 11


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("plain", [wrong(0.3), contradicted(0.4)], ids=["apart", "contradicted"])
def test_the_unit_of_the_losses_changes_nothing(scale: float, plain: Losses) -> None:
    scaled = Stream(lambda *given: plain(*given) * scale).run(8)
    assert set(scaled.members) - {"uniform"}
    assert scaled.members == Stream(plain).run(8).members
    assert [out.tolist() for out in scaled.left_out] == [out.tolist() for out in Stream(plain).run(8).left_out]


def test_what_was_drawn_by_force_is_not_counted_for_many() -> None:
    upper = torch.tensor([True] * 2 + [False] * 8)  # of a window with 4 of 12 in the upper group: half were drawn
    assert how_often(upper, 4 / 12, 0.05) == pytest.approx(0.5)
    assert how_often(torch.tensor([True] * 4 + [False] * 8), 4 / 12, 0.05) == pytest.approx(1.0)
    assert how_often(torch.tensor([False] * 8), 4 / 12, 0.05) == 0.05
    worth = Worth()  # 8 of 10 chosen are fine, and 8 of all 12
    worth.see((~upper).double(), torch.where(upper, how_often(upper, 4 / 12, 0.05), 1.0))
    assert worth.gains[1] == pytest.approx((8 / 10) / (8 / 12))


@pytest.mark.parametrize(("height", "member"), [(0.95, "uniform"), (1.4, "trusted")])
def test_a_group_that_is_where_everything_began_is_not_taken_for_wrong(height: float, member: str) -> None:
    stream = Stream(wrong(0.2, height)).run(16)
    assert two_groups(torch.from_numpy(stream.average)).separation > F.UNIMODAL  # apart either way
    assert set(stream.members) == {"uniform", member}


def test_a_change_of_regime_opens_and_shuts_the_gate() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return (wrong(0.3) if 6 <= time < 16 else clean)(time, ids, visits)

    stream, seen = Stream(losses), []
    for until in (6, 16, 26):
        start = len(stream.members)
        while stream.trained < until * SIZE:
            stream.walk()
        seen.append(stream.members[start:])
    before, noisy, after = seen
    assert "trusted" not in before
    assert noisy.index("trusted") <= 6
    assert noisy[noisy.index("trusted") :] == ["trusted"] * (len(noisy) - noisy.index("trusted"))
    shut = next(place for place, name in enumerate(after) if name != "trusted")
    assert shut <= 8  # few suspects are looked at in each walk
    assert "trusted" not in after[shut:]


def test_what_is_learnt_by_heart_is_taken_in_again() -> None:
    stream = Stream(memorised).run(4)
    assert stream.members[-1] == "trusted"  # until then nothing tells it from wrong labels
    visits = stream.visits[:300].copy()
    stream.run(80)
    assert stream.members[-1] != "trusted"
    assert (stream.visits[:300] > visits).all()


def test_losses_that_are_not_finite_are_no_evidence() -> None:
    plain, broken = Stream(wrong(0.3)).run(3), Stream(wrong(0.3)).run(3)
    ids = np.arange(4)
    broken.policy.observe(broken.read(ids), torch.tensor([math.nan, math.inf, -math.inf, math.nan]))
    told, expected = (stream.policy.state_dict()["earned"] for stream in (broken, plain))
    told, expected = told["visits"], expected["visits"]
    assert torch.equal(told["sums"], expected["sums"])
    assert torch.equal(told["progress"], expected["progress"])
    assert torch.equal(told["found"], expected["found"])


def test_all_decisions_repeat() -> None:
    once, twice = (Stream(wrong(0.3), seed=3).run(9) for _ in range(2))
    assert once.members == twice.members
    assert [out.tolist() for out in once.left_out] == [out.tolist() for out in twice.left_out]
    assert once.policy.gains == twice.policy.gains


@pytest.mark.parametrize("walks", [0, 1, 2, 5])
@pytest.mark.parametrize("losses", [wrong(0.3), contradicted(0.4)], ids=["apart", "contradicted"])
def test_a_saved_policy_goes_on_as_if_nothing_happened(walks: int, losses: Losses) -> None:
    through, saved = Stream(losses).run(9), Stream(losses).run(walks)
    file = io.BytesIO()
    torch.save(saved.policy.state_dict(), file)
    file.seek(0)
    saved.policy = on_records()
    saved.policy.load_state_dict(torch.load(file, weights_only=True))
    saved.run(9 - walks)
    assert saved.members == through.members
    assert [out.tolist() for out in saved.left_out] == [out.tolist() for out in through.left_out]
    assert saved.policy.gains == through.policy.gains
    assert saved.policy.idle == through.policy.idle


def test_a_state_is_a_copy_and_another_one_is_refused() -> None:
    stream = Stream(wrong(0.3)).run(4)
    state = stream.policy.state_dict()
    sums = state["earned"]["visits"]["sums"].clone()
    stream.run(2)
    assert torch.equal(state["earned"]["visits"]["sums"], sums)
    some = {name: state["earned"][name] for name in ("members", "wrong_labels")}
    with pytest.raises(StateError, match="lacks seen, visits"):
        stream.policy.load_state_dict({**state, "earned": some | {"now": 0}})


def test_it_says_why_a_member_lost_the_weight_and_a_saved_one_too() -> None:
    def losses(time: float, ids: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return (wrong(0.3) if time < 6 else clean)(time, ids, visits)

    stream = Stream(losses)
    for _ in range(40):
        stream.walk()
        if "trusted" in stream.members and stream.members[-1] != "trusted":
            break
        assert stream.policy.given_up == {}
    said = stream.policy.given_up
    (lacked,) = said["trusted"]
    assert (lacked.name, lacked.sign, lacked.bound) == ("staying", ">", 0.35)
    assert lacked.value <= 0.35
    again = on_records()
    again.load_state_dict(stream.policy.state_dict())
    assert again.given_up == said
    stream.run(2)
    assert stream.policy.given_up == said  # until another one is given up


def test_a_member_that_another_takes_over_from_lacked_nothing() -> None:
    stream = Stream(contradicted(0.4))
    for _ in range(14):
        stream.walk()
        if stream.members[-2:] == ["uncertain", "trusted"]:
            break
    assert stream.members[-2:] == ["uncertain", "trusted"]
    assert stream.policy.given_up == {"uncertain": ()}


@pytest.mark.parametrize("name", ["before", "idle", "long"])
@pytest.mark.parametrize("count", [-1.0, 0.5])
def test_counts_that_cannot_be_are_refused(name: str, count: float) -> None:
    state = on_records().state_dict()
    state["earned"]["now"][name] = count
    with pytest.raises(StateError, match=name):
        on_records().load_state_dict(state)


# Gains and the stop indicator


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_losses_that_stay_as_they_are_fall_no_more(seed: int, scale: float) -> None:
    """The record rounds them; that is neither a fall nor a rise."""
    own = scale * np.random.default_rng(seed).exponential(size=SIZE)
    stream = Stream(lambda time, ids, visits: own[ids]).run(7)
    assert stream.policy.idle
    falling = Stream(lambda time, ids, visits: own[ids] * math.exp(-0.02 * time)).run(7)
    assert not falling.policy.idle


def test_gains_by_hand() -> None:
    policy, window = on_records(), Signals(torch.tensor([0.1] * 7 + [4.0] * 3), ages=torch.arange(10.0))
    assert not policy.opens(window)  # no evidence yet
    for _ in range(10):
        policy.observe(window, window.losses)
    assert policy.opens(window)
    policy.choose(window, 5)
    expected, seen = policy.gains
    assert expected == pytest.approx(1 / (0.7 + 0.05 * 0.3))  # all chosen are worth it, but for second looks
    assert seen is None  # nothing was trained on since
    chosen = Signals(torch.tensor([0.1] * 140 + [4.0] * 3), ages=torch.ones(143))
    policy.observe(chosen, chosen.losses)
    # 140 of the 143 chosen are worth it, and 140 of 200 at random: each suspect stands for twenty
    assert policy.gains == (pytest.approx(expected), pytest.approx((140 / 143) / (140 / 200)))


def test_gains_of_the_hard_by_hand() -> None:
    stream = Stream(tail).run(6)
    state = stream.policy.state_dict()
    assert state["earned"]["worth"]["windows"] == stream.members.count("hard")
    worth = Worth()
    worth.expect(torch.tensor([0.25, 0.5, 0.5, 0.75]), torch.tensor([0.0, 1.0, 1.0, 2.0]))
    worth.see(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.75]))
    expected, seen = worth.gains
    assert expected == pytest.approx((0.5 + 0.5 + 1.5) / 2 / 1.0)
    assert seen == pytest.approx(1.5 / ((1 / 0.5 + 2 / 0.75) / (1 / 0.5 + 1 / 0.75)))


def test_gains_of_the_uncertain_by_hand() -> None:
    policy = Stream(contradicted(0.4)).run(4).policy
    now = policy.state_dict()["earned"]["now"]
    before = policy.state_dict()["earned"]["worth"]
    chosen = Signals(torch.tensor([0.5, 1.0, 2.0]), ages=torch.ones(3))
    policy.observe(chosen, torch.tensor([0.4, 1.5, 6.0]))
    after = policy.state_dict()["earned"]["worth"]

    def worth(loss: float) -> float:
        known = math.exp(-3 * loss / now["upper"])
        return known * (1 - known)

    chances = [max(0.5, worth(loss) / now["doubt"]) * RATE for loss in (0.5, 1.0, 2.0)]
    assert max(chances) < 1
    seen = [worth(loss) / now["doubt"] for loss in (0.4, 1.5, 6.0)]
    found = {name: after[name] - before[name] for name in after}
    assert found["chosen"] == 3
    assert found["chosen_worth"] == pytest.approx(sum(seen))
    assert found["stand_for"] == pytest.approx(sum(1 / chance for chance in chances))
    assert found["stand_for_worth"] == pytest.approx(sum(w / chance for w, chance in zip(seen, chances, strict=True)))


def test_gains_of_two_members_lie_between_those_of_each() -> None:
    stream = Stream(contradicted(0.4)).run(14)
    opened, handed = stream.members.index("uncertain"), stream.members.index("trusted")
    worths = []
    for until in (handed + 1, 14):  # walks: the first is not among the members
        worths.append(Stream(contradicted(0.4)).run(until).policy.state_dict()["earned"]["worth"])
    apart = {name: worths[1][name] - worths[0][name] for name in worths[0]}
    of_each = []
    for sums in (worths[0], apart):
        of_each.append(sums["chosen_worth"] / sums["chosen"] / (sums["stand_for_worth"] / sums["stand_for"]))
    _, both = stream.policy.gains
    assert both is not None
    assert handed > opened + 3
    assert min(of_each) <= both <= max(of_each)


def test_idle_counts_windows_in_which_losses_did_not_fall() -> None:
    policy, level = on_records(), torch.ones(5)

    def window(change: float) -> bool:
        policy.observe(Signals(level), level + change)
        policy.opens(Signals(level))
        return policy.idle

    assert [window(change) for change in (0, 0.1, -0.1, 0, 0.1, 0, 0, -0.1)] == [False] * 4 + [False, True, True, False]
    assert [window(0) for _ in range(3)] == [False, False, True]
    policy.opens(Signals(level))  # a window of which nothing was seen says nothing
    assert policy.idle


# The policy


def test_the_guide_names_the_defaults() -> None:
    default = asdict(Thresholds())
    page = " ".join((Path(__file__).parents[2] / "docs" / "recorded.md").read_text(encoding="utf-8").split())
    least = f"the upper group must hold at least {100 * default['least']:g} % of the instances"
    assert f"must be above {default['apart']:g}, and {least}" in page
    assert f"`tau` (see [below](#drawing-the-hard-more-often)) must be above {default['tailed']:g}" in page
    assert default["common"] == 1 / 8
    assert "where no target is that of more than one row in eight, their square roots" in page
    assert f"The mean loss of the upper group must be above {default['far']:g} times the mean that the first" in page
    rooted = f"Where the separation of the square roots of the average losses is above {default['rooted']:g}, and"
    assert f"{rooted} the mean loss of their upper group above" in page
    assert f"above the threshold again at more than {100 * default['stays']:g} % of the visits" in page
    assert f"With one standard error added it must be below {100 * default['learnt']:.0f} %." in page
    sure = conditions._SURE * default["visits"]
    assert f"at least {default['visits']} visits, for `uncertain` from {sure}," in page
    assert f"The gate shuts when fewer than {100 * default['lost']:g} % of these" in page
    bounds = (
        f"- the evidence is ample: over at least {conditions._AMPLE * default['visits']:,} visits,",
        f"- no class has more than {100 * conditions._LARGEST_CLASS:g} % of the rows,",
        f"- the targets explain less than {100 * default['scattered']:g} % of",
        f"- more than {-100 * conditions._FORGOTTEN:g} % of the loss of the upper group comes back in a walk",
        f"- the separation is above {conditions._NEARLY_APART:g}, and the upper group holds at least "
        f"{100 * default['least']:g} % of the instances and stays at more than "
        f"{100 * conditions._OFTEN_STAYS:g} % of the visits",
        f"- the mean loss of the lower group is below {conditions._BEGUN:g} times the mean that the first walk saw,",
        f"and the mean loss of all at most {conditions._RISEN:g} times the lowest so far",
    )
    assert [bound for bound in bounds if bound not in page] == []
    assert f"on the second way of `hard`, and for what is learnt by heart from {conditions._AMPLE * 20:,}" in page
    assert default["audit"] == 1 / 20
    assert "one suspect in twenty" in page
    assert f"by a factor `tau` above {default['reduces']:g}" in page
    assert (
        f"at fewer than {100 * default['moves']:g} % of the visits its instances are above the threshold again" in page
    )
    assert f"are above {default['finds']:g} times the mean" in page
    assert f"the mean loss is above {100 * default['left']:g} % of that after the first walk" in page
    assert (
        f"loses more than {100 * default['taught']:g} % of its loss in a walk through training on others, one" in page
    )
    assert f"one standard error taken off, over at least {sure} visits" in page
    assert f"below {conditions.WRONG:g} times the mean that the first walk saw, that of the lower group" in page
    assert (
        f"the lower group below {conditions._BEGUN:g} times, and the mean of all above {100 * conditions._MOST:g} %"
        in page
    )
    assert f"separation is below {conditions._EVEN:g}, and the upper group stays at fewer than" in page
    assert f"stays at fewer than {100 * conditions._STAYS:g} % of the visits" in page
    assert f"such a draw finds losses above {conditions._TELLS:g} times the mean" in page
    kept = f"a separation of {default['apart']:g}, a loss of the upper group of {keeping._GROWN:g} times that mean, a"
    assert f"{kept} share of {100 * keeping._STAYED:g} % of the visits" in page
    assert f"or a mean loss below {100 * keeping._LITTLE:g} % of it" in page
    assert f"its loss is above the threshold again at more than {100 * default['doubtful']:g} % of the visits" in page
    assert f"above {conditions.WRONG:g} times the mean that the first walk saw" in page
    assert conditions._OPPOSITE == 3 / 4
    assert "is up by more than three quarters of what the mean of the lower group is down" in page
    assert f"the mean loss is at most {conditions._RISEN:g} times the lowest so far" in page
    assert (
        f"the mean loss of the lower group is below {conditions._HALF_KNOWN:g} times the mean that the first walk saw"
        in page
    )
    assert f"and at fewer than {100 * conditions._STUCK:g} %: where none ever leaves" in page
    assert f"exp(-{worth._WRONG_IS:g} * loss / mean loss at visits of the upper group)" in page
    assert f"at least {100 * default['many']:g} % of the instances are in the upper group" in page
    assert f"With one standard error added it must be below {100 * default['slowly']:.0f} % here" in page
    assert f"less what is learnt, is below {100 * default['lost']:g} %" in page
    assert f"(epsilon squared) must be below {default['explained']:g}" in page
    assert f"`(2A - 1)^2` must be below {default['explained']:g}" in page
    assert (default["emptied"], _ERRORS) == (4 / 5, 2)
    assert "no class may have four fifths of its rows, with two standard errors to spare, above the threshold" in page
    assert f"the first {targets._ROWS:,} instances of each window" in page
    assert (targets._EACH, targets._PARTS) == (8, 3)
    assert "Whole numbers with eight rows each on average" in page
    assert "three parts at most" in page


def known_classes(shares: np.ndarray, wrong: float) -> float:
    """What labels explain if a share of them is wrong, of any other class, and the model knows which."""
    said = shares * (1 - wrong) + (1 - shares) * wrong / (len(shares) - 1)
    return F.explained(torch.from_numpy(1e6 * said), torch.from_numpy(1e6 * (said - shares * (1 - wrong))))


def test_the_guide_says_what_wrong_labels_explain() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "recorded.md").read_text(encoding="utf-8").split())
    rare = np.array([0.6] + [0.4 / 9] * 9)
    equal, ten, two = (known_classes(shares, 0.2) for shares in (np.full(10, 0.1), rare, np.array([0.9, 0.1])))
    assert (
        f"a fifth of wrong labels, gives {abs(equal):.0f} where ten classes are equal, {ten:.1f} where one of the ten "
        f"has six rows in ten, and {two:.2f} where one of two has nine in ten" in page
    )


EXPLICIT = {
    "methods": ("big_loss", "small_loss", "uniform"),
    "weighting": "bounded",
    "choice": "draw",
    "importance": "softmax_z",
    "replicate": "paper",
    "weight_exponent": 0.5,
}


@pytest.mark.parametrize("name", EXPLICIT)
def test_an_argument_about_the_mixture_turns_the_earned_one_off(name: str) -> None:
    policy = AdaSelection(rate=RATE, **{name: EXPLICIT[name]})
    policy.use_records()
    assert set(policy.weights) == {"big_loss", "small_loss", "uniform"}
    assert policy.opens(Signals(torch.rand(8)))
    assert policy.gains == (None, None)
    assert not policy.idle
    signals = Signals(torch.arange(10.0), averages=torch.arange(10.0))
    assert len(policy.choose(signals, 4).indices) == 4


@pytest.mark.parametrize(
    "options", [{}, {"beta": -1.0}, {"seed": 3}, {"max_nonfinite": 0.0}, {"half_life": 5.0}, {"curriculum": "text"}]
)
def test_other_arguments_leave_the_earned_mixture_on(options: dict[str, Any]) -> None:
    policy = AdaSelection(rate=RATE, **options)
    assert set(policy.weights) == {"big_loss", "small_loss", "uniform"}  # on fresh losses
    policy.use_records()
    assert policy.weights == {"uniform": 1, "trusted": 0, "hard": 0, "uncertain": 0}
    assert not policy.opens(Signals(torch.rand(8)))


def test_single_methods_are_always_open() -> None:
    policy = SingleMethod("proportional", 0.5)
    policy.use_records()
    assert policy.opens(Signals(torch.zeros(4)))
    assert policy.gains == (None, None)
    assert not policy.idle


def test_the_policy_takes_all_that_it_trusts_whatever_k() -> None:
    policy = Stream(wrong(0.3)).run(6).policy
    assert policy.weights["trusted"] == 1
    window = Signals(torch.rand(100), averages=torch.tensor([4.0] * 40 + [0.1] * 60), ages=torch.ones(100))
    for k in (1, 50):
        got = policy.choose(window, k)
        kept = set(got.indices.tolist())
        assert set(range(40, 100)) <= kept
        assert len(kept) == 62  # and one suspect in twenty: 2 of 40
        assert got.sample_weights.tolist() == [1.0] * 62
        assert got.inclusion_probabilities is not None
        assert got.inclusion_probabilities.tolist() == pytest.approx([0.05] * 40 + [1.0] * 60)
    looked_at = [frozenset(policy.choose(window, 1).indices.tolist()) & set(range(40)) for _ in range(9)]
    assert len(set(looked_at)) > 3  # others in each walk
