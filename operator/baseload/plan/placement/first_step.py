"""What is ordered and kept now, in whole replicas and nodes: the same programme on the few steps that orders decide."""

import numpy as np

from baseload.plan.placement.answer import placement_of
from baseload.plan.placement.grid import Grid, Pairs, is_bound
from baseload.plan.placement.horizon import Horizon
from baseload.plan.placement.model import build
from baseload.plan.placement.problem import FloatArray, IntArray, Placement, PlacementProblem

GAP = 0.01
"""How far from the best answer, in cost, the solver may stop in a large fleet."""

EXACT_PAIRS = 40
"""Up to so many pairs of serving and pool the answer is exact."""


def _most(problem: PlacementProblem, pairs: Pairs, horizon: Horizon, steps: IntArray) -> FloatArray:
    """The most replicas of each pair: in a large fleet with leads, one more than the programme over the horizon has.

    The pairs that it leaves empty stay so; without this 200 servings on 8 pools take a quarter of a minute.
    """
    most = problem.servings.most[pairs.serving].astype(float)
    if pairs.serving.size <= EXACT_PAIRS or steps.size == 1:
        return most
    has = np.maximum(horizon.replicas[:, steps].max(axis=(1, 2)), problem.fleet.ready[pairs.serving, pairs.pool])
    near: FloatArray = np.minimum(most, np.where(has > 1e-6, np.ceil(has - 1e-6) + 1.0, 0.0))
    return near


def solve_first_step(
    problem: PlacementProblem, pairs: Pairs, horizon: Horizon, time_limit_seconds: float
) -> Placement | None:
    """Solve for whole numbers at step 0 and where orders of now arrive; None when time ran out.

    What comes after is in the prices of `horizon`: without them nothing would be kept for later.
    """
    last = horizon.hours.size - 1
    start_up = problem.fleet.start_up_steps[pairs.serving, pairs.pool]
    steps = np.unique(np.minimum(np.concatenate(([0], start_up, pairs.lead)), last))
    after = np.arange(steps[-1] + 1, last + 1)
    bound = is_bound(problem, after, steps) * horizon.bound_prices[:, after, None]
    grid = Grid(
        steps=steps,
        hours=horizon.hours[steps],
        most=_most(problem, pairs, horizon, steps),
        integer=True,
        unserved_price=horizon.unserved_price[:, steps],
        credit=horizon.worth[:, steps[-1]],
        unit_credit=horizon.unit_worth[:, steps[-1]],
        bound_price=bound.sum(axis=1),
    )
    model = build(problem, pairs, grid)
    gap = 0.0 if pairs.serving.size <= EXACT_PAIRS else GAP
    found = model.program.solve(time_limit_seconds, gap)
    if found is None:
        return None
    numbers = found.values[model.replicas[..., 0]], found.values[model.units[..., 0]]
    return placement_of(problem, pairs, steps, numbers)
