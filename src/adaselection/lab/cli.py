"""The command ``adaselection``: reads the command line, does the command, explains what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import tyro
from rich.console import Console
from rich.text import Text

from adaselection.errors import AdaSelectionError
from adaselection.lab.commands import Compare, Methods, Profile, Report, Run, Tasks, Tune
from adaselection.lab.holding import Holdout
from adaselection.lab.inspecting import Inspect
from adaselection.lab.paper.command import Paper

Command = Tasks | Methods | Run | Compare | Tune | Report | Profile | Inspect | Holdout | Paper
_ABOUT = "Train on the samples worth a gradient, and measure whether that paid."


def parse(words: Sequence[str]) -> Command:
    """Read a command without doing it.

    Raises:
        SystemExit: The words are no command (code 2), or ask for help (code 0).
    """
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(Command, prog="adaselection", description=_ABOUT, args=list(words), config=config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if all went well, 1 after an error that was explained, 130 after control-c.
    """
    command = parse(sys.argv[1:] if arguments is None else arguments)
    explain = Console(stderr=True)
    try:
        command.do(Console())
    except (AdaSelectionError, ValueError, FileNotFoundError) as error:
        explain.print(Text(f"adaselection: {error}", style="red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        explain.print("adaselection: stopped. Every finished run has its record; the same command goes on from here.")
        return 130
    return 0
