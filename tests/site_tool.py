"""The tool that lays the pages of the site out, loaded as a module."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent


def load() -> ModuleType:
    """Load ``tools/docs_site.py``, which is a script and in no package."""
    found = importlib.util.spec_from_file_location("docs_site", ROOT / "tools" / "docs_site.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
