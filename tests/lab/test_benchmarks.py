"""Every benchmark runs, in a tiny mode, and writes what the documents read from it."""

import json
import math
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"
TINY = {
    "select_overhead": ["--batch-size", "16"],
    "epoch_cost": ["--batches", "8", "--batch-size", "16"],
    "grad_norm_rank": ["--rows", "16", "--scale", "0.02", "--digits-only"],
    "recorded_overhead": ["--rows", "128", "--batch-size", "16", "--passes", "1"],
    "device_cost": ["--rows", "60", "--batch-size", "10", "--model", "resnet8"],
    "other_data": ["--rows", "60", "--settings", "1"],
    "other_models": ["--epochs", "1", "--settings", "1"],
    "long_noise": ["--epochs", "1", "--settings", "1"],
    "tensor_dataset": ["--passes", "2", "--pictures", "768"],
    "real_numbers": ["--rows", "160", "--settings", "2"],
    "real_classes": ["--rows", "160", "--settings", "2"],
    "records": ["--sizes", "1000", "2000", "--windows", "10", "100"],
}
ON_REAL_DATA = {
    "cheap_scores": ["--windows", "4", "--steps", "12"],
    "other_pictures": ["--epochs", "1", "--settings", "1", "--kinds", "numerals"],
}
NEEDS = {"cheap_scores": "cifar10.npz", "other_pictures": "mnist.npz"}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def tiny_run(name: str, folder: Path) -> dict[str, Any]:
    """Run a benchmark in this process and return its record."""
    script = runpy.run_path(str(BENCHMARKS / f"{name}.py"))
    path = script["main"](["--repeats", "1", "--out", str(folder), *(TINY | ON_REAL_DATA)[name]])
    assert path in (None, folder / f"{name}.json")
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_script_is_known_here() -> None:
    assert {path.stem for path in BENCHMARKS.glob("[!_]*.py")} == set(TINY | ON_REAL_DATA)


@pytest.mark.parametrize(
    "name", [*TINY, *(pytest.param(name, marks=pytest.mark.needs_data(NEEDS[name])) for name in ON_REAL_DATA)]
)
def test_a_record_says_what_was_measured_and_where(name: str, tmp_path: Path) -> None:
    record = tiny_run(name, tmp_path)
    assert record.keys() >= {
        "schema",
        "benchmark",
        "claim",
        "settings",
        "results",
        "environment",
        "started",
        "finished",
    }
    assert record["benchmark"] == name
    assert record["settings"]["repeats"] == 1
    assert record["environment"].keys() >= {"cpu", "cores", "threads", "torch", "python", "others_busy", "exclusive"}
    assert record["environment"]["threads"] == 1
    assert record["started"] <= record["finished"]


def test_the_share_of_a_step_is_judged_by_the_median(tmp_path: Path) -> None:
    results = tiny_run("select_overhead", tmp_path)["results"]
    assert results["ratios"].keys() == {"all_methods", "all_methods_paper", "default", "all_methods_again"}
    assert results["milliseconds"].keys() == {"step", *results["ratios"]}
    assert results["ratio"] == results["ratios"]["all_methods"]["median"]
    assert results["met"] == (results["ratio"] <= results["bar"] == 0.01)
    assert all(0 < value["q1"] <= value["median"] <= value["q3"] for value in results["ratios"].values())


def test_the_prediction_is_made_of_its_parts(tmp_path: Path) -> None:
    results = tiny_run("epoch_cost", tmp_path)["results"]
    assert (results["batches"], results["steps"], results["bar"]) == (8, 2, 0.05)  # 8 x 5 rows of 16 are 2 batches
    middle = {name: value["median"] for name, value in results["seconds"].items()}
    predicted = 8 * (middle["load"] + middle["forward"]) + 2 * middle["step"]
    assert middle["predicted"] == pytest.approx(predicted)
    assert results["ratio"]["median"] == pytest.approx(middle["epoch"] / predicted)
    assert results["met"] == (abs(results["ratio"]["median"] - 1) <= 0.05)


def test_the_correlations_are_of_three_stages(tmp_path: Path) -> None:
    rows = tiny_run("grad_norm_rank", tmp_path)["results"]["rows"]
    assert [(row["task"], row["step"]) for row in rows] == [("digits", 0), ("digits", 1), ("digits", 12)]
    assert all(-1 <= row[key]["median"] <= 1 for row in rows for key in ("grad_norm", "loss"))
    assert rows[-1]["mean_loss"]["median"] < rows[0]["mean_loss"]["median"]


def test_the_exact_norm_is_that_of_one_row_after_the_other() -> None:
    exact_norms = runpy.run_path(str(BENCHMARKS / "grad_norm_rank.py"))["exact_norms"]
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()
    inputs, labels = torch.randn(5, 1, 4, 4), torch.tensor([0, 1, 2, 0, 1])
    for row, norm in enumerate(exact_norms(model, inputs, labels).tolist()):
        model.zero_grad()
        nn.functional.cross_entropy(model(inputs[row : row + 1]), labels[row : row + 1]).backward()
        squares = (float(value.grad.square().sum()) for value in model.parameters())
        assert norm == pytest.approx(math.sqrt(sum(squares)), rel=1e-5)


def test_a_record_of_other_data_is_run_again_at_its_own_learning_rates(tmp_path: Path) -> None:
    first = tiny_run("other_data", tmp_path)
    kept = first["results"]["cells"]
    for cell in kept:
        cell["uncertain"] = {"difference": 7.0, "ci": [6.0, 8.0]}
    (tmp_path / "changed.json").write_text(json.dumps(first), encoding="utf-8")
    script = runpy.run_path(str(BENCHMARKS / "other_data.py"))
    command = ["--repeats", "1", "--out", str(tmp_path), "--again", str(tmp_path / "changed.json"), *TINY["other_data"]]
    script["main"](command)
    again = json.loads((tmp_path / "other_data.json").read_text(encoding="utf-8"))["results"]["cells"]
    assert again == kept
    kept[1]["plain"] += 1
    (tmp_path / "changed.json").write_text(json.dumps(first), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"the plain loader gives .* and gave"):
        script["main"](command)


def test_no_record_holds_a_path_of_a_machine() -> None:
    portable = runpy.run_path(str(BENCHMARKS / "_record.py"))["portable"]
    assert portable(str(BENCHMARKS / "records" / "other_data.json")) == "benchmarks/records/other_data.json"
    assert portable("/somewhere/else/first.json") == "first.json"
    for path in (BENCHMARKS / "records").glob("*.json"):
        again = json.loads(path.read_text(encoding="utf-8")).get("settings", {}).get("again")
        assert again is None or not Path(again).is_absolute(), path


def test_real_numbers_are_run_again_at_their_own_learning_rates(tmp_path: Path) -> None:
    first = tiny_run("real_numbers", tmp_path)
    kept = first["results"]["cells"]
    assert [cell["wrong"] for cell in kept] == [0.0, 0.2]
    for cell in kept:
        cell["learning_rate"] = min({0.003, 0.01} - {cell["learning_rate"]})
    (tmp_path / "known.json").write_text(json.dumps(first), encoding="utf-8")
    script = runpy.run_path(str(BENCHMARKS / "real_numbers.py"))
    more = ["--again", str(tmp_path / "known.json"), *TINY["real_numbers"]]
    script["main"](["--repeats", "1", "--out", str(tmp_path), *more])
    again = json.loads((tmp_path / "real_numbers.json").read_text(encoding="utf-8"))["results"]["cells"]
    assert [cell["learning_rate"] for cell in again] == [cell["learning_rate"] for cell in kept]
    assert all(cell["plain"] != other["plain"] for cell, other in zip(again, kept, strict=True))


def test_real_numbers_have_inputs_that_do_not_give_them_away_and_wrong_ones_are_swapped() -> None:
    script = runpy.run_path(str(BENCHMARKS / "real_numbers.py"))
    data = script["Real"]("pay in baseball", None)  # whose logarithm is a column too
    ranks = torch.cat((data.inputs, data.targets.unsqueeze(1)), 1).argsort(0).argsort(0).double()
    assert ranks.T.corrcoef()[-1, :-1].abs().max() < 0.97
    assert data.inputs.shape == (330, 45)
    assert data.inputs.isfinite().all()
    wrong = data.spoilt(data.targets, 0.4, 0)
    assert 0.3 < (wrong != data.targets).double().mean() < 0.45
    assert torch.equal(wrong.sort().values, data.targets.sort().values)


def test_real_classes_have_inputs_that_do_not_give_them_away() -> None:
    script = runpy.run_path(str(BENCHMARKS / "real_classes.py"))
    answers = pd.Series(["yes", "no"] * 100)
    told = pd.Series([1.0, 0.0] * 99 + [0.0, 0.0])  # wrong once
    assert script["tells"](told, answers)
    assert not script["tells"](told.where(told.index < 190, 0.0), answers)
    assert not script["tells"](pd.Series(range(200)).astype(float), answers)  # each row has its own value
    data = script["Real"]("fast food", None)
    counts = data.targets.bincount()
    assert len(counts) == 8
    assert counts.min() >= 20
    assert data.inputs.isfinite().all()
    outputs = torch.zeros(len(data.targets), 8).scatter(1, data.targets.unsqueeze(1), math.log(7))
    assert data.scores(outputs, data.targets) == pytest.approx((100, 100, math.log(2)))
    wrong = data.spoilt(data.targets, 0.4, 0) != data.targets
    assert 0.3 < wrong.double().mean() < 0.5


def test_real_classes_are_run_again_at_their_own_learning_rates(tmp_path: Path) -> None:
    first = tiny_run("real_classes", tmp_path)
    kept = first["results"]["cells"]
    assert [cell["wrong"] for cell in kept] == [0.0, 0.2]
    for cell in kept:
        cell["learning_rate"] = min({0.003, 0.1} - {cell["learning_rate"]})
    (tmp_path / "known.json").write_text(json.dumps(first), encoding="utf-8")
    script = runpy.run_path(str(BENCHMARKS / "real_classes.py"))
    more = ["--again", str(tmp_path / "known.json"), *TINY["real_classes"]]
    script["main"](["--repeats", "1", "--out", str(tmp_path), *more])
    again = json.loads((tmp_path / "real_classes.json").read_text(encoding="utf-8"))["results"]["cells"]
    assert [cell["learning_rate"] for cell in again] == [cell["learning_rate"] for cell in kept]
    assert all(cell["plain_log_loss"] != other["plain_log_loss"] for cell, other in zip(again, kept, strict=True))


def test_the_guide_names_what_a_tensor_dataset_took() -> None:
    record = json.loads((BENCHMARKS / "records" / "tensor_dataset.json").read_text(encoding="utf-8"))
    rows = record["results"]["milliseconds_and_ratios"]
    small, large, slow = (
        f"{rows[name]['processor']['ratio']['median']:.2f}"
        for name in ("digits, perceptron, batch 32", "digits, perceptron, batch 128", "pictures, resnet8, batch 128")
    )
    page = " ".join((BENCHMARKS.parent / "docs" / "recorded.md").read_text(encoding="utf-8").split())
    assert f"took {small} times the plain loader's seconds in batches of 32, and {large} times in batches of" in page
    assert f"so long that neither shows: {slow}." in page
    assert f"medians of {record['settings']['repeats']} turns" in page


def test_other_models_are_run_again_at_their_own_learning_rates(tmp_path: Path) -> None:
    first = tiny_run("other_models", tmp_path)
    (kept,) = first["results"]["cells"]
    other = min({0.001, 0.003, 0.01} - {kept["learning_rate"]})
    for rate in (kept["learning_rate"], other):
        changed = {"results": {"cells": [kept | {"learning_rate": rate}]}}
        (tmp_path / "known.json").write_text(json.dumps(changed), encoding="utf-8")
        script = runpy.run_path(str(BENCHMARKS / "other_models.py"))
        more = ["--again", str(tmp_path / "known.json"), *TINY["other_models"]]
        script["main"](["--repeats", "1", "--out", str(tmp_path), *more])
        (again,) = json.loads((tmp_path / "other_models.json").read_text(encoding="utf-8"))["results"]["cells"]
        assert again["learning_rate"] == rate
        assert (again == kept) == (rate == kept["learning_rate"])


@pytest.mark.needs_data("mnist.npz")
def test_kinds_of_pictures_that_are_not_asked_for_keep_their_cells(tmp_path: Path) -> None:
    first = tiny_run("other_pictures", tmp_path)
    (cell,) = first["results"]["cells"]
    assert (cell["kind"], cell["wrong"], cell["budget"], cell["seeds"]) == ("numerals", 0.0, 0.5, 1)
    others = [cell | {"kind": "momentum", "budget": 1.0}, cell | {"plain": 1.0}]
    changed = first | {"results": first["results"] | {"cells": others}}
    (tmp_path / "other_pictures.json").write_text(json.dumps(changed), encoding="utf-8")
    assert tiny_run("other_pictures", tmp_path)["results"]["cells"] == [others[0], cell]  # in the order of the kinds


@pytest.mark.needs_data("cifar10.npz")
def test_every_network_for_pictures_has_a_loss_for_each_row() -> None:
    kinds = runpy.run_path(str(BENCHMARKS / "_pictures.py"))["PICTURES"]
    for name in set(kinds) - {"20 groups", "fine-tuned", "numerals"}:  # which need other data
        kind = kinds[name][2]()
        assert (len(kind.inputs), sorted(set(kind.targets.tolist()))) == (9000, list(range(10))), name
        assert kind.inputs.mean().abs() < 0.1
        model = kind.build().train()
        losses = kind.loss(model(kind.inputs[:20]), kind.inputs[:20], kind.targets[:20])
        assert losses.shape == (20,)
        losses.mean().backward()
        assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters()), name
        kind.optimizer(model.parameters(), 0.01).step()
        assert 0 <= kind.score(model(kind.inputs[:20]), kind.inputs[:20], kind.targets[:20]) <= 100


def test_pictures_are_flipped_and_shifted_while_the_model_trains() -> None:
    moved = runpy.run_path(str(BENCHMARKS / "_pictures.py"))["Moved"]()
    pictures = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    assert torch.equal(moved.eval()(pictures), pictures)
    torch.manual_seed(3)
    found = moved.train()(pictures)
    assert not torch.equal(found, pictures)
    assert torch.equal(found.flatten(2).sort().values, pictures.flatten(2).sort().values)  # each channel its own


def test_every_other_model_has_a_loss_for_each_row_and_a_score() -> None:
    kinds = runpy.run_path(str(BENCHMARKS / "_kinds.py"))["KINDS"]
    for what, unit, make in kinds.values():
        kind = make()
        assert len(kind.inputs) == len(kind.targets) > 500, what
        inputs, targets = kind.inputs[:100], kind.targets[:100]
        torch.manual_seed(0)
        model = kind.build()
        losses = kind.loss(model(inputs), inputs, targets)
        assert losses.shape == (100,)
        losses.mean().backward()
        assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())
        with torch.no_grad():
            outputs = model.eval()(inputs)
            alone = torch.cat([kind.loss(outputs[i : i + 1], inputs[i : i + 1], targets[i : i + 1]) for i in range(9)])
            torch.testing.assert_close(alone, kind.loss(outputs, inputs, targets)[:9])
            score = kind.score(outputs, inputs, targets)
        assert score >= 0 if unit == "points" else score == pytest.approx(-losses.mean().item(), rel=1e-4)


def test_the_page_about_other_data_says_what_its_records_say() -> None:
    root = BENCHMARKS.parent
    records = [
        json.loads((BENCHMARKS / "records" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("other_data", "other_models", "other_pictures", "real_numbers", "real_classes")
    ]
    text = runpy.run_path(str(root / "tools" / "other_data.py"))["page"](*records)
    assert (root / "docs" / "results" / "other_data.md").read_text(encoding="utf-8") == text, "run tools/other_data.py"


def test_a_script_runs_by_itself(tmp_path: Path) -> None:
    words = [str(BENCHMARKS / "select_overhead.py"), "--repeats", "1", "--batch-size", "4", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert "all_methods" in done.stdout
    assert json.loads((tmp_path / "select_overhead.json").read_text(encoding="utf-8"))["settings"]["batch_size"] == 4


def test_the_page_about_cost_says_what_the_record_of_the_device_says() -> None:
    tool = runpy.run_path(str(BENCHMARKS.parent / "tools" / "device.py"))
    record = json.loads((BENCHMARKS / "records" / "device_cost.json").read_text(encoding="utf-8"))
    page = (BENCHMARKS.parent / "docs" / "cost.md").read_text(encoding="utf-8")
    assert f"<!-- results:device -->\n{tool['block'](record)}\n<!-- /results:device -->" in page, "run tools/device.py"
