"""What placement is given: servings, pools, what is there now, and demand in scenarios over a horizon of steps.

Money is in one currency; only ratios matter. All steps are equally long; step 0 is the next one. What is removed goes
at once, what is ordered comes after its lead and is billed from the order on.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from baseload.plan.outlook import Answer

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NO_LIMIT = 1_000_000
"""Stands for "as many as one likes" in bounds of nodes."""


@dataclass(frozen=True, slots=True, eq=False)
class ServingTerms:
    """Arrays of shape (servings,).

    `least` and `most` bound the replicas in all pools together. `shortage_cost` is money per hour and unit of demand
    that finds no capacity, by the serving's PriorityClass. `hourly_budget` bounds what the serving spends an hour in
    pools that are burst, inf without (`burst.maxHourlyCost`).
    """

    least: IntArray
    most: IntArray
    shortage_cost: FloatArray
    hourly_budget: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PoolTerms:
    """Arrays of shape (pools,); `pending_nodes` and `paid_nodes` have the shape (pools, steps).

    Nodes come in units of `unit_nodes`, after `lead_steps`. `pending_nodes` are those ordered that come at a step.
    `hourly` is the price of a node-hour as the bill shows it, which budgets count; `avoidable_hourly` is what of it
    is saved without the node. `paid_nodes` are paid at a step whether they are there or not: a commitment, or the rest
    of a minimum billing. A new node is paid for `least_billed_steps` at least.
    """

    accelerators_per_node: IntArray
    unit_nodes: IntArray
    nodes: IntArray
    pending_nodes: IntArray
    least_nodes: IntArray
    most_nodes: IntArray
    lead_steps: IntArray
    hourly: FloatArray
    avoidable_hourly: FloatArray
    hourly_budget: FloatArray
    paid_nodes: IntArray
    least_billed_steps: IntArray
    is_burst: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """What each serving has and could have in each pool, arrays of shape (servings, pools).

    `capacity` is the demand that one replica serves inside the objective, `accelerators` what it holds. `usable` is
    False where the poolSelector, the pool's tenants or the pods themselves rule the pool out. `pending` (servings,
    pools, steps) are replicas ordered that serve from a step on. A replica on a node that is there serves after
    `start_up_steps`; `start_up_cost` is money per start beside the node.
    """

    capacity: FloatArray
    accelerators: IntArray
    usable: BoolArray
    ready: IntArray
    pending: IntArray
    start_up_steps: IntArray
    start_up_cost: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Futures that may come: `demand` (scenarios, servings, steps), `probability` (scenarios,) that adds up to one.

    `survival` (scenarios, pools) is the share of a pool's replicas that is not taken away: spot nodes of one kind go
    together, so their losses are scenarios and no independent chances.
    """

    demand: FloatArray
    probability: FloatArray
    survival: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PlacementProblem:
    """One question to placement; `move_hours` is what moving a replica costs, in hours of that replica."""

    servings: ServingTerms
    pools: PoolTerms
    fleet: Fleet
    scenarios: Scenarios
    step_hours: float
    move_hours: float = 0.2

    @property
    def node_share(self) -> FloatArray:
        """Nodes that one replica takes, (servings, pools): one over the replicas of a node, or the nodes of a replica.

        Exact for sizes that divide one another.
        """
        per_node = self.pools.accelerators_per_node[None, :]
        each = np.maximum(self.fleet.accelerators, 1)
        return np.where(each <= per_node, 1.0 / np.maximum(per_node // each, 1), np.ceil(each / per_node))

    @property
    def node_bounds(self) -> tuple[IntArray, IntArray]:
        """Least and most nodes of each pool that its limits and its hourly budget allow."""
        pools = self.pools
        with np.errstate(divide="ignore", invalid="ignore"):
            affordable = np.where(pools.hourly > 0, pools.hourly_budget / pools.hourly, np.inf)
        most = np.minimum(pools.most_nodes, np.floor(np.minimum(affordable, NO_LIMIT) + 1e-9)).astype(np.int64)
        return np.minimum(pools.least_nodes, most), most

    @property
    def lead_steps(self) -> IntArray:
        """Steps until a replica ordered now serves at the latest, (servings, pools): its node may come first."""
        grows = self.node_bounds[1] > self.pools.nodes
        return self.fleet.start_up_steps + np.where(grows, self.pools.lead_steps, 0)

    def in_units(self, money: FloatArray) -> FloatArray:
        """Money as a multiple of the largest price, without the last digits: the currency changes nothing at all."""
        costs = np.concatenate((self.pools.avoidable_hourly, self.servings.shortage_cost))
        return np.round(money / (float(costs.max(initial=0.0)) or 1.0), 12)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """The answer: arrays of shape (servings, pools), `nodes` (pools,), `shortage` (servings,).

    Ready replicas beyond `keep` go; ready and pending together are ordered up to `order`; so are nodes up to `nodes`.
    `shortage` is the demand expected to find no capacity once what is ordered has come.
    """

    order: IntArray
    keep: IntArray
    nodes: IntArray
    shortage: FloatArray
    answered_by: Answer
    cost_per_hour: float = field(default=0.0)
