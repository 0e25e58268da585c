"""An empty stand-in for torchvision, so that Composer can be imported beside a torch for which it names no torchvision.

mosaicml 0.32.1 imports torchvision wherever it imports anything: for type hints, picture transforms and models that
`select_using_loss` does not use. Every name in the stand-in is an empty class. Importing this module puts it in place,
unless a torchvision is installed.
"""

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = "torchvision"


class Empty(ModuleType):
    """A package in which every name is an empty class."""

    def __getattr__(self, name: str) -> type:
        """Return an empty class."""
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class Finder(MetaPathFinder, Loader):
    """Finds the stand-in and its parts."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return a package for every name below the stand-in's."""
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] == NAME else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty package."""
        return Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


if importlib.util.find_spec(NAME) is None:
    sys.meta_path.append(Finder())
