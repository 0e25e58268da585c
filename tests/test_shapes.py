"""The shape types: checked under pytest where jaxtyping is, inert where it is not."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SOURCE = Path(__file__).resolve().parent.parent / "src"


def test_shapes_are_checked_while_the_tests_run() -> None:
    from adaselection.functional import big_loss

    with pytest.raises(Exception, match=r"(?i)type-check"):
        big_loss(torch.ones(2, 2, 2, 2))


def test_shapes_are_inert_without_jaxtyping() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.modules['jaxtyping'] = None\n"
        "from torch import Tensor\n"
        "from adaselection._shapes import Bool, Float, Int, Shaped\n"
        "print(all(kind[Tensor, 'm b'] is Tensor for kind in (Bool, Float, Int, Shaped)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_an_int_will_do_for_a_float_and_a_string_will_not() -> None:
    from typecheck import check

    @check
    def half(x: float) -> float:
        return x / 2

    assert half(1) == 0.5
    with pytest.raises(Exception, match="half"):
        half("1")
