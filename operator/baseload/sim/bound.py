"""The least that a case can cost: what somebody would pay who knew all demand before.

One pool: an exact dynamic programme per level. Level k is the replica that serves the part of demand between k and
k + 1; whole replicas of one kind serve lowest levels first, so the levels decide for themselves (Lu, Chen: "Simple and
effective dynamic provisioning", 2011, arXiv:1112.0442).
"""

from dataclasses import dataclass

import numpy as np

from baseload.sim.case import Case, FloatArray, IntArray
from baseload.sim.leads import median_lead_steps

MOST_STATES = 20_000_000
"""Steps times levels kept at once for the way back; more servings are done in parts."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Least cost in each step, (servings, steps), in replica-steps at the price of the first pool, and how.

    `ready` are the replicas of the cheapest schedule, (servings, steps, pools). What a replica cost while it was
    ordered stands in the steps before it serves.
    """

    cost: FloatArray
    ready: FloatArray

    @property
    def total(self) -> float:
        """The least cost of the whole case in replica-steps."""
        return float(self.cost.sum())


def clairvoyant(case: Case) -> Bound:
    """The exact bound of a case with one pool: nothing refused or taken away, leads at their median.

    Replicas of the first step are free to choose. Limits, holds and minimum billing are left out, which only lowers it.
    """
    pool = case.pools[0]
    lead = median_lead_steps(case, pool)
    start_cost = float(lead if pool.pending_billed else 0)
    levels = max(int(np.ceil(case.world.max(initial=0.0))), 1)
    part = max(MOST_STATES // (case.world.shape[1] * levels), 1)
    ready = np.concatenate(
        [
            level_schedule(case.world[first : first + part], start_cost, case.penalty)
            for first in range(0, len(case.world), part)
        ]
    )
    return Bound(_costs(case.world, ready, lead, start_cost, case.penalty), ready[:, :, None].astype(float))


def level_schedule(world: FloatArray, start_cost: float, penalty: float) -> IntArray:
    """Replicas of the cheapest schedule, (servings, steps), for demand of the same shape.

    A replica costs 1 a step, switching one on `start_cost` more, work that none serves `penalty`.
    """
    servings, steps = world.shape
    levels = np.arange(max(int(np.ceil(world.max(initial=0.0))), 1))
    on, off = np.zeros((2, servings, len(levels)))
    was_off = np.empty((steps, servings, len(levels)), dtype=np.bool_)
    was_on = np.empty_like(was_off)
    for step, demand in enumerate(world.T):
        missed = penalty * np.clip(demand[:, None] - levels, 0.0, 1.0)
        switched = off + start_cost
        was_off[step] = switched < on
        was_on[step] = on < off
        on, off = np.minimum(on, switched) + 1.0, np.minimum(on, off) + missed
    state = on < off
    ready = np.empty((steps, servings), dtype=np.int64)
    for step in range(steps - 1, -1, -1):
        ready[step] = state.sum(axis=1)
        state = np.where(state, ~was_off[step], was_on[step])
    return ready.T


def _costs(world: FloatArray, ready: IntArray, lead: int, start_cost: float, penalty: float) -> FloatArray:
    """Cost of a schedule step by step, the orders' in the `lead` steps before they serve."""
    cost = ready + penalty * np.maximum(world - ready, 0.0)
    if start_cost > 0:
        ordered = np.maximum(np.diff(ready, axis=1), 0)
        for ahead in range(1, lead + 1):
            # Orders of the first steps were placed before the first step; they are charged there.
            at = np.maximum(np.arange(1, world.shape[1]) - ahead, 0)
            np.add.at(cost.T, at, ordered.T)
    return cost
