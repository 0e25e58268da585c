"""Which members of the earned mixture may get the weight: those that the user named, and plain training."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader
from adaselection.errors import ArgumentError, StateError
from adaselection.members import MEMBERS, members_of
from adaselection.thresholds import Evidence, Thresholds
from adaselection.verdicts import RARE, lacking, ruling

LEFT_OUT = Evidence(
    apart=0.9, share=0.2, lower=0.3, mean=0.6, risen=1.0, upper=1.5, tau=1.8, finds=1.2,
    visits=50, stays=0.8, learnt=0.0, error=0.05, negative=0.0, explained=0.1, emptied=0.3, numbers=0.0,
    common=0.1, roots=0.0, before=0.0,
)  # fmt: skip
ROWS = 400


def trained(policy: AdaSelection, passes: int = 24) -> tuple[list[list[int]], RecordedLoader]:
    """Which instances were handed out, where a fifth stays wrong while the others are learnt."""
    data = TensorDataset(torch.arange(ROWS), torch.arange(ROWS) % 4)
    order = torch.Generator().manual_seed(0)
    loader = RecordedLoader(DataLoader(data, 20, shuffle=True, generator=order), policy)
    seen, steps = [], 0
    for _ in range(passes):
        for ids, _ in loader:
            right = math.exp(-steps / 60) * (0.5 + torch.frac(ids * 0.618))
            steps += 1
            loader.record(torch.where(ids < ROWS // 5, 4 + torch.frac(ids * 0.618 + steps * 0.37), right))
            seen.append(ids.tolist())
    return seen, loader


def test_a_member_that_was_not_named_never_gets_the_weight() -> None:
    everything, opened = trained(AdaSelection(rate=0.5))
    assert opened.report().verdicts["trusted"] > 5
    plain, shut = trained(AdaSelection(rate=0.5, members=("hard", "uncertain")))
    assert set(shut.report().verdicts) == {"uniform"}
    assert len(plain) == len(everything)
    walks = [sorted(itertools.chain(*plain[at : at + 20])) for at in range(0, len(plain), 20)]
    assert walks == [list(range(ROWS))] * len(walks)
    assert shut.policy.weights == {"uniform": 1.0, "hard": 0.0, "uncertain": 0.0}
    assert set(shut.report().lacking) == {"hard", "uncertain"}


def test_naming_all_of_them_is_the_default() -> None:
    everything, _ = trained(AdaSelection(rate=0.5))
    named, loader = trained(AdaSelection(rate=0.5, members=("uncertain", "trusted", "hard")))
    assert named == everything
    plain = AdaSelection(rate=0.5)
    plain.use_records()
    assert loader.policy.settings == plain.settings


def test_targets_speak_only_against_members_that_were_named() -> None:
    rare = LEFT_OUT._replace(explained=0.9)
    assert ruling(rare, Thresholds(), now="uniform") == RARE
    assert ruling(rare, Thresholds(members_of(["hard"])), now="uniform") == "uniform"
    assert ruling(LEFT_OUT, Thresholds(members_of(["trusted"])), now="uniform") == "trusted"
    assert list(lacking(LEFT_OUT, Thresholds(members_of(["hard"])))) == ["hard"]


@pytest.mark.parametrize("given", [["hard"], ["uniform", "hard"], ("hard", "hard")])
def test_plain_training_is_always_one_of_them(given: Any) -> None:
    assert members_of(given) == ("uniform", "hard")
    assert members_of([*MEMBERS][::-1]) == MEMBERS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"members": ()}, r'members must be a list of names, such as \("hard",\); got \(\)'),
        ({"members": "hard"}, "members must be a list of names"),
        ({"members": ("big_loss",)}, "members='big_loss' is unknown. Take 'uniform', 'trusted', 'hard', 'uncertain'"),
        ({"members": ("truste",)}, "Did you mean 'trusted'"),
        ({"members": ("hard",), "methods": ("big_loss",)}, "Leave out members=, or these"),
        ({"members": ("hard",), "weighting": "paper"}, "Leave out members=, or these"),
        ({"members": ("hard",), "weight_exponent": 1.0}, "Leave out members=, or these"),
        ({"members": ("hard",), "replicate": "paper"}, "Leave out members=, or these"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        AdaSelection(**options)


def test_a_scoring_pass_has_no_members() -> None:
    policy = AdaSelection(members=("hard",))
    loader = DataLoader(TensorDataset(torch.randn(8, 2), torch.arange(8)), 4)
    with pytest.raises(ArgumentError, match="Wrap the DataLoader in RecordedLoader, or leave out members="):
        SelectiveLoader(loader, policy, model=torch.nn.Linear(2, 8), loss_fn=torch.nn.CrossEntropyLoss())
    with pytest.raises(ArgumentError, match="members="):
        policy.select(torch.rand(4))


@pytest.mark.parametrize("passes", [1, 24])
def test_a_state_of_other_members_is_refused_whole_at_any_time(passes: int) -> None:
    _, opened = trained(AdaSelection(rate=0.5), passes)
    state = opened.policy.state_dict()
    assert state["earned"]["tenure"]["member"] == ("trusted" if passes > 1 else "uniform")
    policy = AdaSelection(rate=0.5, members=("hard",))
    before = policy.state_dict()
    with pytest.raises(StateError, match=r"the policy state has members=.*trusted.*, and this policy has members="):
        policy.load_state_dict(state)
    after = policy.state_dict()
    assert after["earned"]["now"] == before["earned"]["now"]
    assert torch.equal(after["generator"], before["generator"])
    AdaSelection(rate=0.5, members=("trusted", "hard", "uncertain")).load_state_dict(state)


def test_a_policy_says_which_members_it_was_given() -> None:
    assert repr(AdaSelection(rate=0.5, members=("hard",))) == "AdaSelection(rate=0.5, members=['hard'])"
