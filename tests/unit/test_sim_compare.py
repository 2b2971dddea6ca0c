"""Policies side by side on one case."""

import numpy as np
import pytest
from replays import Following, case, pool

from baseload.sim.bound import clairvoyant
from baseload.sim.compare import bound_of, compare
from baseload.sim.lp_bound import lp_bound


def load(target: float) -> Following:
    """A policy that keeps replicas at a load, named after it."""
    policy = Following(lambda newest: np.ceil(newest / target))
    policy.name = f"load {target}"
    return policy


def test_policies_meet_the_same_world_and_bound() -> None:
    """One score per policy in their order, the thin one marked: it saves by missing."""
    demand = 20 + 5 * np.sin(np.arange(144) / 12)
    told: list[tuple[str, int, int]] = []
    scores = compare(case(demand), [load(0.7), load(1.0)], lambda *progress: told.append(progress))
    assert [s.policy for s in scores] == ["load 0.7", "load 1.0"]
    assert scores[0].bound == scores[1].bound
    assert [s.saves_by_missing for s in scores] == [False, True]
    assert told[-1] == ("load 1.0", 144, 144)


def test_bound_is_exact_with_one_pool_and_a_programme_with_several() -> None:
    """Which of the two answers depends on the pools alone."""
    demand = [2.0, 3.5, 1.0, 2.2]
    one, two = case(demand), case(demand, pools=[pool(1), pool(0, price=2.5)])
    assert bound_of(one).total == pytest.approx(clairvoyant(one).total)
    assert bound_of(two).total == pytest.approx(lp_bound(two).total)
