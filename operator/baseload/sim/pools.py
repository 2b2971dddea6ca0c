"""From a CapacityPool as an admin writes it to a pool of a replay."""

from collections.abc import Mapping

from baseload.api.models import CapacityPool
from baseload.api.pool_terms import CostUnit
from baseload.errors import ConfigError
from baseload.sim.case import Lead, SimPool


def sim_pools(
    pools: Mapping[str, CapacityPool], *, accelerators: int = 1, lead_seconds: float = 600.0
) -> tuple[SimPool, ...]:
    """Return the pools in their order for replicas of so many `accelerators`; the first is where rivals order.

    A pool that says no lead time has `lead_seconds`. With several pools all must have a price, or none of them.
    """
    prices = {name: _hourly(pool, accelerators) for name, pool in pools.items()}
    unpriced = [name for name, price in prices.items() if price is None]
    if unpriced and len(unpriced) < len(pools):
        raise ConfigError(f"CapacityPool {unpriced[0]!r}: spec.cost is missing and others have it; give all a price")
    return tuple(_sim_pool(name, pool, prices[name], accelerators, lead_seconds) for name, pool in pools.items())


def has_prices(pools: Mapping[str, CapacityPool]) -> bool:
    """Whether the replay of these pools is in money, and not only in replica-hours."""
    return bool(pools) and all(pool.spec.cost is not None for pool in pools.values())


def _sim_pool(name: str, pool: CapacityPool, price: float | None, accelerators: int, lead_seconds: float) -> SimPool:
    spec = pool.spec
    told = spec.lead_time
    lead = Lead(lead_seconds, lead_seconds) if told is None else Lead(told.p50_seconds, told.p95_seconds)
    limit = None if spec.limits is None else _replicas(spec.limits.max_nodes, spec.accelerator.per_node, accelerators)
    if limit == 0:
        raise ConfigError(f"CapacityPool {name!r}: spec.limits.maxNodes has no room for one replica; raise it")
    return SimPool(
        name=name,
        price=1.0 if price is None else price,
        lead=lead,
        min_billing_seconds=float((spec.cost and spec.cost.min_billing_seconds) or 0),
        hold_seconds=float(spec.hold.minimum_seconds if spec.hold else 0),
        limit=limit,
    )


def _hourly(pool: CapacityPool, accelerators: int) -> float | None:
    """What a replica-hour costs on the margin, None without a price."""
    cost = pool.spec.cost
    if cost is None:
        return None
    hourly = float(cost.hourly if cost.avoidable_hourly is None else cost.avoidable_hourly)
    share = accelerators / pool.spec.accelerator.per_node if cost.per is CostUnit.NODE else accelerators
    return hourly * share


def _replicas(nodes: int, per_node: int, accelerators: int) -> int:
    """Replicas that fit: several on a node, or several nodes for one."""
    return nodes * (per_node // accelerators) if accelerators <= per_node else nodes // -(-accelerators // per_node)
