"""What the tests of the integrations share."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from core.conftest import unchecked as unchecked


@pytest.fixture(autouse=True)
def _own_accelerator() -> Iterator[None]:
    """Let every test build its own Accelerator: accelerate keeps the state of the first for the whole process."""
    yield
    if find_spec("accelerate"):
        from accelerate.state import AcceleratorState, GradientState

        AcceleratorState._reset_state(True)
        GradientState._reset_state()
