"""Many numbers at once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adaselection import bulk
from adaselection.bulk import first_of_each, ordered

REALS = st.lists(st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0]), max_size=40)


@pytest.mark.parametrize("numpy", [True, False])
@given(values=REALS, dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_numbers_come_in_rising_order_with_nan_last(numpy: bool, values: list[float], dtype: torch.dtype) -> None:
    given_values = torch.tensor(values, dtype=dtype)
    before = given_values.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_numpy", lambda: numpy)
        found = ordered(given_values)
    assert torch.equal(given_values, before) or given_values.isnan().any()  # as it was
    known = sorted(value for value in given_values.tolist() if value == value)
    assert found[: len(known)].tolist() == known
    assert found[len(known) :].isnan().all()
    assert (found.dtype, found.shape) == (dtype, given_values.shape)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40))
def test_whole_numbers_are_exact(values: list[int]) -> None:
    assert ordered(torch.tensor(values, dtype=torch.int64)).tolist() == sorted(values)


def test_a_strided_part_is_left_as_it_is() -> None:
    whole = torch.tensor([3.0, 9.0, 1.0, 8.0])
    assert ordered(whole[::2]).tolist() == [1.0, 3.0]
    assert whole.tolist() == [3.0, 9.0, 1.0, 8.0]


def test_a_gradient_goes_through() -> None:
    values = torch.tensor([2.0, 1.0], requires_grad=True)
    ordered(values)[0].backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0]


def test_without_numpy_torch_sorts(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Tensor) -> None:
        raise RuntimeError("Numpy is not available")

    bulk._numpy.cache_clear()
    monkeypatch.setattr(Tensor, "numpy", missing)
    assert ordered(torch.tensor([2, 1])).tolist() == [1, 2]
    monkeypatch.undo()
    bulk._numpy.cache_clear()


@given(st.lists(st.integers(0, 6), max_size=12))
def test_the_first_rows_of_numbers_that_repeat(numbers: list[int]) -> None:
    found = first_of_each(torch.tensor(numbers, dtype=torch.int64))
    wanted = [row for row, number in enumerate(numbers) if number not in numbers[:row]]
    assert (None if len(wanted) == len(numbers) else wanted) == (None if found is None else found.tolist())
