"""One serving on a slow, cheap pool and a fast, dearer one: the slow carries what can be foreseen, the fast the rest.

The base is ordered and kept by the mixture at the base's lead, as if it were alone, but a replica that it misses costs
what the burst pool takes instead. The burst pool is ordered for what demand may reach by the time its order serves,
beyond what the base will have by then. Nothing of the base is given back that the burst pool would have to replace at
once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SPARE = 0.25
"""A quarter of a replica short is cheaper than a whole one more: base replicas are rounded by it."""
NEVER = 1_000_000
"""Stands for no limit, in replicas."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One of the two pools, in replicas: what is ready, and what of the ordered serves when a fast order would.

    `most` bounds ready and ordered together.
    """

    name: str
    ready: int
    soon: int
    most: int = NEVER


@dataclass(frozen=True, slots=True)
class Need:
    """Demand in replicas: to order the base up to, to keep of it, and what it may reach when a fast order serves."""

    order: float
    keep: float
    near: float


@dataclass(frozen=True, slots=True)
class PoolOrder:
    """What one pool is to have: ready ones beyond `keep` go, ready and pending together are ordered up to `order`.

    `message` says why, with numbers.
    """

    pool: str
    order: int
    keep: int
    message: str


def cascade(base: Tier, burst: Tier, need: Need) -> tuple[PoolOrder, PoolOrder]:
    """Orders of the slow and of the fast pool for one serving."""
    tiers = np.array([[[tier.ready, tier.soon, tier.most] for tier in (base, burst)]])
    orders, keeps = cascades(tiers, *(np.array([level]) for level in (need.order, need.keep, need.near)))
    carried = min(base.ready, int(keeps[0, 0])) + base.soon
    return (
        PoolOrder(base.name, int(orders[0, 0]), int(keeps[0, 0]), _base_words(base, need)),
        PoolOrder(burst.name, int(orders[0, 1]), int(keeps[0, 1]), _burst_words(carried, need)),
    )


def cascades(tiers: IntArray, order: FloatArray, keep: FloatArray, near: FloatArray) -> tuple[IntArray, IntArray]:
    """Orders and keeps (servings, 2), the slow pool first, for many servings.

    `tiers` (servings, 2, 3) holds ready, soon and most of both; the levels have the shape (servings,).
    """
    ready, soon, most = (tiers[:, 0, index] for index in range(3))
    needed = np.ceil(near).astype(np.int64)
    kept = np.maximum(_whole(keep), needed)
    ordered = np.maximum(_whole(order), np.minimum(ready, kept))
    # Ready burst replicas stay until the base is ready, not until it should be: make before break.
    now = needed - np.minimum(ready, kept)
    held = np.clip(now, 0, tiers[:, 1, 2])
    burst = np.maximum(np.clip(now - soon, 0, tiers[:, 1, 2]), np.minimum(held, tiers[:, 1, 0]))
    orders = np.stack([np.minimum(ordered, most), burst], axis=1)
    return orders, np.stack([np.minimum(kept, most), held], axis=1)


def _whole(level: FloatArray) -> IntArray:
    return np.ceil(level - SPARE).astype(np.int64)


def _base_words(base: Tier, need: Need) -> str:
    return f"{ceil(need.order - SPARE)} carry the demand foreseen at this pool's lead; {base.ready} are ready"


def _burst_words(carried: int, need: Need) -> str:
    return f"demand may reach {need.near:.1f} replicas before an order here serves; {carried} of the base will be there"


def pools_by_speed(leads: Sequence[float], prices: Sequence[float]) -> tuple[int, int] | None:
    """Which pool is the base and which the burst: the cheapest, and the fastest that is faster and dearer than it."""
    base = min(range(len(prices)), key=lambda index: (prices[index], leads[index]))
    faster = [i for i in range(len(leads)) if leads[i] < leads[base] and prices[i] > prices[base]]
    if not faster:
        return None
    return base, min(faster, key=lambda index: (prices[index], leads[index]))
