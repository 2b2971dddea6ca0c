"""The simple forecasts of which the published band is made: four members and, after two weeks, the weekday."""

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.features import Array, Series, design, furthest

MEMBERS = 5
_LEVEL_FADES = 0.97
"""What of today's distance from the profile is left a bucket later."""
_SMOOTHING = 2
_WEEKDAYS = 7


def forecasts(newest: Series, distance: Array, weekday: tuple[Array, Array], horizon: int) -> Array:
    """Return each member's forecast of the log `horizon` buckets ahead: (servings, MEMBERS); no opinion = last value.

    planning.md 1.2: last value; the same time yesterday; the profile of the day and what is left of `distance`, today's
    from it; Holt-Winters; and the same for the profile of the weekday, given for now and for the target.
    """
    at = newest.log.shape[1] - 1
    now = newest.log[:, at]
    x = design(newest, np.array([at]), min(horizon, furthest(newest.day)))[:, :, 0]
    left = _LEVEL_FADES**horizon
    profile = np.where(x[:, 4] != 0.0, now + x[:, 4] + left * distance, now)
    week = np.nan_to_num(weekday[1] + left * (now - weekday[0]), nan=0.0)
    week = np.where(np.isnan(weekday[0] + weekday[1]), profile, week)
    return np.stack([now, now + x[:, 5], profile, now + x[:, 6], week], axis=1)


def distance_from_profile(newest: Series) -> Array:
    """Return the log of the newest bucket minus the day's profile at its time; zero without a profile."""
    at = newest.log.shape[1] - 1
    return np.asarray(-design(newest, np.array([at]), 0)[:, 4, 0])


def weekday_profile(demand: NDArray[np.floating], unit: Array, day: int, ahead: int) -> Array:
    """Return the mean log at the time of the week `ahead` buckets after the newest, (servings,).

    NaN before two weeks are known; at most four weeks are looked at, five buckets of each.
    """
    length, week = demand.shape[1], _WEEKDAYS * day
    target = length - 1 + ahead
    columns = [
        target - weeks * week + offset
        for weeks in range(1, 5)
        for offset in range(-_SMOOTHING, _SMOOTHING + 1)
        if 0 <= target - weeks * week + offset < length
    ]
    if length < 2 * week or not columns:
        return np.full(len(demand), np.nan)
    known = ~np.isnan(demand[:, columns])
    logs = np.where(known, np.log1p(np.nan_to_num(demand[:, columns]) / unit[:, None]), 0.0)
    count = known.sum(axis=1)
    return np.where(count > 0, logs.sum(axis=1) / np.maximum(count, 1), np.nan)
