"""What the tick orders in each pool of a serving: nothing, without a slow and a fast one that it can order from."""

from dataclasses import replace
from math import inf

from baseload.plan.capacity import Capacity, replicas_for_level
from baseload.plan.outlook import Outlook
from baseload.plan.placement.cascade import Need, PoolOrder, Tier, cascade, pools_by_speed
from baseload.plan.snapshot import PoolState, ScaledReplicas, ServingState


def pool_orders(state: ServingState, outlook: Outlook | None, capacity: Capacity | None) -> tuple[PoolOrder, ...]:
    """Orders for the two pools of the cascade, the slow one first; empty while anything about them is unknown.

    A rented pool whose price is unknown is no burst pool: it is never used for money that nobody has named.
    """
    known = [(pool, pool.scaled) for pool in state.pools if pool.scaled is not None]
    if outlook is None or outlook.near is None or capacity is None or len(known) < 2:
        return ()
    leads = [_lead_seconds(pool) for pool, _ in known]
    prices = [inf if pool.cost_per_replica_hour is None else pool.cost_per_replica_hour for pool, _ in known]
    if inf in leads or inf in prices:
        return ()
    chosen = pools_by_speed(leads, prices)
    if chosen is None:
        return ()
    base, burst = (_tier(*known[index]) for index in chosen)
    most = state.spec.max_replicas
    order, keep, near = (_in_replicas(capacity, level, most) for level in (outlook.order, outlook.keep, outlook.near))
    slow, fast = cascade(base, burst, Need(order, keep, near))
    # At the largest number allowed, what serves in minutes comes before what serves later.
    within = max(min(slow.order, most - fast.order), min(base.ready, slow.keep))
    return replace(slow, order=within), fast


def _lead_seconds(pool: PoolState) -> float:
    lead = pool.offer.lead_p50_seconds
    return inf if lead is None else lead


def _tier(pool: PoolState, scaled: ScaledReplicas) -> Tier:
    return Tier(pool.name, scaled.ready, scaled.soon, scaled.most)


def _in_replicas(capacity: Capacity, level: float, most: int) -> float:
    """A level of demand in output tokens per second as replicas, not rounded, at most the serving's largest number."""
    about = max(replicas_for_level(capacity, level, most), 1)
    return min(level * capacity.law.slope_seconds / capacity.load_at(about), float(most))
