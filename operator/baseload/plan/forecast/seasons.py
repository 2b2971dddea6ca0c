"""The days before: a decayed profile of the day and Holt-Winters, for a whole past at once or bucket by bucket."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.features import Array, Series, assemble, log_demand
from baseload.plan.forecast.windows import centred_sum

Rings = NDArray[np.float32]

_DAY_DECAY = 0.8
_SMOOTHING = 2
"""The profile of a day is a mean over five buckets, so a bucket enters it two buckets later."""
_LEVEL_GAIN = 0.3
_SEASON_GAIN = 0.15
_LEAST_WEIGHT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """Rings over the time of day, shape (servings, buckets of a day), position = bucket index modulo day.

    `weight` and `total` are the profile's decayed sums of what was known and of its logs; `season` and `level`,
    (servings,), are those of Holt-Winters, the level NaN before the first value.
    """

    weight: Rings
    total: Rings
    season: Rings
    level: Array


def nothing_seen(servings: int, day: int) -> Seasons:
    """Return the seasons of servings without a past."""
    rings = np.zeros((servings, day), np.float32)
    return Seasons(rings, rings, rings, np.full(servings, np.nan))


def whole_past(demand: NDArray[np.floating], unit: Array, day: int) -> Series:
    """Return the series of all buckets of a past: what a fit is made of."""
    log, known = log_demand(demand, unit)
    weight, total = _profile_sums(log, known, day)
    level, season = _holt_winters(log, known, day)
    profile = np.where(weight > _LEAST_WEIGHT, total / np.maximum(weight, _LEAST_WEIGHT), np.nan)
    return assemble(log, known, day, profile=profile, season=season, level=level)


def newest_window(seasons: Seasons, demand: NDArray[np.floating], unit: Array, end_index: int) -> Series:
    """Return the series of the newest buckets only: what a forecast is made of.

    Of the seasons, columns that a target less a day can reach are right; the newest two of the profile are a day old.
    """
    log, known = log_demand(demand, unit)
    day = seasons.season.shape[1]
    positions = np.arange(end_index - log.shape[1], end_index) % day
    weight, total = seasons.weight[:, positions], seasons.total[:, positions]
    profile = np.where(weight > _LEAST_WEIGHT, total / np.maximum(weight, _LEAST_WEIGHT), np.nan)
    season = seasons.season[:, positions].astype(np.float64)
    level = np.repeat(seasons.level[:, None], log.shape[1], axis=1)
    return assemble(log, known, day, profile=profile, season=season, level=level)


def advance(seasons: Seasons, demand: NDArray[np.floating], unit: Array, end_index: int) -> Seasons:
    """Return the seasons after one more bucket; `demand` holds the newest ones, that bucket last."""
    day = seasons.season.shape[1]
    log, known = log_demand(demand, unit)
    is_known = known[:, -1]
    position = (end_index - 1) % day
    season, weight, total = seasons.season.copy(), seasons.weight.copy(), seasons.total.copy()
    # A gap longer than the window leaves no last value: then what was expected stands in for it.
    now = np.where(known.any(axis=1), log[:, -1], seasons.level + season[:, position])
    level = np.where(np.isnan(seasons.level), np.where(is_known, now, np.nan), seasons.level)
    level = level + _LEVEL_GAIN * (now - season[:, position] - level)
    season[:, position] += np.where(is_known, _SEASON_GAIN * (now - level - season[:, position]), 0.0)
    if log.shape[1] > _SMOOTHING:
        middle, width = (end_index - 1 - _SMOOTHING) % day, 2 * _SMOOTHING + 1
        weight[:, middle] = known[:, -width:].sum(axis=1) + _DAY_DECAY * weight[:, middle]
        total[:, middle] = np.where(known, log, 0.0)[:, -width:].sum(axis=1) + _DAY_DECAY * total[:, middle]
    return Seasons(weight, total, season, level)


def _profile_sums(log: Array, known: NDArray[np.bool_], day: int) -> tuple[Array, Array]:
    """Return the decayed sums of what was known, and of its logs, at the same time of this and earlier days."""
    weight = centred_sum(known.astype(np.float64), _SMOOTHING)
    total = centred_sum(np.where(known, log, 0.0), _SMOOTHING)
    for start in range(day, log.shape[1], day):
        stop = min(start + day, log.shape[1])
        weight[:, start:stop] += _DAY_DECAY * weight[:, start - day : stop - day]
        total[:, start:stop] += _DAY_DECAY * total[:, start - day : stop - day]
    return weight, total


def _holt_winters(log: Array, known: NDArray[np.bool_], day: int) -> tuple[Array, Array]:
    """Return level and season after each bucket: additive Holt-Winters without a trend.

    Within a day the season comes from the day before, so the level is a linear filter of known numbers, and a day is
    one product with a triangular matrix instead of a loop over its buckets. A gap teaches the season nothing.
    """
    rows, length = log.shape
    level, season = np.empty_like(log), np.empty_like(log)
    steps = np.arange(day)
    gains = np.tril(_LEVEL_GAIN * (1.0 - _LEVEL_GAIN) ** np.maximum(steps[:, None] - steps[None, :], 0))
    fading = (1.0 - _LEVEL_GAIN) ** (steps + 1)
    before, last = np.zeros((rows, day)), log[:, 0]
    for start in range(0, length, day):
        here = slice(start, min(start + day, length))
        width = here.stop - here.start
        known_season = before[:, :width]
        level[:, here] = (log[:, here] - known_season) @ gains[:width, :width].T + last[:, None] * fading[:width]
        error = np.where(known[:, here], log[:, here] - level[:, here] - known_season, 0.0)
        season[:, here] = known_season + _SEASON_GAIN * error
        before, last = season[:, here], level[:, here.stop - 1]
    return level, season


def after(past: NDArray[np.floating], unit: Array, day: int, end_index: int) -> Seasons:
    """Return the seasons after a whole past, the same as advancing through it bucket by bucket."""
    log, known = log_demand(past, unit)
    weight, total = _profile_sums(log, known, day)
    level, season = _holt_winters(log, known, day)
    complete = log.shape[1] - _SMOOTHING
    last = np.where(known.any(axis=1), level[:, -1], np.nan)
    index = end_index - log.shape[1]
    return Seasons(
        _ring(weight[:, :complete], day, index), _ring(total[:, :complete], day, index), _ring(season, day, index), last
    )


def _ring(columns: Array, day: int, first_index: int) -> Rings:
    """Return the newest day of columns as a ring; zeros where there is less than a day."""
    ring = np.zeros((columns.shape[0], day), np.float32)
    kept = columns[:, -day:]
    first = first_index + columns.shape[1] - kept.shape[1]
    ring[:, np.arange(first, first + kept.shape[1]) % day] = kept
    return ring
