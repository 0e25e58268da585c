"""A training that Lightning resumes is, bit for bit, the one that was not interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from adaselection import AdaSelection
from adaselection.errors import StateError
from adaselection.integrations.lightning import AdaSelectionCallback
from core.parts import data
from integrations.lightning_parts import LOADERS, SIZE, Module, Saver, fit, plain, recorded, selective, trainer
from integrations.test_lightning_fit import Several, several

both = pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
WHEN: list[dict[str, int]] = [{"batch": 2}, {"batch": 4}, {"batch": 7}, {"epoch": 1}]


def check(make: Any, when: dict[str, int], path: Path, kind: type[Module] = Module, **options: Any) -> Module:
    """Train, train and save, resume; gives the module that was resumed, which saw what the whole run saw after that."""
    scheduled = options.pop("scheduled", False)
    saver = Saver(path / "saved.ckpt", **when)
    whole, resumed = kind(make, scheduled), kind(make, scheduled)
    torch.manual_seed(0)
    trainer(callbacks=[AdaSelectionCallback(), saver], **options).fit(whole)
    torch.manual_seed(99)  # as in a process of its own
    trainer(callbacks=[AdaSelectionCallback()], **options).fit(resumed, ckpt_path=saver.path, weights_only=True)
    assert 0 < saver.at < len(whole.seen)
    assert resumed.seen == whole.seen[saver.at :]
    assert all(map(torch.equal, resumed.parameters(), whole.parameters()))
    return resumed


@both
@pytest.mark.parametrize("when", WHEN, ids=str)
def test_resumed_anywhere(make: Any, when: dict[str, int], tmp_path: Path) -> None:
    assert check(make, when, tmp_path).seen


@both
@pytest.mark.parametrize("when", [{"batch": 7}, {"epoch": 0}], ids=str)
def test_resumed_where_a_schedule_asked_for_the_steps(make: Any, when: dict[str, int], tmp_path: Path) -> None:
    assert check(make, when, tmp_path, scheduled=True).seen


@both
@pytest.mark.parametrize("options", [{"limit_train_batches": 3}, {"accumulate_grad_batches": 2}], ids=str)
def test_resumed_at_the_end_of_an_epoch_that_was_cut(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    assert check(make, {"epoch": 0}, tmp_path, **options).seen


@pytest.mark.parametrize(
    "options", [{"surplus": "carry", "batch_size": 8}, {"surplus": "flush", "batch_size": 9}], ids=str
)
@pytest.mark.parametrize("when", [{"batch": 3}, {"epoch": 0}], ids=str)
def test_rows_that_wait_are_resumed_too(options: dict[str, Any], when: dict[str, int], tmp_path: Path) -> None:
    assert check(lambda module: selective(module, **options), when, tmp_path).seen


@pytest.mark.parametrize("when", WHEN[1:], ids=str)
def test_a_dict_of_loaders_is_resumed(when: dict[str, int], tmp_path: Path) -> None:
    assert check(several, when, tmp_path, Several).seen


def test_workers_and_a_generator_of_the_loader(tmp_path: Path) -> None:
    def make(module: Any) -> Any:
        generator = torch.Generator().manual_seed(4)
        inner = DataLoader(data(80), batch_size=SIZE, shuffle=True, generator=generator, num_workers=1)
        return selective(module, inner=inner)

    assert check(make, {"batch": 6}, tmp_path, max_epochs=2).seen


@both
def test_check_points_of_model_checkpoint(make: Any, tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    whole = fit(make, callbacks=[AdaSelectionCallback(), keep], enable_checkpointing=True)
    assert {path.stem for path in tmp_path.iterdir()} == {"step=3", "step=6", "step=9", "step=12"}
    for step in (3, 9):
        saved = tmp_path / f"step={step}.ckpt"
        with pytest.warns(UserWarning, match="Please add the following callbacks.*ModelCheckpoint"):
            resumed = fit(make, seed=9, callbacks=[AdaSelectionCallback()], ckpt_path=saved)
        assert resumed.seen == whole.seen[step:]


def test_the_report_goes_on(tmp_path: Path) -> None:
    resumed = check(recorded, {"epoch": 1}, tmp_path)
    assert resumed.trainer.train_dataloader.report().steps == 12


def test_lightning_alone_resumes_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    def make(module: Any) -> Any:  # an order of its own, as nobody keeps torch's random state
        generator = torch.Generator().manual_seed(4)
        policy = AdaSelection(methods=("big_loss", "small_loss"), rate=0.5, seed=1)
        return selective(module, policy=policy, inner=DataLoader(data(80), SIZE, shuffle=True, generator=generator))

    class NoDropout(Module):
        def on_train_start(self) -> None:
            self.net[6].p = 0.0

    saver = Saver(tmp_path / "saved.ckpt", batch=6)
    whole, resumed = NoDropout(make), NoDropout(make)
    trainer(callbacks=[saver]).fit(whole)
    torch.manual_seed(99)
    trainer().fit(resumed, ckpt_path=saver.path)
    assert resumed.seen == whole.seen[6:]


def test_what_does_not_fit_is_refused_or_named(tmp_path: Path) -> None:
    saver = Saver(tmp_path / "saved.ckpt", batch=6)
    fit(selective, callbacks=[AdaSelectionCallback(), saver])
    with pytest.raises(StateError, match=r"loaders \[''\], and train_dataloader\(\) gave \['fresh', 'known'\]"):
        trainer(callbacks=[AdaSelectionCallback()]).fit(Several(several), ckpt_path=saver.path)
    other = AdaSelection(methods=("big_loss", "uniform"), rate=0.5, seed=1)
    with pytest.raises(StateError, match="policy state has methods"):
        fit(lambda m: selective(m, policy=other), callbacks=[AdaSelectionCallback()], ckpt_path=saver.path)
    with pytest.warns(UserWarning, match="Please add the following callbacks.*AdaSelectionCallback"):
        fit(selective, ckpt_path=saver.path)
    state = torch.load(saver.path, weights_only=True)
    state["adaselection"]["processes"] *= 2
    torch.save(state, tmp_path / "two.ckpt")
    with pytest.raises(StateError, match=r"of 2 processes, and 1 run.*devices="):
        fit(selective, callbacks=[AdaSelectionCallback()], ckpt_path=tmp_path / "two.ckpt")
    bare = Saver(tmp_path / "bare.ckpt", epoch=0)
    fit(plain, callbacks=[bare])
    with pytest.warns(UserWarning, match="saved without AdaSelectionCallback"):
        fit(selective, callbacks=[AdaSelectionCallback()], ckpt_path=bare.path)
