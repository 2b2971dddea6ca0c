"""The published band: members weighted by their matured errors, widened by online conformal quantiles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.features import Array, Series
from baseload.plan.forecast.members import MEMBERS, distance_from_profile, forecasts

BAND_HORIZONS = (1, 3, 6, 36)
"""Horizons, in buckets, whose outcomes are followed; a band between them is interpolated."""
MISS = 0.025
"""Share of outcomes that may lie beyond either edge: 95 of 100 lie inside."""
AIMED_MISS = 0.021
"""What is aimed at for that: forecasts overlap, so misses come in rows and the edges always come late."""
TAUS = np.array([MISS, 0.5, 1.0 - MISS])
"""What the three numbers of a band are quantiles of."""

_TEMPERATURE = 0.25
_ERROR_GAIN = 1.0 / 72.0
"""Errors are remembered like a window of the last 144 outcomes."""
_STEP = 0.03
_SCALE_GAIN = 0.02
_FAR = 36.0
"""Six hours ahead the scale moves half as fast, and edges begin a third wider."""
_DISTANCE_GAIN = 2.0 / 7.0
_FIRST_EDGE = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Follower:
    """What one horizon has learned. `waiting` (servings, horizon, MEMBERS + 1) are forecasts without an outcome yet.

    The first is judged next, NaN if none was made; the last column is what was published. `errors` (servings,
    MEMBERS) are mean absolute errors, `scale` that of what was published; `edges` (servings, 2) are the offsets of the
    band's edges from the median in multiples of it. NaN before the first outcome.
    """

    waiting: Array
    errors: Array
    scale: Array
    edges: Array


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """A follower per horizon of `BAND_HORIZONS`, and today's mean distance from the profile, (servings,)."""

    followers: tuple[Follower, ...]
    distance: Array


def nothing_followed(servings: int) -> Bands:
    """Return the bands of servings that were never forecast."""
    return Bands(tuple(_nothing(servings, horizon) for horizon in BAND_HORIZONS), np.zeros(servings))


def _nothing(servings: int, horizon: int) -> Follower:
    edge = _FIRST_EDGE * (1.0 + horizon / (3.0 * _FAR))
    return Follower(
        waiting=np.full((servings, horizon, MEMBERS + 1), np.nan),
        errors=np.full((servings, MEMBERS), np.nan),
        scale=np.full(servings, np.nan),
        edges=np.tile([-edge, edge], (servings, 1)),
    )


def judge(bands: Bands, log: Array, is_known: NDArray[np.bool_]) -> Bands:
    """Learn from the newest bucket's log demand what the forecasts of it were worth; gaps teach nothing."""
    return Bands(tuple(_judge(follower, log, is_known) for follower in bands.followers), bands.distance)


def _judge(follower: Follower, log: Array, is_known: NDArray[np.bool_]) -> Follower:
    """Quantile tracking (Gibbs and Candes 2021, 2106.00170) on residuals in multiples of their mean size."""
    due = follower.waiting[:, 0]
    size = np.abs(log[:, None] - due)
    usable = is_known & ~np.isnan(due[:, -1])
    errors = _moved(follower.errors, size[:, :-1], _ERROR_GAIN, usable[:, None])
    relative = (log - due[:, -1]) / np.maximum(follower.scale, 1e-6)
    low, high = follower.edges[:, 0], follower.edges[:, 1]
    step = np.stack([-_STEP * ((relative < low) - AIMED_MISS), _STEP * ((relative > high) - AIMED_MISS)], axis=1)
    judged = usable & ~np.isnan(follower.scale)
    edges = follower.edges + np.where(judged[:, None], step * np.maximum(np.abs(follower.edges), 1.0), 0.0)
    gain = _SCALE_GAIN / (1.0 + follower.waiting.shape[1] / _FAR)
    scale = _moved(follower.scale, size[:, -1], gain, usable)
    return Follower(follower.waiting, errors, scale, edges)


def _moved(mean: Array, value: Array, gain: float, usable: NDArray[np.bool_]) -> Array:
    """Return a running mean moved by a value, started by the first one."""
    started = np.where(np.isnan(mean), value, mean + gain * (value - mean))
    return np.where(usable, started, mean)


def look(bands: Bands, newest: Series, weekdays: dict[int, tuple[Array, Array]]) -> tuple[Bands, Array]:
    """Forecast from the newest bucket: what waits for its outcome, and the bands (horizons, servings, 3) as logs.

    `weekdays` holds the profile of the weekday now and at the target for each horizon.
    """
    distance = bands.distance + _DISTANCE_GAIN * (distance_from_profile(newest) - bands.distance)
    followers, seen = [], []
    for follower, horizon in zip(bands.followers, BAND_HORIZONS, strict=True):
        members = forecasts(newest, distance, weekdays[horizon], horizon)
        centre = _weighted(members, follower.errors)
        scale = np.nan_to_num(follower.scale)[:, None]
        edges = centre[:, None] + scale * follower.edges
        seen.append(np.stack([edges[:, 0], centre, edges[:, 1]], axis=1))
        made = np.concatenate([members, centre[:, None]], axis=1)
        waiting = np.concatenate([follower.waiting[:, 1:], made[:, None]], axis=1)
        followers.append(Follower(waiting, follower.errors, follower.scale, follower.edges))
    return Bands(tuple(followers), distance), np.stack(seen)


def _weighted(members: Array, errors: Array) -> Array:
    """Return the members' mean with weights exp(-(e - least) / (0.25 least)); equal ones before the first outcome."""
    error = np.nan_to_num(errors, nan=1.0) + 1e-6
    least = error.min(axis=1, keepdims=True)
    weights = np.exp(-(error - least) / (_TEMPERATURE * least))
    return np.asarray((weights * members).sum(axis=1) / weights.sum(axis=1))


def at_horizon(bands: Array, horizon: int) -> Array:
    """Return the band (servings, 3) `horizon` buckets ahead, linear between those that are followed."""
    place = np.interp(horizon, BAND_HORIZONS, np.arange(len(BAND_HORIZONS)))
    below = int(place)
    above = min(below + 1, len(BAND_HORIZONS) - 1)
    return np.asarray(bands[below] + (place - below) * (bands[above] - bands[below]))
