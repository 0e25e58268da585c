"""One process: prepare first, wrap last; flags, states, what is skipped, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import DataLoaderConfiguration, GradientAccumulationPlugin
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from adaselection import AdaSelection, SelectiveLoader, SingleMethod
from adaselection.errors import ArgumentError, ReplayError, ShardingError, StateError
from adaselection.integrations.accelerate import PreparedRecordedLoader, PreparedSelectiveLoader
from core.parts import CE, data, ids, net

MIXED = ("big_loss", "uniform")


class Script:
    """An Accelerate script: its parts, and a pass that notes the rows and whether gradients were used."""

    def __init__(self, plane: str, rows: int = 80, accumulate: int = 1, rate: float = 0.5, **options: Any) -> None:
        torch.manual_seed(0)
        self.accelerator = Accelerator(
            cpu=True, gradient_accumulation_steps=accumulate, **options.pop("accelerator", {})
        )
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        loader = DataLoader(data(rows), batch_size=8, shuffle=True)
        self.model, self.optimizer, self.plain = self.accelerator.prepare(model, optimizer, loader)
        policy = AdaSelection(MIXED, rate=rate, half_life=3, seed=1)
        self.loader: Any = self.plain
        if plane == "fresh":
            options = {"model": self.model, "loss_fn": CE} | options
            self.loader = PreparedSelectiveLoader(self.plain, policy, accelerator=self.accelerator, **options)
        elif plane == "recorded":
            self.loader = PreparedRecordedLoader(self.plain, policy, accelerator=self.accelerator, **options)
        self.seen: list[list[int]] = []
        self.flags = ""

    def step(self, batch: Any) -> None:
        """One batch, in the way of accelerate's own examples."""
        with self.accelerator.accumulate(self.model):
            losses = CE(self.model(batch[0]), batch[1])
            loss = self.loader.record(losses) if isinstance(self.loader, PreparedRecordedLoader) else losses.mean()
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.seen.append(ids(batch))
        self.flags += "fT"[self.accelerator.sync_gradients]

    def run(self, passes: int, loader: Any = None) -> Script:
        """Whole passes."""
        for _ in range(passes):
            for batch in self.loader if loader is None else loader:
                self.step(batch)
            self.flags += "|"
        return self

    def parameters(self) -> list[torch.Tensor]:
        """A copy of the model's parameters and buffers."""
        return [value.detach().clone() for value in self.model.state_dict().values()]


@pytest.mark.parametrize("plane", ["fresh", "recorded"])
def test_accumulation_ends_with_the_pass(plane: str) -> None:
    script = Script(plane, accumulate=4)
    assert len(script.loader) == 5
    assert script.run(2).flags == "fffTT|fffTT|"
    assert Script(plane, accumulate=3, rate=0.25).run(3).flags == "fT|fT|fT|"


def test_evaluation_in_the_middle_of_a_pass_leaves_the_flags_alone() -> None:
    script = Script("fresh", accumulate=4)
    held_out = script.accelerator.prepare(DataLoader(data(16), batch_size=8))
    for number, batch in enumerate(script.loader):
        script.step(batch)
        if number == 2:
            assert [script.accelerator.gradient_state.end_of_dataloader for _ in held_out] == [False, True]
    assert script.flags == "fffTT"
    assert not script.accelerator.gradient_state.in_dataloader


@pytest.mark.parametrize("plane", ["fresh", "recorded"])
def test_at_rate_1_it_is_the_prepared_loader_bit_for_bit(plane: str) -> None:
    config = {"accelerator": {"dataloader_config": DataLoaderConfiguration(use_seedable_sampler=True)}}
    plain, selecting = Script("none", 44, 4).run(3), Script(plane, 44, 4, rate=1.0).run(3)
    assert plain.seen == selecting.seen
    assert plain.flags == selecting.flags == "fffTfT|" * 3
    assert all(map(torch.equal, plain.parameters(), selecting.parameters()))
    seeded, same = Script("none", 44, **config).run(2), Script(plane, 44, rate=1.0, **config).run(2)
    assert seeded.seen == same.seen
    assert seeded.seen[:6] != seeded.seen[6:]  # each pass in an order of its own


@pytest.mark.parametrize("way", ["iterate", "skip"])
@pytest.mark.parametrize("stop", [2, 3, 5, 6])
@pytest.mark.parametrize("plane", ["fresh", "recorded"])
def test_save_and_load_state_go_on_bit_for_bit(tmp_path: Path, plane: str, stop: int, way: str) -> None:
    whole = Script(plane).run(4)
    script = Script(plane)
    for _ in range(2):
        for batch in script.loader:
            script.step(batch)
            if len(script.seen) == stop:
                script.accelerator.save_state(str(tmp_path))
                break
        if len(script.seen) == stop:
            break
    passes, within = divmod(stop, 5)
    again = Script(plane)
    torch.rand(7)
    again.accelerator.load_state(str(tmp_path))
    assert torch.load(tmp_path / "adaselection_0.pt", weights_only=True)["epoch"] == -(-stop // 5)
    if within and way == "skip":
        again.run(1, again.accelerator.skip_first_batches(again.loader, within))
    elif within:
        again.run(1)
    again.run(4 - passes - (within > 0))
    assert again.seen == whole.seen[stop:]
    assert all(map(torch.equal, again.parameters(), whole.parameters()))


def test_skipping_never_takes_the_selection_away(tmp_path: Path) -> None:
    script = Script("fresh", accumulate=2)
    with pytest.raises(ReplayError, match=r"Load it first, with accelerator\.load_state"):
        script.run(1, script.accelerator.skip_first_batches(script.loader, 2))
    for batch in script.loader:
        script.step(batch)
        if len(script.seen) == 2:
            break
    state = script.loader.state_dict()
    script.loader.load_state_dict(state)
    with pytest.raises(StateError, match="skipped fewer batches than were trained on"):
        script.run(1, script.accelerator.skip_first_batches(script.loader, 1))
    script = Script("fresh", accumulate=2)
    script.loader.load_state_dict(state)
    script.run(1, script.accelerator.skip_first_batches(script.loader, 2))
    assert script.flags == "fTT|"
    assert script.loader.report().kept == pytest.approx(0.5)


def test_register_for_checkpointing_is_not_needed_and_does_no_harm(tmp_path: Path) -> None:
    script = Script("recorded")
    script.accelerator.register_for_checkpointing(script.loader)
    for batch in script.loader:
        script.step(batch)
        if len(script.seen) == 3:
            break
    script.accelerator.save_state(str(tmp_path))
    again = Script("recorded")
    again.accelerator.register_for_checkpointing(again.loader)
    again.accelerator.load_state(str(tmp_path))
    assert again.run(1).seen == Script("recorded").run(1).seen[3:]


def test_two_loaders_need_two_names_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    script = Script("fresh")
    options = {"accelerator": script.accelerator}
    two = PreparedRecordedLoader(script.plain, AdaSelection(), **options)
    with pytest.raises(ArgumentError, match="Give each its own with name="):
        script.accelerator.save_state(str(tmp_path))
    del two
    other = PreparedRecordedLoader(script.plain, AdaSelection(), name="other", **options)
    script.accelerator.save_state(str(tmp_path))
    assert {path.name for path in tmp_path.glob("*.pt")} == {"adaselection_0.pt", "other_0.pt"}
    state = other.state_dict()
    for name, value in (("process", 1), ("processes", 2)):
        with pytest.raises(StateError, match=f"{name}={value}"):
            other.load_state_dict(state | {name: value})
    with pytest.raises(StateError, match="the loader state lacks"):
        script.loader.load_state_dict({"version": 1})
    (tmp_path / "other_0.pt").unlink()
    with pytest.raises(StateError, match="Pass checkpoint=False to the loader"):
        script.accelerator.load_state(str(tmp_path))


@pytest.mark.usefixtures("unchecked")
def test_the_order_of_things_is_checked() -> None:
    accelerator, loader = Accelerator(cpu=True), DataLoader(data(16), batch_size=4)
    for cls, options in ((PreparedSelectiveLoader, {"model": net(), "loss_fn": CE}), (PreparedRecordedLoader, {})):
        with pytest.raises(ArgumentError, match=r"Call loader = accelerator.prepare\(loader\) first"):
            cls(loader, AdaSelection(), accelerator=accelerator, **options)
        with pytest.raises(ArgumentError, match="must be the script's Accelerator; got str"):
            cls(loader, AdaSelection(), accelerator="cpu", **options)
        made = cls(accelerator.prepare(loader), AdaSelection(), accelerator=accelerator, **options)
        with pytest.raises(ArgumentError, match="this loader selects already"):
            cls(made, AdaSelection(), accelerator=accelerator, **options)
        assert accelerator.prepare(made) is made
    with pytest.raises(ArgumentError, match="prepared by accelerate"):
        SelectiveLoader(accelerator.prepare(loader), AdaSelection(), model=net(), loss_fn=CE)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(data(40))


def test_a_stream_has_no_length_so_that_accumulation_wants_to_know_the_sizes() -> None:
    def wrap(**options: Any) -> tuple[Accelerator, PreparedSelectiveLoader]:
        plugin = {"gradient_accumulation_plugin": options.pop("plugin")} if "plugin" in options else {}
        accelerator = Accelerator(cpu=True, **plugin)
        prepared = accelerator.prepare(DataLoader(Stream(), batch_size=4))
        policy = SingleMethod("big_loss", 0.5)
        options = {"model": net(), "loss_fn": CE} | options
        return accelerator, PreparedSelectiveLoader(prepared, policy, accelerator=accelerator, **options)

    assert [len(batch[0]) for batch in wrap()[1]] == [4] * 5
    with pytest.raises(ArgumentError, match=r"Pass incoming_sizes=.*sync_with_dataloader=False"):
        iter(wrap(plugin=GradientAccumulationPlugin(num_steps=3))[1])
    assert len(list(wrap(plugin=GradientAccumulationPlugin(num_steps=3, sync_with_dataloader=False))[1])) == 5
    accelerator, loader = wrap(plugin=GradientAccumulationPlugin(num_steps=3), incoming_sizes=[4] * 10)
    assert [accelerator.gradient_state.end_of_dataloader for _ in loader] == [False] * 4 + [True]
    with pytest.raises(ArgumentError, match=r"dispatch_batches=False.*map-style"):
        PreparedRecordedLoader(loader.prepared, AdaSelection(), accelerator=accelerator)


@pytest.mark.parametrize("split", [False, True])
def test_each_process_selects_from_rows_of_its_own(split: bool) -> None:
    accelerator, seen = Accelerator(cpu=True), []
    for index in range(2):
        options = {"num_processes": 2, "process_index": index, "split_batches": split}
        prepared = prepare_data_loader(DataLoader(data(70), batch_size=8), **options)
        policy = SingleMethod("big_loss", 0.5)
        loader = PreparedSelectiveLoader(prepared, policy, accelerator=accelerator, model=net(), loss_fn=CE)
        batches = list(loader)
        assert len(batches) == len(loader) == 2 + 2 * split
        assert {len(batch[0]) for batch in batches} == {4 if split else 8}
        seen.append({row for batch in batches for row in ids(batch)})
        recorded = PreparedRecordedLoader(prepared, AdaSelection(rate=0.5), accelerator=accelerator, checkpoint=False)
        assert recorded.inside.batch_size == (4 if split else 8)
        assert len(recorded) == (4 if split else 2)
    assert not seen[0] & seen[1]
    uneven = prepare_data_loader(
        DataLoader(data(70), batch_size=8), num_processes=2, process_index=0, even_batches=False
    )
    with pytest.raises(ShardingError, match="Use even_batches=True"):
        PreparedRecordedLoader(uneven, AdaSelection(), accelerator=accelerator)


def test_a_model_that_is_not_of_this_script_is_scored_all_the_same() -> None:
    script = Script("fresh", model=nn.Sequential(nn.Linear(4, 3)))
    assert [len(rows) for rows in script.run(1).seen] == [8] * 5
