"""`dynamo`: NVIDIA Dynamo's planner, an aggregated engine: throughput loop as a floor, load loop on top.

Source: ai-dynamo/dynamo `components/src/dynamo/planner/core` (`throughput_scaling.py`, `load_scaling.py`,
`load/predictors.py`, `state_machine.py`). Every 180 s: replicas >= ceil(predicted rate / engine rate inside the
objective), predicted one interval ahead. Every 5 s: one up if every engine's estimate is above the objective; one down
if with load x N / (N - 1) it stays below 80 % of it; nothing while a change is in progress.

Predictors: `kalman` (local linear trend, exactly) and `constant`. The default, an automatic ARIMA, needs a library of
its own; it falls back to the last value in steady traffic. Estimates of latency are taken as proportional to load per
ready engine, 1 at the objective, as the planner's linear regression does. In steps longer than an interval the planner
forecasts one step ahead, which is more than its own interval; a step's mean is what each of its load ticks reads. The
budget of 8 GPUs is replaced by the pool's limit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from baseload.sim.case import Case, FloatArray, IntArray, View, Wanted
from baseload.sim.leads import EDGE
from baseload.sim.policies.kalman import LocalTrend
from baseload.sim.policies.seen import LEAST_REPLICAS, Seen, look, most_replicas, scale_to, within_limits

THROUGHPUT_SECONDS = 180.0
"""throughput_adjustment_interval."""

LOAD_SECONDS = 5.0
"""load_adjustment_interval."""

SENSITIVITY = 0.8
"""load_scaling_down_sensitivity: share of the objective below which an engine may go."""


@dataclass(frozen=True, slots=True)
class DynamoOptions:
    """Which predictor, and whether the load loop runs."""

    predictor: Literal["kalman", "constant"] = "kalman"
    load_loop: bool = True


class Dynamo:
    """One planner per serving."""

    name = "dynamo"
    _interval_steps: int
    _load_ticks: int
    _rates: list[FloatArray]
    _trend: LocalTrend
    _floor: IntArray
    _most: int | None

    def __init__(self, options: DynamoOptions = DynamoOptions()) -> None:
        self._options = options

    def begin(self, case: Case) -> None:
        """Forget the floor and the predictor's state."""
        self._interval_steps = max(round(THROUGHPUT_SECONDS / case.step_seconds), 1)
        self._load_ticks = max(int(case.step_seconds / LOAD_SECONDS + EDGE), 1)
        self._rates = []
        self._trend = LocalTrend(len(case.world))
        self._floor = np.full(len(case.world), LEAST_REPLICAS)
        self._most = most_replicas(case)

    def decide(self, view: View) -> Wanted:
        """Renew the floor when an interval is over, then let the load loop move."""
        seen = look(view)
        self._rates.append(view.demand[:, -1])
        if len(self._rates) == self._interval_steps:
            self._predict()
        desired = self._moved(seen) if self._options.load_loop else self._floor
        return scale_to(view, np.where(seen.is_known, within_limits(desired, self._most), seen.current))

    def _predict(self) -> None:
        """Set the floor from the interval's mean rate; an interval with a gap says nothing."""
        rate = np.mean(self._rates, axis=0)
        self._rates = []
        known = ~np.isnan(rate)
        ahead = self._trend.forecast_after(rate) if self._options.predictor == "kalman" else np.nan_to_num(rate)
        replicas = np.maximum(np.ceil(ahead - EDGE).astype(np.int64), LEAST_REPLICAS)
        self._floor = np.where(known, replicas, self._floor)

    def _moved(self, seen: Seen) -> IntArray:
        """What the load ticks of a step come to; one up ends them, since then a change is in progress."""
        load, ready = np.nan_to_num(seen.load), seen.ready
        # The least N that N + 1 would have stepped down to: load / N < 0.8.
        least = np.maximum(np.floor(load / SENSITIVITY + EDGE).astype(np.int64) + 1, LEAST_REPLICAS)
        down = np.maximum(np.minimum(ready, least), ready - self._load_ticks)
        moved = np.where(load > ready + EDGE, ready + 1, down)
        return np.where(seen.pending > 0, seen.current, np.maximum(moved, self._floor))
