"""Bad inputs give an error of the library, and leave model, policy and records as they were."""

import copy
import random
from typing import Any

import hypothesis
import pytest
import torch

from adaselection.errors import AdaSelectionError
from soak.counts import count
from soak.families import state
from soak.states import differences
from soak.surface import FAMILIES

INPUTS = count(500, 10_000)

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.filterwarnings("ignore")]


def seed() -> None:
    """The same random states before each input."""
    random.seed(0)
    torch.manual_seed(0)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_bad_input_is_refused_and_changes_nothing(name: str, record_property: Any) -> None:
    family, wanted = FAMILIES[name], -(-INPUTS // len(FAMILIES))
    subject, refused = family.make(), 0
    seed()
    before = copy.deepcopy(state(subject))

    @hypothesis.settings(max_examples=wanted, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(family.bad)
    def each(bad: Any) -> None:
        nonlocal subject, before, refused
        seed()
        try:
            with pytest.raises(AdaSelectionError):
                bad.do(subject)
            assert differences(before, state(subject)) == []
        except BaseException:
            subject = family.make()
            seed()
            before = copy.deepcopy(state(subject))
            raise
        refused += 1

    each()
    record_property("refused", refused)
    assert refused >= wanted
