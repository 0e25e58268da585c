"""What the long suites share."""

from core.conftest import unchecked

__all__ = ["unchecked"]
