"""Policies by name, what they have in common, and the simplest of them."""

import numpy as np
import pytest
from policy_steps import sets
from replays import case

from baseload.errors import ConfigError
from baseload.sim.fluid import simulate
from baseload.sim.policies.registry import POLICIES, make_policies, make_policy
from baseload.sim.policies.static_peak import StaticPeak


def test_an_unknown_name_lists_the_known_ones() -> None:
    """The message names the value and the remedy."""
    with pytest.raises(ConfigError, match="policy 'hpaa' is not known; use one of baseload, static-peak, hpa,"):
        make_policy("hpaa")


def test_names_are_taken_once_in_their_order() -> None:
    """A repeated name is one policy; tables keep the order that was asked for."""
    assert [policy.name for policy in make_policies(["hpa", "static-peak", "hpa"])] == ["hpa", "static-peak"]


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_goes_by_its_name(name: str) -> None:
    """The registry and the policies agree, so results can be looked up."""
    assert make_policy(name).name == name


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_begins_again_remembers_nothing(name: str) -> None:
    """Two replays of one case by one policy are equal, another case between them or not."""
    policy = make_policy(name)
    rising, falling = case([3, 4, 6, 9, 9, 9, 5, 5]), case([9, 9, 8, 5, 2, 2, 2, 2])
    before = simulate(rising, policy).ready
    simulate(falling, policy)
    assert np.array_equal(simulate(rising, policy).ready, before)


@pytest.mark.parametrize("name", POLICIES)
def test_servings_do_not_see_each_other(name: str) -> None:
    """What a policy does for one serving is the same alone and beside another."""
    rows = [3, 4, 6, 9, 9, 9, 5, 5], [9, 9, 8, 5, 2, 2, 2, 2]
    both = simulate(case(*rows), make_policy(name)).ready
    for index, row in enumerate(rows):
        assert np.array_equal(simulate(case(row), make_policy(name)).ready[0], both[index])


def test_static_peak() -> None:
    """Peak 9.2: ten replicas at all times."""
    assert sets(StaticPeak(), [(3.0, 3, 0), (9.2, 3, 7), (1.0, 10, 0)]) == [10, 10, 10]


def test_static_peak_within_the_pool() -> None:
    """No more than the pool has."""
    assert sets(StaticPeak(), [(3.0, 3, 0), (9.2, 3, 4)], limit=7) == [7, 7]
