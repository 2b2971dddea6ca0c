"""What holds for every policy in a replay, whatever the demand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replays import case, pool

from baseload.sim.fluid import simulate
from baseload.sim.policies.registry import POLICIES, make_policy

demands = st.lists(st.floats(0.0, 30.0), min_size=4, max_size=40)


@pytest.mark.parametrize("name", POLICIES)
@given(demand=demands, lead=st.integers(0, 4), limit=st.none() | st.integers(3, 20))
@settings(max_examples=25, deadline=None)
def test_never_outside_limits(name: str, demand: list[float], lead: int, limit: int | None) -> None:
    """One replica at least, the pool's limit at most, pending ones included."""
    done = simulate(case(demand, pools=[pool(lead, limit=limit)]), make_policy(name))
    # What the first step needs is given, were it nothing.
    assert (done.ready[:, lead + 1 :] >= 1).all()
    if limit is not None:
        assert (done.billed <= limit).all()


@pytest.mark.parametrize("name", POLICIES)
@given(level=st.floats(0.5, 30.0), lead=st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_constant_demand_settles(name: str, level: float, lead: int) -> None:
    """After some steps nothing changes any more, and everything is served."""
    done = simulate(case([level] * 80, pools=[pool(lead)]), make_policy(name))
    assert len(np.unique(done.ready[0, 40:])) == 1
    assert (done.unserved[0, 40:] < 1e-6).all()
