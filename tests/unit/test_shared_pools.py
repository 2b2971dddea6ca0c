"""Several servings on pools that are too small for all of them, placed together in a replay."""

import numpy as np
import pytest

from baseload.sim.case import Case, Lead, SimPool
from baseload.sim.fluid import simulate
from baseload.sim.policies.registry import make_policy
from baseload.sim.policies.shared_pools import SharedPools

OWNED = SimPool("owned", 1.0, Lead(600.0, 600.0), limit=10)
RENTED = SimPool("rented", 2.0, Lead(600.0, 600.0))


def _case(pools: tuple[SimPool, ...]) -> Case:
    """Two servings that need 4 and 4, then 8 and 4."""
    demand = np.full((2, 40), 4.0)
    demand[0, 20:] = 8.0
    return Case("shared", 600.0, demand, demand, pools)


def test_what_the_cheap_pool_cannot_hold_goes_to_the_dear_one() -> None:
    """Ten places at 1, the other two or three replicas at 2, and nobody waits once they have come."""
    trajectory = simulate(_case((OWNED, RENTED)), SharedPools())
    owned, rented = trajectory.ready[:, -1].sum(axis=0).tolist()
    assert owned == 10
    assert rented in (2, 3)
    assert trajectory.unserved[:, 25:].max() == pytest.approx(0.0)


def test_a_shortage_in_the_only_pool_is_shared() -> None:
    """Ten places for twelve: the limit holds, all are used, and neither is left far behind the other."""
    trajectory = simulate(_case((OWNED,)), make_policy("baseload"))
    assert trajectory.ready.sum(axis=(0, 2)).max() <= 10
    assert trajectory.ready[:, -1, 0].sum() == 10
    served = trajectory.ready[:, -1, 0] / np.array([8.0, 4.0])
    assert served.min() >= 0.7


def test_constant_demand_comes_to_rest() -> None:
    """After some steps of the same demand nothing starts and nothing goes."""
    demand = np.full((2, 40), 4.3)
    trajectory = simulate(Case("calm", 600.0, demand, demand, (OWNED, RENTED)), SharedPools())
    assert (np.diff(trajectory.ready[:, 15:], axis=1) == 0).all()
