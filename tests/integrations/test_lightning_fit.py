"""The wrapper returned from `train_dataloader`: exact totals, the batches of a plain loop, each of Lightning's ways."""

from __future__ import annotations

from typing import Any

import lightning
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from adaselection.errors import ArgumentError
from adaselection.integrations.lightning import AdaSelectionCallback
from core.parts import CE, data, ids
from integrations.lightning_parts import LOADERS, ROWS, SIZE, Module, fit, plain, recorded, selective, trainer

both = pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)


@both
@pytest.mark.parametrize(
    ("options", "steps", "epochs"),
    [
        ({}, 12, [4, 4, 4]),
        ({"accumulate_grad_batches": 3}, 6, [4, 4, 4]),  # three batches, and the one that is left
        ({"limit_train_batches": 3}, 9, [3, 3, 3]),
        ({"max_epochs": -1, "max_steps": 9}, 9, [4, 4, 1]),
        ({"accumulate_grad_batches": 2, "max_steps": 3}, 3, [4, 2]),
        ({"fast_dev_run": 2}, 2, [2]),
    ],
    ids=str,
)
def test_totals_and_estimate_are_exact(make: Any, options: dict[str, Any], steps: int, epochs: list[int]) -> None:
    module = fit(make, scheduled=True, **options)
    assert module.epochs == epochs
    assert module.estimate == module.trainer.global_step == steps
    assert module.trainer.num_training_batches == epochs[0]


def by_hand(make: Any, epochs: int = 3) -> tuple[list[list[int]], list[Tensor]]:
    """The same training as a plain loop."""
    module = Module(make)
    optimizer = module.configure_optimizers()
    torch.manual_seed(0)
    loader, order = make(module), []
    for _ in range(epochs):
        for batch in loader:
            losses = CE(module.net(batch[0]), batch[1])
            optimizer.zero_grad()
            (loader.record(losses) if isinstance(loader, RecordedLoader) else losses.mean()).backward()
            optimizer.step()
            order.append(ids(batch))
    return order, list(module.parameters())


WAYS = LOADERS | {
    "untouched": lambda module: selective(module, policy=AdaSelection(rate=1)),
    "flushed": lambda module: selective(module, policy=AdaSelection(rate=0.33), surplus="flush"),
    "carried": lambda module: selective(module, policy=AdaSelection(rate=0.5), batch_size=8, surplus="carry"),
    "left_over": lambda module: selective(module, policy=AdaSelection(rate=0.33), batch_size=8),
}


@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)
def test_lightning_trains_as_a_plain_loop_does(make: Any) -> None:
    order, parameters = by_hand(make)
    module = fit(make)
    assert module.order == order
    assert all(torch.equal(one, other) for one, other in zip(module.parameters(), parameters, strict=True))


def test_at_rate_one_it_is_lightning_with_the_plain_loader() -> None:
    wrapped, bare = fit(WAYS["untouched"]), fit(plain)
    assert wrapped.seen == bare.seen
    assert all(map(torch.equal, wrapped.parameters(), bare.parameters()))


class Validated(Module):
    """Notes how far training was at each validation batch."""

    def __init__(self, make: Any) -> None:
        super().__init__(make)
        self.validated: list[tuple[int, int]] = []

    def val_dataloader(self) -> Any:
        return DataLoader(data(20, seed=1), batch_size=SIZE)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validated.append((len(self.seen), len(ids(batch))))


@both
def test_validation_is_left_alone_and_counts_batches_handed_out(make: Any) -> None:
    module = Validated(make)
    torch.manual_seed(0)
    trainer(val_check_interval=0.5, num_sanity_val_steps=1).fit(module)
    assert module.validated == [(0, 10)] + [(done, 10) for done in (2, 4, 6, 8, 10, 12) for _ in range(2)]


class Manual(Module):
    def __init__(self, make: Any) -> None:
        super().__init__(make)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.reduced(batch))
        optimizer.step()


@both
def test_manual_optimisation_is_the_same_training(make: Any) -> None:
    module = Manual(make)
    torch.manual_seed(0)
    trainer().fit(module)
    assert module.seen == fit(make).seen


class Data(lightning.LightningDataModule):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def train_dataloader(self) -> Any:
        return self.make(self.trainer.lightning_module)


@both
def test_a_data_module_and_a_loader_handed_to_fit(make: Any) -> None:
    expected = fit(make).seen
    module = Module(make)
    torch.manual_seed(0)
    trainer().fit(module, datamodule=Data(make))
    assert module.seen == expected
    module = Module(make)
    torch.manual_seed(0)
    trainer().fit(module, make(module))
    assert module.seen == expected


class Several(Module):
    """Trains on a dict of loaders, one of each kind."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        losses = {name: CE(self.net(x), y) for name, (x, y) in batch.items()}
        self.seen.append((self.current_epoch, [row for part in batch.values() for row in ids(part)], 0.0))
        return losses["fresh"].mean() + self.trainer.train_dataloader["known"].record(losses["known"])


def several(module: Any) -> dict[str, Any]:
    return {"fresh": selective(module), "known": recorded(module)}


def test_a_dict_of_loaders() -> None:
    module = Several(several)
    trainer(callbacks=[AdaSelectionCallback()]).fit(module)
    loaders = module.trainer.train_dataloader
    assert module.epochs == [4, 4, 4]
    assert [loaders[name].report().steps for name in ("fresh", "known")] == [12, 12]
    first_walk = {row for rows in module.order[:8] for row in rows[SIZE:]}
    assert first_walk == set(range(ROWS))


def test_bfloat16_modules_are_scored_under_autocast() -> None:
    class Half(Module):
        def __init__(self, make: Any) -> None:
            super().__init__(make)
            self.net = torch.nn.Linear(4, 3)

    module = Half(lambda module: selective(module, autocast=torch.bfloat16))
    trainer(precision="bf16-true", max_epochs=1).fit(module)
    assert module.net.weight.dtype == torch.bfloat16
    assert module.epochs == [4]


def test_hooks_of_the_transfer_see_what_was_handed_out() -> None:
    class Hooked(Module):
        def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
            self.moved.append(ids(batch))
            return super().transfer_batch_to_device(batch, device, dataloader_idx)

    module = Hooked(selective)
    module.moved = []
    trainer(max_epochs=1).fit(module)
    assert module.moved == module.order
    assert [len(rows) for rows in module.moved] == [SIZE] * 4


def test_reloading_the_same_loader_goes_on_and_a_new_policy_is_refused() -> None:
    kept: list[Any] = []

    def once(module: Any) -> Any:
        kept[:] = kept or [recorded(module)]
        return kept[0]

    module = fit(once, callbacks=[AdaSelectionCallback()], reload_dataloaders_every_n_epochs=1)
    assert module.seen == fit(recorded).seen
    policy = AdaSelection(rate=0.5)
    shared = fit(
        lambda module: selective(module, policy=policy),
        callbacks=[AdaSelectionCallback()],
        reload_dataloaders_every_n_epochs=1,
    )
    assert shared.epochs == [4, 4, 4]
    with pytest.raises(ArgumentError, match=r"Build the loader once, in setup\(\)"):
        fit(recorded, callbacks=[AdaSelectionCallback()], reload_dataloaders_every_n_epochs=1)


def test_overfitting_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"overfit_batches=2.*Return the plain DataLoader"):
        fit(selective, callbacks=[AdaSelectionCallback()], overfit_batches=2)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(data(ROWS))


def test_a_stream_needs_a_length() -> None:
    def stream(module: Any, **options: Any) -> SelectiveLoader:
        return selective(module, inner=DataLoader(Stream(), batch_size=SIZE), **options)

    with pytest.raises(ArgumentError, match=r"fetches one batch ahead.*incoming_sizes="):
        fit(stream, callbacks=[AdaSelectionCallback()])
    with pytest.warns(UserWarning, match="Your `IterableDataset` has `__len__`"):  # of Lightning's, about workers
        sized = fit(lambda module: stream(module, incoming_sizes=[SIZE] * 8), callbacks=[AdaSelectionCallback()])
    limited = fit(stream, callbacks=[AdaSelectionCallback()], limit_train_batches=4)
    assert sized.epochs == limited.epochs == [4, 4, 4]
    assert sized.seen == limited.seen


@pytest.mark.parametrize("options", [{"surplus": "carry", "batch_size": 12}, {"warmup": 3}], ids=str)
def test_a_length_that_changes_is_named(options: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match="reads it once"):
        fit(lambda module: selective(module, **options), callbacks=[AdaSelectionCallback()])


def test_a_callback_with_nothing_to_do_says_so() -> None:
    with pytest.warns(UserWarning, match="found no SelectiveLoader or RecordedLoader"):
        fit(plain, callbacks=[AdaSelectionCallback()])
