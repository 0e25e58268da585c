"""A training that was cut and resumed is the one that was not, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from adaselection import AdaSelection
from adaselection.errors import StateError
from integrations.hf_parts import Texts, bert, equal, history, parameters, trainer


def run(folder: Path, plane: str, resume: Any = None, **options: Any) -> Any:
    """5 batches an epoch, 3 steps an epoch with a trailing one of 1 batch."""
    policy = options.pop("selection", AdaSelection(("big_loss", "uniform"), rate=0.5, half_life=3, seed=1))
    sizes = {"num_train_epochs": 3, "gradient_accumulation_steps": 2, "save_strategy": "steps", "save_steps": 1}
    made = trainer(folder, bert(), selection=policy, plane=plane, **(sizes | options))
    made.train(resume_from_checkpoint=resume)
    return made


@pytest.mark.parametrize("plane", ["recorded", "fresh"])
def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, plane: str) -> None:
    whole = run(tmp_path, plane, eval_dataset=Texts(9), eval_strategy="steps", eval_steps=2)
    assert whole.state.global_step == 9
    assert {len(rows) for rows in whole.seen} == {8}
    for step, batches in ((1, 2), (3, 5), (5, 9)):  # in the middle, at the end of a pass, in the middle of a walk
        folder = tmp_path / f"checkpoint-{step}"
        assert torch.load(folder / "adaselection_0.pt", weights_only=True)["processes"] == 1
        again = run(
            tmp_path / "again",
            plane,
            str(folder),
            save_strategy="no",
            eval_dataset=Texts(9),
            eval_strategy="steps",
            eval_steps=2,
        )
        assert getattr(again, "seen", []) == whole.seen[batches:], step  # it selects, and from there on
        assert equal(parameters(again), parameters(whole)), step
        assert history(again) == history(whole), step
        assert again.selection_loader is not None
        one, two = (made.selection_loader.state_dict()["inside"]["policy"] for made in (whole, again))
        assert {k: v for k, v in one.items() if not torch.is_tensor(v)} == {
            k: v for k, v in two.items() if not torch.is_tensor(v)
        }
        assert all(torch.equal(value, two[name]) for name, value in one.items() if torch.is_tensor(value))


def test_true_takes_the_last_checkpoint_of_the_folder(tmp_path: Path) -> None:
    first = run(tmp_path, "fresh", num_train_epochs=2)
    for step in (5, 6):
        (tmp_path / f"checkpoint-{step}").rename(tmp_path / f"moved-{step}")
    again = run(tmp_path, "fresh", True, save_strategy="no", num_train_epochs=2)
    assert again.seen == first.seen[7:]
    assert equal(parameters(again), parameters(first))


def test_what_does_not_fit_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    run(tmp_path, "recorded", max_steps=2)
    folder = tmp_path / "checkpoint-2"
    with pytest.raises(StateError, match="plane='recorded', and this loader has plane='fresh'"):
        run(tmp_path / "again", "fresh", str(folder))
    with pytest.raises(StateError, match=r"methods=\['big_loss', 'uniform'\]"):
        run(tmp_path / "again", "recorded", str(folder), selection=AdaSelection(("big_loss", "proportional"), rate=0.5))
    with pytest.raises(StateError, match="skipped fewer batches than were trained on"):
        run(tmp_path / "again", "recorded", str(folder), gradient_accumulation_steps=1)
    (folder / "adaselection_0.pt").write_bytes(b"nothing")
    with pytest.raises(StateError, match=r"adaselection_0\.pt is damaged"):
        run(tmp_path / "again", "recorded", str(folder))
    (folder / "adaselection_0.pt").unlink()
    with pytest.raises(StateError, match="Pass ignore_data_skip=True to start it anew"):
        run(tmp_path / "again", "recorded", str(folder))


def test_ignore_data_skip_starts_the_selection_anew_and_says_so(tmp_path: Path) -> None:
    run(tmp_path, "recorded", max_steps=2)
    with pytest.warns(UserWarning, match="the selection starts anew"):
        again = run(tmp_path / "again", "recorded", str(tmp_path / "checkpoint-2"), ignore_data_skip=True, max_steps=5)
    assert again.state.global_step == 5
    assert again.selection_loader.policy.rate == 0.5


def test_a_checkpoint_of_the_model_alone_holds_no_selection(tmp_path: Path) -> None:
    run(tmp_path, "recorded", max_steps=1, save_only_model=True)
    assert not (tmp_path / "checkpoint-1" / "adaselection_0.pt").exists()
