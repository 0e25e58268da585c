"""Reads the code blocks of the documents, so that tests can run what a reader would run.

Blocks of one file share a namespace, in order. Before the first one it holds the small things that short
snippets take for granted (``PRELUDE``). A block that must not be run carries a reason, just above it:

    <!-- no-run: needs a process group -->
    ```python

A page whose first line is ``<!-- needs: lightning -->`` belongs to an extra, and is read where that is installed.
"""

import re
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PRELUDE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

_rows = torch.Generator().manual_seed(0)
dataset = TensorDataset(torch.randn(96, 8, generator=_rows), torch.randint(0, 3, (96,), generator=_rows))
train_loader = DataLoader(dataset, batch_size=16)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = torch.rand(16, generator=_rows)
"""

_FENCE = r"(?P<before>[^\n]*\n\s*)?^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```\s*$"
_BLOCK = re.compile(_FENCE, re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"<!-- needs: (?P<names>[\w, ]+) -->\n")
_NO_RUN = re.compile(r"<!--\s*no-run:(?P<reason>.*?)-->")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it starts (line of its first code line), what it holds, why not to run it."""

    path: Path
    line: int
    language: str
    code: str
    no_run: str | None

    @property
    def name(self) -> str:
        """``README.md:12``, as an editor would jump to it."""
        return f"{self.path.name}:{self.line}"


def can_run(path: Path) -> bool:
    """Whether all that a page says it needs is installed."""
    needs = _NEEDS.match(path.read_text(encoding="utf-8"))
    return needs is None or all(find_spec(name.strip()) for name in needs["names"].split(","))


def read_blocks(path: Path, *languages: str) -> list[Block]:
    """Return the blocks of a document in these languages, in order.

    Raises:
        ValueError: A ``no-run`` comment gives no reason.
    """
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if match["language"] not in languages:
            continue
        line = text.count("\n", 0, match.start("code")) + 1
        mark = _NO_RUN.search(match["before"] or "")
        if mark and not mark["reason"].strip():
            raise ValueError(f"{path.name}:{line}: <!-- no-run: --> needs a reason after the colon")
        reason = mark["reason"].strip() if mark else None
        found.append(Block(path, line, match["language"], match["code"], reason))
    return found


def run_blocks(blocks: list[Block], prelude: str = PRELUDE) -> dict[str, object]:
    """Run blocks in one namespace, in order, and return it. Errors point at the line of the document."""
    namespace: dict[str, object] = {"__name__": "__docs__"}
    exec(compile(prelude, "<prelude>", "exec"), namespace)
    for block in blocks:
        if block.no_run is None:
            padded = "\n" * (block.line - 1) + block.code  # so that a traceback names the right line
            exec(compile(padded, str(block.path), "exec"), namespace)
    return namespace


def commands(block: Block) -> list[list[str]]:
    """Return the ``adaselection ...`` commands of a shell block, as argument lists without the first word."""
    return commands_in(block.code)


def commands_in(text: str) -> list[list[str]]:
    """Return the ``adaselection ...`` commands of a piece of shell, continued lines joined."""
    joined = text.replace("\\\n", " ")
    lines = (shlex.split(line.strip().removeprefix("$ "), comments=True) for line in joined.splitlines())
    return [words[1:] for words in lines if words[:1] == ["adaselection"]]
