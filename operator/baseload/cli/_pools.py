"""The pools of a replay from a file of CapacityPools, and what their money is."""

from collections.abc import Mapping
from pathlib import Path

from baseload.api.models import CapacityPool
from baseload.cli._manifests import read_manifests
from baseload.errors import ConfigError
from baseload.sim.case import Lead, SimPool
from baseload.sim.money import Money
from baseload.sim.pools import has_prices, sim_pools


def read_pools(path: Path | None, lead_seconds: float, accelerators: int = 1) -> tuple[tuple[SimPool, ...], Money]:
    """Return the pools of a file for replicas of so many accelerators; without a file one pool without a price."""
    if path is None:
        return (SimPool(lead=Lead(lead_seconds, lead_seconds)),), Money()
    found = read_manifests([path]).pools
    if not found:
        raise ConfigError(f"--pools {path}: there is no CapacityPool in it")
    return pools_of(found, lead_seconds, accelerators)


def pools_of(
    found: Mapping[str, CapacityPool], lead_seconds: float, accelerators: int
) -> tuple[tuple[SimPool, ...], Money]:
    """Return the pools for replicas of so many accelerators, and the price of a replica in the first."""
    pools = sim_pools(found, accelerators=accelerators, lead_seconds=lead_seconds)
    return pools, Money(pools[0].price, "$") if has_prices(found) else Money()
