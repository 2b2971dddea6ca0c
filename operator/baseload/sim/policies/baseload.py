"""`baseload`: the operator's own forecast and its own `plan()`, driven step by step.

Completed buckets are learned from once; between them the forecast is asked with the bucket that is running, as the
planner does in the cluster. With one pool the target's replicas are what `plan()` says.
"""

from collections.abc import Callable, Sequence
from math import isnan

import numpy as np

from baseload.plan.decision import Decision
from baseload.plan.forecast.demand_block import DemandBlock
from baseload.plan.forecast.foresight import Foresight, Levels, Terms, advance, begin, peek, warm
from baseload.plan.outlook import Answer, Band, Outlook
from baseload.plan.snapshot import ServingSpec
from baseload.sim.case import Case, FloatArray, View, Wanted
from baseload.sim.leads import steps_of, told_lead_seconds
from baseload.sim.policies.buckets import Cut, cut_of, earlier_buckets
from baseload.sim.policies.operator_tick import REPLICA_TOKENS, SPEC, START_SECONDS, OperatorTick, wanted_of

Change = Callable[[Foresight, DemandBlock, Terms], Levels]
"""How levels come from what was learned; `peek` unless a part of the planner is switched off."""

Seen = Callable[[float, Sequence[Decision]], None]
"""Given the decisions of each step, seconds after the start: for those who want to tell the reasons."""


class Baseload:
    """The operator of all servings of a case; `look` answers with the levels to size on."""

    _tick: OperatorTick
    _cut: Cut
    _buckets: FloatArray
    _filled: int
    _foresight: Foresight
    _terms: Terms

    def __init__(
        self, name: str = "baseload", look: Change = peek, *, spec: ServingSpec = SPEC, seen: Seen | None = None
    ) -> None:
        self.name = name
        self._look = look
        self._spec = spec
        self._seen = seen

    def begin(self, case: Case) -> None:
        """Forget everything, then learn from the case's history."""
        servings, steps = case.world.shape
        lead_seconds = told_lead_seconds(case, case.pools[0])
        self._cut = cut_of(case)
        self._tick = OperatorTick(servings, lead_seconds, self._spec)
        self._terms = Terms(
            lead_buckets=np.full(servings, steps_of(lead_seconds, self._cut.grid.bucket_seconds), dtype=np.int64),
            unit=np.ones(servings),
            penalty=np.full(servings, case.penalty),
        )
        past = earlier_buckets(case, self._cut)
        self._filled = past.end_index
        self._buckets = np.full((servings, past.end_index + steps // self._cut.steps + 1), np.nan)
        self._buckets[:, : self._filled] = past.demand
        self._foresight = warm(past, self._terms) if self._filled else begin(servings, self._cut.grid)

    def decide(self, view: View) -> Wanted:
        """Learn from a bucket that is complete, look ahead, and ask `plan()`."""
        levels = self._levels(view)
        lead_seconds = self._tick.start_up_seconds
        outlooks = outlooks_of(levels, START_SECONDS + view.now_seconds, lead_seconds + self._cut.grid.bucket_seconds)
        decisions = self._tick.decide(
            view.now_seconds, view.demand[:, -1], view.ready[:, 0], view.pending[:, 0], outlooks
        )
        if self._seen is not None:
            self._seen(view.now_seconds, decisions)
        wanted = np.zeros_like(view.ready)
        wanted[:, 0] = wanted_of(decisions)
        return Wanted(order=wanted, keep=wanted)

    def _levels(self, view: View) -> Levels:
        done = view.step + 1
        if not self._cut.completed(done):
            self._buckets[:, self._filled] = self._cut.running_mean(view.demand, done)
            return self._look(self._foresight, self._block(self._filled + 1), self._terms)
        self._buckets[:, self._filled] = self._cut.mean(view.demand)
        self._filled += 1
        block = self._block(self._filled)
        self._foresight = advance(self._foresight, block, self._terms)
        return self._look(self._foresight, block, self._terms)

    def _block(self, count: int) -> DemandBlock:
        return DemandBlock(self._buckets[:, :count], self._cut.grid, count)


def outlooks_of(levels: Levels, now: float, horizon_seconds: float) -> list[Outlook | None]:
    """One outlook per serving from levels in replicas, in tokens per second; None where nothing is known."""
    columns = (levels.order, levels.keep, levels.upper, levels.low, levels.median, levels.high)
    rows = (np.stack(columns, axis=1) * REPLICA_TOKENS).tolist()
    quantiles, reactive = levels.quantile.tolist(), levels.is_reactive.tolist()
    return [
        None
        if isnan(order)
        else Outlook(
            time=now,
            seen_until=now,
            order=order,
            keep=keep,
            upper=upper,
            horizon_seconds=horizon_seconds,
            quantile=None if isnan(quantile) else quantile,
            band=None if isnan(median) else Band(horizon_seconds, low, median, high),
            answered_by=Answer.REACTIVE if is_reactive else Answer.MIXTURE,
        )
        for (order, keep, upper, low, median, high), quantile, is_reactive in zip(
            rows, quantiles, reactive, strict=True
        )
    ]
