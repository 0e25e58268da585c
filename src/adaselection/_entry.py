"""The command ``adaselection``: starts the lab, or says how to install it."""

import sys
from importlib.util import find_spec

import torch

import adaselection

__all__ = ["main"]

_NEEDED = ("tyro", "rich", "numpy", "scipy", "sklearn", "matplotlib", "jinja2", "joblib", "filelock")
_ADVICE = """adaselection: the command line needs packages that are not installed here: {missing}.
The library itself needs torch alone; the command is the extra "lab". Install it, in a clone of adaselection, with

    {python} -m pip install ".[lab]"
"""


def main() -> int:
    """Run the command line.

    Returns:
        The exit code: 0 if all went well, 2 if the packages of the extra ``lab`` are missing.
    """
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"adaselection {adaselection.__version__}, torch {torch.__version__}\n")
        return 0
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(_ADVICE.format(missing=", ".join(missing), python=sys.executable or "python"))
        return 2
    from adaselection.lab.cli import main as lab_main

    return int(lab_main() or 0)
