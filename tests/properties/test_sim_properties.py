"""What must hold in every replay, whatever the pools and the policy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from replays import STEP_SECONDS, Following, Scripted, case, pool

from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case, Lead, SimPool, Span
from baseload.sim.fluid import simulate
from baseload.sim.lp_bound import lp_bound
from baseload.sim.score import cost_by_step

STEPS = 24


@st.composite
def any_pool(draw: st.DrawFn) -> SimPool:
    """A pool with any of its features."""
    p50 = draw(st.sampled_from([0.0, 120.0, 600.0, 1800.0]))
    return SimPool(
        lead=Lead(p50, p50 * draw(st.sampled_from([1.0, 2.5]))),
        price=draw(st.sampled_from([1.0, 2.5])),
        pending_billed=draw(st.booleans()),
        min_billing_seconds=draw(st.sampled_from([0.0, 1800.0])),
        hold_seconds=draw(st.sampled_from([0.0, 1200.0])),
        limit=draw(st.none() | st.integers(0, 12)),
        stockouts=draw(st.sampled_from([(), (Span(1000.0, 4000.0),)])),
        fill_share=draw(st.sampled_from([1.0, 0.5])),
        preemptions_per_hour=draw(st.sampled_from([0.0, 0.5])),
        joint_loss_share=draw(st.sampled_from([0.0, 0.3])),
    )


@st.composite
def any_case(draw: st.DrawFn) -> Case:
    """One to three servings with any demand, in one or two pools."""
    seed = draw(st.integers(0, 2**16))
    demand = np.random.default_rng(seed).gamma(1.5, 3.0, (draw(st.integers(1, 3)), STEPS))
    return case(*demand, pools=draw(st.lists(any_pool(), min_size=1, max_size=2)), seed=seed)


@st.composite
def any_script(draw: st.DrawFn) -> Scripted:
    """Any numbers to order up to and to keep."""
    numbers = st.lists(st.integers(0, 15), min_size=STEPS, max_size=STEPS)
    return Scripted(draw(numbers), draw(numbers))


@settings(max_examples=60, deadline=None)
@given(any_case(), any_script())
def test_numbers_stay_possible(any_world: Case, script: Scripted) -> None:
    """Nothing is negative, ready replicas are billed, limits hold, and all work is served or counted as missing."""
    done = simulate(any_world, script)
    assert (done.ready >= 0).all()
    assert (done.billed >= done.ready).all()
    for index, one in enumerate(any_world.pools):
        if one.limit is not None:
            assert (done.ready[:, :, index].sum(axis=0) <= one.limit).all()
    served = any_world.world - done.unserved
    assert (done.unserved >= 0).all()
    assert (served <= done.ready.sum(axis=2) + 1e-9).all()
    full = done.ready.sum(axis=2) >= any_world.world
    assert (done.unserved[full] == 0).all()


@settings(max_examples=40, deadline=None)
@given(any_case(), any_script())
def test_the_same_replay_twice_is_the_same(any_world: Case, script: Scripted) -> None:
    """Leads, losses and stockouts depend on the seed alone."""
    one, two = simulate(any_world, script), simulate(any_world, script)
    assert (one.ready == two.ready).all()
    assert (one.billed == two.billed).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(0, 4), any_script())
def test_no_policy_costs_less_than_the_bound(seed: int, lead: int, script: Scripted) -> None:
    """Whatever is ordered when, the clairvoyant pays no more; with two pools the programme pays no more."""
    demand = np.random.default_rng(seed).gamma(1.5, 3.0, (2, STEPS))
    one = case(*demand, pools=[pool(lead)])
    assert cost_by_step(simulate(one, script)).sum() >= clairvoyant(one).total - 1e-6
    two = case(*demand, pools=[pool(lead), pool(0, price=2.5, hold_seconds=2 * STEP_SECONDS)])
    assert cost_by_step(simulate(two, script)).sum() >= lp_bound(two).total - 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(0, 4))
def test_one_pool_agrees_with_the_protocol_written_plainly(seed: int, lead: int) -> None:
    """The vectorised world pays what a dozen plain lines for one serving pay, order by order."""
    demand = np.random.default_rng(seed).gamma(2.0, 4.0, STEPS)
    one = case(demand, pools=[pool(lead)])
    done = simulate(one, Following(lambda newest: np.ceil(newest / 0.8)))
    assert np.isclose(cost_by_step(done).sum(), plainly(demand, lead, one.penalty))


def plainly(demand: np.ndarray, lead: int, penalty: float) -> float:
    """Cost of ordering and keeping `ceil(demand / 0.8)`, one order list and no arrays."""
    ready, pending, cost = int(np.ceil(demand[0])), [0] * (lead + 1), 0.0
    for now in demand:
        ready += pending.pop(0)
        pending.append(0)
        cost += ready + sum(pending) + penalty * max(0.0, now - ready)
        wanted = int(np.ceil(now / 0.8))
        missing = wanted - ready - sum(pending)
        if missing > 0:
            pending[-1] += missing
        for index in range(lead, -1, -1):
            cut = min(max(-missing, 0), pending[index])
            pending[index] -= cut
            missing += cut
        ready = min(ready, wanted)
    return cost
