"""Demand in a programme: served by the replicas that survive, or left over at its price."""

import numpy as np

from baseload.plan.placement.grid import Grid, Pairs
from baseload.plan.placement.problem import FloatArray, IntArray, PlacementProblem
from baseload.plan.placement.program import Program

FAIR_PARTS = 4
"""Demand that is left over is split into so many parts, each dearer than the last: a shortage is shared."""

FAIR_SLOPE = 0.05
"""How much dearer each part is; less than what lies between two PriorityClasses, so that priority comes first."""

_SLOPES = 1.0 + FAIR_SLOPE * np.arange(FAIR_PARTS)


def serve_each(program: Program, problem: PlacementProblem, pairs: Pairs, grid: Grid, replicas: IntArray) -> None:
    """One row a scenario, for replicas (pairs, steps, scenarios) of which some are recourse."""
    scenarios = problem.scenarios
    demand = np.moveaxis(scenarios.demand[:, :, grid.steps], 0, -1)
    rows = program.rows(demand, np.inf)
    survive = (problem.fleet.capacity[pairs.serving, pairs.pool] * scenarios.survival[:, pairs.pool]).T
    program.entries(rows[pairs.serving], replicas, survive[:, None, :])
    cost = (grid.unserved_price * grid.hours)[:, :, None] * scenarios.probability
    left = program.columns(cost[..., None] * _SLOPES, 0.0, demand[..., None] / FAIR_PARTS)
    program.entries(rows[..., None], left, 1.0)


def serve_together(program: Program, problem: PlacementProblem, pairs: Pairs, grid: Grid, replicas: IntArray) -> None:
    """One row for all scenarios that leave the same pools alive, for replicas (pairs, steps) that all share.

    What demand exceeds the served part by is convex in it: slices between the scenarios' demands, each at the
    probability that demand reaches it. The same answer as a row for each scenario, from a far smaller programme.
    """
    survivals, group = np.unique(problem.scenarios.survival, axis=0, return_inverse=True)
    for index, survival in enumerate(survivals):
        members = np.flatnonzero(group.ravel() == index)
        demand, probability = _sorted(problem, grid, members)
        rows = program.rows(demand[..., -1], np.inf)
        survive = problem.fleet.capacity[pairs.serving, pairs.pool] * survival[pairs.pool]
        program.entries(rows[pairs.serving], replicas, survive[:, None])
        price = (grid.unserved_price * grid.hours)[..., None]
        # The lowest slice is there in every scenario; it alone is large enough to be shared out.
        certain = program.columns(price * probability[..., :1] * _SLOPES, 0.0, demand[..., :1] / FAIR_PARTS)
        slices = program.columns(price * probability[..., 1:], 0.0, np.diff(demand, axis=-1))
        program.entries(rows[..., None], certain, 1.0)
        program.entries(rows[..., None], slices, 1.0)


def _sorted(problem: PlacementProblem, grid: Grid, members: IntArray) -> tuple[FloatArray, FloatArray]:
    """Demand of some scenarios by size, (servings, steps, members), and the probability that it is reached."""
    demand = np.moveaxis(problem.scenarios.demand[members][:, :, grid.steps], 0, -1)
    order = np.argsort(demand, axis=-1)
    probability = problem.scenarios.probability[members][order]
    reached = np.cumsum(probability[..., ::-1], axis=-1)[..., ::-1]
    return np.take_along_axis(demand, order, axis=-1), reached
