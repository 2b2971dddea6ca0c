"""Steps of a replay put together to the buckets that the forecast is made of."""

from dataclasses import dataclass

import numpy as np

from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.sim.case import Case, FloatArray

BUCKETS_PER_DAY = 144
"""Ten minutes in production; a compressed day has as many shorter ones."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How steps make buckets: `steps` of them each; steps longer than a bucket are buckets themselves."""

    steps: int
    grid: Grid

    def completed(self, done: int) -> bool:
        """Whether a bucket is complete after `done` steps of the case."""
        return done % self.steps == 0

    def mean(self, demand: FloatArray) -> FloatArray:
        """Mean of the last bucket's steps that were seen, shape (servings,); NaN if none was."""
        return mean_seen(demand[:, -self.steps :])

    def running_mean(self, demand: FloatArray, done: int) -> FloatArray:
        """Mean so far of the bucket that is running after `done` steps of the case."""
        return mean_seen(demand[:, -(done % self.steps) :])


def cut_of(case: Case) -> Cut:
    """Cut a case's day into 144 buckets, or into its steps if they are fewer."""
    steps = max(case.steps_per_day // BUCKETS_PER_DAY, 1)
    return Cut(steps, Grid(case.step_seconds * steps, case.steps_per_day // steps))


def earlier_buckets(case: Case, cut: Cut) -> DemandBlock:
    """The case's history in whole buckets, the newest last; the zero of the grid is the first of them."""
    history = np.empty((len(case.world), 0)) if case.history is None else case.history
    count = history.shape[1] // cut.steps
    whole = history[:, history.shape[1] - count * cut.steps :].reshape(len(history), count, cut.steps)
    return DemandBlock(mean_seen(whole), cut.grid, count)


def mean_seen(demand: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN, NaN where nothing is."""
    seen = ~np.isnan(demand)
    count = seen.sum(axis=-1)
    total = np.where(seen, demand, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
