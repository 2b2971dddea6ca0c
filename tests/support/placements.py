"""Placement problems by hand: one serving of one kind in plain pools, and whatever a test changes."""

from dataclasses import dataclass, replace

import numpy as np

from baseload.plan.placement.problem import (
    NO_LIMIT,
    Fleet,
    PlacementProblem,
    PoolTerms,
    Scenarios,
    ServingTerms,
)


@dataclass(frozen=True)
class PoolSketch:
    """A pool in few words; a replica serves one unit of demand and takes one accelerator unless the test says else."""

    price: float = 1.0
    hourly: float | None = None
    nodes: int = 0
    most: int = NO_LIMIT
    per_node: int = 1
    unit: int = 1
    lead: int = 0
    paid: int = 0
    budget: float = np.inf
    least_billed: int = 0
    is_burst: bool = False


def problem(
    demand: list[list[list[float]]],
    pools: list[PoolSketch],
    *,
    probability: list[float] | None = None,
    survival: list[list[float]] | None = None,
    capacity: list[list[float]] | None = None,
    accelerators: list[list[int]] | None = None,
    ready: list[list[int]] | None = None,
    shortage_cost: list[float] | None = None,
    least: int = 0,
    most: int = 1000,
    budget: list[float] | None = None,
    move_hours: float = 0.2,
) -> PlacementProblem:
    """A problem from demand (scenarios, servings, steps) and pools; steps of an hour."""
    wanted = np.array(demand, float)
    scenarios, servings, steps = wanted.shape
    shape, alike = (servings, len(pools)), [1.0 / scenarios] * scenarios
    return PlacementProblem(
        ServingTerms(
            least=np.full(servings, least),
            most=np.full(servings, most),
            shortage_cost=np.array(shortage_cost or [20.0] * servings),
            hourly_budget=np.array(budget or [np.inf] * servings),
        ),
        _pool_terms(pools, steps),
        Fleet(
            capacity=np.array(capacity, float) if capacity else np.ones(shape),
            accelerators=np.array(accelerators) if accelerators else np.ones(shape, int),
            usable=np.ones(shape, bool),
            ready=np.array(ready) if ready else np.zeros(shape, int),
            pending=np.zeros((*shape, steps), int),
            start_up_steps=np.zeros(shape, int),
            start_up_cost=np.zeros(shape),
        ),
        Scenarios(wanted, np.array(probability or alike), np.array(survival or [[1.0] * len(pools)] * scenarios)),
        step_hours=1.0,
        move_hours=move_hours,
    )


def _pool_terms(pools: list[PoolSketch], steps: int) -> PoolTerms:
    def numbers(name: str) -> np.ndarray:
        return np.array([getattr(pool, name) for pool in pools])

    hourly = np.array([pool.price if pool.hourly is None else pool.hourly for pool in pools])
    return PoolTerms(
        accelerators_per_node=numbers("per_node"),
        unit_nodes=numbers("unit"),
        nodes=numbers("nodes"),
        pending_nodes=np.zeros((len(pools), steps), int),
        least_nodes=np.zeros(len(pools), int),
        most_nodes=numbers("most"),
        lead_steps=numbers("lead"),
        hourly=hourly.astype(float),
        avoidable_hourly=numbers("price").astype(float),
        hourly_budget=numbers("budget").astype(float),
        paid_nodes=np.repeat(numbers("paid")[:, None], steps, axis=1),
        least_billed_steps=numbers("least_billed"),
        is_burst=numbers("is_burst"),
    )


def applied(given: PlacementProblem, keep: np.ndarray, order: np.ndarray, nodes: np.ndarray) -> PlacementProblem:
    """The problem after its answer was carried out: what was ordered is pending, or there where the lead is none."""
    fleet, steps = given.fleet, given.scenarios.demand.shape[-1]
    lead = given.lead_steps
    ready = np.where(lead == 0, order, keep)
    pending = np.zeros((*order.shape, steps), int)
    for serving, pool in np.argwhere((lead > 0) & (order > keep)):
        if lead[serving, pool] < steps:
            pending[serving, pool, lead[serving, pool]] = order[serving, pool] - keep[serving, pool]
    pool_nodes = np.where(given.pools.lead_steps == 0, nodes, np.minimum(given.pools.nodes, nodes))
    coming = np.zeros((nodes.size, steps), int)
    for pool in np.flatnonzero(nodes > pool_nodes):
        if given.pools.lead_steps[pool] < steps:
            coming[pool, given.pools.lead_steps[pool]] = nodes[pool] - pool_nodes[pool]
    return replace(
        given,
        fleet=replace(fleet, ready=ready, pending=pending),
        pools=replace(given.pools, nodes=pool_nodes, pending_nodes=coming),
    )
