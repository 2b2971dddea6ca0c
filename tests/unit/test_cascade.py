"""A slow and a fast pool for one serving: the arithmetic by hand, and what is learned of the next minutes."""

from dataclasses import replace

import numpy as np
import pytest
import worlds

from baseload.plan.capacity import capacity_of
from baseload.plan.outlook import Answer, Outlook
from baseload.plan.placement import near as nearby
from baseload.plan.placement.cascade import Need, PoolOrder, Tier, cascade, pools_by_speed
from baseload.plan.planner import plan
from baseload.plan.pool_offer import PoolOffer
from baseload.plan.snapshot import PoolState, ScaledReplicas

BASE, BURST = Tier("base", ready=10, soon=0), Tier("burst", ready=0, soon=0)


def _numbers(orders: tuple[PoolOrder, PoolOrder]) -> list[tuple[str, int, int]]:
    return [(order.pool, order.order, order.keep) for order in orders]


def test_the_burst_pool_covers_what_the_base_will_not_have_in_time() -> None:
    """12.4 needed soon, 10 ready and 1 that comes in time: two in the burst pool, 14 ordered of the base."""
    base = replace(BASE, soon=1)
    assert _numbers(cascade(base, BURST, Need(14.0, 9.0, 12.4))) == [("base", 14, 13), ("burst", 2, 3)]


def test_burst_stays_until_the_base_is_ready() -> None:
    """Five of the base are about to come: the five ready burst replicas stay, and pending ones are cancelled."""
    base, burst = replace(BASE, soon=5), replace(BURST, ready=5)
    assert _numbers(cascade(base, burst, Need(15.0, 15.0, 15.0)))[1] == ("burst", 5, 5)
    assert _numbers(cascade(base, BURST, Need(15.0, 15.0, 15.0)))[1] == ("burst", 0, 5)


def test_the_base_is_not_given_back_where_the_burst_pool_would_replace_it() -> None:
    """Ten are ready, seven are to be kept, nine may be needed in two minutes: nine stay, and no burst."""
    assert _numbers(cascade(BASE, BURST, Need(7.0, 7.0, 8.6))) == [("base", 9, 9), ("burst", 0, 0)]


def test_burst_ends_when_the_base_has_come() -> None:
    """All that may be needed is there: nothing is kept in the dearer pool."""
    burst = replace(BURST, ready=3)
    assert _numbers(cascade(BASE, burst, Need(9.0, 9.0, 9.9)))[1] == ("burst", 0, 0)


def test_a_quarter_of_a_base_replica_is_spared() -> None:
    """9.2 replicas of foreseen demand are nine, what must be served in minutes is rounded up."""
    assert _numbers(cascade(BASE, BURST, Need(11.2, 9.2, 0.0)))[0] == ("base", 11, 9)
    assert _numbers(cascade(BASE, BURST, Need(9.2, 9.2, 10.1)))[1] == ("burst", 1, 1)


def test_both_pools_stay_inside_their_limits() -> None:
    """A base of at most 11 and a burst of at most 2."""
    base, burst = replace(BASE, most=11), replace(BURST, most=2)
    assert _numbers(cascade(base, burst, Need(20.0, 20.0, 18.0))) == [("base", 11, 11), ("burst", 2, 2)]


def test_the_base_is_the_cheapest_pool_and_the_burst_the_next_that_is_faster() -> None:
    """Of three faster ones the cheapest; a slower or a cheaper one is no burst pool."""
    assert pools_by_speed([1800, 120, 60], [1.0, 2.5, 4.0]) == (0, 1)
    assert pools_by_speed([1800, 3600], [1.0, 2.5]) is None
    assert pools_by_speed([120, 1800], [1.0, 2.5]) is None


def test_what_demand_does_in_minutes_is_learned_from_its_own_steps() -> None:
    """Demand that doubles every tenth step is covered in nineteen of twenty cases, and calm demand stays near."""
    random = np.random.default_rng(3)
    calm = 20.0 + random.normal(0.0, 0.1, 900)
    jumpy = np.where(random.random(900) < 0.1, 40.0, 20.0)
    demand = np.stack([calm, jumpy])
    near = nearby.begin(np.ones(2), ahead=2, span=2)
    levels = np.empty((2, 900))
    for step in range(900):
        near = nearby.learned(near, demand[:, : step + 1])
        levels[:, step] = nearby.levels(near, demand[:, : step + 1])
    future = np.maximum(demand[:, 2:-1], demand[:, 3:])
    covered = (future <= 1.01 * levels[:, :-3])[:, 100:].mean(axis=1)
    assert (covered > 0.93).all()
    assert levels[0, 100:].max() < 21.0


def test_a_gap_is_neither_learned_from_nor_answered() -> None:
    """NaN now is NaN; a hole in the past changes nothing that can be seen."""
    demand = np.full((1, 200), 10.0)
    demand[0, 50:60] = np.nan
    near = nearby.learned(nearby.begin(np.ones(1), 2, 2), demand)
    assert nearby.levels(near, demand)[0] == pytest.approx(10.0, rel=0.02)
    demand[0, -1] = np.nan
    assert np.isnan(nearby.levels(near, demand)[0])


def _outlook(near: float | None) -> Outlook:
    """Eight replicas' worth to order and seven to keep, levels by the capacity of a replica in the worlds of tests."""
    each = _tokens_per_replica()
    return Outlook(
        time=worlds.NOW,
        seen_until=worlds.NOW,
        order=8.0 * each,
        keep=7.0 * each,
        upper=1e9,
        horizon_seconds=2400.0,
        quantile=0.9,
        band=None,
        answered_by=Answer.MIXTURE,
        near=None if near is None else near * each,
    )


def _tokens_per_replica() -> float:
    capacity = capacity_of(worlds.learned_model(), worlds.spec())
    assert capacity is not None
    return capacity.load_at(8) / capacity.law.slope_seconds


def _pool(name: str, lead: float, price: float | None, ready: int | None) -> PoolState:
    offer = PoolOffer(lead_p50_seconds=lead, lead_p95_seconds=lead)
    scaled = None if ready is None else ScaledReplicas(ready, 0, 16)
    return PoolState(name, "L40S", 1, 8, 4, price, offer, scaled)


def _orders(near: float | None, *pools: PoolState) -> list[tuple[str, int, int]]:
    decision = plan(worlds.snapshot(worlds.state(wanted=6, outlook=_outlook(near), pools=pools)))[0]
    return [(order.pool, order.order, order.keep) for order in decision.pools]


def test_the_decision_orders_in_two_pools_that_can_be_ordered_from() -> None:
    """Six ready of a slow pool, 7.6 may be needed in minutes: eight of the base, two of the fast one until then."""
    pools = _pool("burst", 120.0, 2.5, 0), _pool("base", 1800.0, 1.0, 6)
    assert _orders(7.6, *pools) == [("base", 8, 8), ("burst", 2, 2)]


def test_nothing_is_ordered_where_anything_is_unknown() -> None:
    """No near level, no price, or a pool that Baseload does not order from: no order at all."""
    base, burst = _pool("base", 1800.0, 1.0, 6), _pool("burst", 120.0, 2.5, 0)
    assert _orders(None, base, burst) == []
    assert _orders(7.6, base, _pool("burst", 120.0, None, 0)) == []
    assert _orders(7.6, base, _pool("burst", 120.0, 2.5, None)) == []


def test_at_the_largest_number_what_serves_in_minutes_comes_first() -> None:
    """Sixteen at most: six ready of the base, demand for sixteen now: ten of the fast pool, the base is not ordered."""
    pools = _pool("base", 1800.0, 1.0, 6), _pool("burst", 120.0, 2.5, 0)
    orders = _orders(40.0, *pools)
    assert orders == [("base", 6, 16), ("burst", 10, 10)]
