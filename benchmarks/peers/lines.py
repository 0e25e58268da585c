"""Lines of change: how many lines of the plain loop a peer changes, imports and comments aside."""

from __future__ import annotations

import ast
from difflib import SequenceMatcher
from pathlib import Path

LOOPS = Path(__file__).resolve().parent / "loops"
PLAIN = "plain"


def statements(code: str) -> list[str]:
    """Return the lines of a module as Python itself would write them, without imports and docstrings.

    A statement is one line, however it was broken, and indentation does not count: a block that moves is not changed.
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _left_out(part)] or [ast.Pass()]
    return [line.strip() for line in ast.unparse(tree).splitlines() if line.strip()]


def lines_of_change(plain: str, changed: str) -> int:
    """Return how many lines have to be touched to get from one module to the other.

    A line that is replaced, added or taken away counts one.

    Args:
        plain: Code of the plain loop.
        changed: Code of the other.
    """
    matcher = SequenceMatcher(None, statements(plain), statements(changed), autojunk=False)
    return sum(max(b - a, d - c) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal")


def lines_of_loop(name: str) -> int:
    """Return the lines of change of a module of ``loops``."""
    plain, changed = ((LOOPS / f"{part}.py").read_text(encoding="utf-8") for part in (PLAIN, name))
    return lines_of_change(plain, changed)


def _left_out(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text or isinstance(node, ast.Import | ast.ImportFrom)
