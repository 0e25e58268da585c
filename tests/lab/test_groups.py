"""The groups of arms: every arm is in one, and names of groups stand for their arms."""

import pytest

from adaselection.lab.arms import arms
from adaselection.lab.groups import expand, groups


def test_every_arm_is_in_one_group_and_the_joint_ones_hold_the_rest():
    found = groups()
    parts = [arm.name for group in found.values() if not group.joins for arm in group.arms]
    assert sorted(parts) == sorted(arms())
    assert set(found["baselines"].members) == {"full", "uniform_budget", "uniform_rate"}
    assert {arm.name for arm in found["recorded_all"].arms} == {name for name, arm in arms().items() if arm.recorded}
    for plane in ("fresh", "recorded"):
        halves = (*found[f"{plane}_policies"].members, *found[f"{plane}_alone"].members)
        assert sorted(found[f"{plane}_all"].members) == sorted(halves)
    assert not {*found} & {*arms()}


def test_names_stand_for_arms_each_once_in_the_order_given():
    chosen = expand(["big_loss", "uniform", "baselines", "recorded_policies", "recorded"])
    assert chosen[:4] == ("big_loss", "uniform_rate", "full", "uniform_budget")
    assert len(set(chosen)) == len(chosen)
    assert chosen.count("recorded") == 1
    assert expand([]) == ()


def test_what_needs_a_file_of_its_own_is_asked_for_by_name():
    assert "recorded_rho_loss" not in expand(["recorded_all"])
    assert "recorded_rho_loss" in expand(["recorded_all", "recorded_rho_loss"])


@pytest.mark.parametrize(
    ("name", "near"), [("recorded_al", "recorded_all"), ("baseline", "baselines"), ("ful", "full")]
)
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    with pytest.raises(ValueError, match=f"unknown arm '{name}'. Did you mean '{near}'?"):
        expand([name])
