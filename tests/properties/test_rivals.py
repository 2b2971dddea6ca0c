"""What holds for every rival in a replay, whatever the demand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replays import case, pool

from baseload.sim.bound import clairvoyant
from baseload.sim.compare import bound_of
from baseload.sim.fluid import simulate
from baseload.sim.policies.clairvoyant import Clairvoyant
from baseload.sim.policies.registry import POLICIES, make_policy
from baseload.sim.policies.sliding_maximum import SlidingMaximum
from baseload.sim.score import cost_by_step

demands = st.lists(st.floats(0.0, 30.0), min_size=4, max_size=40)

# The clairvoyant one knows no bounds, and leaves out what costs less to miss than to serve; baseload has its own tests.
RIVALS = [name for name in POLICIES if name not in {"clairvoyant", "baseload"}]


@pytest.mark.parametrize("name", RIVALS)
@given(demand=demands, lead=st.integers(0, 4), limit=st.none() | st.integers(3, 20))
@settings(max_examples=15, deadline=None)
def test_never_outside_limits(name: str, demand: list[float], lead: int, limit: int | None) -> None:
    """One replica at least, the pool's limit at most, pending ones included."""
    done = simulate(case(demand, pools=[pool(lead, limit=limit)]), make_policy(name))
    # What the first step needs is given, were it nothing.
    assert (done.ready[:, lead + 1 :] >= 1).all()
    if limit is not None:
        assert (done.billed <= limit).all()


@pytest.mark.parametrize("name", RIVALS)
@given(level=st.floats(0.5, 30.0), lead=st.integers(0, 4))
@settings(max_examples=10, deadline=None)
def test_constant_demand_settles(name: str, level: float, lead: int) -> None:
    """After some steps nothing changes any more."""
    done = simulate(case([level] * 80, pools=[pool(lead)]), make_policy(name))
    assert len(np.unique(done.ready[0, 40:])) == 1
    # An HPA tuned in hindsight may leave a little unserved; all others serve everything.
    if name != "hpa-hindsight":
        assert (done.unserved[0, 40:] < 1e-6).all()


@given(demand=demands, lead=st.integers(0, 4), begin=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_the_clairvoyant_policy_costs_its_bound(demand: list[float], lead: int, begin: int) -> None:
    """Played as a policy the cheapest schedule costs what the bound says, once orders can be placed in time."""
    of = case([float(begin)] * (lead + 2) + demand, pools=[pool(lead)])
    assert cost_by_step(simulate(of, Clairvoyant())).sum() == pytest.approx(clairvoyant(of).total)


@given(demand=demands, seed=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_the_clairvoyant_policy_in_two_pools(demand: list[float], seed: int) -> None:
    """A slow pool and a fast dear one: what the programme says, rounded, costs hardly more and never less."""
    pools = [pool(3), pool(seed % 2, price=2.5)]
    of = case([4.0] * 6 + demand, pools=pools)
    done, bound = simulate(of, Clairvoyant()), bound_of(of)
    cost = cost_by_step(done).sum()
    assert bound.total - 1e-6 <= cost
    assert cost <= 1.02 * bound.total + 1e-6, (cost, bound.total)


@given(
    values=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=40),
    lengths=st.lists(st.integers(1, 12), min_size=3, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_the_sliding_maximum_is_the_maximum_of_the_window(values: list[list[int]], lengths: list[int]) -> None:
    """Each series by its own window, against the plain maximum of its newest values."""
    window = SlidingMaximum(np.array(lengths), 3)
    rows = np.array(values)
    for end in range(1, len(rows) + 1):
        plain = [int(rows[max(end - length, 0) : end, series].max()) for series, length in enumerate(lengths)]
        assert window.push(rows[end - 1]).tolist() == plain
