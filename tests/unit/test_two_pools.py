"""Two pools in a replay: who carries what, and what the policy knows of its own orders."""

import numpy as np
import pytest

from baseload.errors import ConfigError
from baseload.sim.case import Case, FloatArray, Lead, SimPool, Span
from baseload.sim.fluid import simulate
from baseload.sim.policies.registry import make_policy
from baseload.sim.policies.two_pools import TwoPools

POOLS = (
    SimPool("base", 1.0, Lead(1800.0, 1800.0)),
    SimPool("burst", 2.5, Lead(120.0, 120.0), hold_seconds=240.0),
)


def _case(demand: FloatArray, pools: tuple[SimPool, ...] = POOLS) -> Case:
    return Case("two", 120.0, demand, demand, pools, steps_per_day=720)


def test_a_jump_is_carried_by_the_fast_pool_until_the_slow_one_comes() -> None:
    """Demand jumps from 10 to 16: burst after its lead of a step, base half an hour later, then no burst is paid."""
    demand = np.full((1, 300), 10.0)
    demand[0, 100:] = 16.0
    trajectory = simulate(_case(demand), TwoPools())
    assert trajectory.ready[0, 103, 1] >= 4
    assert trajectory.unserved[0, 104:].max() == pytest.approx(0.0)
    assert trajectory.ready[0, 150:, 0].min() >= 16
    assert trajectory.billed[0, 150:, 1].max() == 0


def test_orders_that_never_come_are_made_good_by_the_fast_pool() -> None:
    """A base out of stock from the jump on: the burst pool carries all that is missing."""
    demand = np.full((1, 300), 10.0)
    demand[0, 100:] = 16.0
    pools = (SimPool("base", 1.0, Lead(1800.0, 1800.0), stockouts=(Span(11_000.0, 40_000.0),)), POOLS[1])
    trajectory = simulate(_case(demand, pools), TwoPools())
    assert trajectory.unserved[0, 104:].max() == pytest.approx(0.0)
    assert trajectory.ready[0, 299].sum() >= 16


def test_a_gap_changes_nothing() -> None:
    """While nothing is known of demand the levels of before hold."""
    told = np.full((1, 200), 10.0)
    world = told.copy()
    told[0, 120:140] = np.nan
    case = Case("gap", 120.0, told, world, POOLS, steps_per_day=720)
    trajectory = simulate(case, TwoPools())
    assert trajectory.unserved.max() == pytest.approx(0.0)
    assert trajectory.ready[0, 119:160].sum(axis=1).max() == trajectory.ready[0, 119:160].sum(axis=1).min()


def test_a_second_pool_must_be_faster_and_dearer() -> None:
    """Two pools of one lead are no cascade, and the error says what is wrong with the case."""
    pools = (POOLS[0], SimPool("other", 2.5, Lead(1800.0, 1800.0)))
    with pytest.raises(ConfigError, match="faster"):
        simulate(_case(np.full((1, 10), 3.0), pools), TwoPools())


def test_baseload_uses_the_fast_pool_where_there_is_one() -> None:
    """One name for any case: with two pools both carry demand, with one the first alone."""
    demand = np.full((1, 120), 10.0)
    demand[0, 80:] = 16.0
    assert simulate(_case(demand), make_policy("baseload")).ready[0, 90, 1] > 0
    alone = simulate(_case(demand, POOLS[:1]), make_policy("baseload"))
    assert alone.policy == "baseload"
    assert alone.ready[0, 119, 0] >= 16
