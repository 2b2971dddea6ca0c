"""The programme itself: replicas and nodes over the steps of a grid, in scenarios, for the horizon and the first step.

A number is decided now and so the same in all scenarios, or it is recourse: what the fastest pools do after some
demand has been seen, and what stays unserved. The same blocks make the linear programme over all steps and the integer
one over the few steps at which orders of now arrive (docs/explanation/placement.md).
"""

from dataclasses import dataclass

import numpy as np

from baseload.plan.placement.demand import serve_each, serve_together
from baseload.plan.placement.grid import Grid, Pairs, is_bound, is_recourse
from baseload.plan.placement.problem import NO_LIMIT, BoolArray, FloatArray, IntArray, PlacementProblem
from baseload.plan.placement.program import Program
from baseload.plan.placement.staged import Stages, link

BELOW_LEAST = 2.0
"""A replica missing to `replicas.min` costs as much as this many times the demand that it would serve."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The programme and its columns: `replicas` (pairs, steps, scenarios), `units` of nodes (pools, steps, scenarios).

    `links` (pairs, steps) are the rows that tie the replicas of a step to those of the step before, -1 where none is;
    `unit_links` the same of units; `room` (pools, steps, scenarios) keep the replicas on the nodes; `bound` (pools,
    steps) keep new units for their minimum billing, -1 where there is none.
    """

    program: Program
    replicas: IntArray
    links: IntArray
    units: IntArray
    unit_links: IntArray
    room: IntArray
    bound: IntArray


def build(problem: PlacementProblem, pairs: Pairs, grid: Grid) -> Model:
    """The whole programme on a grid of steps."""
    program, recourse = Program(), is_recourse(pairs, grid.steps)
    now = ~recourse | grid.integer
    by_pool = Stages(now, problem.scenarios.probability)
    by_pair = Stages(now[pairs.pool], problem.scenarios.probability)
    replicas, links = _replicas(program, problem, pairs, grid, by_pair)
    units, unit_links, bound = _units(program, problem, pairs, grid, by_pool)
    room = _room(program, problem, pairs, by_pool, (replicas, units))
    if now.all():
        serve_together(program, problem, pairs, grid, replicas[..., 0])
    else:
        serve_each(program, problem, pairs, grid, replicas)
    _bounds(program, problem, pairs, grid, replicas)
    _budgets(program, problem, pairs, _scenario_copies(replicas))
    if grid.integer and grid.steps.size > 1:
        _together(program, problem, pairs, grid, (replicas, units))
    return Model(program, replicas, links, units, unit_links, room, bound)


def _arrivals(coming: FloatArray, steps: IntArray) -> FloatArray:
    """What comes between one step of the grid and the next, from what comes at each step, (things, steps)."""
    total = np.concatenate((np.zeros((coming.shape[0], 1)), np.cumsum(coming, axis=1)), axis=1)
    return np.diff(total[:, np.minimum(steps + 1, coming.shape[1])], axis=1, prepend=0.0)


def _replicas(
    program: Program, problem: PlacementProblem, pairs: Pairs, grid: Grid, stages: Stages
) -> tuple[IntArray, IntArray]:
    """Replicas of each pair, those started, and the price of starting and of moving."""
    fleet, at = problem.fleet, (pairs.serving, pairs.pool)
    steps, shape = grid.steps, stages.now.shape
    move = problem.move_hours * (problem.in_units(problem.pools.hourly) * problem.node_share)[at]
    start = move + problem.in_units(fleet.start_up_cost[at])
    most = np.broadcast_to(grid.most[:, None], shape)
    cost = np.zeros(shape)
    cost[:, -1] = -grid.credit
    replicas = stages.columns(program, cost, most, integer=np.full(shape, grid.integer) & (steps == 0))
    startable = np.where(steps[None, :] >= fleet.start_up_steps[at][:, None], most, 0.0)
    if grid.integer:
        startable = np.where(is_recourse(pairs, steps)[pairs.pool], 0.0, startable)
    more = stages.columns(program, np.broadcast_to(start[:, None], shape), startable, integer=np.zeros(shape, bool))
    ready = fleet.ready[at].astype(float)
    coming = _arrivals(fleet.pending[at].astype(float), steps)
    links = link(program, stages.now, (replicas, more), coming, ready)
    fewer = program.columns(move, 0.0, np.inf)
    rows = program.rows(ready, np.inf)
    program.entries(rows, replicas[:, 0, 0], 1.0)
    program.entries(rows, fewer, 1.0)
    return replicas, links


def _units(
    program: Program, problem: PlacementProblem, pairs: Pairs, grid: Grid, stages: Stages
) -> tuple[IntArray, IntArray, IntArray]:
    """Units of nodes: paid for while there and from the order on, not where they are paid for anyway."""
    pools, steps, shape = problem.pools, grid.steps, stages.now.shape
    unit = pools.unit_nodes
    price = (problem.in_units(pools.avoidable_hourly) * unit)[:, None]
    there, coming = pools.nodes / unit, _arrivals(pools.pending_nodes / unit[:, None], steps)
    least, most = problem.node_bounds
    most_units = np.broadcast_to((most // unit)[:, None].astype(float), shape)
    ordered = (np.arange(steps.size) == 0) | (np.arange(steps.size) == grid.arrival(pairs.pool_lead)[:, None])
    whole = grid.integer & _counts_units(problem)[:, None] & ordered
    worth = np.zeros(shape)
    worth[:, -1] = -grid.unit_credit
    units = stages.columns(program, worth, most_units, integer=whole)
    orderable = np.where(steps[None, :] >= pools.lead_steps[:, None], most_units, 0.0)
    ordering = price * pools.lead_steps[:, None] * problem.step_hours + grid.bound_price
    more = stages.columns(program, ordering, orderable, integer=np.zeros(shape, bool))
    links = link(program, stages.now, (units, more), coming, there)
    paid = pools.paid_nodes[:, np.minimum(steps, pools.paid_nodes.shape[1] - 1)] / unit[:, None]
    billed = stages.columns(program, price * grid.hours, np.full(shape, np.inf), integer=np.zeros(shape, bool))
    rows = stages.rows(program, np.full(shape, -np.inf), paid)
    stages.entries(program, rows, units, 1.0)
    stages.entries(program, rows, billed, -1.0)
    # Fewer than the least only until what was ordered comes.
    floor = np.minimum((least // unit)[:, None], np.where(orderable > 0, NO_LIMIT, there[:, None] + coming.cumsum(1)))
    stages.entries(program, stages.rows(program, floor, np.full(shape, np.inf)), units, 1.0)
    return units, links, _least_billed(program, problem, grid, units[..., 0], more[..., 0])


def _least_billed(program: Program, problem: PlacementProblem, grid: Grid, units: IntArray, more: IntArray) -> IntArray:
    """A new node stays for its minimum billing: at least those are there that came within it, (pools, steps)."""
    within = is_bound(problem, grid.steps, grid.steps)
    chosen = np.flatnonzero(problem.pools.least_billed_steps > 1)
    rows = np.full(units.shape, -1)
    rows[chosen] = program.rows(np.zeros((chosen.size, grid.steps.size)), np.inf)
    program.entries(rows[chosen], units[chosen], 1.0)
    program.entries(rows[chosen][:, :, None], more[chosen][:, None, :], -within[chosen].astype(float))
    return rows


def _room(
    program: Program, problem: PlacementProblem, pairs: Pairs, stages: Stages, numbers: tuple[IntArray, IntArray]
) -> IntArray:
    """The replicas of all servings fit on the nodes of the pool; `numbers` are the columns of both."""
    (replicas, units), shape = numbers, stages.now.shape
    rows = stages.rows(program, np.full(shape, -np.inf), np.zeros(shape))
    stages.entries(program, rows, units, -problem.pools.unit_nodes.astype(float)[:, None, None])
    of_pairs = Stages(stages.now[pairs.pool], stages.probability)
    share = problem.node_share[pairs.serving, pairs.pool]
    of_pairs.entries(program, rows[pairs.pool], replicas, share[:, None, None])
    return rows


def _bounds(program: Program, problem: PlacementProblem, pairs: Pairs, grid: Grid, replicas: IntArray) -> None:
    """Replicas in all pools together are inside their bounds; a shortage may leave them below the least.

    The most is asked in each scenario of servings whose demand could reach it; the least of what is decided now.
    """
    servings, fleet, scenarios = problem.servings, problem.fleet, problem.scenarios
    least = np.repeat(servings.least[:, None].astype(float), grid.steps.size, axis=1)
    rows = program.rows(least, servings.most[:, None].astype(float))
    each = (
        BELOW_LEAST * problem.in_units(servings.shortage_cost) * np.where(fleet.usable, fleet.capacity, 0.0).max(axis=1)
    )
    cost = each[:, None] * grid.hours
    program.entries(rows, program.columns(cost, 0.0, least), 1.0)
    program.entries(rows[pairs.serving], replicas[..., 0], 1.0)
    worst = (np.where(fleet.usable, fleet.capacity, np.inf) * scenarios.survival.min(axis=0)).min(axis=1)
    reached = scenarios.demand.max(axis=(0, 2)) > servings.most * worst
    chosen = reached[pairs.serving]
    copies = replicas[chosen][..., 1:]
    most = np.broadcast_to(servings.most[:, None, None].astype(float), (least.shape[0], *copies.shape[1:]))
    program.entries(program.rows(-np.inf, most)[pairs.serving[chosen]], copies, 1.0)


def _budgets(program: Program, problem: PlacementProblem, pairs: Pairs, copies: IntArray) -> None:
    """What a serving spends an hour in pools that are burst stays inside its budget, at the price on the bill.

    `copies` (pairs, steps, scenarios) are the columns that count.
    """
    budget = problem.in_units(problem.servings.hourly_budget)
    counted = np.isfinite(budget)[pairs.serving] & problem.pools.is_burst[pairs.pool]
    if not counted.any():
        return
    rows = program.rows(-np.inf, np.broadcast_to(budget[:, None, None], (budget.size, *copies.shape[1:])))
    hourly = (problem.in_units(problem.pools.hourly) * problem.node_share)[pairs.serving, pairs.pool]
    program.entries(rows[pairs.serving[counted]], copies[counted], hourly[counted][:, None, None])


def _together(
    program: Program, problem: PlacementProblem, pairs: Pairs, grid: Grid, numbers: tuple[IntArray, IntArray]
) -> None:
    """What is kept until an order comes and the order itself are inside all limits together: make before break.

    `numbers` are the columns of replicas and of units. Where orders of now arrive there are nodes for both.
    """
    (replicas, units), servings = numbers, problem.servings
    position = program.columns(0.0, 0.0, grid.most, integer=True)
    thing, step = np.nonzero(grid.steps[None, :] <= pairs.lead[:, None])
    rows = program.rows(np.zeros(thing.size), np.inf)
    program.entries(rows, position[thing], 1.0)
    program.entries(rows, replicas[thing, step, 0], -1.0)
    program.entries(program.rows(-np.inf, servings.most.astype(float))[pairs.serving], position, 1.0)
    arrival = grid.arrival(pairs.pool_lead)
    rows = program.rows(np.full(arrival.size, -np.inf), 0.0)
    unit_nodes = problem.pools.unit_nodes.astype(float)
    program.entries(rows, units[np.arange(arrival.size), arrival, 0], -unit_nodes)
    program.entries(rows[pairs.pool], position, problem.node_share[pairs.serving, pairs.pool])
    _budgets(program, problem, pairs, position[:, None, None])


def _counts_units(problem: PlacementProblem) -> BoolArray:
    """Where whole replicas do not make whole units of nodes by themselves, (pools,)."""
    counts: BoolArray = (problem.pools.unit_nodes > 1) | (problem.node_share != 1.0).any(axis=0)
    return counts


def _scenario_copies(replicas: IntArray) -> IntArray:
    """The columns of all scenarios, or of one when none is recourse."""
    return replicas if (replicas != replicas[..., :1]).any() else replicas[..., :1]
