"""The linear programme over the horizon: what demand is worth serving from where, before anything is whole."""

from dataclasses import dataclass

import numpy as np

from baseload.plan.placement.grid import Grid, Pairs, is_recourse
from baseload.plan.placement.model import build
from baseload.plan.placement.problem import FloatArray, IntArray, PlacementProblem


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """The answer over all steps: `replicas` (pairs, steps, scenarios), and prices, which are in units of money.

    `worth` (pairs, steps) and `unit_worth` (pools, steps) are what one more replica or unit of nodes at the end of a
    step saves afterwards. `unserved_price` (servings, steps) is what an hour and unit of demand costs that is not
    served by then: a shortage, or the pool that still comes in time. `bound_prices` (pools, steps) are what a unit that
    is bound by its minimum billing costs at a step. `hours` (steps,) is what each step stands for.
    """

    replicas: FloatArray
    worth: FloatArray
    unit_worth: FloatArray
    unserved_price: FloatArray
    bound_prices: FloatArray
    hours: FloatArray


def solve_horizon(problem: PlacementProblem, pairs: Pairs, time_limit_seconds: float) -> Horizon | None:
    """Solve the programme over all steps; None when time ran out.

    The last step stands for as many steps as the longest lead more, or what comes late would never pay.
    """
    steps = np.arange(problem.scenarios.demand.shape[-1])
    hours = np.full(steps.size, problem.step_hours)
    if steps.size > 1:
        hours[-1] *= 1.0 + pairs.pool_lead.max(initial=0)
    price = np.repeat(problem.in_units(problem.servings.shortage_cost)[:, None], steps.size, axis=1)
    free = np.zeros(pairs.serving.size), np.zeros(pairs.pool_lead.size), np.zeros((pairs.pool_lead.size, steps.size))
    most = problem.servings.most[pairs.serving].astype(float)
    grid = Grid(steps, hours, most, False, price, *free)  # noqa: FBT003 (a field)
    model = build(problem, pairs, grid)
    found = model.program.solve(time_limit_seconds)
    if found is None:
        return None
    return Horizon(
        replicas=found.values[model.replicas],
        worth=_saved(found.prices, model.links),
        unit_worth=_saved(found.prices, model.unit_links),
        unserved_price=np.minimum(price, _recourse_price(problem, pairs, grid, found.prices[model.room])),
        bound_prices=np.where(model.bound >= 0, found.prices[model.bound], 0.0),
        hours=hours,
    )


def _saved(prices: FloatArray, links: IntArray) -> FloatArray:
    """What one more at the end of each step saves: the price of the row that ties it to the next step."""
    saved = np.where(links >= 0, -prices[links], 0.0)
    return np.concatenate((saved[:, 1:], np.zeros((saved.shape[0], 1))), axis=1)


def _recourse_price(problem: PlacementProblem, pairs: Pairs, grid: Grid, room_prices: FloatArray) -> FloatArray:
    """What recourse takes to serve a unit of demand, (servings, steps): its node, or what others pay for the room."""
    pools, at = problem.pools, (pairs.serving, pairs.pool)
    # Where room is short, its price holds the node's own.
    node = -room_prices.sum(axis=-1) / grid.hours
    free = problem.in_units(pools.avoidable_hourly)[:, None]
    survival = problem.scenarios.probability @ problem.scenarios.survival
    served = (problem.fleet.capacity * survival)[at] / problem.node_share[at]
    each = np.maximum(node, free)[pairs.pool] / np.maximum(served, 1e-12)[:, None]
    each = np.where(is_recourse(pairs, grid.steps)[pairs.pool], each, np.inf)
    price = np.full((problem.servings.least.size, grid.steps.size), np.inf)
    np.minimum.at(price, pairs.serving, each)
    return price
