"""What a programme ranges over: usable pairs of serving and pool, and the steps that it looks at."""

from dataclasses import dataclass

import numpy as np

from baseload.plan.placement.problem import BoolArray, FloatArray, IntArray, PlacementProblem


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The steps a model looks at, how many hours each stands for, and the most replicas of each pair, (pairs,).

    `integer`: what is decided now is whole, and recourse is not modelled but priced. `unserved_price` (servings, steps)
    is that of an hour and unit of demand left over; `credit` (pairs,) and `unit_credit` (pools,) are what a replica and
    a unit of nodes are worth after the last step, `bound_price` (pools, steps) what a unit ordered for a step still has
    to pay after the last one by its minimum billing. All in units of money.
    """

    steps: IntArray
    hours: FloatArray
    most: FloatArray
    integer: bool
    unserved_price: FloatArray
    credit: FloatArray
    unit_credit: FloatArray
    bound_price: FloatArray

    def arrival(self, lead: IntArray) -> IntArray:
        """Which of the steps is the first at which an order of now serves, the last one when none is."""
        return np.minimum(np.searchsorted(self.steps, lead), self.steps.size - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Serving, pool and lead in steps of each usable pair, (pairs,); `pool_lead` is the longest of a pool, (pools,)."""

    serving: IntArray
    pool: IntArray
    lead: IntArray
    pool_lead: IntArray


def pairs_of(problem: PlacementProblem) -> Pairs:
    """Usable pairs of serving and pool, by serving."""
    serving, pool = np.nonzero(problem.fleet.usable & (problem.fleet.capacity > 0))
    lead = problem.lead_steps[serving, pool]
    pool_lead = np.zeros_like(problem.pools.lead_steps)
    np.maximum.at(pool_lead, pool, lead)
    idle = np.setdiff1d(np.arange(pool_lead.size), pool)
    pool_lead[idle] = pool_lead.max(initial=0)
    return Pairs(serving, pool, lead, pool_lead)


def is_recourse(pairs: Pairs, steps: IntArray) -> BoolArray:
    """Where numbers are decided later, knowing more, (pools, steps): the fastest pools' beyond their lead."""
    fastest = (pairs.pool_lead == pairs.pool_lead.min()) & (pairs.pool_lead < pairs.pool_lead.max())
    recourse: BoolArray = fastest[:, None] & (steps[None, :] > pairs.pool_lead[:, None])
    return recourse


def is_bound(problem: PlacementProblem, steps: IntArray, ordered_for: IntArray) -> BoolArray:
    """Whether a node that came at one step is still paid for at another, (pools, steps, steps it came at)."""
    age = steps[:, None] - ordered_for[None, :]
    bound: BoolArray = (age >= 0) & (age < problem.pools.least_billed_steps[:, None, None])
    return bound
