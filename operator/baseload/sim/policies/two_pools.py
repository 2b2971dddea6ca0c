"""`baseload` on a slow, cheap pool and a fast, dearer one, by the operator's own cascade (plan/placement/cascade.py).

Every step the near level says what demand may reach before a fast order serves; the mixture forecasts that level in
buckets at the slow pool's lead, because it is what has to be covered by one of the two.
"""

import numpy as np

from baseload.errors import ConfigError
from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import Foresight, Levels, Terms, advance, begin, peek
from baseload.plan.placement import near as nearby
from baseload.plan.placement.cascade import NEVER, cascades, pools_by_speed
from baseload.plan.placement.near import Near
from baseload.sim.case import Case, FloatArray, IntArray, View, Wanted
from baseload.sim.leads import steps_of, told_lead_seconds
from baseload.sim.policies.pipeline import Pipeline, whole_buckets

BUCKET_SECONDS = 600.0
SPAN_STEPS = 2
"""A fast order covers the step that it comes in and the next one, until another order can help."""


class TwoPools:
    """The cascade of all servings of a case with two pools."""

    name = "baseload"
    _pools: tuple[int, int]
    _most: list[int]
    _leads: tuple[int, int]
    _bucket_steps: int
    _terms: Terms
    _near: Near
    _covered: FloatArray
    _foresight: Foresight
    _grid: Grid
    _pipeline: Pipeline

    def begin(self, case: Case) -> None:
        """Forget everything; learn near levels from the case's history."""
        leads = [told_lead_seconds(case, pool) for pool in case.pools]
        pools = pools_by_speed(leads, [pool.price for pool in case.pools])
        if pools is None:
            raise ConfigError(f"case {case.name}: no pool is faster and dearer than the cheapest one")
        self._pools = pools
        base, burst = (case.pools[index] for index in pools)
        self._most = [NEVER if pool.limit is None else pool.limit for pool in (base, burst)]
        slow, fast = (steps_of(leads[index], case.step_seconds) for index in pools)
        self._leads = slow, fast
        self._bucket_steps = max(round(BUCKET_SECONDS / case.step_seconds), 1)
        seconds = self._bucket_steps * case.step_seconds
        servings, steps = case.world.shape
        self._grid = Grid(seconds, max(case.steps_per_day // self._bucket_steps, 1))
        self._terms = Terms(
            lead_buckets=np.full(servings, steps_of(leads[pools[0]], seconds), dtype=np.int64),
            unit=np.ones(servings),
            penalty=np.full(servings, burst.price / base.price),
        )
        self._near = nearby.begin(np.ones(servings), fast + 1, SPAN_STEPS)
        earlier = 0 if case.history is None else case.history.shape[1]
        self._covered = np.full((servings, earlier + steps), np.nan)
        self._foresight = begin(servings, self._grid)
        self._pipeline = Pipeline(servings, np.array([slow]))
        for done in range(1, earlier + 1):
            self._learn(case.history[:, :done] if case.history is not None else np.empty((servings, 0)))

    def decide(self, view: View) -> Wanted:
        """Learn from the step, then ask the cascade."""
        near = self._learn(view.demand)
        levels = self._levels(view.demand.shape[1])
        order, keep = (np.where(np.isnan(level), near, level) for level in (levels.order, levels.keep))
        tiers = np.stack([self._tier(view, index) for index in range(2)], axis=1)
        orders, keeps = cascades(tiers, order, keep, near)
        wanted = Wanted(np.zeros_like(view.ready), np.zeros_like(view.ready))
        wanted.order[:, self._pools], wanted.keep[:, self._pools] = orders, keeps
        self._pipeline.end_step((wanted.order - view.ready - view.pending)[:, self._pools[:1]])
        return wanted

    def _learn(self, demand: FloatArray) -> FloatArray:
        """Near levels of the newest step, (servings,); in a gap the last ones hold."""
        steps = demand.shape[1]
        self._near = nearby.learned(self._near, demand)
        near = nearby.levels(self._near, demand)
        before = self._covered[:, steps - 2] if steps > 1 else np.zeros(len(near))
        near = np.where(np.isnan(near), before, near)
        self._covered[:, steps - 1] = near
        if steps % self._bucket_steps == 0:
            self._foresight = advance(self._foresight, self._block(steps), self._terms)
        return near

    def _levels(self, steps: int) -> Levels:
        """Levels of the slow pool, the bucket that is running included."""
        return peek(self._foresight, self._block(steps), self._terms)

    def _block(self, steps: int) -> DemandBlock:
        """Near levels in buckets, the last one perhaps still running."""
        buckets = whole_buckets(self._covered[:, :steps], self._bucket_steps)
        return DemandBlock(buckets, self._grid, buckets.shape[1])

    def _tier(self, view: View, index: int) -> IntArray:
        """Ready ones of a pool, what of its orders serves when a fast one would, and its most: (servings, 3)."""
        pool = self._pools[index]
        ready, pending = view.ready[:, pool], view.pending[:, pool]
        due = pending if index else self._pipeline.due(pending[:, None])[:, 0, : self._leads[1] + 1].sum(axis=1)
        soon = np.minimum(due, pending)
        return np.stack([ready, soon, np.full_like(ready, self._most[index])], axis=1)
