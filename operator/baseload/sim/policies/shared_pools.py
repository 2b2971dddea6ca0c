"""`baseload` for several servings on pools with limits: one placement of all of them at every step.

Demand comes in a few futures, the paths of the forecast's quantiles; all servings are taken to be high together, which
is the dearest way for a shared pool to be wrong.
"""

import numpy as np

from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import Foresight, Terms, advance, begin, paths
from baseload.plan.placement.place import place
from baseload.plan.placement.problem import (
    NO_LIMIT,
    Fleet,
    PlacementProblem,
    PoolTerms,
    Scenarios,
    ServingTerms,
)
from baseload.sim.case import Case, FloatArray, View, Wanted
from baseload.sim.leads import steps_of, told_lead_seconds
from baseload.sim.policies.pipeline import Pipeline, whole_buckets

BUCKET_SECONDS = 600.0
TAUS = (0.1, 0.5, 0.85, 0.93, 0.97)
PROBABILITIES = np.array([0.3, 0.375, 0.215, 0.06, 0.05])
"""Each quantile stands for the outcomes that are nearest to it."""
STEPS_BEYOND = 3
"""Steps of the horizon after the longest lead."""
TIME_LIMIT_SECONDS = 5.0


class SharedPools:
    """The placement of all servings of a case."""

    name = "baseload"
    _case: Case
    _leads: np.ndarray
    _pipeline: Pipeline
    _bucket_steps: int
    _terms: Terms
    _grid: Grid
    _foresight: Foresight
    _last: FloatArray

    def begin(self, case: Case) -> None:
        """Forget everything; learn from the case's history."""
        servings = len(case.world)
        leads = [told_lead_seconds(case, pool) for pool in case.pools]
        self._case = case
        self._leads = np.array([steps_of(lead, case.step_seconds) for lead in leads])
        self._pipeline = Pipeline(servings, self._leads)
        self._bucket_steps = max(round(BUCKET_SECONDS / case.step_seconds), 1)
        seconds = self._bucket_steps * case.step_seconds
        self._grid = Grid(seconds, max(case.steps_per_day // self._bucket_steps, 1))
        self._terms = Terms(
            lead_buckets=np.full(servings, steps_of(max(leads), seconds), dtype=np.int64),
            unit=np.ones(servings),
            penalty=np.full(servings, case.penalty),
        )
        self._foresight = begin(servings, self._grid)
        self._last = case.world[:, 0]
        if case.history is not None:
            self._foresight = advance(self._foresight, self._block(case.history), self._terms)

    def decide(self, view: View) -> Wanted:
        """Learn from a bucket that is complete, look ahead, and place all servings together."""
        self._last = np.where(np.isnan(view.demand[:, -1]), self._last, view.demand[:, -1])
        block = self._block(view.demand)
        if view.demand.shape[1] % self._bucket_steps == 0:
            self._foresight = advance(self._foresight, block, self._terms)
        answer = place(self._problem(view, self._futures(block)), TIME_LIMIT_SECONDS)
        self._pipeline.end_step(answer.order - view.ready - view.pending)
        return Wanted(order=answer.order, keep=answer.keep)

    def _block(self, demand: FloatArray) -> DemandBlock:
        buckets = whole_buckets(demand, self._bucket_steps)
        return DemandBlock(buckets, self._grid, buckets.shape[1])

    def _futures(self, block: DemandBlock) -> FloatArray:
        """Demand (futures, servings, steps); the last value where nothing was learned yet."""
        steps = int(self._leads.max()) + STEPS_BEYOND
        ahead = np.arange(steps) // self._bucket_steps
        if self._foresight.end_index is None:
            return np.broadcast_to(self._last[None, :, None], (len(TAUS), self._last.size, steps)).copy()
        found = paths(self._foresight, block, int(ahead[-1]) + 1, TAUS)[:, :, ahead].transpose(1, 0, 2)
        return np.where(np.isnan(found), self._last[None, :, None], found)

    def _problem(self, view: View, futures: FloatArray) -> PlacementProblem:
        """The question of one step: replicas are nodes, and an order is paid for from the moment it is placed."""
        pools, (servings, count) = self._case.pools, view.ready.shape
        steps, hours = futures.shape[2], self._case.step_seconds / 3600.0
        price = np.array([pool.price for pool in pools])
        billed = np.array([pool.pending_billed for pool in pools]) * self._leads * hours * price
        shape = (servings, count)
        due = self._pipeline.due(view.pending)
        pending = np.zeros((*shape, steps), dtype=np.int64)
        pending[:, :, : min(due.shape[2], steps)] = due[:, :, :steps]
        return PlacementProblem(
            servings=ServingTerms(
                least=np.ones(servings, dtype=np.int64),
                most=np.full(servings, NO_LIMIT),
                shortage_cost=np.full(servings, self._case.penalty * price[0]),
                hourly_budget=np.full(servings, np.inf),
            ),
            pools=self._pool_terms(view, steps),
            fleet=Fleet(
                capacity=np.ones(shape),
                accelerators=np.ones(shape, dtype=np.int64),
                usable=np.ones(shape, dtype=bool),
                ready=view.ready,
                pending=pending,
                start_up_steps=np.broadcast_to(self._leads, shape),
                start_up_cost=np.broadcast_to(billed, shape),
            ),
            scenarios=Scenarios(futures, PROBABILITIES, np.ones((len(TAUS), count))),
            step_hours=hours,
        )

    def _pool_terms(self, view: View, steps: int) -> PoolTerms:
        """The pools as they are: a replica is a node, there and ordered ones are held."""
        pools, count = self._case.pools, view.ready.shape[1]
        price = np.array([pool.price for pool in pools])
        least_billed = [steps_of(max(p.min_billing_seconds, p.hold_seconds), self._case.step_seconds) for p in pools]
        limits = np.array([NO_LIMIT if pool.limit is None else pool.limit for pool in pools])
        nothing = np.zeros(count, dtype=np.int64)
        return PoolTerms(
            accelerators_per_node=nothing + 1,
            unit_nodes=nothing + 1,
            nodes=np.minimum((view.ready + view.pending).sum(axis=0), limits),
            pending_nodes=np.zeros((count, steps), dtype=np.int64),
            least_nodes=nothing,
            most_nodes=limits,
            lead_steps=nothing,
            hourly=price,
            avoidable_hourly=price,
            hourly_budget=np.full(count, np.inf),
            paid_nodes=np.zeros((count, steps), dtype=np.int64),
            least_billed_steps=np.array(least_billed),
            is_burst=np.zeros(count, dtype=bool),
        )
