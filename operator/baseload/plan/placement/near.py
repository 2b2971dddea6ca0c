"""Demand of the next minutes, from fine steps: what a fast pool is ordered for, for many servings at once.

The forecast at a slow pool's lead looks at buckets of ten minutes; a pool that comes in two needs to know what happens
inside them. A few slopes of the fine steps and the spread of what followed them say it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast import quantile_regression

FloatArray = NDArray[np.float64]

WINDOW_STEPS = 720
"""Steps that a regression looks back: a day of two minutes."""
LEAST_STEPS = 60
"""Steps before the first regression; until then `FIRST_MARGIN` stands in."""
REFIT_STEPS = 30
FIRST_MARGIN = 0.1
"""Logarithm by which demand is taken to rise while nothing was learned."""
TAU = 0.95
"""The quantile that is covered: a shortage costs far more than a spare replica of the dearest pool."""
LAGS = (1, 5)
"""Slopes are taken over these many steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """What was learned: coefficients (servings, taus, features), NaN before the first fit, and when that was.

    `ahead` and `span`: the level is the highest demand of `span` steps from `ahead` steps after the newest one on.
    `scale` (servings,) is the unit of the logarithms.
    """

    ahead: int
    span: int
    scale: FloatArray
    beta: FloatArray
    fitted_at: int = 0


def begin(scale: FloatArray, ahead: int, span: int) -> Near:
    """Nothing learned yet, of servings whose demand is counted in `scale`."""
    features = 1 + 2 * len(LAGS)
    return Near(ahead, span, scale, np.full((scale.size, len(quantile_regression.TAUS), features), np.nan))


def learned(near: Near, demand: FloatArray) -> Near:
    """Learn from demand (servings, steps so far), NaN for gaps, when it is time to."""
    steps = demand.shape[1]
    if steps < LEAST_STEPS or steps < near.fitted_at + REFIT_STEPS:
        return near
    reach = near.ahead + near.span - 1
    log = _logs(near, demand[:, -(WINDOW_STEPS + max(LAGS) + reach) :])
    times = np.arange(max(LAGS), log.shape[1] - reach)
    future = np.stack([log[:, times + near.ahead + more] for more in range(near.span)]).max(axis=0)
    design, targets = _features(log, times), future - log[:, times]
    known = ~(np.isnan(design).any(axis=1) | np.isnan(targets))
    beta = quantile_regression.fit(
        np.nan_to_num(design), np.nan_to_num(targets), known.astype(float), start=None, iterations=30
    )
    enough = known.sum(axis=1) >= LEAST_STEPS // 2
    return replace(near, beta=np.where(enough[:, None, None], beta, near.beta), fitted_at=steps)


def levels(near: Near, demand: FloatArray) -> FloatArray:
    """Demand (servings,) that is not exceeded with probability `TAU` when a fast order serves; NaN in a gap."""
    log = _logs(near, demand[:, -(max(LAGS) + 1) :])
    now = log[:, -1]
    if log.shape[1] <= max(LAGS):
        return np.expm1(now + FIRST_MARGIN) * near.scale
    features = np.nan_to_num(_features(log, np.array([log.shape[1] - 1]))[..., 0])
    beta = interpolated(near.beta, quantile_regression.TAUS, TAU)
    rise = np.einsum("sf,sf->s", beta, features)
    return np.asarray(np.expm1(now + np.where(np.isnan(rise), FIRST_MARGIN, rise)) * near.scale)


def _logs(near: Near, demand: FloatArray) -> FloatArray:
    return np.asarray(np.log1p(demand / near.scale[:, None]))


def _features(log: FloatArray, times: NDArray[np.int64]) -> FloatArray:
    """Slopes and their sizes, (servings, features, times); the first is the intercept."""
    slopes = [log[:, times] - log[:, times - lag] for lag in LAGS]
    return np.stack([np.ones_like(slopes[0]), *slopes, *(np.abs(slope) for slope in slopes)], axis=1)


def interpolated(beta: FloatArray, taus: FloatArray, tau: float) -> FloatArray:
    """Coefficients (servings, features) of a quantile between the fitted ones, `beta` (servings, taus, features)."""
    place = float(np.interp(tau, taus, np.arange(len(taus))))
    below = min(int(place), len(taus) - 2)
    return np.asarray(beta[:, below] + (place - below) * (beta[:, below + 1] - beta[:, below]))
