"""Which rows a selective loader hands out, and what it does to the training around it."""

import copy
import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adaselection import AdaSelection, Selection, SelectiveLoader, Signals, SingleMethod, methods
from adaselection.errors import AdaSelectionError, ArgumentError, BatchStructureError, LossShapeError
from core.parts import CE, Trainer, data, ids, net, selective

SIX = ("uniform", "big_loss", "small_loss", "adaboost", "coreset_extremes", "coreset_mean")


def slow_run(policy: Any, model: nn.Module, **options: Any) -> list[tuple[list[int], float]]:
    """The same training by a plain loop: score each window, select, put together, split by the batch size."""
    trainer = Trainer(None, model)
    window, warmup, surplus = options.get("window", 1), options.get("warmup", 0), options.get("surplus", "drop")
    every = options.get("update") == "every_batch"
    x = torch.empty(0, 4), torch.empty(0, dtype=torch.int64)
    seen_windows = 0
    for _ in range(3):
        if surplus == "drop":
            x = x[0][:0], x[1][:0]
        batches = list(DataLoader(data(75), batch_size=16))
        for start in range(0, len(batches), window):
            rows = [torch.cat(parts) for parts in zip(*batches[start : start + window], strict=True)]
            keep = torch.arange(len(rows[1]))
            if seen_windows >= warmup:
                flags = [module.training for module in model.modules()]
                with torch.no_grad():
                    losses = CE(model.eval()(rows[0]), rows[1])
                for module, flag in zip(model.modules(), flags, strict=True):
                    module.training = flag
                keep = policy.select(Signals(losses, kind="cross_entropy")).indices
            seen_windows += 1
            x = torch.cat((x[0], rows[0][keep])), torch.cat((x[1], rows[1][keep]))
            size = len(x[1]) if every else 16
            while len(x[1]) >= size > 0:
                trainer.step((x[0][:size], x[1][:size]))
                x = x[0][size:], x[1][size:]
        if surplus == "flush" and len(x[1]):
            trainer.step(x)
            x = x[0][:0], x[1][:0]
    return trainer.seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"surplus": "carry"},
        {"surplus": "flush"},
        {"window": 2, "surplus": "carry"},
        {"window": 3, "surplus": "flush", "warmup": 1},
        {"warmup": 3, "surplus": "carry"},
        {"update": "every_batch"},
    ],
    ids=str,
)
def test_rows_losses_and_weights_are_those_of_a_plain_loop(options: dict[str, Any]) -> None:
    torch.manual_seed(5)
    model, other = (first := net()), copy.deepcopy(first)
    policy, loop_policy = (AdaSelection(SIX, 0.3, seed=4) for _ in range(2))
    trainer = Trainer(selective(75, 16, policy, model=model, **options), model)
    torch.manual_seed(6)
    trainer.run(3)
    torch.manual_seed(6)
    assert trainer.seen == slow_run(loop_policy, other, **options)
    assert policy.weights == loop_policy.weights


class Recording:
    """A loader that remembers the batches it gave."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.gave: list[Any] = []

    def __iter__(self) -> Any:
        for batch in self.loader:
            self.gave.append(batch)
            yield batch


@pytest.mark.parametrize("workers", [0, 2])
def test_rate_1_is_bit_equal_to_no_wrapper(workers: int) -> None:
    def train(wrap: bool) -> tuple[Any, ...]:
        torch.manual_seed(8)
        random.seed(8)
        model = net()
        loader: Any = DataLoader(data(75), batch_size=16, shuffle=True, num_workers=workers)
        if wrap:
            policy = AdaSelection(methods(), rate=1, seed=3)
            loader = SelectiveLoader(loader, policy, model=model, loss_fn=CE, window=2, warmup=2, surplus="carry")
            assert len(loader) == 5
        trainer = Trainer(loader, model).run(2)
        state = [value.clone() for value in model.state_dict().values()]
        return trainer.seen, torch.get_rng_state().tolist(), [v.tolist() for v in state]

    plain, wrapped = train(False), train(True)
    assert plain == wrapped
    assert [len(rows) for rows, _ in wrapped[0]] == [16, 16, 16, 16, 11] * 2


def test_rate_1_hands_the_very_objects_through() -> None:
    model = net()
    model.register_forward_hook(lambda *args: pytest.fail("the model was called"))
    inner = Recording(DataLoader(data(20), batch_size=8))
    loader = SelectiveLoader(inner, AdaSelection(rate=1), model=model, loss_fn=CE)
    assert [id(batch) for batch in loader] == [id(batch) for batch in inner.gave]
    assert (loader.report().scored, loader.report().trained) == (0, 20)


def test_every_row_is_scored_once_a_pass_with_the_weights_of_its_fill() -> None:
    model, scored, versions = net(), [], []

    def score(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        scored.extend(ids(batch))
        versions.append(model[1].weight.detach().clone())
        return CE(model(batch[0]), batch[1])

    loader = selective(64, 16, AdaSelection(rate=0.25), model=model, loss_fn=None, score=score, shuffle=True)
    trainer = Trainer(loader, model)
    for number in range(3):
        for batch in loader:
            trainer.step(batch)
        assert sorted(scored[64 * number :]) == list(range(64))
        fill = versions[4 * number :]
        assert all(torch.equal(fill[0], other) for other in fill)  # 4 windows fill one batch
    assert not torch.equal(versions[0], versions[4])


def test_on_select_sees_what_was_chosen() -> None:
    seen: list[tuple[Signals, Selection]] = []
    loader = selective(64, 16, AdaSelection(rate=0.25), on_select=lambda *pair: seen.append(pair))
    (batch,) = list(loader)
    assert len(seen) == 4
    assert ids(batch) == [16 * i + row for i, (_, chosen) in enumerate(seen) for row in chosen.indices.tolist()]
    assert all(signals.losses.shape == (16,) and signals.kind == "cross_entropy" for signals, _ in seen)


def test_uniform_runs_no_scoring_pass() -> None:
    model = net()
    model.register_forward_hook(lambda *args: pytest.fail("the model was called"))
    loader = selective(64, 16, SingleMethod("uniform", 0.25, seed=1), model=model, loss_fn=None)
    passes = [ids(batch) for _ in range(3) for batch in loader]
    assert loader.report().scored == 0
    assert passes[0] != passes[1]
    assert all(len([row for row in rows if row // 16 == part]) == 4 for rows in passes for part in range(4))


def test_a_single_method_takes_what_its_name_says() -> None:
    model = net().eval()
    x, y = data(16).tensors
    order = CE(model(x), y).argsort(descending=True, stable=True).tolist()
    (big,) = selective(16, 16, SingleMethod("big_loss", 0.25), model=model, surplus="flush")
    assert ids(big) == sorted(order[:4])
    (small,) = selective(16, 16, SingleMethod("small_loss", 0.25), model=model, surplus="flush")
    assert ids(small) == sorted(order[-4:])


def test_grad_norm_is_computed_where_a_method_needs_it() -> None:
    model = net().eval()
    x, y = data(16).tensors
    with torch.no_grad():
        norms = (model(x).softmax(1) - nn.functional.one_hot(y, 3)).norm(dim=1)
    (batch,) = selective(16, 16, SingleMethod("grad_norm", 0.25), model=model, surplus="flush")
    assert ids(batch) == sorted(norms.argsort(descending=True)[:4].tolist())


def test_weighted_policies() -> None:
    def policy() -> AdaSelection:
        return AdaSelection(rate=0.25, choice="draw", weight_exponent=1.0, seed=2)

    with pytest.raises(ArgumentError, match=r"weighted=True and call loader\.reduce"):
        selective(64, 16, policy())
    chosen: list[Selection] = []
    loader = selective(64, 16, policy(), weighted=True, on_select=lambda signals, it: chosen.append(it), warmup=1)
    batches = 0
    for batch in loader:
        losses = torch.rand(16, dtype=torch.float64)
        drawn = [(1 / it.inclusion_probabilities[it.indices]) for it in chosen]
        by_hand = torch.cat([torch.ones(16), *(w / w.mean() for w in drawn)])[16 * batches :][:16]
        assert loader.reduce(losses).item() == pytest.approx((losses * by_hand).mean().item(), rel=1e-6)
        assert isinstance(batch, list)
        assert len(batch) == 2
        with pytest.raises(LossShapeError, match=r'shape \[16\]; got \(\).*reduction="none"'):
            loader.reduce(losses.mean())
        batches += 1
    assert batches == 1
    plain = selective(64, 16, AdaSelection(rate=0.25))
    next(iter(plain))
    assert plain.reduce(torch.tensor([1.0, 3.0])).item() == 2.0


def test_dtypes_and_containers_are_kept() -> None:
    batches = [{"x": torch.randn(8, 4, dtype=torch.float64), "tags": [f"{b}{i}" for i in range(8)]} for b in "abcd"]
    loader = SelectiveLoader(
        batches,
        SingleMethod("big_loss", 0.25),
        model=nn.Linear(4, 1, dtype=torch.float64),
        score=lambda model, batch: batch["x"][:, 0],
    )
    (out,) = list(loader)
    expected = [sorted(batch["x"][:, 0].argsort(descending=True)[:2].tolist()) for batch in batches]
    assert out["tags"] == [f"{b}{i}" for b, rows in zip("abcd", expected, strict=True) for i in rows]
    assert out["x"].dtype == torch.float64
    assert torch.equal(out["x"], torch.cat([b["x"][rows] for b, rows in zip(batches, expected, strict=True)]))


def test_an_older_pass_cannot_go_on() -> None:
    loader = selective(64, 8, AdaSelection(rate=0.5))
    first = iter(loader)
    next(first)
    assert len(list(loader)) == len(loader) == 4
    with pytest.raises(AdaSelectionError, match="newer pass"):
        next(first)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"surplus": "keep"}, "surplus='keep' is unknown"),
        ({"update": "every"}, "Did you mean 'every_batch'"),
        ({"window": 0}, "window must be a whole number of at least 1"),
        ({"warmup": -1}, "warmup must be a whole number of at least 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"incoming_sizes": [4, 0]}, "incoming_sizes"),
        ({"score_mode": "test"}, "score_mode='test' is unknown"),
        ({"model": lambda x: x}, "model must be a torch.nn.Module"),
        ({"policy": "big_loss"}, "policy must be a policy"),
    ],
)
def test_arguments(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        selective(20, 4, **options)
    with pytest.raises(ArgumentError, match="iterable"):
        SelectiveLoader(3, AdaSelection(), model=net(), loss_fn=CE)
    with pytest.raises(ArgumentError, match="The loader comes first, and the policy after it"):
        SelectiveLoader(AdaSelection(), [], model=net(), loss_fn=CE)


def test_parts_of_different_lengths_are_refused_by_name() -> None:
    loader = SelectiveLoader(Recording([(torch.zeros(3), torch.zeros(4))]), AdaSelection(), model=net(), loss_fn=CE)
    with pytest.raises(BatchStructureError, match=r"batch\[0\]: 3, batch\[1\]: 4"):
        list(loader)
