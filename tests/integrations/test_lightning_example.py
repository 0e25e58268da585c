"""The example runs as it is, changes one line, and Lightning's other name works too."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "lightning_digits.py"

OTHER_NAME = """
import sys, warnings
sys.modules["lightning"] = None  # only the other one is there
warnings.simplefilter("ignore")
import torch, pytorch_lightning as pl
from torch.utils.data import DataLoader
from adaselection import AdaSelection, SelectiveLoader
from adaselection.integrations.lightning import AdaSelectionCallback
from core.parts import CE, data, net

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = net()
    def train_dataloader(self):
        loader = DataLoader(data(80), batch_size=10)
        return SelectiveLoader(loader, AdaSelection(rate=0.5), model=self.net, loss_fn=CE)
    def training_step(self, batch, batch_idx):
        return CE(self.net(batch[0]), batch[1]).mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

trainer = pl.Trainer(max_epochs=2, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
                     enable_progress_bar=False, enable_model_summary=False, callbacks=[AdaSelectionCallback()],
                     log_every_n_steps=1)
trainer.fit(Module())
print(trainer.global_step, float(trainer.callback_metrics["adaselection/kept"]))
"""


def run(*command: str) -> str:
    """What a child prints."""
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    env = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_prints_both_accuracies_and_the_report() -> None:
    printed = run(str(SCRIPT))
    plain, selective = (float(value) for value in re.findall(r"([\d.]+) % right", printed))
    assert plain > 90
    assert selective > 90
    steps = re.findall(r"after (\d+) steps, work (\d+)$", printed, re.MULTILINE)
    assert [int(number) for number, _ in steps] == [210, 120]
    full, selected = (int(work) for _, work in steps)
    assert full == 3 * 10 * 1297
    assert 0.98 < selected / full <= 1
    assert re.search(r"^kept +\d", printed, re.MULTILINE)


def test_one_line_is_changed() -> None:
    classes = {node.name: node for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body if hasattr(node, "name")}
    hooks = [
        next(f for f in classes[name].body if getattr(f, "name", "") == "train_dataloader")
        for name in ("Plain", "Selective")
    ]
    before, after = ([ast.unparse(line) for line in hook.body[1:]] for hook in hooks)  # without the docstring
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    assert len(classes["Selective"].body) == 2  # its docstring and the hook


def test_the_other_name_of_lightning_works() -> None:
    assert run("-c", OTHER_NAME).split() == ["8", "0.5"]
