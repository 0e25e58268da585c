"""Figures of the selection arrive in the user's own logger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, RecordedLoader
from adaselection.integrations.figures import figures
from adaselection.integrations.lightning import AdaSelectionCallback
from integrations.lightning_parts import LOADERS, Module, fit, selective, trainer
from integrations.test_lightning_fit import Manual, Several, several

# Lightning thinks that epochs shorter than log_every_n_steps are a mistake.
pytestmark = pytest.mark.filterwarnings("ignore:The number of training batches")


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Values by tag and step in the event file."""
    (file,) = folder.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_tensorboard_has_weights_kept_share_and_costs(make: Any, tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    module = fit(make, logger=logger, log_every_n_steps=3, callbacks=[AdaSelectionCallback()])
    logged, loader = scalars(tmp_path), module.trainer.train_dataloader
    ours = {tag.removeprefix("adaselection/") for tag in logged if tag.startswith("adaselection/")}
    assert ours == set(figures(loader.report()))
    assert {f"weights/{name}" for name in loader.policy.methods} < ours
    assert {"kept", "units", "seconds/train", "seconds/select"} < ours
    for name, last in figures(loader.report()).items():
        if not name.startswith("seconds") and name not in ("overhead", "equivalent_uniform_rate"):
            steps = logged[f"adaselection/{name}"]
            assert max(steps) == 11, name
            assert steps[11] == pytest.approx(last, rel=1e-6) or name in ("forward_step_ratio", "speedup_bound")
    assert logged["adaselection/steps"] == {2: 3, 5: 6, 8: 9, 11: 12}
    assert logged["adaselection/trained"] == {2: 30, 5: 60, 8: 90, 11: 120}


def test_of_conditions_that_keep_a_gate_shut_their_number_is_logged() -> None:
    inner = DataLoader(TensorDataset(torch.arange(40)), 4, shuffle=True)
    loader = RecordedLoader(inner, AdaSelection(rate=0.5))
    for _ in range(6):
        for (numbers,) in loader:
            loader.record(1.0 + numbers % 7)
    lacks = loader.report().lacking
    assert set(lacks) == {"trusted", "uncertain", "hard"}
    found = figures(loader.report())
    assert {name: found[f"lacking/{name}"] for name in lacks} == {name: len(each) for name, each in lacks.items()}
    assert min(map(len, lacks.values())) > 0


@pytest.mark.parametrize("accumulate", [1, 2])
def test_accumulated_steps_are_logged_when_the_trainer_logs(accumulate: int, tmp_path: Path) -> None:
    options = {"log_every_n_steps": 2, "accumulate_grad_batches": accumulate}
    fit(selective, logger=TensorBoardLogger(tmp_path), callbacks=[AdaSelectionCallback("chosen")], **options)
    logged = scalars(tmp_path)
    assert logged["chosen/steps"] == (
        {1: 2, 3: 4, 5: 6, 7: 8, 9: 10, 11: 12} if accumulate == 1 else {1: 4, 3: 8, 5: 12}
    )


def test_every_logger_and_every_loader_of_a_dict(tmp_path: Path) -> None:
    module = Several(several)
    loggers = [CSVLogger(tmp_path / "csv", name=""), TensorBoardLogger(tmp_path / "board")]
    trainer(logger=loggers, log_every_n_steps=4, callbacks=[AdaSelectionCallback()]).fit(module)
    (table,) = (tmp_path / "csv").rglob("metrics.csv")
    header = table.read_text(encoding="utf-8").splitlines()[0].split(",")
    for name in ("adaselection/fresh/weights/uniform", "adaselection/known/weights/uniform"):
        assert name in header
        assert set(scalars(tmp_path / "board")[name]) == {3, 7, 11}
    assert float(module.trainer.callback_metrics["adaselection/fresh/kept"]) == 0.5


def test_manual_optimisation_logs_too(tmp_path: Path) -> None:
    module = Manual(selective)
    trainer(logger=TensorBoardLogger(tmp_path), log_every_n_steps=3, callbacks=[AdaSelectionCallback()]).fit(module)
    assert list(scalars(tmp_path)["adaselection/steps"].values()) == [3, 6, 9, 12]


def test_without_a_logger_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module: Module = fit(selective, callbacks=[AdaSelectionCallback()], log_every_n_steps=1)
    assert list(tmp_path.iterdir()) == []
    assert float(module.trainer.callback_metrics["adaselection/steps"]) == 12
