"""Fifteen numbers that describe the recent past of a serving, as seen from one of its buckets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.windows import centred_maximum, trailing_maximum, trailing_mean

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

FEATURES = 15
"""Intercept, three slopes, three seasonal views, two level gaps, unrest, four window maxima, yesterday's maximum."""
LOOK_AHEAD = 3
"""A seasonal feature looks this far past its target's time a day ago: horizons stay below a day less that."""

_SLOPES = (1, 3, 6)
_WINDOWS = (3, 6, 12, 36)
_UNREST_WINDOW = 12


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What the features of some servings are read from; every array has the shape (servings, buckets).

    `log` is log(1 + demand / unit) with gaps filled, `known` is False in them. Column j of `profile` is the decayed
    mean of bucket j and the same time of earlier days, of `season` and `level` the state of Holt-Winters after bucket
    j, of `peak` the maximum around bucket j. `gap_hour` and `gap_day` are means of the last hour and day, `unrest` is
    the mean step of the last two hours, `maxima` are of the last 3, 6, 12 and 36 buckets.
    """

    log: Array
    known: NDArray[np.bool_]
    day: int
    profile: Array
    season: Array
    level: Array
    peak: Array
    gap_hour: Array
    gap_day: Array
    unrest: Array
    maxima: tuple[Array, ...]


def window_buckets(day: int) -> int:
    """Return how many of the newest buckets the features of one bucket look at, seasons aside."""
    return max(day, *_WINDOWS) + LOOK_AHEAD + 1


def furthest(day: int) -> int:
    """Return the longest horizon, in buckets, that the features of a day of `day` buckets allow."""
    return day - LOOK_AHEAD - 1


def log_demand(demand: NDArray[np.floating], unit: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return log(1 + demand / unit), and where demand was known.

    A gap has the last value before it, one at the start the first value after it, a serving without any value zero.
    """
    known = ~np.isnan(demand)
    columns = np.arange(demand.shape[1])
    newest = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    source = np.where(newest < 0, known.argmax(axis=1)[:, None], newest)
    filled = np.take_along_axis(demand, source, axis=1) if not known.all() else demand
    return np.log1p(np.nan_to_num(filled) / unit[:, None]), known


def assemble(log: Array, known: NDArray[np.bool_], day: int, *, profile: Array, season: Array, level: Array) -> Series:
    """Complete a series by what only the buckets themselves are needed for."""
    moves = np.abs(np.diff(log, axis=1, prepend=log[:, :1]))
    return Series(
        log=log,
        known=known,
        day=day,
        profile=profile,
        season=season,
        level=level,
        peak=centred_maximum(log, LOOK_AHEAD),
        gap_hour=trailing_mean(log, max(day // 24, 1)),
        gap_day=trailing_mean(log, day),
        unrest=trailing_mean(moves, _UNREST_WINDOW),
        maxima=tuple(trailing_maximum(log, width) for width in _WINDOWS),
    )


def design(of: Series, times: Integers, horizon: int) -> Array:
    """Return the features at columns `times` for targets `horizon` buckets later: (servings, FEATURES, times)."""
    result = present(of, times)
    aim(result, of, times, horizon)
    return result


def present(of: Series, times: Integers) -> Array:
    """Return the features that no target is needed for; the others are zero."""
    now = of.log[:, times]
    result = np.zeros((len(now), FEATURES, len(times)))
    result[:, 0] = 1.0
    for index, width in enumerate(_SLOPES):
        result[:, 1 + index] = now - of.log[:, np.maximum(times - width, 0)]
    result[:, 7] = of.gap_hour[:, times] - now
    result[:, 8] = of.gap_day[:, times] - now
    result[:, 9] = of.unrest[:, times]
    for index, highest in enumerate(of.maxima):
        result[:, 10 + index] = highest[:, times] - now
    return result


def aim(result: Array, of: Series, times: Integers, horizon: int) -> None:
    """Write the four features that look a day back from the target into the result of `present`."""
    now = of.log[:, times]
    ago = times + horizon - of.day
    result[:, 4] = _seasonal(of.profile, ago, now)
    result[:, 5] = _seasonal(of.log, ago, now)
    result[:, 6] = _seasonal(of.season, ago, now - of.level[:, times])
    result[:, 14] = _seasonal(of.peak, ago, now)


def _seasonal(values: Array, ago: Integers, now: Array) -> Array:
    """Return values of a day before minus now; zero, which is no opinion, where there is none."""
    past = values[:, np.maximum(ago, 0)]
    return np.where((ago >= 0) & ~np.isnan(past), past - now, 0.0)
