"""Which quantile regressions each serving has, when they are renewed, and what they say of the newest bucket."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.features import FEATURES, Array, Integers, Series, aim, furthest, present
from baseload.plan.forecast.quantile_regression import TAUS, fit

KNOTS = (1, 2, 4, 9, 18, 36, 72, 140)
"""Horizons, in buckets, that have a regression of their own; coefficients between them are interpolated."""
REFIT_BUCKETS = 18
"""A regression is renewed every three hours, and never all servings in one call."""
_HALF_LIFE_DAYS = 7.0
_ALL_DAYS = 3
_STRIDE = 3
"""Of days before the newest `_ALL_DAYS`, every third bucket is learned from and counts three times."""
LEAST_DAYS = 1.0
"""A serving with fewer days of known buckets, and what the horizon takes, has no regression."""
_LEAST_SHARE = 0.9
"""A regression is made of nine tenths of that at least, as its samples weigh."""
_COLD_ITERATIONS = 12
_WARM_ITERATIONS = 3
_MOST_GROWTH = float(np.log(2.0))
"""No quantile lies above twice the highest demand of the last day: a line is no guide beyond what it was fitted to."""


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Coefficients (servings, knots, taus, features), NaN where there is none, and the bucket index of the last fit."""

    beta: NDArray[np.float32]
    fitted_at: Integers


def nothing_fitted(servings: int) -> Fits:
    """Return the fits of servings that have none; -REFIT_BUCKETS is long ago."""
    beta = np.full((servings, len(KNOTS), len(TAUS), FEATURES), np.nan, np.float32)
    return Fits(beta, np.full(servings, -1, np.int64))


def knots_for(horizons: Integers, day: int) -> Integers:
    """Return how many of the first knots forecasts up to `horizons` need, of those that a day allows."""
    return np.minimum(np.searchsorted(KNOTS, horizons) + 1, _allowed(day))


def _allowed(day: int) -> int:
    return int(np.searchsorted(KNOTS, furthest(day), side="right"))


def due(fits: Fits, needed: Integers, is_old_enough: NDArray[np.bool_], end_index: int) -> Integers:
    """Return the rows to fit now: those without a fit they need, then the oldest; at most an eighteenth of all.

    `needed` is the number of knots that each row needs, `is_old_enough` says which have the buckets for them.
    """
    count = len(needed)
    last = fits.beta[np.arange(count), needed - 1, 0, 0]
    age = np.where(np.isnan(last), np.inf, end_index - fits.fitted_at)
    rows = np.flatnonzero((age >= REFIT_BUCKETS) & is_old_enough)
    most = -(-count // REFIT_BUCKETS)
    return rows[np.argsort(-age[rows], kind="stable")[:most]]


def renew(fits: Fits, rows: Integers, past: Series, needed: int, end_index: int) -> Fits:
    """Fit the first `needed` knots of `rows`, whose series is `past`; a row too young keeps NaN."""
    beta = fits.beta.copy()
    fitted_at = fits.fitted_at.copy()
    fitted_at[rows] = end_index
    length = past.log.shape[1]
    chosen, stands_for = _thinned(length, past.day)
    x = present(past, chosen)
    for index, horizon in enumerate(KNOTS[:needed]):
        if length - horizon < LEAST_DAYS * past.day:
            break
        times = chosen[: np.searchsorted(chosen, length - horizon)]
        is_valid = past.known[:, times] & past.known[:, times + horizon]
        weights = is_valid * (0.5 ** ((length - 1 - times) / (_HALF_LIFE_DAYS * past.day)) * stands_for[: len(times)])
        old = weights.sum(axis=1) >= _LEAST_SHARE * LEAST_DAYS * past.day
        targets = past.log[:, times + horizon] - past.log[:, times]
        start = beta[rows, index].astype(np.float64)
        is_cold = np.isnan(start).any()
        design = x[:, :, : len(times)]
        aim(design, past, times, horizon)
        found = fit(
            design,
            targets,
            weights,
            None if is_cold else start,
            _COLD_ITERATIONS if is_cold else _WARM_ITERATIONS,
        )
        beta[rows[old], index] = found[old]
    return Fits(beta, fitted_at)


def _thinned(length: int, day: int) -> tuple[Integers, Array]:
    """Return the columns to learn from, all of the newest days and every third older one, and what each counts."""
    recent = max(length - _ALL_DAYS * day, 0)
    old = np.arange(recent - 1, -1, -_STRIDE)[::-1]
    return np.r_[old, np.arange(recent, length)], np.r_[np.full(len(old), float(_STRIDE)), np.ones(length - recent)]


def quantiles(fits: Fits, newest: Series, horizons: Integers) -> Array:
    """Return log quantiles of demand 1, 2, ... buckets after the newest: (servings, highest horizon, taus), sorted.

    `horizons` is how far each serving looks, (servings,): NaN beyond that, and where it has no regression.
    """
    at = np.array([newest.log.shape[1] - 1])
    allowed = _allowed(newest.day)
    result = np.full((len(horizons), int(horizons.max(initial=1)), len(TAUS)), np.nan)
    x = present(newest, at)
    for horizon in range(1, result.shape[1] + 1):
        aim(x, newest, at, min(horizon, furthest(newest.day)))
        beta = _coefficients(fits, horizon, allowed)
        reaches = (horizons >= horizon)[:, None]
        result[:, horizon - 1] = np.where(reaches, (beta @ x)[..., 0], np.nan)
    result.sort(axis=2)
    highest = newest.log.max(axis=1)[:, None, None] + _MOST_GROWTH
    return np.clip(result + newest.log[:, -1:, None], 0.0, highest)


def _coefficients(fits: Fits, horizon: int, allowed: int) -> NDArray[np.floating]:
    """Return the coefficients at a horizon, linear between the knots beside it, of the last knot beyond all."""
    above = int(np.searchsorted(KNOTS[:allowed], horizon))
    if above == allowed or KNOTS[above] == horizon:
        return fits.beta[:, min(above, allowed - 1)]
    below = above - 1
    share = (horizon - KNOTS[below]) / (KNOTS[above] - KNOTS[below])
    return (1.0 - share) * fits.beta[:, below] + share * fits.beta[:, above]
