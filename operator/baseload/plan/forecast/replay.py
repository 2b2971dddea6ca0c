"""What every expert's own fleet would have cost: the honest protocol, bucket by bucket."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Integers = NDArray[np.int64]

ROUNDING = 0.25
"""A quarter of a replica of demand is left to the others: measured as better than rounding up."""


def replicas_for(level: NDArray[np.floating], unit: NDArray[np.floating]) -> Array:
    """Return the replicas that carry a level of demand: ceil(level / unit - 0.25), at least 0."""
    return np.maximum(np.ceil(level / unit - ROUNDING), 0.0).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Fleets:
    """Replicas of each serving (row) under each expert (column), all in the same demand.

    `pending[j]` serves from j + 1 bucket ends on: the bucket after the next end for j = 0.
    """

    ready: Array
    pending: tuple[Array, ...]


def begin(ready: NDArray[np.floating], experts: int) -> Fleets:
    """Return fleets that start with `ready` replicas, shape (servings,), whoever leads them."""
    return Fleets(np.repeat(ready.astype(np.float32)[:, None], experts, axis=1), ())


def widened(fleets: Fleets, slots: int) -> Fleets:
    """Return the same fleets with room for orders of a longer lead."""
    empty = np.zeros_like(fleets.ready)
    return Fleets(fleets.ready, fleets.pending + (empty,) * (slots - len(fleets.pending)))


def serve(fleets: Fleets, demand: NDArray[np.floating], penalty: NDArray[np.floating]) -> tuple[Fleets, Array]:
    """Let a bucket pass: what was due arrives, and each fleet costs its replicas, pending ones too, and its shortage.

    `demand` (in replicas) and `penalty` have the shape (servings,); the costs (servings, experts), in replica-buckets.
    """
    ready, pending = fleets.ready, fleets.pending
    if pending:
        ready, pending = ready + pending[0], pending[1:]
    needed = demand.astype(np.float32)[:, None]
    cost = penalty.astype(np.float32)[:, None] * np.maximum(needed - ready, 0.0) + ready
    for ordered in pending:
        cost += ordered
    return Fleets(ready, pending), cost


def decide(fleets: Fleets, order: Array, keep: Array, lead_buckets: Integers) -> Fleets:
    """Order up to `order`, cancel pending beyond it newest first, give back ready ones beyond `keep`.

    `order` and `keep` are replicas (servings, experts); an order of a row arrives `lead_buckets` after the next bucket.
    """
    slots = max(int(lead_buckets.max(initial=0)) + 1, len(fleets.pending))
    pending = list(widened(fleets, slots).pending)
    total = fleets.ready + sum(pending)
    more = order - total
    surplus = np.maximum(-more, 0.0)
    for slot in range(len(fleets.pending) - 1, -1, -1):
        cut = np.minimum(surplus, pending[slot])
        pending[slot] = pending[slot] - cut
        surplus -= cut
    np.maximum(more, 0.0, out=more)
    for lead in np.unique(lead_buckets):
        rows = lead_buckets == lead
        pending[lead] = pending[lead] + np.where(rows[:, None], more, 0.0)
    return Fleets(np.minimum(fleets.ready, keep), tuple(pending))
