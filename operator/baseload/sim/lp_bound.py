"""The least cost with several pools: a linear programme over the whole trace with true demand (HiGHS)."""

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from baseload.errors import BaseloadError
from baseload.plan.placement.solver import make_solver
from baseload.sim.bound import Bound
from baseload.sim.case import Case, FloatArray, IntArray, SimPool
from baseload.sim.leads import median_lead_steps, steps_of


@dataclass(frozen=True, slots=True)
class LpPool:
    """A pool of the programme: work one replica serves, costs per step, times in steps; `limit` None is no limit.

    `order_cost` is paid for every replica switched on; it serves `lead_steps` after the order and stays
    `least_on_steps` at least.
    """

    capacity: float
    price: float
    order_cost: float
    lead_steps: int
    least_on_steps: int = 0
    limit: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The optimum: its value and, (steps, pools), replicas that are ready and that were switched on."""

    value: float
    ready: FloatArray
    switched: FloatArray


def lp_bound(case: Case, *, whole: bool = True) -> Bound:
    """The bound of a case with any pools, each serving for itself: nothing refused, leads at their median.

    With `whole` shortage is counted as whole replicas would have it, which is a tighter bound (exact with one pool);
    without it replicas may be fractions. Shared limits hold for each serving alone, which only lowers the bound.
    """
    pools = [_lp_pool(case, pool) for pool in case.pools]
    cost, ready = np.zeros(case.world.shape), np.zeros((*case.world.shape, len(pools)))
    for row, demand in enumerate(case.world):
        solution = solve(demand, pools, case.penalty, start_free=True, whole=whole)
        ready[row] = solution.ready
        cost[row] = solution.ready @ np.array([pool.price for pool in pools])
        cost[row] += case.penalty * _missed(demand, solution.ready.sum(axis=1), whole=whole)
        for index, pool in enumerate(pools):
            _charge_orders(cost[row], solution.switched[1:, index], pool)
    return Bound(cost, ready)


def _lp_pool(case: Case, pool: SimPool) -> LpPool:
    price, lead = pool.price / case.pools[0].price, median_lead_steps(case, pool)
    pending = lead if pool.pending_billed else 0
    billed = steps_of(pool.min_billing_seconds, case.step_seconds) - pending
    held = steps_of(pool.hold_seconds, case.step_seconds)
    return LpPool(1.0, price, price * pending, lead, max(billed, held), pool.limit)


def _missed(demand: FloatArray, ready: FloatArray, *, whole: bool) -> FloatArray:
    """Shortage of each step as the programme counts it."""
    plain = np.maximum(demand - ready, 0.0)
    if not whole:
        return plain
    return np.maximum(plain, (demand - np.floor(demand)) * np.maximum(np.ceil(demand) - ready, 0.0))


def _charge_orders(cost: FloatArray, switched: FloatArray, pool: LpPool) -> None:
    """Spread what orders cost over the steps before they serve; earlier than the first step is the first step."""
    ahead = max(pool.lead_steps, 1)
    for steps in range(1, ahead + 1):
        at = np.maximum(np.arange(1, len(cost)) - steps, 0)
        np.add.at(cost, at, switched * (pool.order_cost / ahead))


def solve(
    demand: FloatArray, pools: Sequence[LpPool], penalty: float, *, start_free: bool, whole: bool = False
) -> Solution:
    """Solve the programme (planning.md 1.3) for demand of shape (steps,).

    Columns: ready n and switched on a, (steps, pools), then shortage u, (steps,). Rows: `sum capacity n + u >= D`;
    with `whole` also `f n + u >= f ceil(D)` with f the fraction of D (the chord of the shortage between whole numbers
    of replicas); `n_t - n_(t-1) - a_t <= 0`; `n_t >= sum of a over the last least_on_steps`. Without `start_free` no
    replica is there before the first step and none can have been ordered.
    """
    steps, count = len(demand), len(pools)
    model = _Rows()
    ready = np.arange(steps * count).reshape(steps, count)
    switched, short = ready + steps * count, 2 * steps * count + np.arange(steps)
    capacity = np.array([pool.capacity for pool in pools])
    model.at_least(np.column_stack([ready, short]), np.append(capacity, 1.0), demand)
    if whole:
        part = (demand - np.floor(demand))[:, None]
        values = np.column_stack([np.repeat(part, count, axis=1), np.ones(steps)])
        model.at_least(np.column_stack([ready, short]), values, part[:, 0] * np.ceil(demand))
    for index, pool in enumerate(pools):
        _pool_rows(model, ready[:, index], switched[:, index], pool, start_free=start_free)
    costs = [[pool.price for pool in pools] * steps, [pool.order_cost for pool in pools] * steps, [penalty] * steps]
    upper = np.full(2 * steps * count + steps, highspy.kHighsInf)
    for index, pool in enumerate(pools):
        if pool.limit is not None:
            upper[ready[:, index]] = pool.limit
        if not start_free:
            upper[switched[: pool.lead_steps, index]] = 0.0
    values, objective = model.minimise(np.concatenate(costs), upper)
    return Solution(objective, values[ready], values[switched])


def _pool_rows(model: "_Rows", ready: IntArray, switched: IntArray, pool: LpPool, *, start_free: bool) -> None:
    """Rows of one pool: replicas appear only by being switched on, and stay for their least time."""
    now, before = ready[1:], ready[:-1]
    model.at_least(np.column_stack([before, switched[1:], now]), np.array([1.0, 1.0, -1.0]), np.zeros(len(now)))
    if not start_free:
        model.at_least(np.column_stack([switched[:1], ready[:1]]), np.array([1.0, -1.0]), np.zeros(1))
    if pool.least_on_steps > 1:
        for step in range(len(ready)):
            recent = switched[max(step - pool.least_on_steps + 1, 0) : step + 1]
            columns = np.append(recent, ready[step])[None, :]
            model.at_least(columns, np.append(np.full(len(recent), -1.0), 1.0), np.zeros(1))


class _Rows:
    """Rows of the form `values . columns >= lower`, collected and then solved."""

    def __init__(self) -> None:
        self._lower: list[FloatArray] = []
        self._lengths: list[IntArray] = []
        self._columns: list[IntArray] = []
        self._values: list[FloatArray] = []

    def at_least(self, columns: IntArray, values: FloatArray, lower: FloatArray) -> None:
        """Add rows: `columns` of shape (rows, entries), `values` the same or one row for all."""
        self._lower.append(lower)
        self._lengths.append(np.full(len(columns), columns.shape[1], dtype=np.int64))
        self._columns.append(columns.ravel())
        self._values.append(np.broadcast_to(values, columns.shape).ravel())

    def minimise(self, costs: FloatArray, upper: FloatArray) -> tuple[FloatArray, float]:
        """Solve with columns in 0..upper; the values and the objective."""
        solver = make_solver()
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(costs), sum(len(part) for part in self._lower)
        model.col_cost_, model.col_lower_, model.col_upper_ = costs, np.zeros(len(costs)), upper
        model.row_lower_ = np.concatenate(self._lower)
        model.row_upper_ = np.full(model.num_row_, highspy.kHighsInf)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.concatenate(self._lengths))])
        model.a_matrix_.index_ = np.concatenate(self._columns)
        model.a_matrix_.value_ = np.concatenate(self._values)
        solver.passModel(model)
        solver.run()
        status = solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise BaseloadError(f"the bound's programme ended as {solver.modelStatusToString(status)}")
        return np.array(solver.getSolution().col_value), solver.getInfo().objective_function_value
