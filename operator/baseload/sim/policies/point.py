"""`point`: a point forecast one lead ahead, the usual predictive autoscaler: a day's profile and the level now.

On log(1 + demand): the mean of past days, each day weighing 0.8 of the next and smoothed over 50 minutes, plus the mean
deviation from it in the last 30 minutes, which fades by 0.97 in ten. Half of the outcomes are above such a forecast;
what a quantile is worth shows beside it. Before the first day is over the last value stands in for it. In a gap the
deviation goes on fading. Minutes are parts of a day, so a compressed day is forecast in the same way.
"""

import numpy as np

from baseload.sim.case import Case, FloatArray, IntArray, View, Wanted
from baseload.sim.leads import EDGE, steps_of, told_lead_seconds
from baseload.sim.policies.seen import most_replicas, scale_to, within_limits

DAY_WEIGHT = 0.8
"""Of a day in the profile, over the day after it."""

TENS_IN_DAY = 144
"""Ten minutes, in which the times below are counted."""

FADE = 0.97
"""What is left of the deviation after ten minutes."""

SMOOTHED_TENS = 2
"""Ten minutes on each side of a step that its profile is smoothed over."""

LEVEL_TENS = 3
"""Ten minutes of which the mean deviation is the level now."""


class Point:
    """A profile of the day for each serving, renewed when a day is over."""

    name = "point"
    _ahead: int
    _fade: float
    _reach: int
    _level_steps: int
    _sum: FloatArray
    _weight: FloatArray
    _profile: FloatArray
    _days: int
    _deviation: FloatArray
    _last: FloatArray
    _most: int | None

    def begin(self, case: Case) -> None:
        """Forget all days."""
        self._ahead = steps_of(told_lead_seconds(case, case.pools[0]), case.step_seconds) + 1
        self._sum = np.zeros((len(case.world), case.steps_per_day))
        self._weight = np.zeros_like(self._sum)
        steps_in_ten = case.steps_per_day / TENS_IN_DAY
        self._fade = float(FADE ** (1.0 / steps_in_ten))
        self._reach = round(SMOOTHED_TENS * steps_in_ten)
        self._level_steps = max(round(LEVEL_TENS * steps_in_ten), 1)
        self._profile = np.full_like(self._sum, np.nan)
        self._days = 0
        self._deviation = np.zeros(len(case.world))
        self._last = case.world[:, 0]
        self._most = most_replicas(case)

    def decide(self, view: View) -> Wanted:
        """Order what the step one lead ahead needs; keep what any step until then needs."""
        self._learn(view.demand)
        self._level(view.demand)
        now, day = view.demand.shape[1] - 1, self._profile.shape[1]
        horizons = np.arange(1, self._ahead + 1)
        profile = self._profile[:, (now + horizons) % day]
        forecast = np.expm1(profile + self._fade**horizons * self._deviation[:, None])
        replicas = within_limits(_whole(np.where(np.isnan(profile), self._last[:, None], forecast)), self._most)
        return scale_to(view, replicas[:, -1], replicas.max(axis=1))

    def _learn(self, demand: FloatArray) -> None:
        """Take in the days that are over."""
        day = self._sum.shape[1]
        for index in range(self._days, demand.shape[1] // day):
            log = np.log1p(demand[:, index * day : (index + 1) * day])
            known = ~np.isnan(log)
            self._sum = DAY_WEIGHT * self._sum + np.where(known, log, 0.0)
            self._weight = DAY_WEIGHT * self._weight + known
            self._days = index + 1
            weight = _smoothed(self._weight, self._reach)
            total = _smoothed(self._sum, self._reach)
            self._profile = np.where(weight > 0, total / np.maximum(weight, EDGE), np.nan)

    def _level(self, demand: FloatArray) -> None:
        """How far the newest steps are from the profile, and the last value seen."""
        newest = np.arange(max(demand.shape[1] - self._level_steps, 0), demand.shape[1])
        deviations = np.log1p(demand[:, newest]) - self._profile[:, newest % self._profile.shape[1]]
        known = ~np.isnan(deviations)
        mean = np.where(known, deviations, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        is_gap = np.isnan(demand[:, -1])
        self._deviation = np.where(is_gap, self._fade * self._deviation, mean)
        self._last = np.where(is_gap, self._last, demand[:, -1])


def _smoothed(by_step: FloatArray, reach: int) -> FloatArray:
    """Sums over the steps of the day up to `reach` away; the day is a circle."""
    return np.asarray(sum(np.roll(by_step, shift, axis=1) for shift in range(-reach, reach + 1)))


def _whole(replicas: FloatArray) -> IntArray:
    return np.ceil(replicas - EDGE).astype(np.int64)
