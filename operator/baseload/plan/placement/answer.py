"""From replicas at steps to what is kept and ordered, and what then stays unserved."""

import numpy as np

from baseload.plan.outlook import Answer
from baseload.plan.placement.grid import Pairs
from baseload.plan.placement.problem import FloatArray, IntArray, Placement, PlacementProblem


def whole(numbers: FloatArray) -> IntArray:
    """Round up, but for what is a rounding error of the solver."""
    return np.ceil(numbers - 1e-6).astype(np.int64)


def placement_of(
    problem: PlacementProblem, pairs: Pairs, steps: IntArray, numbers: tuple[FloatArray, FloatArray]
) -> Placement:
    """Read the answer of a programme on the grid `steps` off one scenario: all agree on what is decided now.

    `numbers` are replicas (pairs, steps) and units of nodes (pools, steps), whole but for errors of the solver.
    """
    replicas, units = (whole(number) for number in numbers)
    shape = problem.fleet.usable.shape
    keep, order = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    at = (pairs.serving, pairs.pool)
    keep[at] = replicas[:, 0]
    decided = steps[None, :] <= pairs.lead[:, None]
    order[at] = np.where(decided, replicas, 0).max(axis=1)
    ordered_units = np.where(steps[None, :] <= pairs.pool_lead[:, None], units, 0).max(axis=1)
    nodes = ordered_units * problem.pools.unit_nodes
    return finished(problem, keep, order, nodes, Answer.LINEAR_PROGRAM)


def finished(
    problem: PlacementProblem, keep: IntArray, order: IntArray, nodes: IntArray, answered_by: Answer
) -> Placement:
    """The placement with what it costs an hour and what stays unserved when the nearest order of each serving comes."""
    fleet, scenarios, pools = problem.fleet, problem.scenarios, problem.pools
    last = scenarios.demand.shape[-1] - 1
    lead = problem.lead_steps
    near = np.minimum(np.where(fleet.usable, lead, last).min(axis=1, initial=last), last)
    there = np.where(lead <= near[:, None], order, keep)
    served = (fleet.capacity * there) @ scenarios.survival.T
    demand = scenarios.demand[:, np.arange(near.size), near].T
    missing = np.maximum(demand - served, 0.0) @ scenarios.probability
    paid = pools.paid_nodes[:, 0]
    cost = float(pools.avoidable_hourly @ np.maximum(nodes - paid, 0))
    return Placement(order, keep, nodes, missing, answered_by, cost)
