"""Which instances a recorded loader draws: all first, none too seldom, by known chances, or as the plain one."""

import math
from collections import Counter
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, WeightedRandomSampler

from adaselection import AdaSelection, Policy, RecordedLoader, RecordedLosses, Selection, Signals, SingleMethod
from adaselection.thresholds import Evidence
from core.parts import CE, data, ids, net
from core.recorded_parts import RecordedTrainer, passes, recorded


def policy(name: str, rate: float) -> Policy:
    return AdaSelection(("big_loss", "uniform"), rate) if name == "mixture" else SingleMethod(name, rate)


@pytest.mark.parametrize("windows", [None, 4])
@pytest.mark.parametrize("name", ["proportional", "big_loss", "mixture"])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_first_walk_takes_every_instance_as_the_plain_loader_does(
    name: str, windows: int | None, drop_last: bool
) -> None:
    window = None if windows is None else 4 * windows
    options: dict[str, Any] = {"shuffle": True, "drop_last": drop_last}
    torch.manual_seed(5)
    plain = [ids(batch) for batch in DataLoader(data(42), batch_size=4, **options)]
    torch.manual_seed(5)
    loader = recorded(42, 4, policy(name, 0.5), window=window, **options)
    batches = list(chain(*passes(loader, 4)))
    assert batches[: len(plain)] == plain
    assert sorted(chain(*plain)) == sorted(set(chain(*plain)))
    assert loader.records.unseen == 42 - len(set(chain(*batches)))


@settings(max_examples=15)
@given(
    name=st.sampled_from(["big_loss", "small_loss", "proportional", "mixture", "infobatch", "trusted"]),
    rate=st.sampled_from([0.15, 0.3, 0.5, 0.75]),
    size=st.integers(1, 6),
    rows=st.integers(40, 60),
    patience=st.sampled_from([2.0, 3.0]),
    windows=st.booleans(),
)
def test_no_instance_stays_unseen_for_longer_than_stated(
    name: str, rate: float, size: int, rows: int, patience: float, windows: bool
) -> None:
    chosen, limit = policy(name, rate), patience / rate
    window = math.ceil(2 / rate) * size if windows and patience > 2 else None
    loader = recorded(rows, size, chosen, shuffle=True, longest_unseen=limit, window=window)
    count = math.ceil(7 / rate)
    seen = passes(loader, count, lambda number, step: 1.0 + number % 17)
    last, worst = dict.fromkeys(range(rows), 0), 0
    for number, batches in enumerate(seen):
        for row in chain(*batches):
            worst = max(worst, number - last[row])
            last[row] = number
    worst = max(worst, *(count - number for number in last.values()))
    walk = 1 / rate if chosen.own_count else rows / (len(loader) * size)
    assert worst <= limit + walk


def test_what_the_top_k_would_never_take_is_drawn_by_force_and_counted() -> None:
    loader = recorded(40, 4, SingleMethod("big_loss", 0.3), shuffle=True)
    drawn = Counter(chain(*chain(*passes(loader, 30, lambda number, step: 1.0 + number))))
    assert min(drawn.values()) >= 2
    assert min(drawn[number] for number in range(32, 40)) > 2 * max(drawn[number] for number in range(20))
    report = loader.report()
    assert report.forced > 0
    assert "unseen for too long" in str(report)


def test_the_draws_follow_the_recorded_losses() -> None:
    loader = recorded(60, 4, SingleMethod("proportional", 0.3, seed=2), shuffle=True, longest_unseen=1e6)
    drawn = Counter(chain(*chain(*passes(loader, 300, lambda number, step: 1.0 + number % 3))))
    classes = [sum(count for number, count in drawn.items() if number % 3 == kind) for kind in range(3)]
    total = sum(classes)
    assert [count / total for count in classes] == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.03)


class Watched(SingleMethod):
    """Notes what it was asked to choose from and what it chose."""

    def choose(self, signals: Signals, k: int, **more: Any) -> Selection:
        found = super().choose(signals, k, **more)
        self.noted = getattr(self, "noted", [])
        self.noted.append((signals, k, found))
        return found


def test_it_chooses_from_what_training_saw_last() -> None:
    loader = recorded(24, 4, Watched("big_loss", 0.5), longest_unseen=1e6)
    seen = passes(loader, 3, lambda number, step: float(number + step))  # the second walk begins with the third pass
    walk = list(chain(*seen[:2]))
    assert sorted(chain(*walk)) == list(range(24))
    last = {number: float(number + step) for step, batch in enumerate(walk) for number in batch}
    signals, k, found = loader.policy.noted[0]  # type: ignore[attr-defined]
    assert k == 12
    assert signals.losses.tolist() == [last[number] for number in range(24)]
    assert signals.ages is not None
    assert signals.ages.tolist() == [2.0] * 12 + [1.0] * 12
    best = sorted(sorted(range(24), key=lambda number: -last[number])[:12])
    assert found.indices.tolist() == best == sorted(chain(*seen[2]))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_weights_are_powers_of_the_chances_and_make_the_loss_unbiased(exponent: float) -> None:
    chosen = AdaSelection(
        ("proportional", "uniform"), 0.25, weighting="fixed", weight_exponent=exponent, seed=1, beta=0.0
    )
    losses = [0.5 + number % 5 for number in range(80)]
    loader = recorded(80, 4, chosen, shuffle=True, longest_unseen=1e6)
    means: list[float] = []
    for number in range(154):
        total, count = 0.0, 0
        for batch in loader:
            rows = ids(batch)
            value = torch.tensor([losses[row] for row in rows], requires_grad=True)
            reduced = loader.record(value)
            reduced.backward()
            assert value.grad is not None
            if number >= 4:
                weight = value.grad * len(rows)
                total, count = total + reduced.item() * len(rows), count + len(rows)
                kept = 20 * (0.5 * value.detach() / sum(losses) + 0.5 / 80)  # chance of a draw of 20 from 80
                scaled = weight * kept**exponent
                assert float(scaled.std() / scaled.mean()) < 1e-5
        means += [total / count] if count else []
    true, top = sum(losses) / 80, sum(loss * 0.5 * (loss / (sum(losses) / 80) + 1) for loss in losses) / 80
    got = sum(means) / len(means)
    if exponent == 1:
        assert got == pytest.approx(true, rel=0.02)
    elif exponent == 0:
        assert got == pytest.approx(top, rel=0.02)
    else:
        assert true < got < top
    effective = loader.report().effective
    assert effective is not None
    assert (effective == pytest.approx(1)) == (exponent == 0)


def test_a_choice_of_none_has_no_weights_and_a_method_keeps_its_own() -> None:
    plain = recorded(40, 4, AdaSelection(("big_loss", "uniform"), 0.5, choice="top_k"))
    own = recorded(40, 4, SingleMethod("infobatch", 0.5, seed=1))
    for loader, weighted in ((plain, False), (own, True)):
        seen = set()
        for _ in range(4):
            for batch in loader:
                losses = torch.tensor([1.0 + number % 4 for number in ids(batch)], requires_grad=True)
                loader.record(losses).backward()
                assert losses.grad is not None
                seen |= set((losses.grad * len(losses)).tolist())
        assert (len(seen) > 1) == weighted


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_the_unbiased_method_stays_so_where_some_come_by_force(rate: float) -> None:
    """A twentieth waited for too long; their values are what all others are not."""
    norms, size = torch.tensor([10.0 if number % 7 == 0 else 1.0 for number in range(400)]), 400
    old = torch.arange(size) < 20
    means = []
    for seed in range(40):
        records = RecordedLosses(size, columns={"grad_norms": torch.bfloat16})
        for rows, now in ((old, 0), (~old, 40)):
            numbers = rows.nonzero().flatten()
            records.update(numbers, torch.ones(len(numbers)), now=now, grad_norms=norms[rows])
        own = SingleMethod("katharopoulos_fleuret", rate, seed=seed)
        loader = recorded(size, 10, own, records=records)
        total, count = 0.0, 0
        for batch in loader:
            rows = torch.tensor(ids(batch))
            value = torch.where(old[rows], 5.0, 1.0)
            total, count = total + float(loader.record(value, grad_norms=norms[rows])) * len(rows), count + len(rows)
        assert count == rate * size
        assert loader.report().forced == 20
        means.append(total / count)
    assert sum(means) / len(means) == pytest.approx(1.2, rel=0.01)


def test_rows_that_a_sampler_repeats_are_evidence_once() -> None:
    """Losses fall by an instance's own visits alone, so that others teach nothing, however often it comes."""
    said = []
    for repeats in (False, True):
        order = torch.Generator().manual_seed(1)
        rows = data(2000)
        weights = torch.where(torch.arange(2000) % 5 == 0, 8.0, 1.0)
        sampler = WeightedRandomSampler(weights, 2000, generator=order) if repeats else None
        plain = DataLoader(rows, 20, sampler=sampler, shuffle=not repeats, generator=order)
        loader, visits, walks = RecordedLoader(plain, AdaSelection(rate=0.5)), torch.zeros(2000), set()
        for _ in range(9):
            for batch in loader:
                numbers = torch.tensor(ids(batch))
                loader.record((1 + numbers % 3) * 0.9 ** visits[numbers])
                visits[numbers] += 1
                if loader.report().windows:
                    walks.add(loader.walk)
        evidence = loader.policy.state_dict()["earned"]["seen"][0]
        said.append(float(evidence[Evidence._fields.index("learnt")]))
        assert min(walks) == 1  # the first walk is whole, and nothing is judged in it
    assert said == pytest.approx([0.0, 0.0], abs=0.03)


def test_losses_that_the_loop_overwrites_are_recorded_as_they_were() -> None:
    loader, buffer = recorded(16, 4, AdaSelection(rate=0.5)), torch.zeros(4)
    for _ in range(2):
        for batch in loader:
            buffer.copy_(torch.tensor(ids(batch)) + 1.0)
            loader.record(buffer)
    assert loader.records.read(torch.arange(16), now=2).losses.tolist() == [number + 1.0 for number in range(16)]


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_leftovers_keep_their_weights(exponent: float) -> None:
    """A window of rows that are no whole batches, at a rate near 1: what is left over joins the next window."""
    chosen = AdaSelection(("proportional", "uniform"), 0.95, weight_exponent=exponent, weighting="fixed")
    loader = recorded(50, 8, chosen, shuffle=True)
    sizes = Counter(len(batch) for batch in chain(*passes(loader, 6)))
    assert set(sizes) <= {8, 2}  # the first walk ends with a short batch, and nothing else does
    assert sizes[2] == 1


@pytest.mark.parametrize("done", [4, 7])
def test_the_last_share_of_the_passes_walks_over_all_data(done: int) -> None:
    loader = recorded(40, 4, SingleMethod("proportional", 0.5), shuffle=True, passes=10, anneal=0.4)
    seen = passes(loader, 10)
    assert [len(batches) for batches in seen] == [5] * 10
    assert sorted(chain(*chain(*seen[6:8]))) == list(range(40))  # whole walks, from the very start of the share
    assert sorted(chain(*chain(*seen[8:]))) == list(range(40))
    assert len(set(chain(*chain(*seen[4:6])))) < 40


def test_a_shut_gate_is_not_disturbed_by_the_last_share() -> None:
    torch.manual_seed(0)
    one = passes(recorded(40, 4, shuffle=True, passes=10, anneal=0.4), 10)
    torch.manual_seed(0)
    two = passes(recorded(40, 4, shuffle=True), 10)
    assert one == two


class Shut(AdaSelection):
    """The default with its gate held shut, whatever the evidence."""

    def opens(self, signals: Any, *, processes: Any = None) -> bool:
        super().opens(signals, processes=processes)
        return False


def loops(rate: float, workers: int, **options: Any) -> tuple[RecordedTrainer, RecordedTrainer]:
    """The same training by the recorded and by the plain loader."""
    steps, trainers = 60, []
    for wrap in (True, False):
        torch.manual_seed(9)
        inner = DataLoader(data(42), batch_size=4, num_workers=workers, **options)
        loader = RecordedLoader(inner, Shut(rate=rate)) if wrap else inner
        trainers.append(RecordedTrainer(loader).run(steps))
    return trainers[0], trainers[1]


@pytest.mark.parametrize("rate", [1.0, 0.3])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("options", [{"shuffle": True}, {}, {"shuffle": True, "drop_last": True}], ids=str)
def test_rate_one_and_a_shut_gate_are_bit_equal_to_the_plain_loader(
    rate: float, workers: int, options: dict[str, Any]
) -> None:
    ours, plain = loops(rate, workers, **options)
    count = len(plain.seen)
    assert ours.seen[:count] == plain.seen
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
    report = ours.loader.report()
    assert report.selected == 0
    assert report.steps == count


def test_a_generator_of_the_loader_draws_what_it_draws_for_the_plain_loader() -> None:
    rows = []
    for kind in (True, False):
        inner = DataLoader(data(42), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(3))
        rows.append(RecordedTrainer(RecordedLoader(inner, AdaSelection(rate=1)) if kind else inner).run(60).seen)
    assert rows[0] == rows[1]


def test_the_stop_indicator_is_told_and_ends_the_passes_where_asked() -> None:
    def flat(number: int, step: int) -> float:
        return 1.0 + number % 3

    free = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True)
    ending = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True, stop=True)
    lengths = []
    for _ in range(14):
        lengths.append(len(ending))
        assert [len(batches) for batches in passes(ending, 1, flat)] == lengths[-1:]
        assert [len(batches) for batches in passes(free, 1, flat)] == [5]
    assert free.stopped
    assert ending.stopped
    assert "fall no more; a hint: only stop=True ends the training" in str(ending.report())
    assert lengths[:6] == [5] * 6
    assert lengths[-2:] == [0, 0]
    falling = recorded(40, 4, AdaSelection(rate=0.5), shuffle=True, stop=True)
    assert {len(batches) for batches in passes(falling, 14, lambda number, step: 1 / (1 + step))} == {5}


def test_records_of_another_run_and_hashed_ones_go_on() -> None:
    first = recorded(40, 4, SingleMethod("big_loss", 0.5), shuffle=True)
    passes(first, 5)
    second = recorded(40, 4, SingleMethod("big_loss", 0.5), shuffle=True, records=first.records, passes=4, anneal=0.5)
    assert second.records.unseen == 0
    seen = passes(second, 4)
    assert len(set(chain(*chain(*seen[:1])))) == 20  # chosen from the start
    assert sorted(chain(*chain(*seen[2:]))) == list(range(40))  # its own passes count, not those of the record
    hashed = recorded(40, 4, SingleMethod("big_loss", 0.5), records=RecordedLosses(slots=4096))
    assert [len(batches) for batches in passes(hashed, 5)] == [5] * 5
    assert hashed.records.unseen <= 4096 - 35


def test_ids_of_their_own() -> None:
    names = torch.arange(40) * 1000 + 7
    loader = recorded(40, 4, SingleMethod("big_loss", 0.5), ids=names, longest_unseen=1e6)
    seen = passes(loader, 3, lambda number, step: 1.0 + number)
    assert loader.records.index_bytes == 320
    assert loader.records.read(names, now=3).losses.tolist() == [1.0 + number for number in range(40)]
    assert sorted(chain(*seen[2])) == list(range(20, 40))
    shared = recorded(40, 4, SingleMethod("big_loss", 0.5), ids=torch.arange(40) // 2)  # pairs share a record
    passes(shared, 3)
    assert len(shared.records) == 20
    given = recorded(40, 4, ids=names, records=RecordedLosses(ids=names))
    passes(given, 3)
    assert given.records.unseen == 4


def losses_of(model: Any, rows: int) -> Tensor:
    x, y = data(rows).tensors
    return CE(model(x), y)


def test_gradient_norms_are_recorded_for_methods_that_read_them() -> None:
    loader = recorded(24, 4, SingleMethod("katharopoulos_fleuret", 0.5))
    assert loader.records.bytes_per_instance == 10
    model = net().eval()
    for batch in loader:
        outputs = model(batch[0])
        loader.record(CE(outputs, batch[1]), outputs=outputs, targets=batch[1])
    x, y = data(24).tensors
    expected = (model(x).softmax(1) - torch.nn.functional.one_hot(y, 3)).norm(dim=1)
    norms = loader.records.read(torch.arange(12), now=1).grad_norms
    assert norms is not None
    assert norms.tolist() == pytest.approx(expected[:12].tolist(), rel=0.01)
